import json
import os

import pandas as pd
import pytest

from ketbids.demo.source import read_events, read_source
from ketbids.errors import InputError, UsageError
from tests.demo.sources import NEW, OLD, add_run, confounds, events, make_source, write


@pytest.fixture
def root(tmp_path):
    return make_source(tmp_path / 'src')


def test_runs_under_all_names_with_and_without_sessions(root):
    source = read_source(root, 2.0)
    assert [(run.name, run.session, run.n_volumes) for run in source.runs] == [
        ('sub-01_task-stop_acq-seq', '', 100),
        ('sub-02_ses-a_task-stop', 'ses-a', 100),
        ('sub-02_ses-b_task-stop', 'ses-b', 100),
        ('sub-03_ses-a_task-stop_dir-AP_run-01', 'ses-a', 100),
        ('sub-03_ses-a_task-stop_dir-AP_run-02', 'ses-a', 100),
    ]
    assert (
        source.runs[3].confounds_name == 'sub-03_ses-a_task-stop_dir-AP_run-01_bold_confounds.tsv'
    )
    assert source.trials == {'go': 150, 'stop': 50}
    assert source.left_out == {}


def test_tables_are_copied_and_images_and_derivatives_are_not(root):
    copies = set(read_source(root, 2.0).copies)
    assert {'dataset_description.json', 'README', 'participants.tsv'} <= copies
    assert {'task-stop_bold.json', 'sub-02/sub-02_sessions.tsv'} <= copies
    assert sum(name.endswith('_events.tsv') for name in copies) == 5
    assert not [name for name in copies if 'derivatives' in name or 'nii' in name]


def test_newest_name_and_fmriprep_come_first(root):
    add_run(root, 'sub-01_task-stop_acq-seq', 1, NEW)
    add_run(root, 'sub-01_task-stop_acq-seq', 1, NEW, pipeline='aaa')
    run = read_source(root, 2.0).runs[0]
    assert run.confounds_name.endswith(NEW)
    assert run.confounds.parts[-5:-2] == ('derivatives', 'fmriprep', 'sub-01')


def test_another_folder_of_derivatives_will_do(root):
    (root / 'derivatives' / 'fmriprep').rename(root / 'derivatives' / 'fmriprep-1.4')
    assert len(read_source(root, 2.0).runs) == 5


def test_the_first_participants(root):
    source = read_source(root, 2.0, 2)
    assert source.participants == ['sub-01', 'sub-02']
    assert not [name for name in source.copies if name.startswith('sub-03')]
    with pytest.raises(UsageError, match=r'--participants 4: .* has 3 participants'):
        read_source(root, 2.0, 4)


def test_a_run_that_cannot_be_used_is_left_out_and_named(root):
    fmriprep = root / 'derivatives' / 'fmriprep'
    (fmriprep / 'sub-02/ses-a/func' / f'sub-02_ses-a_task-stop{NEW}').unlink()
    (fmriprep / 'sub-02/ses-b/func' / f'sub-02_ses-b_task-stop{NEW}').write_text('')
    broken = confounds(1)
    broken.loc[4, 'trans_y'] = float('nan')
    write(fmriprep / 'sub-01/func' / f'sub-01_task-stop_acq-seq{OLD}', broken)
    source = read_source(root, 2.0)
    assert source.participants == ['sub-03']
    reasons = source.left_out
    assert 'it has no confounds: looked for' in reasons['sub-02_ses-a_task-stop']
    assert 'is empty' in reasons['sub-02_ses-b_task-stop']
    assert 'column trans_y has no number in row 5' in reasons['sub-01_task-stop_acq-seq']
    assert not any(str(root) in reason for reason in reasons.values())
    assert not [name for name in source.copies if name.startswith(('sub-01', 'sub-02'))]


