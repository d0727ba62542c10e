"""``--preproc hcp``: from raw data to contrast maps, with stand-ins for the HCP pipelines."""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pytest

from ketbids.cli.main import main
from tests.hcp_programs import write_hcp_programs
from tests.io import rawtrees

STAGES = ('PreFreeSurfer', 'FreeSurfer', 'PostFreeSurfer', 'fMRIVolume', 'fMRISurface')
STAGES += ('ICAFIX', 'PostFix')
RUN = 'task-carit_dir-PA_run-1'
NAME = f'sub-01_ses-TP1_{RUN}'


class Study(NamedTuple):
    """A raw dataset of one session, and stand-ins for the programs."""

    bids: Path
    programs: object
    environment: dict

    def ketbids(self, out, *options, check=None, **environment):
        """Run the command; give what it said."""
        done = subprocess.run(
            [
                *(sys.executable, '-m', 'ketbids', str(self.bids), str(out), 'participant'),
                *('--preproc', 'hcp', '--skip-bids-validation', '--session-disk-gb', '0'),
                *('--mem-mb', '64000', '--nprocs', '2', *map(str, options)),
            ],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            start_new_session=True,
            timeout=300,
        )
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    def calls(self):
        """Give what was called: file name of the script, and its arguments."""
        log = Path(self.environment['KETBIDS_TEST_LOG'])
        lines = log.read_text().splitlines() if log.is_file() else []
        return [(Path(call['script']).name, call['argv']) for call in map(json.loads, lines)]


def with_log(study, folder):
    """Give the study with a log of its own."""
    log = {'KETBIDS_TEST_LOG': str(folder / 'calls.jsonl')}
    return study._replace(environment=study.environment | log)


@pytest.fixture(scope='module')
def raw(demo_study, tmp_path_factory):
    """The first visit of the synthetic study, as if it were raw."""
    folder = tmp_path_factory.mktemp('raw')
    series = nib.load(demo_study.series('01', 'TP1'))
    bids = rawtrees.study(folder / 'bids', sessions=('TP1',), volumes=series.shape[0])
    shutil.copy(demo_study.events('01', 'TP1'), bids / f'sub-01/ses-TP1/func/{NAME}_events.tsv')
    programs = write_hcp_programs(folder / 'programs', demo=demo_study)
    environment = {k: v for k, v in os.environ.items() if not k.startswith('PYTEST')}
    environment |= programs.environment
    environment['PATH'] = f'{programs.environment["PATH"]}:{os.environ["PATH"]}'
    return Study(bids, programs, environment)


@pytest.fixture
def study(raw, tmp_path):
    return with_log(raw, tmp_path)


@pytest.fixture(scope='module')
def finished(raw, tmp_path_factory):
    """Where everything was done, what a dry run had listed, and what was called."""
    folder = tmp_path_factory.mktemp('finished')
    study, out = with_log(raw, folder), folder / 'out'
    listed = study.ketbids(out, '--dry-run', check=0).stdout
    assert not out.exists()
    study.ketbids(out, check=0)
    return out, listed, study.calls()


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of what was done."""
    return shutil.copytree(finished[0], tmp_path / 'copied' / 'out', symlinks=True)


def tree(folder):
    """Every file below a folder, with a hash of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob('*'))
        if path.is_file()
    }


def results(out):
    """What must be the same however often it took: all but the records and logs of the stages."""
    return {name: value for name, value in tree(out).items() if '/ketbids/' not in name}


def test_a_dry_run_lists_the_very_commands_that_run(finished):
    _, listed, calls = finished
    lines = [line.split('\t') for line in listed.splitlines()]
    assert all(len(line) == 3 and line[0] == 'sub-01_ses-TP1' for line in lines)
    assert tuple(line[1] for line in lines if line[1] != 'FirstLevel') == STAGES
    commands = [shlex.split(line[2]) for line in lines if line[1] != 'FirstLevel']
    assert [(name, argv) for name, argv in calls] == [(Path(c[0]).name, c[1:]) for c in commands]
    assert all(Path(command[0]).is_file() for command in commands)
    if shutil.which('wb_command'):
        smoothing = [line[2] for line in lines if line[1] == 'FirstLevel']
        assert len(smoothing) == 1
        assert smoothing[0].startswith('wb_command -cifti-smoothing ')
        assert f'{RUN}_Atlas_hp0_clean.dtseries.nii' in smoothing[0]


