"""``--preproc hcp`` again and again: killed, failed, in parts, with other options."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cli.hcpstudy import RUN, STAGES, results


def test_what_is_done_is_not_done_again(study, finished, copied):
    # In its place: the first level knows its series by their paths.
    assert study.ketbids(finished[0], '--dry-run', check=0).stdout == ''
    study.ketbids(copied, check=0)
    assert study.calls() == []


@pytest.mark.parametrize(
    ('stage', 'mode'),
    [
        *((stage, 'ketbids') for stage in STAGES),
        *((stage, 'script') for stage in ('FreeSurfer', 'fMRISurface', 'ICAFIX')),
    ],
)
def test_a_killed_stage_is_done_again(study, finished, tmp_path, stage, mode):
    out, chosen = tmp_path / 'out', ('--stages', *STAGES)
    killed = study.ketbids(out, *chosen, KETBIDS_TEST_KILL=f'{stage}::{mode}')
    assert killed.returncode == {'script': 1, 'ketbids': -9}[mode], killed.stderr
    begun = len(study.calls())
    assert begun == STAGES.index(stage) + 1
    study.ketbids(out, *chosen, check=0)
    whole = [name for name, _ in finished[2]]
    assert [name for name, _ in study.calls()[begun:]] == whole[begun - 1 :]
    assert results(out / 'sourcedata') == results(finished[0] / 'sourcedata')


@pytest.mark.parametrize('kind', ['licence', 'disk', 'memory', 'generic'])
def test_a_failure_shows_the_right_log_and_what_to_do(study, tmp_path, kind):
    out = tmp_path / 'out'
    done = study.ketbids(out, KETBIDS_TEST_FAIL=f'FreeSurfer:{kind}', check=1)
    assert 'sub-01_ses-TP1 failed: FreeSurfer' in done.stdout
    advice = {'licence': '--fs-license-file', 'disk': 'room', 'memory': 'memory', 'generic': ''}
    assert advice[kind] in done.stdout
    assert re.search(r'recon-all\.log|FreeSurfer\S*\.log', done.stdout)
    assert 'Traceback' not in done.stdout + done.stderr


def test_what_fails_when_done_again_is_taken_back(study, copied):
    record = copied / 'logs/records/sub-01_ses-TP1_task-carit.json'
    assert record.is_file()
    options = ('--fix-threshold', '20')
    study.ketbids(copied, *options, KETBIDS_TEST_FAIL='ICAFIX:generic', check=1)
    assert not record.exists()  # the group takes no maps without it
    assert not [path for path in copied.glob('sub-01/*/*/*') if path.is_symlink()]
    study.ketbids(copied, *options, check=0)
    assert record.is_file()
    assert [name for name, _ in study.calls()] == ['hcp_fix_multi_run'] * 2 + ['PostFix.sh']


def test_only_what_was_chosen_last_is_published(study, copied):
    study.ketbids(copied, '--fix', 'none', check=0)
    (series,) = copied.glob('sub-01/ses-TP1/func/*_bold.dtseries.nii')
    assert series.resolve().name == f'{RUN}_Atlas.dtseries.nii'
    (sidecar,) = copied.glob('sub-01/ses-TP1/func/*nogoVsGo_stat-effect_statmap.json')
    assert any(
        f'{RUN}_Atlas.dtseries.nii' in s for s in json.loads(sidecar.read_text())['Sources']
    )


def test_two_jobs_do_not_work_on_one_session(study, tmp_path):
    out, chosen = tmp_path / 'out', ('--stages', *STAGES)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(study.ketbids, out, *chosen, KETBIDS_TEST_SLEEP='1.5')
        while not study.calls():
            assert not first.done(), first.result().stderr
            time.sleep(0.1)
        second = study.ketbids(out, *chosen, check=1)
        assert 'sub-01_ses-TP1 failed: Another process is at work on it' in second.stdout
        assert not first.done()
        assert first.result().returncode == 0
    assert len(study.calls()) == len(STAGES)


def test_stages_can_be_run_apart(study, tmp_path):
    out = tmp_path / 'out'
    done = study.ketbids(out, '--stages', 'FreeSurfer', check=3)
    assert 'PreFreeSurfer' in done.stderr
    study.ketbids(out, '--stages', 'PreFreeSurfer', check=0)
    study.ketbids(out, '--stages', 'FreeSurfer', check=0)
    found = [name for name, _ in study.calls()]
    assert found == ['PreFreeSurferPipeline.sh', 'FreeSurferPipeline.sh']
    assert not list(out.glob('sub-01*/**/*statmap*'))


def test_labels_given_by_hand_are_applied(study, copied):
    out = copied
    (ica,) = (out / 'sourcedata/hcp/sub-01_ses-TP1/MNINonLinear/Results').glob('*/*_hp0.ica')
    (ica / 'ReclassifyAsNoise.txt').write_text('2\n')
    listed = study.ketbids(out, '--dry-run', check=0).stdout
    assert [line.split('\t')[1] for line in listed.splitlines()][:2] == ['ReApplyFix'] * 2
    study.ketbids(out, check=0)
    scripts = [name for name, _ in study.calls()]
    assert scripts == ['ApplyHandReClassifications.sh', 'ReApplyFixMultiRunPipeline.sh']
    study.ketbids(out, check=0)
    assert len(study.calls()) == 2


def test_intermediate_files_are_removed_on_request(study, copied):
    folder = copied / 'sourcedata/hcp/sub-01_ses-TP1' / RUN
    assert folder.is_dir()
    study.ketbids(copied, '--clean-workdir', check=0)
    assert not folder.exists()
    study.ketbids(copied, check=0)
    assert study.calls() == []
