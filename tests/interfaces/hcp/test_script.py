import errno
import fcntl
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nb
import numpy as np
import pytest
from nipype.pipeline import engine as pe

from ketbids.errors import InputError, KetbidsError, ToolError, UsageError
from ketbids.interfaces.hcp.checkout import other_versions, pipelines_version
from ketbids.interfaces.hcp.options import decimal
from ketbids.interfaces.hcp.stagelogs import advice
from ketbids.interfaces.hcp.stagerun import remove_stale
from ketbids.io import files
from ketbids.io.stages import read_record
from ketbids.workflows.plugin import WatchedMultiProcPlugin
from tests.interfaces.hcp_checkout import Checkout, Small


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    work = tmp_path / 'work'
    work.mkdir()
    monkeypatch.chdir(work)
    checkout = Checkout(tmp_path)
    data = np.random.default_rng(0).normal(size=(20, 20, 20)).astype('f4')
    nb.save(nb.Nifti1Image(data, np.eye(4)), checkout.whole)
    return checkout


def _wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    pytest.fail('it took too long')


def _alive(number):
    try:
        status = Path(f'/proc/{number}/stat').read_bytes()
    except OSError:
        return False
    return status.rsplit(b')', 1)[1].split()[0] != b'Z'


# The command


def test_options_come_in_the_order_of_the_spec(checkout):
    small = checkout.small(
        images=[checkout.raw, checkout.raw],
        jacobian=False,
        flag=True,
        tokens=['-T2', '3'],
        runs=['a', 'b'],
        spacing=2.1e-06,
    )
    assert small.argv == [
        str(checkout.script),
        f'--path={checkout.study}',
        '--subject=sub-01',
        f'--t1={checkout.raw}@{checkout.raw}',
        '--spacing=0.0000021',
        '--runs=a@b',
        '--token=-T2',
        '--token=3',
        '--flag',
        '--jacobian=FALSE',
    ]
    assert small.cmdline == ' '.join(small.argv)


def test_options_that_are_not_set_are_not_given(checkout):
    small = Small(hcp_dir='/hcp', study_folder='/study', session='sub-01', record='/r', log='/l')
    assert small.argv == ['/hcp/Small/Small.sh', '--path=/study', '--subject=sub-01', '--t1=NONE']
    small.inputs.flag = False
    assert len(small.argv) == 4


@pytest.mark.parametrize(
    ('value', 'text'), [(0.00058, '0.00058'), (2.1e-06, '0.0000021'), (2.0, '2'), (14.25, '14.25')]
)
def test_numbers_have_no_exponent(value, text):
    assert decimal(value) == text


def test_missing_inputs_are_named():
    with pytest.raises(UsageError, match="requires a value for input 'study_folder'"):
        _ = Small(hcp_dir='/hcp', session='x', record='/r', log='/l').argv


@pytest.mark.parametrize(
    'name', ['a b.nii.gz', ';touch x', '$(touch x)', '`touch x`', 'a|b', "a'b", 'a*', 'ä.nii.gz']
)
def test_special_characters_are_refused(checkout, name):
    path = checkout.raw.parent / name
    path.write_bytes(b'x')
    small = checkout.small(images=[path])
    with pytest.raises(InputError, match='the HCP pipelines can only use names of letters'):
        _ = small.argv
    with pytest.raises(InputError, match='PreFreeSurfer'):
        small.run()
    assert not checkout.calls
    assert sorted(os.listdir('.')) == []


@pytest.mark.parametrize('name', ['a@b.nii.gz', 'a%b.nii.gz'])
def test_separators_of_lists_are_refused_in_paths(checkout, name):
    path = checkout.raw.parent / name
    path.write_bytes(b'x')
    with pytest.raises(InputError, match='holds @ or %, which separate the items of lists'):
        _ = checkout.small(images=[path]).argv


@pytest.mark.parametrize('name', ['../sub-02', 'a/b', '', '.hidden', '-x', 'a b', 'a@b'])
def test_a_session_must_be_a_plain_name(checkout, name):
    with pytest.raises(InputError, match='cannot be part of the name of a file'):
        _ = checkout.small(session=name).argv
    with pytest.raises(InputError, match='cannot be part of the name of a file'):
        _ = checkout.small(runs=['good', name]).argv


# The copy of the HCP pipelines


