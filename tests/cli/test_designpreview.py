"""A dry run shows the designs that the participant level would fit."""

import json
import re
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from ketbids.cli import designpreview
from ketbids.cli.main import main
from ketbids.interfaces.rundesign import BuildRunDesign
from ketbids.interfaces.trials import CodeTrials
from ketbids.io.tables import read_table, write_table
from ketbids.model import default_model_path, load_model

NAME = 'sub-01_ses-TP1_task-carit'


@pytest.fixture
def study(demo_study, tmp_path):
    """The tables of two people of the synthetic study; the preprocessed runs stay there."""
    source, bids = demo_study.root / 'bids', tmp_path / 'bids'
    others = [path.name for path in source.glob('sub-*') if path.name not in ('sub-01', 'sub-05')]
    shutil.copytree(source, bids, ignore=shutil.ignore_patterns(*others))
    return bids, demo_study.root / 'derivatives' / 'hcp'


def dry_run(study, capsys, *arguments, code=0):
    bids, derivatives = study
    before = sorted(bids.parent.rglob('*'))
    given = [str(bids), str(bids.parent / 'out'), 'participant', '--dry-run']
    given += ['--derivatives', str(derivatives), '--skip-bids-validation', '--nprocs', '1']
    assert main([*given, *arguments]) == code
    assert sorted(bids.parent.rglob('*')) == before
    return capsys.readouterr().out


def events(study, name=NAME):
    return next(study[0].rglob(f'{name}_events.tsv'))


def part(text, name=NAME):
    """What is said of one visit."""
    return re.split(r'^(?=\S)', text[text.index(f'\n{name}: ') + 1 :], flags=re.MULTILINE)[1]


def test_the_preview_is_what_the_nodes_make(study, capsys, tmp_path):
    text = part(dry_run(study, capsys, '--participant-label', '01', '--session-label', 'TP1'))
    model = load_model(default_model_path()).run
    series = re.search(r'run: (\S+)', text)[1]
    trials = CodeTrials(
        events_file=str(events(study)), series_file=series, rules=model.events.to_dict()
    )
    coded = trials.run(cwd=str(tmp_path)).outputs
    built = BuildRunDesign(
        trials_file=coded.out_file,
        series_file=series,
        conditions=[c.name for c in model.events.conditions],
        contrasts={c.name: {'rows': list(c.rows), 'test': c.test} for c in model.contrasts},
        hrf_model=model.hrf_model,
        high_pass=model.high_pass,
    )
    with open(built.run(cwd=str(tmp_path)).outputs.contrasts_file, encoding='utf-8') as file:
        checks = json.load(file)['checks']
    for number, check in enumerate(checks['regressors'], start=1):
        row = f'{number} {check["name"]} +{check["trials"]} +{check["vif"]:.2f} '
        assert re.search(row, text)
    for check in checks['contrasts']:
        row = f'{check["name"]} +t +{check["vif"]:.2f} +{check["efficiency"]:.3g}\n'
        assert re.search(row, text)
    correlations = np.array(checks['correlations']['values'])
    assert f'{correlations[1, 0]:.2f}   1.00\n' in text
    for message in checks['messages']:
        level = {'unchecked': 'not checked'}.get(message['level'], message['level'])
        assert f'    {level}: {message["text"]}\n' in text
    counts = read_table(tmp_path / 'counts.tsv')
    named = counts.loc[counts['status'] == 'trial'].groupby('condition', sort=False)['n_rows']
    assert f'trials: {", ".join(f"{name} {n}" for name, n in named.sum().items())} (' in text


def test_rows_that_are_no_trials_are_accounted_for(study, capsys):
    table = pd.read_csv(events(study), sep='\t')
    table.loc[:2, 'trial_type'] = 'pause'
    write_table(events(study), table)
    text = part(dry_run(study, capsys))
    n_rows = len(table)
    assert f'({n_rows - 3} of {n_rows} rows)\n    unmatched: 3 rows (' in text


