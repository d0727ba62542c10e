import json
import shutil
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.demo.document import decode, encode
from ketbids.demo.study import StudyOptions, write_study
from ketbids.errors import InputError, UsageError
from ketbids.io.cifti import read_labels, read_maps, read_series
from ketbids.io.files import read_json
from ketbids.io.people import read_people
from ketbids.io.surfaces import read_surface
from ketbids.io.tables import read_table
from ketbids.model import load_model
from ketbids.stats.checks import evaluate_checks

OPTIONS = StudyOptions(participants=6, seed=3)


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp('demo') / 'study', OPTIONS)


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob('*')
        if path.is_file()
    }


def test_everything_announced_is_there_and_nothing_else(study):
    tree, sample = study.tree, study.sample
    expected = {tree.truth, *tree.table_files(sample)}
    for person, session in sample.runs:
        expected.update(tree.run_files(person.label, session))
    assert {path for path in tree.root.rglob('*') if path.is_file()} == expected


def test_validator_passes_without_errors(study):
    tool = Path(sysconfig.get_path('scripts')) / 'bids-validator-deno'
    found = str(tool) if tool.exists() else shutil.which('bids-validator-deno')
    if found is None:
        pytest.skip('bids-validator-deno is absent')
    command = [found, '--format', 'json', str(study.tree.bids)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    issues = json.loads(done.stdout)['issues']['issues']
    assert [issue for issue in issues if issue.get('severity') == 'error'] == []
    assert done.returncode == 0


def test_tables(study):
    tree, sample = study.tree, study.sample
    people = read_table(tree.bids / 'participants.tsv', ('participant_id', 'group', 'age', 'sex'))
    assert people['group'].value_counts().to_dict() == {'HC': 2, 'TRD': 4}
    dictionary = read_json(tree.bids / 'participants.json')
    assert set(dictionary) == {'group', 'age', 'sex'}
    for person in sample.participants:
        sessions = read_table(tree.sessions(person.label), ('session_id', 'hdrs'))
        assert sessions['session_id'].tolist() == [f'ses-{s}' for s in person.sessions]
        assert sessions['hdrs'].dropna().tolist() == list(person.hdrs.values())
    person, session = sample.runs[0]
    events = read_table(tree.events(person.label, session))
    assert list(events.columns) == ['onset', 'duration', 'trial_type', 'response_time']
    assert 'n/a' in tree.events(person.label, session).read_text()


def test_range_checks_of_the_packaged_model(study):
    """Who comes late to TP3 is outside; everything else that is planted is inside."""
    model = load_model()
    used = model.variables()
    people, notes = read_people(
        study.tree.bids,
        variables=used.all,
        required=used.required,
        numbers=used.numbers,
        scores=model.scores,
        levels=model.levels,
    )
    assert notes == ()
    table, notes = evaluate_checks(model.checks, people, model.derived)
    assert notes == ()
    outside = table[table['outcome'] == 'outside']
    late = [f'sub-{label}' for label in study.sample.late]
    assert outside['participant_id'].tolist() == sorted(late)
    assert set(outside['check']) == {'hoursToTP3'}
    assert read_json(study.tree.truth)['sample']['lateAtTP3'] == late
    assert (table['outcome'] != 'unknown').sum() >= len(people)


def test_missing_values_and_exclusions_of_a_larger_study(tmp_path, monkeypatch):
    monkeypatch.setattr('ketbids.demo.study.write_all', lambda *args: None)
    written = write_study(tmp_path / 's', StudyOptions(participants=12, seed=1))
    tree, sample = written.tree, written.sample
    text = (tree.bids / 'participants.tsv').read_text()
    assert f'sub-{sample.without_age}\tTRD\tn/a' in text
    exclusions = read_table(tree.exclusions)
    assert list(exclusions.columns) == ['participant_id', 'session_id', 'run', 'reason']
    assert exclusions['participant_id'].tolist() == [f'sub-{sample.excluded}']
    assert exclusions[['session_id', 'run']].isna().all(axis=None)


def test_derivatives_fit_together(study):
    tree = study.tree
    label = study.sample.patients[0].label
    series = read_series(tree.series(label, 'TP2'))
    assert series.data.shape == (200, len(series.models))
    assert series.repetition_time == pytest.approx(0.8)
    for side in 'LR':
        for kind in ('midthickness', 'inflated'):
            surface, structure = read_surface(tree.surface(label, 'TP2', side, kind))
            assert len(surface.coordinates) == series.models.n_vertices[structure]
    labels = read_labels(tree.labels(label, 'TP2'))
    assert labels.models.names == series.models.surface_names
    assert len(np.loadtxt(tree.movement(label, 'TP2'))) == 200


def test_truth_says_what_and_where(study):
    truth = read_json(study.tree.truth)
    n = truth['geometry']['n_grayordinates']
    maps, models = read_maps(study.tree.truth_maps)
    assert len(models) == n
    network = maps[0]
    for name, region in truth['regions'].items():
        mask = decode(region['grayordinates'], n)
        assert mask.sum() == region['n'], name
        if region['amplitudeTP1']:
            assert np.sign(network[mask]).mean() * np.sign(region['amplitudeTP1']) > 0.9
    assert truth['analyses']['pairedTP1TP2']['pos'] == []
    assert truth['analyses']['remitterChange']['neg'] == ['leftPrecentral', 'rightPrecentral']
    assert truth['sample']['nRuns'] == 14


def test_repeat_changes_nothing_and_a_gap_is_filled(study):
    tree = study.tree
    before = snapshot(tree.root)
    assert write_study(tree.root, OPTIONS).new_runs == 0
    assert snapshot(tree.root) == before
    person, session = study.sample.runs[-1]
    gone = tree.series(person.label, session)
    content = gone.read_bytes()
    gone.unlink()
    assert write_study(tree.root, OPTIONS).new_runs == 1
    assert gone.read_bytes() == content


def test_answers_do_not_depend_on_processes(study, tmp_path):
    other = write_study(tmp_path / 'other', OPTIONS, nprocs=2)
    for person, session in study.sample.runs[:3]:
        mine, theirs = (
            tree.series(person.label, session).read_bytes() for tree in (study.tree, other.tree)
        )
        assert mine == theirs


def test_other_options_are_refused(study):
    with pytest.raises(UsageError, match=r'other options.*seed 3.*seed 4.*Remove'):
        write_study(study.tree.root, StudyOptions(participants=6, seed=4))


def test_foreign_folders_are_refused(tmp_path):
    (tmp_path / 'bids').mkdir()
    with pytest.raises(UsageError, match=r'truth\.json is missing'):
        write_study(tmp_path, OPTIONS)
    file = tmp_path / 'file'
    file.touch()
    with pytest.raises(UsageError, match='is a file'):
        write_study(file, OPTIONS)


def test_like_must_be_readable(tmp_path):
    options = StudyOptions(scale='full', participants=6, like=tmp_path / 'absent.dscalar.nii')
    with pytest.raises(InputError, match='cannot be read'):
        write_study(tmp_path / 'x', options)
    assert not (tmp_path / 'x').exists()


@pytest.mark.parametrize('mask', [[], [1], [0, 1, 1, 0, 1], [1, 1, 1], [0, 0]])
def test_ranges_round_trip(mask):
    array = np.array(mask, bool)
    assert (decode(encode(array), len(array)) == array).all()


def test_ranges_read_well():
    array = np.zeros(20, bool)
    array[[0, 1, 2, 3, 7, 9, 10]] = True
    assert encode(array) == '0-3 7 9-10'
    assert isinstance(pd.Series([encode(array)])[0], str)
