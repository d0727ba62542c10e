"""Both levels on a tiny study: what is written, what is not done again, what goes wrong alone."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from ketbids.io.cifti import read_maps
from ketbids.io.tables import read_table
from ketbids.model import default_model_path

pytestmark = pytest.mark.xdist_group('demo')

GOLDEN = Path(__file__).parent / 'data'
CODE = """
import json, sys
from ketbids.cli.main import main
if __name__ == '__main__':
    code = main(sys.argv[2:])
    with open(sys.argv[1], 'w') as stream:
        json.dump([code, sorted(sys.modules)], stream)
"""
CONTRASTS = ('nogoVsGo', 'correctGo')
ANALYSES = {'meanAll': '1', 'hcVsTrd': '0 + group', 'pairedTP1TP3': '1'}
VISITS = [f'sub-{n:02d}_ses-TP1_task-carit' for n in range(1, 7)]
VISITS += [f'sub-{n:02d}_ses-TP3_task-carit' for n in range(3, 7)]
STATISTICS = (
    {'Name': 'flow', 'Type': 'flow', 'By': 'group', 'Sessions': ['TP1', 'TP3']},
    {'Name': 'hdrsOverTime', 'Type': 'mixed', 'Subset': "group == 'TRD'", 'Outcome': 'hdrs'}
    | {'Formula': 'time', 'Sessions': ['TP1', 'TP3'], 'Means': ['time']},
    {'Name': 'hdrsChange', 'Type': 'correlation', 'Subset': "group == 'TRD'"}
    | {'Outcome': {'Regions': {'Contrast': 'nogoVsGo', 'SelectedBy': ['pairedTP1TP3']}}}
    | {'Variable': 'hdrs_change', 'Values': {'baseline': 'TP1', 'serial': ['TP1', 'TP3']}},
)
BROKEN = 'sub-06_ses-TP3_task-carit'


class Call(NamedTuple):
    """What a call of ketbids did."""

    code: int
    modules: frozenset[str]
    output: str
    errors: str
    seconds: float


class Study(NamedTuple):
    """Folders of the tiny study."""

    root: Path
    bids: Path
    hcp: Path
    series: Path

    def call(self, level: str, *arguments: str, out: str = 'out', nprocs: int = 2) -> Call:
        report = self.root / 'call.json'
        report.unlink(missing_ok=True)
        command = [str(self.bids), str(self.root / out), level, '--nprocs', str(nprocs)]
        command += ['--model', str(self.root / 'model.json'), *arguments]
        if level == 'participant':
            command += ['--derivatives', str(self.hcp), '--session-label', 'TP1', 'TP3']
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, '-c', CODE, str(report), *command],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.root,
            env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[1])},
            timeout=300,
        )
        assert report.is_file(), done.stdout + done.stderr
        code, modules = json.loads(report.read_text())
        seconds = time.monotonic() - started
        return Call(code, frozenset(modules), done.stdout, done.stderr, seconds)

    def files(self, out: str = 'out') -> list[str]:
        folder = self.root / out
        found = (path for path in folder.rglob('*') if path.is_file())
        return sorted(path.relative_to(folder).as_posix() for path in found)


def small_model() -> dict:
    """The packaged model with three analyses of one first-level contrast and three statistics."""
    model = json.loads(default_model_path().read_text())
    nodes = {node['Name']: node for node in model['Nodes']}
    run = nodes['run']
    run['Contrasts'] = [c for c in run['Contrasts'] if c['Name'] in CONTRASTS]
    statistics = json.loads(json.dumps(STATISTICS))
    statistics[-1]['Outcome']['Regions']['APriori'] = ['L_precentralGyrus']
    nodes['session']['Model']['Software']['ketbids']['Statistics'] = statistics
    for name, formula in ANALYSES.items():
        specification = nodes[name]['Model']
        specification['Formula'] = formula
        specification['X'] = [1] if formula == '1' else ['group']
        specification['Software']['ketbids'].pop('Center', None)
    kept = {'run', 'session', *ANALYSES}
    model['Nodes'] = [node for node in model['Nodes'] if node['Name'] in kept]
    model['Edges'] = [edge for edge in model['Edges'] if edge['Destination'] in kept]
    return model


@pytest.fixture(scope='module')
def study(demo_study, tmp_path_factory) -> Study:
    """The synthetic study with one time series cut off in the middle."""
    root = tmp_path_factory.mktemp('study')
    shutil.copytree(demo_study.hcp, root / 'hcp', copy_function=os.link)
    (root / 'model.json').write_text(json.dumps(small_model()))
    folder = root / 'hcp' / BROKEN.split('_task')[0] / 'MNINonLinear' / 'Results'
    (series,) = folder.glob('*/*.dtseries.nii')
    content = series.read_bytes()
    series.rename(series.with_suffix('.whole'))
    series.write_bytes(content[: len(content) // 2])
    return Study(root, demo_study.bids, root / 'hcp', series)


@pytest.fixture(scope='module')
def first(study) -> Call:
    """The participant level, with a broken visit."""
    return study.call('participant')


@pytest.fixture(scope='module')
def second(study, first) -> Call:
    """The participant level again, with the visit repaired and one file of another changed."""
    study.series.with_suffix('.whole').replace(study.series)
    (movement,) = study.hcp.glob('sub-01_ses-TP1/MNINonLinear/Results/*/Movement_Regressors.txt')
    content = movement.read_text()
    movement.unlink()  # it is a link
    movement.write_text(content)
    return study.call('participant')


@pytest.fixture(scope='module')
def grouped(study, second) -> Call:
    """The group level."""
    return study.call('group', '--permutations', '50')


def assert_golden(found: list[str], name: str) -> None:
    """Compare with a list of files, both ways; ``KETBIDS_GOLDEN=write`` writes it."""
    if os.environ.get('KETBIDS_GOLDEN') == 'write':
        (GOLDEN / name).write_text('\n'.join(found) + '\n')
    expected = set((GOLDEN / name).read_text().splitlines())
    missing, unexpected = sorted(expected - set(found)), sorted(set(found) - expected)
    assert (missing, unexpected) == ([], [])


def whole_visits(study: Study) -> list[str]:
    return sorted(
        name
        for name in VISITS
        if any(f.startswith('sub-') and f'{name}_space' in f for f in study.files())
    )


def page(path: Path) -> str:
    """Text of a page, without its pictures."""
    return re.sub(r'data:image/png;base64,[A-Za-z0-9+/=]+', '', path.read_text())


def test_a_broken_visit_fails_alone(study, first):
    assert first.code == 1, first.output + first.errors
    assert str(study.series) in first.output
    assert f'{BROKEN} failed' in first.output
    assert '9 of 10 visits done, 1 failed' in first.output


def test_a_broken_visit_is_done_again(study, second):
    assert second.code == 0, second.output + second.errors
    assert '10 visits: 2 to do, 8 done before' in second.output
    assert f'{VISITS[0]}: input or settings have changed' in second.output
    assert whole_visits(study) == sorted(VISITS)


def test_files_of_a_visit(study, second):
    mine = 'sub-03_ses-TP1'
    others = re.compile(r'(sub-0[12456])|sub-03_ses-TP3|logs/crash-|work/|group')
    found = [name for name in study.files() if not others.search(name)]
    assert any(mine in name for name in found)
    assert_golden(found, 'participant_outputs.txt')


def test_every_visit_has_the_same_files(study, second):
    def shape(visit):
        who, when, _ = visit.split('_')
        names = [n for n in study.files() if f'{who}_{when}' in n]
        return {name.replace(who, 'sub').replace(when, 'ses') for name in names}

    for visit in VISITS[1:]:
        assert shape(visit) == shape(VISITS[0]), visit


def test_the_work_folder_is_gone(study, second):
    assert not (study.root / 'out' / 'work').exists()


def test_maps_are_maps(study, second):
    out = study.root / 'out'
    maps = sorted(out.glob('sub-*/ses-*/func/*_stat-*_statmap.dscalar.nii'))
    assert len(maps) == len(VISITS) * len(CONTRASTS) * 4
    by_name = {path.name: read_maps(path) for path in maps if path.name.startswith('sub-03')}
    for name, (values, models) in by_name.items():
        assert values.shape == (1, len(models)), name
        assert np.isfinite(values).all(), name
        sidecar = json.loads(
            next(out.glob(f'sub-03/*/func/{name.replace(".dscalar.nii", ".json")}')).read_text()
        )
        assert sidecar['Statistic'] == re.search('stat-([a-z]+)', name)[1]
        assert sidecar['Contrast'] == re.search('contrast-([A-Za-z]+)', name)[1]
        assert len(sidecar['Sources']) == 2
        assert sidecar['SmoothingAddedFWHM'] == 5.0
        assert str(study.root) not in json.dumps(sidecar)


def test_what_the_noise_model_left_is_mapped(study, second):
    paths = sorted((study.root / 'out').glob('sub-*/ses-*/func/*_desc-whiteness_statmap.json'))
    assert len(paths) == len(VISITS)
    for path in paths:
        sidecar = json.loads(path.read_text())
        values, models = read_maps(path.with_suffix('.dscalar.nii'))
        assert values.shape == (4, len(models))
        assert sidecar['NoiseModel'] == 'AR(6), per grayordinate, stationary likelihood'
        assert sidecar['NoiseSmoothingFWHM'] == 5.0
        # The noise of the study is AR(1) with .3.
        assert sidecar['AutocorrelationBefore']['Median'][0] > 0.2
        assert abs(sidecar['AutocorrelationAfter']['Median'][0]) < 0.02
        assert sidecar['PortmanteauRejected'] < 0.2


def test_pages_of_participants(study, second):
    out = study.root / 'out'
    for number in range(1, 7):
        text = page(out / f'sub-{number:02d}.html')
        assert f'{number:02d}' in text
        assert 'TP1' in text
        assert ('TP3' in text) == (number > 2)
        assert 'correctNogo' in text
        assert 'failed' not in text


@pytest.mark.parametrize('level', ['participant', 'group'])
def test_a_repeat_does_nothing(study, grouped, level):
    def state():
        out = study.root / 'out'
        return {n: (out / n).stat().st_mtime_ns for n in study.files()}

    before = state()
    options = ('--permutations', '50') if level == 'group' else ()
    again = study.call(level, *options)
    assert again.code == 0, again.output + again.errors
    assert ': 0 to do, ' in again.output
    assert 'nipype' not in again.modules
    assert state() == before
    assert again.seconds < 15


def test_group_level(grouped):
    assert grouped.code == 0, grouped.output + grouped.errors
    assert 'Statistics: 3 to do, 0 done before, 0 that cannot be made.' in grouped.output
    assert '6 of 6 analyses done, 0 failed' in grouped.output


def test_files_of_an_analysis(study, grouped):
    others = re.compile(r'node-(meanAll|hcVsTrd)|work/')
    found = [n for n in study.files() if re.search('group|node-|statistic-', n)]
    assert_golden([n for n in found if not others.search(n)], 'group_outputs.txt')


def test_the_output_is_valid_bids(study, grouped):
    validator = Path(sys.executable).with_name('bids-validator-deno')
    if not validator.is_file():
        pytest.skip('bids-validator-deno is not installed beside this Python')
    out = study.root / 'out'
    assert (out / 'group').is_dir()
    done = subprocess.run(
        [str(validator), '--format', 'json', str(out)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    issues = json.loads(done.stdout)['issues']['issues']
    assert [issue for issue in issues if issue['severity'] == 'error'] == []
    assert 'README_FILE_MISSING' not in {issue['code'] for issue in issues}
    assert done.returncode == 0


def test_who_is_in_an_analysis(study, grouped):
    def design(name):
        folder = study.root / 'out' / 'group' / f'node-{name}'
        return read_table(folder / f'node-{name}_contrast-nogoVsGo_design.tsv')

    everybody, patients = ([f'{n:02d}' for n in range(a, 7)] for a in (1, 3))
    for name, people in (
        ('meanAll', everybody),
        ('hcVsTrd', everybody),
        ('pairedTP1TP3', patients),
    ):
        rows = design(name)
        assert [who[-2:] for who in rows['participant_id']] == people
        for who, path in zip(rows['participant_id'], rows['path'], strict=True):
            assert path.startswith(f'sub-{who[-2:]}/ses-TP1/func/')
            assert 'contrast-nogoVsGo_stat-effect' in path
    for who, path in zip(patients, design('pairedTP1TP3')['minus_path'], strict=True):
        assert path.startswith(f'sub-{who}/ses-TP3/func/')


def test_effects_are_those_of_the_maps(study, grouped):
    """The mean difference, computed from the files that the design names."""
    out = study.root / 'out'
    stem = out / 'group' / 'node-pairedTP1TP3' / 'node-pairedTP1TP3_contrast-nogoVsGo'
    rows = read_table(Path(f'{stem}_design.tsv'))
    one, two = (
        np.concatenate([read_maps(out / path)[0] for path in rows[column]]).astype(float)
        for column in ('path', 'minus_path')
    )
    (path,) = stem.parent.glob(f'{stem.name}_space-*_stat-effect_statmap.dscalar.nii')
    effect, _ = read_maps(path)
    np.testing.assert_allclose(effect[0], (one - two).mean(axis=0), rtol=1e-4, atol=1e-3)


def test_statistics(study, grouped):
    """Scores, people and regions reach what is computed of them."""
    out = study.root / 'out' / 'group'
    folder = out / 'statistics'
    flow = read_table(folder / 'flow_flow.tsv')
    people = flow[(flow['stage'] == 'enrolled') & flow['session_id'].isna()]
    assert dict(zip(people['group'], people['n'], strict=True)) == {'all': 6, 'HC': 2, 'TRD': 4}
    scores = read_table(folder / 'hdrsOverTime_values.tsv').pivot(
        index='participant_id', columns='session_id', values='value'
    )
    difference = scores['ses-TP1'] - scores['ses-TP3']
    t = difference.mean() / (difference.std() / np.sqrt(len(difference)))
    (term,) = read_table(folder / 'hdrsOverTime_terms.tsv').to_dict('records')
    assert (term['num_df'], term['n_subjects']) == (1, 4)
    np.testing.assert_allclose(term['f'], t**2, rtol=1e-6)
    regions = read_table(folder / 'hdrsChange_correlations.tsv')
    assert set(regions['outcome']) == {'L_precentralGyrus'}
    summary = json.loads((folder / 'hdrsChange.json').read_text())
    assert summary['Notes'] == ['Nothing is significant in pairedTP1TP3.']
    (row,) = regions[regions['values'] == 'serial'].to_dict('records')
    parcels = read_table(out / 'group_contrast-nogoVsGo_parcels.tsv')
    values = parcels[parcels['roi'] == 'L_precentralGyrus'].pivot(
        index='participant_id', columns='session_id', values='value'
    )
    change = values.set_axis([c[-3:] for c in values], axis=1).eval('TP1 - TP3').dropna()
    relative = 100 * difference / scores['ses-TP1']
    expected = np.corrcoef(change.sort_index(), relative.sort_index())[0, 1]
    np.testing.assert_allclose(row['r'], expected, rtol=1e-6)


def test_group_page(study, grouped):
    text = page(study.root / 'out' / 'group.html')
    for name in [*ANALYSES, *(statistic['Name'] for statistic in STATISTICS)]:
        assert name in text
    for number in range(1, 7):
        assert re.search(rf'\b(sub-)?{number:02d}\b', text)
    # 16 sign flips of 4 differences reach no p below .05.
    assert 'all 16 sign flips' in text
    assert 'failed' not in text


def test_the_number_of_processes_does_not_matter(study, grouped):
    shutil.copytree(study.root / 'out', study.root / 'alone')
    for record in (study.root / 'alone' / 'logs' / 'records').glob('node-*'):
        record.unlink()
    shutil.rmtree(study.root / 'alone' / 'group')
    arguments = ('--permutations', '50', '--analysis', 'hcVsTrd')
    alone = study.call('group', *arguments, out='alone', nprocs=1)
    assert alone.code == 0, alone.output + alone.errors
    folders = [study.root / out / 'group' / 'node-hcVsTrd' for out in ('out', 'alone')]
    names = [[path.name for path in sorted(f.glob('*.dscalar.nii'))] for f in folders]
    assert names[0] == names[1]
    assert len(names[0]) == 18
    for name in names[0]:
        data = [read_maps(folder / name)[0].tobytes() for folder in folders]
        assert data[0] == data[1], name
    tables = [(folder / 'node-hcVsTrd_contrast-nogoVsGo_nullmax.tsv') for folder in folders]
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_an_analysis_that_cannot_be_made_fails_alone(study, grouped):
    """Nobody of the group is left for one analysis; the others are as they were."""
    path = study.root / 'exclusions.tsv'
    rows = ''.join(f'sub-{n:02d}\tn/a\tn/a\tmotion\n' for n in (1, 2))
    path.write_text(f'participant_id\tsession_id\trun\treason\n{rows}')
    shutil.copytree(study.root / 'out', study.root / 'less')
    names = ('--analysis', 'hcVsTrd', 'pairedTP1TP3')
    less = study.call(
        'group', '--permutations', '50', '--exclusions', str(path), *names, out='less'
    )
    assert less.code == 1, less.output + less.errors
    assert 'node-hcVsTrd_contrast-nogoVsGo failed' in less.output
    assert '1 of 2 analyses done, 1 failed' in less.output
    assert 'hcVsTrd_contrast-nogoVsGo failed' in page(study.root / 'less' / 'group.html')


def test_stop_on_first_crash(study, second):
    """Two visits, the first of them broken: the other one is left for the next call."""
    visits = ['sub-01_ses-TP1_task-carit', 'sub-02_ses-TP1_task-carit']
    out = study.root / 'stopped'
    folder = study.hcp / 'sub-01_ses-TP1' / 'MNINonLinear' / 'Results'
    (series,) = folder.glob('*/*.dtseries.nii')
    whole = series.with_suffix('.whole')
    series.rename(whole)
    # Behind the header: what is looked at before anything is computed is whole.
    series.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    arguments = ('--participant-label', '01', '02')
    try:
        stopped = study.call(
            'participant', '--stop-on-first-crash', *arguments, out='stopped', nprocs=1
        )
    finally:
        whole.replace(series)
    assert stopped.code == 1, stopped.output + stopped.errors
    assert str(series) in stopped.output
    assert re.search(rf'{visits[1]} failed: It was not (started|run)', stopped.output)
    assert '0 of 2 visits done, 2 failed' in stopped.output
    assert not list((out / 'logs' / 'records').glob('*'))
    again = study.call('participant', *arguments, out='stopped', nprocs=1)
    assert again.code == 0, again.output + again.errors
    assert '2 visits: 2 to do' in again.output
    assert '2 of 2 visits done, 0 failed' in again.output
    assert sorted(p.stem for p in (out / 'logs' / 'records').glob('*')) == visits
    assert 'failed' not in page(out / 'sub-02.html')
