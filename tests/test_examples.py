"""Model files of the documentation: they load, they say what the pages say, and they run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ketbids.demo.dressed import Dressed, DressOptions, dress
from ketbids.errors import ModelError
from ketbids.io.cifti import read_maps
from ketbids.io.files import read_json
from ketbids.io.tables import read_table
from ketbids.model import default_model_path, load_model
from ketbids.stats import expressions
from ketbids.stats.formulas import formula_names, model_columns, prepare
from tests.demo.sources import NEW, confounds, write

REPOSITORY = Path(__file__).parents[1]
EXAMPLES = REPOSITORY / 'docs' / 'examples'
STOPSIGNAL = EXAMPLES / 'stopsignal.json'
OUTPUTS = (REPOSITORY / 'docs' / 'outputs.md').read_text(encoding='utf-8')
PAGE = (REPOSITORY / 'docs' / 'model.md').read_text(encoding='utf-8')

BLOCKS = re.findall(r'^```json\n(.*?)^```', PAGE, flags=re.DOTALL | re.MULTILINE)
WHOLE = [block for block in BLOCKS if 'Nodes' in json.loads(block)]
FRAGMENTS = [block for block in BLOCKS if block not in WHOLE]
PEOPLE = 5
VOLUMES, REPETITION_TIME = 110, 2.0


def rows(*header: str) -> list[list[str]]:
    """Cells of the table of docs/model.md with this header."""
    line = f'| {" | ".join(header)} |\n'
    assert PAGE.count(line) == 1, f'docs/model.md has {PAGE.count(line)} tables {header}'
    body = PAGE.partition(line)[2].splitlines()[1:]
    cells = []
    for row in body:
        if not row.startswith('|'):
            break
        cells.append([cell.strip() for cell in row.strip('|').split(' | ')])
    return cells


def code(cell: str) -> list[str]:
    return re.findall(r'`([^`]+)`', cell)


def parts(content: Any) -> list[Any]:
    """Every value inside a JSON value, itself too."""
    inner = content.values() if isinstance(content, dict) else content
    found = [content]
    for value in inner if isinstance(content, dict | list) else ():
        found += parts(value)
    return found


@pytest.mark.parametrize('path', sorted(EXAMPLES.glob('*.json')), ids=lambda path: path.name)
def test_examples_load_and_are_explained(path):
    model = load_model(path)
    page = (EXAMPLES / 'README.md').read_text(encoding='utf-8')
    assert path.name in page
    for analysis in model.analyses:
        assert f'`{analysis.name}`' in page
    for contrast in model.run.contrasts:
        assert f'`{contrast.name}`' in page
    for statistic in model.statistics:
        assert f'`{statistic.name}`' in page


def test_the_stop_signal_study_asks_for_what_the_data_have():
    model = load_model(STOPSIGNAL)
    assert model.tasks == ('stopsignal',)
    assert [condition.where['trial_type'] for condition in model.run.events.conditions] == [
        ('go',),
        ('succesful_stop',),
        ('unsuccesful_stop',),
    ]
    assert model.run.contrasts[0].rows == ({'succesfulStop': 1.0, 'go': -1.0},)
    assert all(a.session is None and a.difference is None for a in model.analyses)


def test_trial_types_of_the_model_occur_in_the_data(shared):
    from ketbids.demo.source import read_events

    model = load_model(STOPSIGNAL)
    folder = shared / 'data' / 'ds002790_piop2'
    found: set[str] = set()
    for path in sorted(folder.glob('sub-000*/func/*_events.tsv')):
        found |= set(read_events(path)[0]['trial_type'])
    conditions = model.run.events.conditions
    assert found == {name for c in conditions for name in c.where['trial_type']}


def test_the_page_has_examples():
    assert len(WHOLE) == 1
    assert len(FRAGMENTS) >= 15


@pytest.mark.parametrize('block', FRAGMENTS, ids=range(len(FRAGMENTS)))
def test_fragments_are_parts_of_the_model_files(block):
    paths = (*sorted(EXAMPLES.glob('*.json')), default_model_path())
    known = [parts(read_json(path)) for path in paths]
    assert any(json.loads(block) in found for found in known)


def test_the_smallest_file_is_a_part_of_the_stop_signal_study(tmp_path):
    path = tmp_path / 'smallest.json'
    path.write_text(WHOLE[0])
    small, full = load_model(path), load_model(STOPSIGNAL)
    conditions = small.run.events.conditions
    assert all(condition in full.run.events.conditions for condition in conditions)
    assert small.run.contrasts[0].rows == full.run.contrasts[0].rows
    assert (small.tasks, small.run.hrf_model) == (full.tasks, full.run.hrf_model)
    assert small.run.high_pass == full.run.high_pass
    assert [(a.name, a.first_level, a.formula) for a in small.analyses] == [
        ('mean', ('succesfulStopVsGo',), '1')
    ]


def test_expressions_have_the_results_of_the_page():
    header = ('participant', '`group`', '`age`', '`hdrs_TP1`', '`hdrs_TP3`')
    table = rows(*header)
    people = pd.DataFrame(
        {
            'group': [row[1] for row in table],
            **{
                name.strip('`'): pd.to_numeric([row[i] for row in table], errors='coerce')
                for i, name in enumerate(header[2:], start=2)
            },
        }
    )
    cases = rows('expression', *(row[0] for row in table))
    assert len(cases) >= 8
    for expression, *expected in cases:
        (text,) = code(expression)
        found = [
            'missing'
            if pd.isna(value)
            else ('yes' if value else 'no')
            if isinstance(value, bool | np.bool_)
            else f'{value:.1f}'
            for value in expressions.evaluate(text, people)
        ]
        assert found == expected, text


def test_formulas_have_the_columns_of_the_page():
    people = pd.DataFrame(
        {
            'group': ['HC', 'HC', 'HC', 'TRD', 'TRD', 'TRD'],
            'sex': ['F', 'M', 'F', 'M', 'F', 'M'],
            'age': [20, 31, 42, 25, 36, 47],
            'site': [1, 1, 2, 2, 1, 2],
        }
    )
    cases = rows('formula', 'columns')
    assert len(cases) >= 8
    for formula, columns in cases:
        (text,) = code(formula)
        frame = prepare(people[list(formula_names(text))], text, {'group': ['HC', 'TRD']})
        assert list(model_columns(text, frame, []).matrix.columns) == code(columns), text


def test_refusals_have_the_messages_of_the_page(tmp_path):
    cases = rows('instead of', 'written', 'part of the message')
    assert len(cases) >= 6
    path = tmp_path / 'study.json'
    for instead, written, message in cases:
        (old,), (new,) = code(instead), code(written)
        assert WHOLE[0].count(old) == 1, old
        path.write_text(WHOLE[0].replace(old, new))
        with pytest.raises(ModelError, match=re.escape(message)) as caught:
            load_model(path)
        assert str(path) in str(caught.value)


def make_source(root: Path) -> Path:
    """Make a stop-signal study of a few people, with events and confounds but no images."""
    root.mkdir()
    (root / 'dataset_description.json').write_text('{"Name": "made up", "BIDSVersion": "1.9.0"}')
    people = {
        'participant_id': [f'sub-{n:02d}' for n in range(1, PEOPLE + 1)],
        'age': [21, 26, 24, 22, 25],
        'sex': ['F', 'M', 'M', 'F', 'M'],
    }
    write(root / 'participants.tsv', pd.DataFrame(people))
    kinds = ['go', 'succesful_stop', 'go', 'succesful_stop', 'go', 'unsuccesful_stop']
    for seed, who in enumerate(people['participant_id']):
        onset = 3 + np.cumsum(np.random.default_rng(seed).uniform(2.0, 4.0, 66))
        events = pd.DataFrame(
            {'onset': onset.round(2), 'duration': 1.0, 'trial_type': np.resize(kinds, len(onset))}
        )
        events = events[events['onset'] < REPETITION_TIME * VOLUMES - 12]
        name = f'{who}_task-stopsignal'
        write(root / who / 'func' / f'{name}_events.tsv', events)
        func = root / 'derivatives' / 'fmriprep' / who / 'func'
        write(func / f'{name}{NEW}', confounds(seed, VOLUMES))
    return root


@pytest.fixture(scope='module')
def study(tmp_path_factory) -> Dressed:
    root = tmp_path_factory.mktemp('examples')
    options = DressOptions(make_source(root / 'source'), REPETITION_TIME, seed=5)
    return dress(root / 'study', options)


def call(study: Dressed, out: Path, model: Path, level: str, *arguments: str) -> None:
    """Run a level as a reader of the page would; it must end with 0."""
    command = [str(study.tree.bids), str(out), level, '--model', str(model), '--nprocs', '1']
    done = subprocess.run(
        [sys.executable, '-m', 'ketbids', *command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=study.tree.root,
        env={**os.environ, 'PYTHONPATH': str(REPOSITORY)},
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def both_levels(study: Dressed, out: Path, model: Path, *chosen: str) -> None:
    inputs = ['--derivatives', str(study.tree.fmriprep), '--skip-bids-validation']
    call(study, out, model, 'participant', *inputs, '--confounds', '6', *chosen)
    call(study, out, model, 'group', '--permutations', '50', '--analysis', 'mean')


def planted(study: Dressed, weights: dict[str, float]) -> np.ndarray:
    """Percent signal change that is planted in a contrast of trial types."""
    names = list(read_json(study.tree.truth)['trialTypes'])
    maps, _ = read_maps(study.tree.truth_maps)
    return sum(weight * maps[names.index(name)] for name, weight in weights.items())


def assert_found(out: Path, contrast: str, truth: np.ndarray, n_maps: int) -> None:
    """Assert that a mean is as planted: alike all over, of the right sign where it is largest."""
    folder = out / 'group' / 'node-mean'
    stem = f'node-mean_contrast-{contrast}'
    summary = read_json(folder / f'{stem}_summary.json')
    assert (summary['NumberOfMaps'], summary['Scheme']) == (n_maps, 'flips')
    effect = read_maps(folder / f'{stem}_space-fsLR_den-10k_stat-effect_statmap.dscalar.nii')[0][0]
    assert np.corrcoef(effect, truth)[0, 1] > 0.2
    for sign in (1, -1):
        peak = np.argsort(sign * truth)[-50:]
        assert (sign * effect[peak]).mean() > 0
    for direction in ('pos', 'neg'):
        name = f'{stem}_desc-{direction}_space-fsLR_den-10k_stat-pfwe_statmap.dscalar.nii'
        p = read_maps(folder / name)[0]
        assert 0 < np.nanmin(p) <= np.nanmax(p) <= 1


def test_the_smallest_file_runs(study, tmp_path):
    model, out = tmp_path / 'smallest.json', tmp_path / 'out'
    model.write_text(WHOLE[0])
    both_levels(study, out, model, '--participant-label', '01', '02', '03')
    maps = sorted(path.name for path in out.glob('sub-*/func/*_stat-z_statmap.dscalar.nii'))
    assert maps == [
        f'sub-{n:02d}_task-stopsignal_space-fsLR_den-10k_contrast-succesfulStopVsGo_stat-z_'
        'statmap.dscalar.nii'
        for n in (1, 2, 3)
    ]
    truth = planted(study, {'succesful_stop': 1, 'go': -1})
    assert_found(out, 'succesfulStopVsGo', truth, 3)
    assert (out / 'group.html').is_file()


def test_the_stop_signal_file_runs(study, tmp_path):
    out = tmp_path / 'out'
    both_levels(study, out, STOPSIGNAL)
    for contrast, trial_type in (
        ('succesfulStopVsGo', 'succesful_stop'),
        ('unsuccesfulStopVsGo', 'unsuccesful_stop'),
    ):
        assert len(list(out.glob(f'sub-*/func/*_contrast-{contrast}_stat-z_*.nii'))) == PEOPLE
        assert_found(out, contrast, planted(study, {trial_type: 1, 'go': -1}), PEOPLE)
    design = read_table(
        out / 'group' / 'node-mean' / 'node-mean_contrast-succesfulStopVsGo_design.tsv'
    )
    assert list(design.columns)[-3:] == ['Intercept', 'age', 'sex[T.M]']
    assert design[['age', 'sex[T.M]']].sum().to_numpy() == pytest.approx([0, 0], abs=1e-9)
    assert_described(out)


def assert_described(out: Path) -> None:
    """Assert that docs/outputs.md has each field of the sidecars of maps, and of summaries."""
    known = {
        name for row in re.findall(r'^\| (`[^|]+) \|', OUTPUTS, re.MULTILINE) for name in code(row)
    }
    found = [
        *sorted(out.glob('sub-*/func/*_statmap.json')),
        *sorted(out.glob('group/node-*/*_statmap.json')),
        *sorted(out.glob('group/node-*/*_summary.json')),
    ]
    assert len(found) > 10
    for path in found:
        content = read_json(path)
        fields = {*content, *content.get('Assumptions', ())}
        assert fields <= known, path.name