def test_bad_events_stop_nobody(study, capsys):
    path = events(study)
    path.write_text(path.read_text().replace('\tgo\t', '\tg0\t').replace('\tnogo\t', '\tn0\t'))
    text, runs = dry_run(study, capsys, code=1), len(list(study[0].rglob('*_events.tsv')))
    assert f'    design: cannot be made: {path}: ' in part(text)
    assert text.splitlines()[-1] == (
        f'Visits: 1 cannot be modelled, {runs - 1} to do. Nothing was written.'
    )
    assert text.count('    design: ') == runs
    assert f'Designs of {runs} runs: 1 cannot be modelled' in text


def test_a_condition_without_trials_is_marked(study, capsys):
    path = events(study)
    path.write_text(path.read_text().replace('\tnogo\t', '\tgo\t'))
    text = part(dry_run(study, capsys))
    assert re.search(r'correctNogo +0 +n/a  no trial: not in the design\n', text)
    reason = 'cannot be estimated: no trials of correctNogo in this run'
    assert re.search(f'nogoVsGo +t +n/a +n/a  {reason}\n', text)
    assert f'    alarm: The contrast nogoVsGo {reason}.\n' in text


def test_a_shifted_run_stands_out(study, capsys):
    table = pd.read_csv(events(study), sep='\t')
    write_table(events(study), table.assign(onset=table['onset'] - 6))
    text = dry_run(study, capsys)
    assert 'starts 6.0 s earlier than in the other runs (median 8.0 s; 7.5 volumes)' in part(text)
    assert text.count('than in the other runs') == 1
    assert 'with a warning' in text.splitlines()[-2]


def test_movement_and_a_picture_of_the_design(study, capsys):
    text = part(dry_run(study, capsys, '--participant-label', '01', '--session-label', 'TP1'))
    said = r'movement: mean FD \d\.\d{3} mm, filtered (\d\.\d{3} mm|n/a \(.+\)), \d+\.\d % above'
    assert re.search(said, text)
    lines = re.findall(r'^      (correct\w+) +\|(.{60})\|$', text, re.MULTILINE)
    assert [name for name, _ in lines] == ['correctGo', 'correctNogo']
    # Rest before the first trial, then something.
    assert all(line[:2].strip() == '' and line.strip() for _, line in lines)
    # A run that is not compared with itself: the study has too few.
    assert 'ok: Other runs: the first trial starts at' in text or 'not compared' in text


def test_removed_volumes_against_the_raw_image(study, capsys):
    image = nib.Nifti1Image(np.zeros((2, 2, 2, 210), np.int16), np.eye(4))
    nib.save(image, events(study).with_name(f'{NAME}_bold.nii.gz'))
    text = part(dry_run(study, capsys, '--session-label', 'TP1'))
    assert 'alarm: The raw image has 210 volumes and the series 200: 10 were removed' in text
    text = part(dry_run(study, capsys, '--session-label', 'TP1', '--drop-volumes', '5'))
    assert 'but --drop-volumes says 5' in text


def test_processes_change_nothing(study, capsys, monkeypatch):
    one = dry_run(study, capsys, '--participant-label', '01', '05')
    monkeypatch.setattr(designpreview, '_PER_PROCESS', 1)
    two = dry_run(study, capsys, '--participant-label', '01', '05', '--nprocs', '2')
    assert one.splitlines()[2:] == two.splitlines()[2:]


def test_no_image_data_are_read(study, capsys, monkeypatch):
    def refuse(*arguments):
        raise AssertionError('image data were read')

    monkeypatch.setattr(nib.arrayproxy.ArrayProxy, '__array__', refuse)
    monkeypatch.setattr(nib.arrayproxy.ArrayProxy, '__getitem__', refuse)
    assert 'Designs of' in dry_run(study, capsys, '--participant-label', '01')


def test_levels_are_counted():
    previews = {
        name: designpreview.DesignPreview((), level)
        for name, level in enumerate(['ok', 'failed', 'alarm', 'warn', 'ok'])
    }
    assert designpreview.summarise_designs(previews) == (
        'Designs of 5 runs: 1 cannot be modelled, 1 with an alarm, 1 with a warning, '
        '2 without a warning.'
    )
    assert designpreview.summarise_designs({}) == ''