def test_versions(tmp_path):
    hcp = Checkout(tmp_path, 'v4.8.0').hcp_dir
    folder = hcp / 'global' / 'scripts' / 'versioning'
    assert pipelines_version(hcp) == 'v4.8.0'
    (folder / 'release.txt').rename(folder / 'candidate.txt')
    assert pipelines_version(hcp) == 'v4.8.0-rc'
    (folder / 'candidate.txt').unlink()
    assert pipelines_version(hcp) == 'Post-v4.8.0'
    shutil.rmtree(folder)
    assert pipelines_version(hcp) is None
    (hcp / 'version.txt').write_text('v4.3.0\n')
    assert pipelines_version(hcp) == 'v4.3.0'


def test_old_scripts_are_refused_before_anything_happens(checkout):
    (checkout.study / 'sub-01' / 'T1w').mkdir(parents=True)
    for name in ('base', 'release'):
        path = checkout.hcp_dir / 'global' / 'scripts' / 'versioning' / f'{name}.txt'
        path.write_text('v4.3.0\n')
    with pytest.raises(ToolError, match=r'HCP pipelines v4\.3\.0.*Version 4\.8 or newer'):
        checkout.small().run()
    assert not checkout.calls
    assert (checkout.study / 'sub-01' / 'T1w').is_dir()


def test_scripts_with_the_old_parser_are_refused_whatever_the_version_says(checkout):
    checkout.says('# newopts.shlib is the successor\n', begin='#!/bin/bash\nsource opts.shlib\n')
    with pytest.raises(ToolError, match=r'Small\.sh ignores options that it does not know'):
        checkout.small().run()


def test_a_missing_script_is_a_missing_tool(checkout):
    checkout.script.unlink()
    with pytest.raises(ToolError, match=r'Small\.sh cannot be read.*--hcp-dir'):
        checkout.small().run()


def test_variables_must_be_set(checkout, monkeypatch):
    monkeypatch.delenv('FSLDIR', raising=False)
    with pytest.raises(ToolError, match='FSLDIR must be set in the environment'):
        checkout.small(environ={}).run()


def test_files_of_earlier_stages_must_be_there(checkout):
    with pytest.raises(KetbidsError, match=r'files are missing: /nowhere/template\.nii\.gz\.'):
        checkout.small(template='/nowhere/template.nii.gz').run()
    (checkout.top / 'template.nii.gz').touch()
    checkout.small(template=checkout.top / 'template').run()


def test_another_version_is_told_but_redoes_nothing(checkout):
    checkout.small().run()
    records = [checkout.stages / 'PreFreeSurfer.json', checkout.stages / 'FreeSurfer.json']
    assert other_versions('sub-01', records, checkout.hcp_dir) == []
    folder = checkout.hcp_dir / 'global' / 'scripts' / 'versioning'
    (folder / 'base.txt').write_text('v5.1.0\n')
    (sentence,) = other_versions('sub-01', records, checkout.hcp_dir)
    assert 'sub-01 was begun with another version' in sentence
    assert '(PreFreeSurfer with v5.0.0)' in sentence
    assert 'holds Post-v5.1.0' in sentence
    assert checkout.small().state().done


def test_the_record_says_with_which_programs_a_stage_was_done(checkout):
    fsl, freesurfer, workbench = (checkout.top / n for n in ('fsl', 'freesurfer', 'workbench'))
    (fsl / 'etc').mkdir(parents=True)
    (fsl / 'etc' / 'fslversion').write_text('6.0.7.1:abc\n')
    freesurfer.mkdir()
    (freesurfer / 'build-stamp.txt').write_text('freesurfer-linux-7.4.1-20230614-7eb8460\n')
    workbench.mkdir()
    program = workbench / 'wb_command'
    program.write_text(f'#!/bin/sh\necho asked >> {checkout.top}/asked\necho "Version: 1.5.0"\n')
    program.chmod(0o755)
    environ = {
        'PATH': os.environ['PATH'],
        'FSLDIR': str(fsl),
        'FREESURFER_HOME': str(freesurfer),
        'CARET7DIR': str(workbench),
    }
    # What the script finds when it begins, and not what is there in the end.
    checkout.works(f'echo 6.0.9 > {fsl}/etc/fslversion')
    checkout.small(environ=environ).run()
    assert read_record(checkout.stages / 'PreFreeSurfer.json').programs == {
        'HCPpipelines': '5.0.0',
        'FSL': '6.0.7.1',
        'FreeSurfer': '7.4.1',
        'ConnectomeWorkbench': '1.5.0',
    }
    assert (checkout.top / 'asked').read_text() == 'asked\n'
    (fsl / 'etc' / 'fslversion').write_text('6.0.8\n')
    assert checkout.small(environ=environ).state().done