def test_links_must_stay_inside_and_lead_somewhere(root, tmp_path):
    fmriprep = root / 'derivatives' / 'fmriprep'
    absent = fmriprep / 'sub-02/ses-a/func' / f'sub-02_ses-a_task-stop{NEW}'
    absent.unlink()
    absent.symlink_to('../../../../../.git/annex/objects/gone.tsv')
    secret = write(tmp_path / 'outside.tsv', confounds(1))
    outside = fmriprep / 'sub-01/func' / f'sub-01_task-stop_acq-seq{OLD}'
    outside.unlink()
    outside.symlink_to(secret)
    annexed = root / 'sub-02/ses-b/func/sub-02_ses-b_task-stop_events.tsv'
    stored = root / '.git/annex/objects/x.tsv'
    stored.parent.mkdir(parents=True)
    annexed.rename(stored)
    annexed.symlink_to(os.path.relpath(stored, annexed.parent))
    (root / 'CHANGES').symlink_to('/etc/hostname')
    source = read_source(root, 2.0)
    assert 'content that is not there (datalad get' in source.left_out['sub-02_ses-a_task-stop']
    assert 'leads out of the dataset' in source.left_out['sub-01_task-stop_acq-seq']
    assert source.left_out['CHANGES'] == 'the file is a link that leads out of the dataset'
    assert 'sub-02_ses-b_task-stop' in [run.name for run in source.runs]
    assert not {'CHANGES'} & set(source.copies)


def test_what_is_no_dataset(tmp_path):
    with pytest.raises(InputError, match='is not a folder'):
        read_source(tmp_path / 'none', 2.0)
    with pytest.raises(
        InputError, match=r'not a BIDS dataset: dataset_description\.json is missing'
    ):
        read_source(tmp_path, 2.0)
    (tmp_path / 'dataset_description.json').write_text('{}')
    with pytest.raises(InputError, match='has no events'):
        read_source(tmp_path, 2.0)
    write(tmp_path / 'sub-1' / 'func' / 'sub-1_task-x_events.tsv', events(1))
    with pytest.raises(InputError, match=r'no run with events and confounds; 1 are left out'):
        read_source(tmp_path, 2.0)


def test_a_name_that_does_not_belong_is_left_out(root):
    write(root / 'sub-01' / 'func' / 'sub-09_task-stop_events.tsv', events(1))
    reason = read_source(root, 2.0).left_out['sub-09_task-stop']
    assert 'does not have a BIDS name for its folder' in reason


def test_a_contradicting_repetition_time_is_refused(root):
    with pytest.raises(InputError, match=r'says RepetitionTime 2 s, --repetition-time 0\.8'):
        read_source(root, 0.8)
    (root / 'task-stop_bold.json').write_text(json.dumps({'RepetitionTime': 0.8}))
    assert read_source(root, 0.8).runs


def test_rows_that_are_no_trials(tmp_path):
    rows = [
        ('8', '1', 'go'),
        ('n/a', '1', 'go'),
        ('3', 'n/a', 'go'),
        ('-2', '1', 'go'),
        ('4', '-1', 'go'),
        ('5', '1', 'n/a'),
        ('6', '0', 'stop'),
        ('inf', '1', 'go'),
    ]
    table = pd.DataFrame(rows, columns=['onset', 'duration', 'trial_type'])
    trials, left_out = read_events(write(tmp_path / 'e.tsv', table))
    assert trials.to_dict('list') == {
        'onset': [6.0, 8.0],
        'duration': [0.0, 1.0],
        'trial_type': ['stop', 'go'],
    }
    assert left_out == 6


def test_codes_are_texts_and_no_trials_are_an_error(tmp_path):
    table = pd.DataFrame({'onset': [1, 2], 'duration': [1, 1], 'trial_type': [1, None]})
    trials, left_out = read_events(write(tmp_path / 'e.tsv', table))
    assert trials['trial_type'].tolist() == ['1']
    assert left_out == 1
    with pytest.raises(InputError, match='has no trials'):
        read_events(write(tmp_path / 'f.tsv', table.iloc[:0]))
    with pytest.raises(InputError, match='trial_type'):
        read_events(write(tmp_path / 'g.tsv', table[['onset', 'duration']]))


def test_the_digest_is_that_of_the_contents(root, tmp_path):
    first = read_source(root, 2.0).digest()
    other = make_source(tmp_path / 'elsewhere')
    assert read_source(other, 2.0).digest() == first
    write(other / 'participants.tsv', pd.DataFrame({'participant_id': ['sub-01']}))
    assert read_source(other, 2.0).digest() != first
