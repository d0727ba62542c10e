"""The group level's choices, before any workflow is built."""

import os

import numpy as np
import pandas as pd
import pytest

from ketbids.cli.dataset import record_path
from ketbids.cli.main import main
from ketbids.cli.planning import score_values
from ketbids.errors import InputError
from ketbids.io.files import write_json
from ketbids.model import load_model
from tests.interfaces.palm_programs import program

MAP = 'space-fsLR_den-0k_contrast-nogoVsGo_stat-effect_statmap.dscalar.nii'


def test_scores_are_columns_or_derived():
    people = pd.DataFrame(
        {'hdrs_TP1': [20.0, 10, np.nan], 'hdrs_TP3': [5.0, 10, 3], 'age': [30, 40, 50]},
        index=['sub-01', 'sub-02', 'sub-03'],
    )
    model = load_model()
    assert score_values('age', model, people).tolist() == [30, 40, 50]
    change = score_values('hdrs_change', model, people)
    np.testing.assert_array_equal(change, [75, 0, np.nan])
    with pytest.raises(InputError, match='no score weight'):
        score_values('weight', model, people)


@pytest.fixture
def study(dataset):
    """A contrast map of the first session of one control."""
    folder = dataset / 'out' / 'sub-01' / 'ses-TP1' / 'func'
    folder.mkdir(parents=True)
    name = f'sub-01_ses-TP1_task-carit_{MAP}'
    (folder / name).touch()
    write_json(
        folder / name.replace('.dscalar.nii', '.json'),
        {'ConditionWeights': {'correctNogo': 1, 'correctGo': -1}, 'HRFModel': 'spm'}
        | {'SmoothingAddedFWHM': 5.0, 'HighPassCutoffHz': 0.005, 'DroppedVolumes': 0}
        | {'Confounds': 'none', 'NoiseModel': 'AR(6)'},
    )
    write_json(record_path(dataset / 'out', 'sub-01_ses-TP1_task-carit'), {})
    return dataset


def run(root, *arguments):
    return main([str(root / 'bids'), str(root / 'out'), 'group', '--nprocs', '1', *arguments])


def test_analyses_without_people_say_so(study, capsys):
    """Nothing can be analysed: insufficient input, and a page that says why."""
    assert run(study, '--analysis', 'meanHC', 'pairedTP1TP2') == 3
    text = capsys.readouterr().out
    assert '0 of 2 analyses done, 2 failed' in text
    assert 'node-meanHC_contrast-nogoVsGo failed: ' in text
    assert 'node-pairedTP1TP2_contrast-nogoVsGo failed: ' in text
    page = (study / 'out' / 'group.html').read_text()
    assert 'node-meanHC_contrast-nogoVsGo failed' in page
    assert 'meanTRD' not in text
    assert not list((study / 'out' / 'group').glob('node-*'))


def test_participants_table_is_needed(study, capsys):
    (study / 'bids' / 'participants.tsv').unlink()
    assert run(study) == 3
    assert 'participants.tsv does not exist' in capsys.readouterr().err


def test_participants_table_must_name_participants(study, capsys):
    (study / 'bids' / 'participants.tsv').write_text('id\tage\nsub-01\t3\n')
    assert run(study) == 3
    assert 'lacks the column participant_id' in capsys.readouterr().err


def test_two_lines_for_one_participant(study, capsys):
    path = study / 'bids' / 'participants.tsv'
    path.write_text(path.read_text() + 'sub-01\tHC\t31\tF\n')
    assert run(study) == 3
    assert (
        'participants.tsv, lines 2 and 3: more than one row of sub-01. Keep one.'
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ('arguments', 'code', 'words'),
    [
        ((), 4, 'there is no palm on the PATH. Set KETBIDS_PALM'),
        (('--tfce', 'exact'), 2, 'no exact TFCE'),
        (('--min-coverage', '0.9'), 2, 'use --min-coverage 1'),
        (('--within-structure',), 2, 'leave --within-structure out'),
        (('--seed', '99999999999'), 2, 'seeds up to'),
    ],
)
def test_palm_is_looked_for_before_anything_runs(
    study, capsys, monkeypatch, arguments, code, words
):
    monkeypatch.delenv('KETBIDS_PALM', raising=False)
    monkeypatch.setenv('PATH', str(study))
    assert run(study, '--engine', 'palm', *arguments) == code
    assert words in capsys.readouterr().err
    assert not (study / 'out' / 'group').exists()
    assert not (study / 'out' / 'group.html').exists()


def test_palm_without_octave_is_refused_before_anything_runs(study, capsys, monkeypatch):
    monkeypatch.chdir(study)
    monkeypatch.setenv('KETBIDS_PALM', 'bin/palm')
    program(study / 'bin', '#!/bin/sh\noctave-that-is-not-there\n')
    assert run(study, '--engine', 'palm') == 4
    assert 'Install Octave (octave-cli on the PATH)' in capsys.readouterr().err
    assert not (study / 'out' / 'group').exists()


def test_palm_by_a_relative_path_is_found_from_other_folders(study, monkeypatch):
    monkeypatch.chdir(study)
    monkeypatch.setenv('KETBIDS_PALM', 'bin/palm')
    path = program(study / 'bin', '#!/bin/sh\n')
    assert run(study, '--engine', 'palm') == 3  # one map is too few
    assert os.environ['KETBIDS_PALM'] == str(path)
