"""What is listed is what runs: stages that are done, selected, broken, interrupted."""

import os
import shlex
from dataclasses import replace

import pytest

from ketbids.errors import InputError
from ketbids.interfaces.hcp.tools import hcp_environment
from ketbids.workflows.stages import StageCommand, lacking_stages, settle, to_run, walk
from tests.hcp_programs import write_hcp_programs
from tests.workflows.hcpstudies import label_components, raw_study

RUNS = ('task-carit_dir-AP_run-1', 'task-carit_dir-PA_run-2')
ANATOMY = ['PreFreeSurfer', 'FreeSurfer', 'PostFreeSurfer']
FUNCTION = ['fMRIVolume', 'fMRIVolume', 'fMRISurface', 'fMRISurface', 'ICAFIX', 'PostFix']


@pytest.fixture
def programs(tmp_path):
    return write_hcp_programs(tmp_path / 'programs', volumes=20)


@pytest.fixture
def study(tmp_path, programs):
    path = os.pathsep.join([programs.environment['PATH'], os.environ['PATH']])
    environ = hcp_environment(
        programs.hcp_dir,
        license_file=programs.licence,
        environment={**os.environ, **programs.environment, 'PATH': path},
    )
    options = {'sessions': ('TP1',), 'runs': RUNS, 'volumes': 20}
    return raw_study(tmp_path, options, environ=environ, hcp_dir=programs.hcp_dir)


def execute(study, stages=()):
    """List, settle and run as the command line does; give what was listed to run."""
    workflow = study.workflow()
    commands = walk(workflow)
    assert lacking_stages(commands, stages) == []
    chosen = to_run(commands, stages)
    settle(workflow, chosen)
    workflow.config['execution'] = {
        'crashdump_dir': str(study.root),
        'create_report': 'false',
        'hash_method': 'timestamp',
    }
    workflow.run('Linear')
    return chosen


def called(programs, since=0):
    """The commands that ran, quoted as in a listing."""
    return [
        shlex.join([str(programs.hcp_dir / call['script']), *call['argv']])
        for call in programs.calls()[since:]
    ]


def names(commands):
    return [command.stage for command in commands]


def files(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob('*')) if p.is_file()}


def test_what_is_listed_runs_once(study, programs):
    listed = execute(study)
    assert names(listed) == [*ANATOMY, *FUNCTION]
    assert sorted(called(programs)) == sorted(command.command for command in listed)
    order = [call['stage'] for call in programs.calls()]
    assert order[:3] == ANATOMY
    assert order[-2:] == ['ICAFIX', 'PostFix']
    commands = walk(study.workflow())
    assert [(c.todo, c.why) for c in commands] == [(False, 'it is done')] * 9
    assert execute(study) == []
    assert len(programs.calls()) == 9

    # A file that is broken: its stage, and all that build on it.
    results = study.folder / 'MNINonLinear' / 'Results'
    (results / RUNS[0] / f'{RUNS[0]}_Atlas.dtseries.nii').write_bytes(b'half')
    listed = execute(study)
    assert [(c.stage, c.label) for c in listed] == [
        ('fMRISurface', RUNS[0]),
        ('ICAFIX', 'ICAFIX_ALL'),
        ('PostFix', 'ICAFIX_ALL'),
    ]
    assert 'is not whole' in listed[0].why
    assert listed[1].why == 'a stage that it builds on is done again'
    assert called(programs, 9) == [command.command for command in listed]

    # FreeSurfer cannot start from what PostFreeSurfer left.
    (study.folder / 'T1w' / study.folder.name / 'mri' / 'wmparc.mgz').unlink()
    commands = walk(study.workflow())
    assert all(command.todo for command in commands)
    assert 'PostFreeSurfer has replaced' in commands[0].why
    assert 'wmparc.mgz is not whole' in commands[1].why
    listed = execute(study)
    assert names(listed) == [*ANATOMY, *FUNCTION]
    assert not any(command.todo for command in walk(study.workflow()))


def test_listing_changes_nothing(study, programs):
    workflow = study.workflow()
    before = files(study.root)
    once, again = walk(workflow), walk(workflow)
    assert once == again
    assert files(study.root) == before
    for name in workflow.list_node_names():
        node = workflow.get_node(name)
        if name.endswith('.freesurfer'):
            assert 't1w_image' not in node.inputs.get_traitsfree()


def test_selected_stages_only(study, programs):
    workflow = study.workflow()
    (problem,) = lacking_stages(walk(workflow), ['fMRISurface'])
    assert problem.startswith(
        f'{study.folder.name}: PreFreeSurfer (fMRISurface of {RUNS[0]} builds on it) is not done: '
        'it has not been finished yet; FreeSurfer ('
    )
    assert problem.endswith(
        'Add PreFreeSurfer, FreeSurfer, PostFreeSurfer, fMRIVolume to --stages, or leave it out.'
    )
    execute(study, ANATOMY)
    assert [call['stage'] for call in programs.calls()] == ANATOMY
    assert names(c for c in walk(study.workflow()) if c.todo) == FUNCTION
    execute(study, ['fMRIVolume'])
    assert [call['stage'] for call in programs.calls()[3:]] == ['fMRIVolume'] * 2
    (problem,) = lacking_stages(walk(study.workflow()), ['ICAFIX', 'FirstLevel'])
    assert f'fMRISurface of {RUNS[0]} (ICAFIX of ICAFIX_ALL builds on it)' in problem
    assert problem.endswith('Add fMRISurface to --stages, or leave it out.')


def command(stage, *, todo=True, label='', needs=()):
    return StageCommand('sub-01', stage, label, '', todo, 'why', f'{stage}{label}', needs)