# Running


def test_a_stage_is_done_once(checkout):
    small = checkout.small()
    assert small.state() == small.state()
    assert small.state().why == 'it has not been finished yet'
    outputs = small.run().outputs
    assert outputs.image == str(checkout.study / 'sub-01' / 'T1w' / 'T1w.nii.gz')
    assert outputs.record == str(checkout.stages / 'PreFreeSurfer.json')
    record = json.loads((checkout.stages / 'PreFreeSurfer.json').read_text())
    assert record['Version'] == 'v5.0.0'
    assert record['Command'] == small.cmdline
    assert record['Outputs'] == ['../T1w/T1w.nii.gz', '../T1w/acpc.mat']
    assert record['Mark']['study_folder'] == ['STUDY']
    assert small.state().done
    checkout.small().run()
    assert checkout.calls == [small.cmdline]


@pytest.mark.parametrize('given', [True, False])
def test_the_script_gets_its_environment_and_no_more_of_bash(checkout, monkeypatch, given):
    unwanted = {'BASH_ENV': str(checkout.top / 'evil'), 'POSIXLY_CORRECT': '1'}
    variables = {**unwanted, 'HCPPIPEDIR': '/elsewhere', 'FSLDIR': '/inherited', 'SECRET': 'x'}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (checkout.top / 'evil').write_text(f'touch {checkout.top}/done\n')
    checkout.works(f'env > {checkout.top}/env; cat - > {checkout.top}/stdin')
    environ = {**unwanted, 'FSLDIR': '/fsl', 'PATH': os.environ['PATH']} if given else {}
    checkout.small(environ=environ).run()
    lines = (checkout.top / 'env').read_text().splitlines()
    assert f'HCPPIPEDIR={checkout.hcp_dir}' in lines
    assert ('FSLDIR=/fsl' if given else 'FSLDIR=/inherited') in lines
    assert ('SECRET=x' in lines) != given
    assert not any(line.startswith(('BASH_ENV', 'POSIXLY_CORRECT')) for line in lines)
    assert not (checkout.top / 'done').exists()
    assert (checkout.top / 'stdin').read_text() == ''


def test_the_log_of_each_attempt_is_kept(checkout):
    checkout.says('echo first attempt; exit 3\n')
    with pytest.raises(KetbidsError):
        checkout.small().run()
    checkout.works('echo second attempt; echo complaint >&2')
    checkout.small().run()
    log = (checkout.stages / 'PreFreeSurfer.log').read_text()
    assert 'second attempt\ncomplaint\n' in log
    assert checkout.small().cmdline in log
    (earlier,) = checkout.stages.glob('PreFreeSurfer_*.log')
    assert 'first attempt' in earlier.read_text()


def test_a_failure_shows_the_end_of_the_log(checkout):
    checkout.says('for i in $(seq 40); do echo line $i; done; echo "ERROR: no brain"; exit 7\n')
    with pytest.raises(KetbidsError) as caught:
        checkout.small().run()
    message = str(caught.value)
    assert message.startswith('PreFreeSurfer of sub-01 ended with exit code 7. ')
    assert 'Then repeat the command: what is finished is not done again.' in message
    assert f'Last lines of {checkout.stages / "PreFreeSurfer.log"}:' in message
    assert message.splitlines()[1:] == [
        *(f'| line {n}' for n in range(27, 41)),
        '| ERROR: no brain',
    ]
    assert read_record(checkout.stages / 'PreFreeSurfer.json') is None


def test_an_inner_log_that_names_the_error_is_shown(checkout):
    folder = checkout.study / 'sub-01' / 'T1w'
    checkout.says(
        f'mkdir -p {folder}; echo "ERROR: cannot find a valid license" > {folder}/inner.log\n'
        'echo recon-all failed; exit 1\n'
    )
    with pytest.raises(KetbidsError, match='--fs-license-file') as caught:
        checkout.small().run()
    assert f'Last lines of {folder}/inner.log (and {checkout.stages}/PreFree' in str(caught.value)
    checkout.says(f'mkdir -p {folder}; echo all well > {folder}/inner.log; echo oh; exit 1\n')
    with pytest.raises(KetbidsError) as caught:
        checkout.small().run()
    assert f'Last lines of {checkout.stages}/PreFreeSurfer.log:\n' in str(caught.value)
    assert 'all well' not in str(caught.value)