def test_raw_data_become_a_contrast_map(finished, demo_study):
    out = finished[0]
    (path,) = out.glob('sub-01/ses-TP1/func/*_contrast-nogoVsGo_stat-effect_statmap.dscalar.nii')
    found = np.asarray(nib.load(path).dataobj)[0]
    assert np.isfinite(found).any()
    reference = subprocess.run(  # the same visit, as preprocessed data
        [
            *(sys.executable, '-m', 'ketbids', str(demo_study.bids), str(out / '../direct')),
            *('participant', '--derivatives', str(demo_study.hcp)),
            *('--participant-label', '01', '--session-label', 'TP1'),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert reference.returncode == 0, reference.stderr
    (path,) = (
        (out / '../direct')
        .resolve()
        .glob('sub-01/ses-TP1/func/*_contrast-nogoVsGo_stat-effect_statmap.dscalar.nii')
    )
    direct = np.asarray(nib.load(path).dataobj)[0]
    np.testing.assert_allclose(found, direct, rtol=1e-5, atol=1e-5)


def test_what_is_done_is_not_done_again(study, copied):
    listed = study.ketbids(copied, '--dry-run', check=0).stdout
    assert not [line for line in listed.splitlines() if '\tFirstLevel\t' not in line]
    study.ketbids(copied, check=0)
    assert study.calls() == []


def test_outputs_have_bids_names(finished):
    out = finished[0]
    func, anat = out / 'sub-01/ses-TP1/func', out / 'sub-01/ses-TP1/anat'
    cleaned = func / f'{NAME}_space-fsLR_den-91k_desc-fix_bold.dtseries.nii'
    found = [path for path in func.iterdir() if path.name.endswith('_bold.dtseries.nii')]
    assert len(found) == 1, found
    assert found[0].is_symlink()
    assert not os.path.isabs(os.readlink(found[0]))
    assert found[0].resolve().name == f'{RUN}_Atlas_hp0_clean.dtseries.nii', cleaned
    confounds = (func / f'{NAME}_desc-confounds_timeseries.tsv').read_text().splitlines()
    assert {'trans_x', 'rot_z', 'framewise_displacement', 'dvars'} <= set(confounds[0].split('\t'))
    assert list(anat.glob('*_hemi-L_*_pial.surf.gii'))


def test_without_tools_the_commands_are_listed_and_the_code_is_4(study, tmp_path):
    listed = study.ketbids(tmp_path / 'out', '--dry-run', check=0).stdout
    bare = {'FSLDIR': '', 'FREESURFER_HOME': '', 'MSMBINDIR': '', 'FS_LICENSE': ''}
    bare['PATH'] = os.environ['PATH']
    done = study.ketbids(tmp_path / 'out', '--dry-run', check=4, **bare)
    lines = [line for line in done.stdout.splitlines() if '\tFirstLevel\t' not in line]
    assert lines == [line for line in listed.splitlines() if '\tFirstLevel\t' not in line]
    for word in ('FSL', 'FreeSurfer', 'license.txt'):
        assert word in done.stderr
    assert not (tmp_path / 'out').exists()
    assert study.ketbids(tmp_path / 'out', check=4, **bare).stdout.count('\t') == 0
    assert not (tmp_path / 'out').exists()


def test_all_problems_are_listed_at_once_and_nothing_is_written(study, tmp_path, demo_study):
    bids = rawtrees.study(tmp_path / 'bids', ('01', '02'), sessions=('TP1', 'TP2'))
    func = bids / 'sub-01/ses-TP1/func'
    rawtrees.change(func / f'{NAME}_bold.json', PhaseEncodingDirection=None)
    for path in (bids / 'sub-02/ses-TP1/anat').glob('*_T1w.*'):
        path.unlink()
    for path in (bids / 'sub-02/ses-TP2/fmap').glob('*dir-AP*'):
        path.unlink()
    before = tree(tmp_path)
    study = study._replace(bids=bids)
    for options in ((), ('--dry-run',)):
        done = study.ketbids(tmp_path / 'out', *options, '-w', tmp_path / 'work', check=3)
        assert 'PhaseEncodingDirection' in done.stderr
        assert f'{NAME}_bold' in done.stderr
        assert 'sub-02_ses-TP1' in done.stderr
        assert 'T1w' in done.stderr
        assert 'sub-02_ses-TP2_dir-PA_epi' in done.stderr
        assert 'sub-01_ses-TP2' not in done.stderr
        assert not any(line.count('\t') == 2 for line in done.stdout.splitlines())
    assert tree(tmp_path) == before
    assert not (tmp_path / 'out').exists()


def test_input_and_tools_are_refused_together(study, tmp_path):
    bids = rawtrees.study(tmp_path / 'bids', sessions=('TP1',), t1w=())
    licence = ('--fs-license-file', tmp_path / 'none.txt')
    done = study._replace(bids=bids).ketbids(tmp_path / 'out', '--dry-run', *licence, check=3)
    assert 'T1w' in done.stderr
    assert 'none.txt' in done.stderr


def test_a_run_without_events_is_preprocessed_but_not_fitted(study, tmp_path):
    bids = shutil.copytree(study.bids, tmp_path / 'bids')
    (bids / f'sub-01/ses-TP1/func/{NAME}_events.tsv').unlink()
    study = study._replace(bids=bids)
    listed = study.ketbids(tmp_path / 'out', '--dry-run', check=0)
    assert f'{NAME}_bold.nii.gz has no events' in listed.stderr
    assert '\tFirstLevel\t' not in listed.stdout
    study.ketbids(tmp_path / 'out', check=0)
    assert len(study.calls()) == len(STAGES)
    assert not list((tmp_path / 'out').rglob('*statmap*'))
    assert (tmp_path / 'out/sub-01.html').is_file()


def test_events_that_cannot_be_used_are_told_at_once(study, tmp_path):
    bids = shutil.copytree(study.bids, tmp_path / 'bids')
    path = bids / f'sub-01/ses-TP1/func/{NAME}_events.tsv'
    path.write_text(path.read_text().replace('duration', 'length'))
    listed = study._replace(bids=bids).ketbids(tmp_path / 'out', '--dry-run', check=0)
    assert f'{NAME}_events.tsv' in listed.stderr
    assert 'duration' in listed.stderr


@pytest.mark.parametrize('options', [('--session-disk-gb', '1e9'), ('--mem-mb', '2000')])
def test_too_little_room_is_refused(study, tmp_path, options):
    done = study.ketbids(tmp_path / 'out', *options, check=4)
    assert ('disk' if 'disk' in options[0] else 'memory') in done.stderr.lower()
    assert not (tmp_path / 'out').exists()


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


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--preproc', 'hcp', '--longitudinal'], '--longitudinal is not yet supported'),
        (['--gdcoeffs', 'a.grad'], '--gdcoeffs: only with --preproc hcp'),
        (['--preproc', 'hcp', '--stages', 'Nothing'], 'invalid choice'),
        (['--preproc', 'hcp', '--fix-threshold', '0'], 'at least 1'),
        (['--preproc', 'hcp', '--fix-high-pass', 'pd9'], 'neither'),
    ],
)
def test_wrong_usage(tmp_path, capsys, options, words):
    assert main([str(tmp_path), str(tmp_path / 'out'), 'participant', *options]) == 2
    assert words in capsys.readouterr().err