def test_first_level_does_not_need_the_pictures():
    commands = [command('ICAFIX', todo=False), command('PostFix', needs=('ICAFIX',))]
    assert lacking_stages(commands, ['FirstLevel']) == []
    commands = [command('ICAFIX'), command('PostFix', needs=('ICAFIX',))]
    assert lacking_stages(commands, ['FirstLevel']) == [
        'sub-01: ICAFIX (FirstLevel builds on it) is not done: why. Add ICAFIX to --stages, or '
        'leave it out.'
    ]
    assert lacking_stages(commands, []) == []


def test_records_are_forgotten_before_anything_runs(study, programs):
    execute(study)
    records = study.folder / 'ketbids'
    (study.folder / 'MNINonLinear' / 'T1w_restore.nii.gz').write_bytes(b'')
    workflow = study.workflow()
    commands = walk(workflow)
    assert all(c.todo for c in commands)
    kept = [path.name for path in records.glob('*.json')]
    assert len(kept) == 9
    settle(workflow, to_run(commands))
    assert list(records.glob('*.json')) == []
    assert [c.why for c in walk(study.workflow())] == ['it has not been finished yet'] * 9


def test_records_of_other_stages_stay(study, programs):
    execute(study, ANATOMY)
    workflow = study.workflow()
    settle(workflow, to_run(walk(workflow), ['fMRIVolume']))
    records = study.folder / 'ketbids'
    assert sorted(p.stem for p in records.glob('*.json')) == sorted(ANATOMY)
    skipped = {
        name.rpartition('.')[2]
        for name in workflow.list_node_names()
        if getattr(workflow.get_node(name).inputs, 'skip', False)
    }
    assert skipped == {
        *('pre_freesurfer', 'freesurfer', 'post_freesurfer', 'surface', 'fix', 'post_fix')
    }


def test_killed_half_way(study, programs):
    programs.behave(kill='fMRIVolume:2:script')
    with pytest.raises(Exception, match='fMRIVolume'):
        execute(study)
    programs.behave(kill=None)
    commands = walk(study.workflow())
    done = [(c.stage, c.label) for c in commands if not c.todo]
    assert done[:3] == [(stage, '') for stage in ANATOMY]
    since = len(programs.calls())
    listed = execute(study)
    assert sorted(called(programs, since)) == sorted(c.command for c in listed)
    assert not any(c.todo for c in walk(study.workflow()))


def test_labels_by_hand(study, programs):
    execute(study)
    ica = study.folder / 'MNINonLinear/Results/ICAFIX_ALL/ICAFIX_ALL_hp0.ica'
    label_components(ica, noise='1')
    listed = execute(study)
    assert names(listed) == ['ReApplyFix', 'ReApplyFix']
    assert not any(c.todo for c in walk(study.workflow()))

    # The components change: the labels would be lost.
    series = study.settings.paths.bids_dir.glob(f'sub-01/ses-TP1/func/*{RUNS[0]}_bold.nii.gz')
    next(series).write_bytes(b'other')
    commands = walk(study.workflow())
    assert names(to_run(commands)) == [
        *('fMRIVolume', 'fMRISurface', 'ICAFIX', 'PostFix', 'ReApplyFix', 'ReApplyFix')
    ]
    for stages in ([], ['fMRIVolume']):
        (problem,) = lacking_stages(commands, stages)
        assert problem == (
            'sub-01_ses-TP1: components of ICAFIX_ALL have labels by hand, but FIX will have to '
            'compute the components again (a stage that it builds on is done again), and these '
            'will be removed. Move ReclassifyAsSignal.txt and ReclassifyAsNoise.txt out of '
            'MNINonLinear/Results/ICAFIX_ALL, and look at the new components once they are there.'
        )
    assert lacking_stages(commands, ['MSMAll']) == []


def test_labels_that_are_withdrawn(study, programs):
    execute(study)
    ica = study.folder / 'MNINonLinear/Results/ICAFIX_ALL/ICAFIX_ALL_hp0.ica'
    label_components(ica, noise='1')
    execute(study)
    assert (ica / 'HandNoise.txt').exists()
    label_components(ica, noise='')
    for kind in ('Signal', 'Noise'):
        (ica / f'ReclassifyAs{kind}.txt').unlink()
    listed = execute(study)
    assert names(listed) == ['ReApplyFix', 'ReApplyFix']
    assert listed[0].why == 'it was made with something else: labelled noise'
    assert 'ApplyHandReClassifications' in listed[0].command
    assert (ica / 'ReclassifyAsNoise.txt').read_bytes() == b''
    assert not any(c.todo for c in walk(study.workflow()))

    # No labels are lost by another FIX.
    series = study.settings.paths.bids_dir.glob(f'sub-01/ses-TP1/func/*{RUNS[0]}_bold.nii.gz')
    next(series).write_bytes(b'other')
    commands = walk(study.workflow())
    assert 'ICAFIX' in names(to_run(commands))
    assert lacking_stages(commands, []) == []


def test_labels_that_are_no_numbers(study):
    ica = study.folder / 'MNINonLinear/Results/ICAFIX_ALL/ICAFIX_ALL_hp0.ica'
    label_components(ica, noise='1, 2')
    with pytest.raises(InputError, match='is not the number of a component'):
        study.workflow()


def test_image_without_a_name_for_scripts(study):
    odd = replace(study.sessions[0].anat, t1w=(study.root / 'T1 w.nii.gz',))
    odd.t1w[0].write_bytes(b'image')
    changed = replace(study, sessions=[replace(study.sessions[0], anat=odd)])
    with pytest.raises(InputError, match=r"' ', but the HCP pipelines can only use"):
        walk(changed.workflow())
