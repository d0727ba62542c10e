"""What the participant level finds and says before anything is computed."""

import logging
import subprocess
import sys

import pytest

from ketbids.cli.main import main
from tests.io.trees import fmriprep_run, fmriprep_surfaces, hcp_run, hcp_surfaces

EVENTS = 'onset\tduration\n1\t1\n'


@pytest.fixture
def study(tmp_path):
    """Write a dataset with events of these names."""

    def make(*names):
        bids = tmp_path / 'bids'
        for name in names:
            parts = [part for part in name.split('_') if part.startswith(('sub-', 'ses-'))]
            folder = bids.joinpath(*parts, 'func')
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f'{name}_events.tsv').write_text(EVENTS)
        (bids / 'dataset_description.json').write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
        return tmp_path

    yield make
    logging.getLogger('ketbids').handlers.clear()


@pytest.fixture
def dry(capsys):
    """Make a dry run; give its exit code and all that it said."""

    def call(root, *arguments, derivatives=('hcp',)):
        given = [str(root / 'bids'), str(root / 'out'), 'participant', '--dry-run']
        given += ['--skip-bids-validation', '--derivatives', *(str(root / d) for d in derivatives)]
        code = main([*given, *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out + said.err

    return call


@pytest.mark.parametrize('chosen', [[], ['--session-label', 'V1'], ['--session-label', 'V2']])
@pytest.mark.parametrize('name', ['{participant}_V1_MR', '{participant}_*_MR'])
def test_a_pattern_must_tell_sessions(study, dry, chosen, name):
    """Also if one session is asked for at a time, or the folder of one is missing."""
    root = study('sub-A_ses-V1_task-carit', 'sub-A_ses-V2_task-carit', 'sub-B_ses-V1_task-carit')
    for session in ('A_V1_MR', 'B_V1_MR'):
        hcp_surfaces(root / 'hcp', session)
        hcp_run(root / 'hcp', 'tfMRI_CARIT_PA', session=session)
    code, said = dry(root, '--hcp-pattern', f'{name}/tfMRI_{{task}}_PA', *chosen)
    words = (
        '--hcp-pattern lacks {session}, but sub-A has events of the sessions V1, V2: '
        f'{root}/hcp/A_V1_MR may be of any of them. Add {{session}} to the pattern.'
    )
    assert words in said
    assert code == (3 if chosen[1:] == ['V2'] else 1)
    assert ('sub-B_ses-V1_task-carit: to do' in said) == (code == 1)  # it has one session
    code, said = dry(root, '--hcp-pattern', '{participant}_{session}_MR/tfMRI_{task}_PA')
    assert 'lacks {session}' not in said
    assert 'sub-A_ses-V1_task-carit: to do' in said


def test_participants_without_events_are_named(study, dry):
    root = study('sub-01_task-carit', *(f'sub-{n:02d}_task-rest' for n in range(2, 14)))
    hcp_surfaces(root / 'hcp', 'sub-01')
    hcp_run(root / 'hcp', session='sub-01')
    code, said = dry(root)
    words = ', '.join(f'sub-{n:02d}' for n in range(2, 12))
    words += ' and 2 more: no events file of the task carit.\n'
    assert (code, said.count(words)) == (1, 2)  # when it is found, and in the list
    assert 'inherit' not in said
    code, said = dry(root, '--participant-label', '01')
    assert (code, 'no events file' in said) == (1, False)
    (root / 'bids' / 'task-carit_acq-x_events.tsv').write_text(EVENTS)
    code, said = dry(root, '--participant-label', '01', '02', '--run-id', '9')
    words = (
        f'no events file (*_events.tsv) of the task carit for what was chosen by '
        f'--participant-label, --run-id. {root}/bids/task-carit_acq-x_events.tsv would be '
        'inherited, but inherited events are not read: copy it into each folder func'
    )
    assert code == 3
    assert words in said
    code, said = dry(root, '--participant-label', '01', '02')
    assert 'sub-02: no events file of the task carit. ' in said
    assert 'acq-x_events.tsv would be inherited' in said


def test_inherited_events_of_a_participant(study, dry):
    root = study('sub-01_ses-1_task-rest')
    path = root / 'bids' / 'sub-01' / 'sub-01_task-carit_events.tsv'
    path.write_text(EVENTS)
    code, said = dry(root, derivatives=('bids',))
    assert code == 3
    assert f'no events file (*_events.tsv) of the task carit. {path} would be inherited' in said


@pytest.mark.parametrize(
    ('ending', 'arguments', 'sets'),
    [
        ('_Atlas', (), '24'),
        ('_Atlas', ('--confounds', '6'), '6'),
        ('_Atlas', ('--confounds', 'none'), ''),
        ('_Atlas_hp0_clean', (), ''),
        ('_Atlas_hp0_clean', ('--confounds', '12'), '12'),
    ],
)
def test_movement_is_needed_only_if_it_is_used(study, dry, ending, arguments, sets):
    root = study('sub-01_task-carit', 'sub-02_task-carit')
    for session in ('sub-01', 'sub-02'):
        hcp_surfaces(root / 'hcp', session)
        run = hcp_run(root / 'hcp', endings=[f'{ending}.dtseries.nii'], session=session)
    movement = run / 'Movement_Regressors.txt'
    movement.unlink()
    code, said = dry(root, *arguments)
    words = (
        f'{movement} is missing, which the confounds {sets} are taken from. Put it there, or do '
        'without: --confounds none.'
    )
    assert (code, '1 cannot be done' in said) == (1, bool(sets))
    assert (words in said) == bool(sets)
    assert ('sub-02_task-carit: to do' in said) == (not sets)
    assert 'sub-01_task-carit: to do' in said


def test_confounds_of_fmriprep_are_needed(study, dry):
    root = study('sub-01_task-carit')
    func = fmriprep_run(root / 'hcp', 'sub-01_task-carit')
    table = func / 'sub-01_task-carit_desc-confounds_timeseries.tsv'
    table.unlink()
    code, said = dry(root)
    assert code == 3
    assert f'{table} is missing, which the confounds 24 acompcor are taken from' in said
    assert dry(root, '--confounds', 'none')[0] == 1


def test_runs_from_different_folders(study, dry):
    root = study('sub-01_task-carit_run-1', 'sub-01_task-carit_run-2', 'sub-02_task-carit')
    for place, names in (
        ('a', ['sub-01_task-carit_run-1', 'sub-02_task-carit']),
        ('b', ['sub-01_task-carit_run-2']),
    ):
        for name in names:
            fmriprep_run(root / place, name)
    code, said = dry(root, derivatives=('a', 'b'))
    words = (
        f'sub-01_task-carit: its runs come from different folders, {root}/a (run-1) and '
        f'{root}/b (run-2).'
    )
    assert code == 1
    assert words in said
    assert 'sub-02_task-carit: its runs' not in said
    assert f'mesh of its time series in {root}/a/sub-01: the S1200 average surfaces' in said


def test_surfaces_of_another_session_are_no_average(study, dry):
    root = study('sub-01_ses-1_task-carit', 'sub-01_ses-2_task-carit')
    for session in '12':
        fmriprep_run(root / 'fmriprep', f'sub-01_ses-{session}_task-carit')
    anat = fmriprep_surfaces(root / 'fmriprep', 'sub-01_ses-1')
    code, said = dry(root, derivatives=('fmriprep',))
    assert code == 1
    assert said.count(f'surfaces: {anat}\n') == 2
    assert 'average' not in said


def test_a_denoised_series_must_be_chosen(study, dry):
    root = study('sub-01_task-carit')
    fmriprep_run(root / 'xcpd', 'sub-01_task-carit', 'space-fsLR_den-91k_desc-denoised')
    code, said = dry(root, derivatives=('xcpd',))
    assert code == 3
    assert 'desc-denoised_bold.dtseries.nii is not a series as' in said
    path = root / 'filter.json'
    path.write_text('{"bold": {"desc": "denoised"}}')
    assert dry(root, '--bids-filter-file', path, derivatives=('xcpd',))[0] == 1


def test_an_excluded_run_may_be_written_otherwise(study, dry):
    root = study('sub-01_task-carit_run-01', 'sub-01_task-carit_run-02')
    for run in ('01', '02'):
        fmriprep_run(root / 'fmriprep', f'sub-01_task-carit_run-{run}')
    path = root / 'exclusions.tsv'
    path.write_text('participant_id\tsession_id\trun\treason\nsub-01\tn/a\t1\tmotion\n')
    code, said = dry(root, '--exclusions', path, derivatives=('fmriprep',))
    assert code == 1
    assert 'sub-01_task-carit_run-01 is excluded: motion' in said
    assert 'takes nothing out' not in said
    assert '  run-02: ' in said
    assert '  run-01: ' not in said
    code, said = dry(root, '--run-id', '2', derivatives=('fmriprep',))
    assert (code, '  run-02: ' in said, '  run-01: ' in said) == (1, True, False)


@pytest.mark.parametrize(('module', 'name'), [('main', 'ketbids'), ('demo', 'ketbids-demo')])
def test_modules_are_commands(module, name):
    done = subprocess.run(
        [sys.executable, '-m', f'ketbids.cli.{module}', '--bogus'], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f'{name}: ')


def test_the_model_of_another_study(dataset, capsys):
    """Whoever forgets --model is told which tasks there are."""
    events = next((dataset / 'bids').rglob('*_events.tsv'))
    events.rename(events.with_name(events.name.replace('carit', 'nback')))
    arguments = [str(dataset / 'bids'), str(dataset / 'out'), 'participant']
    assert main([*arguments, '--derivatives', str(dataset / 'bids')]) == 3
    message = capsys.readouterr().err
    assert 'no events file (*_events.tsv) of the task carit' in message
    assert 'There are events of nback: give the model file of that study with --model.' in message


def test_one_is_not_counted_as_several(study, dry):
    root = study('sub-A_task-carit')
    (root / 'hcp').mkdir()
    assert '1 participant, 1 run with events, 0 left out, 1 visit without' in dry(root)[1]