@pytest.mark.parametrize(
    ('text', 'code', 'words'),
    [
        ('cp: error writing: No space left on device', 1, 'disk is full'),
        ('ERROR: FreeSurfer license file not found', 1, '--fs-license-file'),
        ('terminate called after throwing std::bad_alloc', 134, 'memory'),
        ('slurmstepd: error: Detected 1 oom-kill event', 137, 'Most likely memory ran out'),
        ('x.sh: line 3: 17 Killed    fnirt', 1, 'scancel'),
        ('x.sh: line 3: 17 Killed    fnirt', 137, 'memory ran out'),
        ('nothing', 137, 'an administrator'),
        ('nothing', -9, 'memory ran out'),
        ('nothing', -9, 'the end of the time of the job'),
        ('unrecognized option: --species', 2, 'version 4.8 or newer'),
        ('error while loading libmwlaunchermain.so', 127, 'MATLAB_COMPILER_RUNTIME'),
        ('x.sh: line 9: flirt: command not found', 127, 'A program is missing'),
        ('nothing', 143, 'more time'),
        ('nothing', 1, 'Correct what the log says.'),
    ],
)
def test_advice(text, code, words):
    assert words in advice(text, code)


def test_a_killed_script_leaves_no_record_and_is_told(checkout):
    checkout.works('kill -KILL $$')
    with pytest.raises(KetbidsError, match=r'was killed by signal SIGKILL.*memory ran out'):
        checkout.small().run()
    assert not checkout.small().state().done
    checkout.works()
    checkout.small().run()
    assert checkout.small().state().done


def test_a_killed_program_within_is_told(checkout):
    checkout.says("bash -c 'kill -KILL $$'\n")
    with pytest.raises(KetbidsError, match=r'exit code 137 \(a program of it was killed by'):
        checkout.small().run()


@pytest.mark.parametrize('damage', ['rm', 'truncate -s 9000', 'truncate -s 0'])
def test_success_without_whole_outputs_is_a_failure(checkout, damage):
    image = checkout.study / 'sub-01' / 'T1w' / 'T1w.nii.gz'
    checkout.works(f'{damage} {image}')
    with pytest.raises(KetbidsError, match='ended without an error, but did not make') as caught:
        checkout.small().run()
    assert f'{image}: it is ' in str(caught.value)
    assert not (checkout.stages / 'PreFreeSurfer.json').exists()


def test_what_is_half_written_is_removed_first(checkout):
    left = checkout.study / 'sub-01' / 'T1w' / 'left'
    left.parent.mkdir(parents=True)
    left.touch()
    checkout.small().run()
    assert not left.exists()


# Whether a stage is done


def test_another_option_does_it_again(checkout):
    checkout.small().run()
    state = checkout.small(spacing=0.1).state()
    assert (state.done, state.why) == (False, 'it was made with something else: spacing')


def test_another_image_does_it_again_but_not_its_date(checkout):
    checkout.small().run()
    os.utime(checkout.raw, (1, 1))
    assert checkout.small().state().done
    checkout.raw.write_bytes(b'other raw data')
    assert checkout.small().state().why == 'it was made with something else: images'


def test_the_content_of_a_table_by_hand_counts(checkout):
    labels = checkout.top / 'labels.txt'
    checkout.small(labels=labels).run()
    assert checkout.small(labels=labels).state().done
    labels.write_text('3\n')
    assert checkout.small(labels=labels).state().why == 'it was made with something else: labels'


def test_a_moved_study_is_not_done_again(checkout):
    checkout.small(template=checkout.script).run()
    moved = checkout.top / 'moved'
    moved.mkdir()
    for name in ('pipelines', 'raw', 'study'):
        (checkout.top / name).rename(moved / name)
    checkout.hcp_dir, checkout.study = moved / 'pipelines', moved / 'study'
    checkout.raw, checkout.stages = (
        moved / 'raw' / checkout.raw.name,
        moved / 'study/sub-01/stages',
    )
    script = checkout.hcp_dir / 'Small' / 'Small.sh'
    assert checkout.small(template=script).state().done


