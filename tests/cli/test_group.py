"""The group level's choices, before any workflow is built."""

import json
import os

import pytest

from ketbids.cli.dataset import record_path
from ketbids.cli.main import main
from ketbids.io.files import write_json
from ketbids.model import default_model_path
from tests.interfaces.palm_programs import program

MAP = 'space-fsLR_den-0k_contrast-nogoVsGo_stat-effect_statmap.dscalar.nii'


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


def test_a_statistic_by_its_name(study, capsys):
    """It needs neither an analysis nor a second person."""
    assert run(study, '--analysis', 'flow') == 0
    text = capsys.readouterr().out
    assert 'Statistics: 1 to do, 0 done before, 0 that cannot be made.' in text
    assert '1 of 1 analysis done, 0 failed' in text
    group = study / 'out' / 'group'
    assert (group / 'statistics' / 'flow_flow.tsv').is_file()
    assert '## flow' in (group / 'group_methods.md').read_text()
    assert (group / 'group_missing.tsv').is_file()
    assert 'flow_flow.tsv' in (study / 'out' / 'group.html').read_text()
    assert run(study, '--analysis', 'flow') == 0
    assert 'Statistics: 0 to do, 1 done before' in capsys.readouterr().out


@pytest.mark.parametrize(('names', 'code'), [(['remission'], 3), (['flow', 'remission'], 1)])
def test_a_statistic_without_people_says_so(study, capsys, names, code):
    assert run(study, '--analysis', *names) == code
    text = capsys.readouterr().out
    assert 'remission failed: ' in text
    assert f'{len(names) - 1} of {"2 analyses" if code == 1 else "1 analysis"} done' in text
    assert 'remission failed' in (study / 'out' / 'group.html').read_text()
    assert not (study / 'out' / 'group' / 'statistics' / 'remission.json').exists()


def test_a_name_that_is_neither(study, capsys):
    assert run(study, '--analysis', 'flow', 'nobody') == 3
    words = capsys.readouterr().err
    assert 'has no analysis nobody; it has ' in words
    assert ', and the statistics flow, table1, ' in words


def test_a_dry_run_names_the_statistics_that_would_be_removed(study, capsys, tmp_path):
    assert run(study, '--analysis', 'flow') == 0
    content = json.loads(default_model_path().read_text())
    block = content['Nodes'][1]['Model']['Software']['ketbids']
    block['Statistics'] = [s for s in block['Statistics'] if s['Name'] != 'flow']
    other = tmp_path / 'other.json'
    other.write_text(json.dumps(content))
    capsys.readouterr()
    words = 'so that their files in group/statistics will be removed: '
    run(study, '--dry-run', '--model', str(other))
    assert f'Not in the model file, {words}flow\n' in capsys.readouterr().out
    assert (study / 'out' / 'group' / 'statistics' / 'flow_flow.tsv').is_file()
    run(study, '--dry-run')
    assert words not in capsys.readouterr().out


def test_a_text_where_one_statistic_needs_a_number_fails_that_one_only(study, capsys, tmp_path):
    content = json.loads(default_model_path().read_text())
    for statistic in content['Nodes'][1]['Model']['Software']['ketbids']['Statistics']:
        if statistic['Name'] == 'hdrsChange':
            statistic |= {'Variable': 'sex', 'Covariates': ['age'], 'Outcome': 'hdrs'}
            statistic |= {'Values': {'TP1': 'TP1'}, 'Families': {}}
    other = tmp_path / 'other.json'
    other.write_text(json.dumps(content))
    assert run(study, '--model', str(other), '--analysis', 'flow', 'hdrsChange') == 1
    text = capsys.readouterr().out
    assert 'hdrsChange failed: ' in text
    assert 'sex must be a number, and sub-' in text
    assert '1 of 2 analyses done' in text


def test_a_dry_run_lists_statistics(study, capsys):
    assert run(study, '--dry-run', '--analysis', 'hdrsOverTime', 'hdrsChange', 'flow') == 3
    lines = capsys.readouterr().out.splitlines()
    (start,) = [i for i, line in enumerate(lines) if line.startswith('Statistics after that')]
    assert lines[start].endswith(': 3, of which 3 cannot be done')
    flow, no_flow, hdrs, no_hdrs, change, no_change = lines[start + 1 : start + 7]
    assert flow.startswith('  flow: flow of participants by group over TP1, TP2, TP3; where ')
    assert (
        hdrs
        == "  hdrsOverTime: mixed of hdrs over TP1, TP2, TP3, by time (csh); where group == 'TRD'"
    )
    # The study has no scores.
    assert no_flow == '    cannot be done: no table has a value of hdrs at ses-TP1'
    assert no_hdrs == '    cannot be done: ' + '; '.join(
        f'no table has a value of hdrs at ses-TP{number}' for number in (1, 2, 3)
    )
    assert no_change.startswith('    cannot be done: hdrs_change cannot be worked out: no table ')
    assert change.startswith('  hdrsChange: correlation of nogoVsGo in regions (significant in ')
    assert ' with hdrs_change, adjusted for age, sex; where ' in change
    assert 'Nothing was written.' in lines[-1]
    assert not (study / 'out' / 'group').exists()