@pytest.mark.parametrize('damage', ['unlink', 'cut'])
def test_damaged_outputs_are_made_again(checkout, damage):
    checkout.small().run()
    image = checkout.study / 'sub-01' / 'T1w' / 'T1w.nii.gz'
    if damage == 'cut':
        image.write_bytes(image.read_bytes()[:-100])
    else:
        image.unlink()
    state = checkout.small().state()
    assert not state.done
    assert state.why.startswith(f'{image} is not whole: it is ')
    checkout.small().run()
    assert checkout.small().state().done


def test_what_builds_on_a_stage_is_done_again_with_it(checkout):
    first = checkout.small()
    after = [checkout.stages / 'PreFreeSurfer.json']

    def second():
        return checkout.small(Later, 'FreeSurfer', after=[str(path) for path in after])

    first.run()
    second().run()
    assert second().state().done
    assert second().state(redo=True).why == 'a stage that it builds on is done again'
    checkout.small(redo=True).run()
    assert second().state().why == 'a stage that it builds on was done again'
    second().run()
    assert second().state().done


class Later(Small):
    """A stage that removes nothing of the first one."""

    def stale(self):
        return []


# Removal


def test_links_are_removed_and_not_followed(tmp_path):
    top, outside = tmp_path / 'study' / 'sub-01', tmp_path / 'outside'
    (top / 'T1w').mkdir(parents=True)
    outside.mkdir()
    (outside / 'precious').touch()
    (top / 'T1w' / 'fsaverage').symlink_to(outside)
    (top / 'link').symlink_to(outside)
    remove_stale([top / 'T1w', top / 'link', top / 'missing' / 'deep'], top)
    assert os.listdir(top) == []
    assert (outside / 'precious').exists()


@pytest.mark.parametrize('name', ['link/precious', '../sub-02', '..', '.', '../../outside'])
def test_nothing_outside_of_the_session_is_removed(tmp_path, name):
    top, outside = tmp_path / 'study' / 'sub-01', tmp_path / 'outside'
    for folder in (top, tmp_path / 'study' / 'sub-02', outside):
        folder.mkdir(parents=True)
    (outside / 'precious').touch()
    (top / 'link').symlink_to(outside)
    with pytest.raises(InputError, match='Nothing outside of it is removed'):
        remove_stale([top / name], top)
    assert (outside / 'precious').exists()
    assert top.is_dir()


def test_a_session_that_is_a_link_elsewhere_is_left_alone(tmp_path):
    (tmp_path / 'study').mkdir()
    (tmp_path / 'outside' / 'T1w').mkdir(parents=True)
    top = tmp_path / 'study' / 'sub-01'
    top.symlink_to(tmp_path / 'outside')
    with pytest.raises(InputError, match='put real folders in place of the links'):
        remove_stale([top / 'T1w'], top)


# Locks and orphans


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_locks_people_are_warned_once(checkout, monkeypatch, caplog, number):
    def no_locks(*_):
        raise OSError(number, os.strerror(number))

    files._warn_of.cache_clear()
    monkeypatch.setattr(fcntl, 'flock', no_locks)
    checkout.small().run()
    (message,) = caplog.messages
    assert message.startswith('Locks do not work on the file system of /')
    assert 'do not run two jobs on one session' in message
    assert checkout.small().state().done


_RUN = """
import sys
from pathlib import Path
from tests.interfaces.hcp_checkout import Checkout, Small
top = Path(sys.argv[1])
checkout = object.__new__(Checkout)
checkout.top, checkout.hcp_dir, checkout.study = top, top / 'pipelines', top / 'study'
checkout.raw, checkout.stages = top / 'raw/sub-01_T1w.nii.gz', top / 'study/sub-01/stages'
checkout.small().run()
"""


def _job(checkout):
    root = str(Path(__file__).parents[3])
    return subprocess.Popen(
        [sys.executable, '-c', _RUN, str(checkout.top)],
        env={**os.environ, 'PYTHONPATH': root},
        stderr=subprocess.DEVNULL,
    )


def _numbers(checkout):
    return [int(text) for text in (checkout.top / 'pids').read_text().split()]


def test_a_killed_job_takes_its_programs_along(checkout):
    checkout.works(f'sleep 60 & echo $$ $! > {checkout.top}/pids; wait')
    job = _job(checkout)
    _wait_for(lambda: (checkout.top / 'pids').exists() and len(_numbers(checkout)) == 2, 20)
    with pytest.raises(KetbidsError, match=r'still running \(on this machine: process \d'):
        checkout.small().run()
    job.send_signal(signal.SIGKILL)
    job.wait()
    _wait_for(lambda: not any(_alive(number) for number in _numbers(checkout)))
    checkout.works()
    checkout.small().run()
    assert len(checkout.calls) == 2


@pytest.mark.parametrize('how', ['setsid', 'env -i setsid'])
def test_an_orphan_keeps_the_stage_locked(checkout, how):
    checkout.works(f'{how} sleep 60 & echo $! > {checkout.top}/pids; wait')
    job = _job(checkout)
    _wait_for(lambda: (checkout.top / 'pids').exists() and _numbers(checkout), 20)
    job.send_signal(signal.SIGKILL)
    job.wait()
    (orphan,) = _numbers(checkout)
    try:
        checkout.works()
        assert _alive(orphan)
        with pytest.raises(KetbidsError, match='still running') as caught:
            checkout.small().run()
        # Without its environment, the lock that it inherited tells of it, but not who it is.
        if how == 'setsid':
            assert str(orphan) in str(caught.value)
        assert len(checkout.calls) == 1
    finally:
        os.kill(orphan, signal.SIGKILL)
    _wait_for(lambda: not _alive(orphan))
    checkout.small().run()
    assert len(checkout.calls) == 2


def test_a_stage_keeps_those_that_it_builds_on(checkout):
    checkout.small().run()
    first = str(checkout.stages / 'PreFreeSurfer.json')
    checkout.small(Later, 'FreeSurfer', after=[first]).run()
    second = str(checkout.stages / 'FreeSurfer.json')
    third = checkout.small(Later, 'PostFreeSurfer', after=[second])
    checkout.works(f'touch {checkout.top}/runs; sleep 60')
    worker = multiprocessing.get_context('fork').Process(target=third.run)
    worker.start()
    try:
        _wait_for((checkout.top / 'runs').exists)
        with pytest.raises(KetbidsError, match='PreFreeSurfer of sub-01: it, or a stage that'):
            checkout.small(redo=True).run()
        assert read_record(checkout.stages / 'PreFreeSurfer.json') is not None
    finally:
        worker.kill()
        worker.join()


# Nipype


def test_scripts_run_in_a_workflow(checkout):
    record = str(checkout.stages / 'PreFreeSurfer.json')
    first = pe.Node(checkout.small(), name='first', overwrite=True)
    second = checkout.small(Later, 'FreeSurfer', after=[record])
    second.inputs.trait_set(template='/nowhere')
    last = pe.Node(second, name='last', overwrite=True)
    workflow = pe.Workflow(name='session', base_dir=str(checkout.top / 'work'))
    workflow.connect(first, 'image', last, 'template')
    workflow.config['execution'] = {
        'poll_sleep_duration': 0.05,
        'crashdump_dir': str(checkout.top),
    }
    plugin = WatchedMultiProcPlugin(plugin_args={'n_procs': 2})
    try:
        for _ in range(2):
            workflow.run(plugin=plugin)
    finally:
        plugin.close()
    assert plugin.failures == {}
    assert len(checkout.calls) == 2
    assert f'--template={checkout.study}/sub-01/T1w/T1w.nii.gz' in checkout.calls[1]


def test_a_failure_in_a_workflow_says_why(checkout):
    checkout.says('echo "ERROR: no brain"; exit 7\n')
    node = pe.Node(checkout.small(), name='first', overwrite=True)
    workflow = pe.Workflow(name='session', base_dir=str(checkout.top / 'work'))
    workflow.add_nodes([node])
    workflow.config['execution'] = {
        'poll_sleep_duration': 0.05,
        'crashdump_dir': str(checkout.top),
    }
    plugin = WatchedMultiProcPlugin(plugin_args={'n_procs': 1})
    try:
        with pytest.raises(RuntimeError):
            workflow.run(plugin=plugin)
    finally:
        plugin.close()
    (reason,) = plugin.failures.values()
    assert reason.startswith('PreFreeSurfer of sub-01 ended with exit code 7. ')
    assert 'ERROR: no brain' in reason
