"""The stand-ins of the HCP pipelines do what tests of ketbids rely on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.hcp_options import SCRIPTS
from tests.hcp_programs import write_hcp_programs
from tests.hcp_stub import nifti, values

SESSION, RUN = 'sub-01_ses-TP1', 'task-carit_run-1'
VOLUME = 'fMRIVolume/GenericfMRIVolumeProcessingPipeline.sh'
SURFACE = 'fMRISurface/GenericfMRISurfaceProcessingPipeline.sh'


class Study:
    """Raw images, a study folder, and calls as HCP's examples make them."""

    def __init__(self, folder, programs):
        self.programs, self.raw, self.study = programs, folder / 'raw', folder / 'study'
        self.raw.mkdir()
        for name in ('T1w', 'T2w', 'AP', 'PA', 'SBRef'):
            content = nifti((4, 4, 4), (0.8, 0.8, 0.8), values(64, 500, 9, 0))
            (self.raw / f'{name}.nii.gz').write_bytes(content)
        content = nifti((4, 4, 4, 40), (2, 2, 2, 0.72), values(64 * 40, 500, 9, 0))
        (self.raw / 'bold.nii.gz').write_bytes(content)
        hcp = programs.hcp_dir
        self.config, self.templates = hcp / 'global/config', hcp / 'global/templates'
        self.environment = {
            **programs.environment,
            'HCPPIPEDIR_Global': str(hcp / 'global'),
            'HCPPIPEDIR_Templates': str(self.templates),
            'MSMCONFIGDIR': str(hcp / 'MSMConfig'),
            'HCPCIFTIRWDIR': str(hcp / 'global/matlab/cifti-matlab'),
        }
        tools = (programs.environment['PATH'], programs.environment['CARET7DIR'])
        self.environment['PATH'] = ':'.join((*tools, '/usr/bin', '/bin'))
        self.session = self.study / SESSION
        self.results = self.session / 'MNINonLinear' / 'Results'

    def call(self, script, *options, **settings):
        return subprocess.run(
            [str(self.programs.hcp_dir / script), *map(str, options)],
            env={**self.environment, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def named(self, script):
        """Give the options of the study's protocol."""
        raw, templates, config = self.raw, self.templates, self.config
        whose = [f'--path={self.study}', f'--subject={SESSION}']
        maps = [f'--SEPhaseNeg={raw}/AP.nii.gz', f'--SEPhasePos={raw}/PA.nii.gz']
        maps.append(f'--topupconfig={config}/b02b0.cnf')
        anatomy, atlases = self.session / 'T1w', templates / 'standard_mesh_atlases'
        stem = f'{templates}/MNI152'
        return {
            'PreFreeSurfer/PreFreeSurferPipeline.sh': [
                *(*whose, *maps, f'--t1={raw}/T1w.nii.gz', f'--t2={raw}/T2w.nii.gz'),
                *(f'--t{n}template={stem}_T{n}_0.8mm.nii.gz' for n in '12'),
                *(f'--t{n}templatebrain={stem}_T{n}_0.8mm_brain.nii.gz' for n in '12'),
                *(f'--t{n}template2mm={stem}_T{n}_2mm.nii.gz' for n in '12'),
                f'--templatemask={stem}_T1_0.8mm_brain_mask.nii.gz',
                f'--template2mmmask={stem}_T1_2mm_brain_mask_dil.nii.gz',
                f'--fnirtconfig={config}/T1_2_MNI152_2mm.cnf',
                *('--brainsize=150', '--seechospacing=0.00058', '--seunwarpdir=y'),
                *('--t1samplespacing=0.0000074', '--t2samplespacing=0.0000021'),
                *('--unwarpdir=z', '--gdcoeffs=NONE', '--avgrdcmethod=TOPUP'),
            ],
            'FreeSurfer/FreeSurferPipeline.sh': [
                *(f'--subject={SESSION}', f'--session-dir={anatomy}'),
                f'--t1={anatomy}/T1w_acpc_dc_restore.nii.gz',
                f'--t1brain={anatomy}/T1w_acpc_dc_restore_brain.nii.gz',
                f'--t2={anatomy}/T2w_acpc_dc_restore.nii.gz',
            ],
            'PostFreeSurfer/PostFreeSurferPipeline.sh': [
                *(*whose, f'--surfatlasdir={atlases}', '--hiresmesh=164', '--lowresmesh=32'),
                f'--grayordinatesdir={templates}/91282_Greyordinates',
                f'--subcortgraylabels={config}/FreeSurferSubcorticalLabelTableLut.txt',
                f'--freesurferlabels={config}/FreeSurferAllLut.txt',
                f'--refmyelinmaps={atlases}/Conte69.MyelinMap_BC.164k_fs_LR.dscalar.nii',
            ],
            VOLUME: [
                *(*whose, *maps, f'--fmritcs={raw}/bold.nii.gz', f'--fmriname={RUN}'),
                *(f'--fmriscout={raw}/SBRef.nii.gz', '--fmrires=2', '--biascorrection=SEBASED'),
                *('--gdcoeffs=NONE', '--dcmethod=TOPUP', '--echospacing=0.00058'),
                '--unwarpdir=y-',
            ],
            SURFACE: [
                *(*whose, f'--fmriname={RUN}', '--lowresmesh=32', '--fmrires=2'),
                *('--smoothingFWHM=2', '--grayordinatesres=2'),
            ],
            'ICAFIX/hcp_fix_multi_run': [
                f'--fmri-names={self.results}/{RUN}/{RUN}.nii.gz',
                *('--high-pass=0', f'--concat-fmri-name={self.results}/ALL/ALL.nii.gz'),
                *('--enable-legacy-fix=FALSE', '--matlab-run-mode=0'),
            ],
            'ICAFIX/PostFix.sh': [
                *(*whose, '--fmri-name=ALL', '--high-pass=0', '--reuse-high-pass=YES'),
                *(
                    f'--template-scene-{name.lower()}-screen={self.programs.hcp_dir}/ICAFIX/'
                    f'PostFixScenes/ICA_Classification_{name}ScreenTemplate.scene'
                    for name in ('Dual', 'Single')
                ),
                '--matlab-run-mode=0',
            ],
            'ICAFIX/ApplyHandReClassifications.sh': [*whose, '--fmri-name=ALL', '--high-pass=0'],
            'ICAFIX/ReApplyFixMultiRunPipeline.sh': [
                *(*whose, f'--fmri-names={RUN}', '--concat-fmri-name=ALL', '--high-pass=0'),
                '--matlab-run-mode=0',
            ],
        }[script]

    def run(self, script, *more, **settings):
        return self.call(script, *self.named(script), *more, **settings)

    def run_until(self, last):
        for script in list(SCRIPTS):
            if script == last:
                return
            if script != 'ICAFIX/hcp_fix':
                done = self.run(script)
                assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path, write_hcp_programs(tmp_path / 'programs'))


def test_whole_session(study):
    study.run_until('ICAFIX/ApplyHandReClassifications.sh')
    ica = study.results / 'ALL/ALL_hp0.ica'
    (ica / 'ReclassifyAsNoise.txt').write_text('3\n')
    assert study.run('ICAFIX/ApplyHandReClassifications.sh').returncode == 0
    assert (ica / 'HandNoise.txt').read_text() == '2 3 4 5\n'
    assert (ica / 'HandSignal.txt').read_text() == '1\n'
    assert study.run('ICAFIX/ReApplyFixMultiRunPipeline.sh').returncode == 0
    for name in ('_Atlas', '_Atlas_hp0_clean'):
        image = nib.load(study.results / RUN / f'{RUN}{name}.dtseries.nii')
        series = image.header.get_axis(0)
        assert (image.shape[0], series.step, series.unit) == (40, 0.72, 'SECOND')
        assert np.isfinite(image.get_fdata()).all()
    bold = nib.load(study.results / RUN / f'{RUN}.nii.gz')
    assert bold.shape[3] == 40
    assert bold.header.get_zooms()[3] == np.float32(0.72)
    assert np.loadtxt(study.results / RUN / 'Movement_Regressors.txt').shape == (40, 12)
    for path in study.session.rglob('*.nii.gz'):
        nib.load(path).get_fdata()
    for path in study.session.rglob('*.surf.gii'):
        assert nib.load(path).agg_data('pointset').shape == (42, 3)
    stages = [call['stage'] for call in study.programs.calls()]
    assert stages[:4] == ['PreFreeSurfer', 'FreeSurfer', 'PostFreeSurfer', 'fMRIVolume']
    assert stages[-2:] == ['ReApplyFix', 'ReApplyFix']
    assert study.programs.calls('fMRISurface')[0]['argv'] == study.named(SURFACE)


@pytest.mark.parametrize('script', [s for s in SCRIPTS if s.startswith(('f', 'P', 'Free'))])
def test_options_are_read_as_the_scripts_do(study, script):
    given = study.named(script)
    unknown = study.run(script, '--printcom=')
    assert (unknown.returncode, 'unrecognized option' in unknown.stdout) == (2, True)
    twice = study.run(script, given[0])
    assert (twice.returncode, 'multiple times' in twice.stdout) == (1, True)
    whose = [option for option in given if not option.startswith('--subject')]
    missing = study.call(script, *whose)
    assert (missing.returncode, 'mandatory' in missing.stdout) == (1, True)
    assert len(study.programs.calls()) == 3


def test_a_wrong_order_fails(study):
    assert 'T1w_acpc_dc_restore.nii.gz does not exist' in study.run(
        'FreeSurfer/FreeSurferPipeline.sh'
    ).stdout  # fmt: skip
    study.run_until(SURFACE)
    done = study.run('ICAFIX/hcp_fix_multi_run')
    assert f'{RUN}_Atlas.dtseries.nii does not exist' in done.stdout
    again = study.run('FreeSurfer/FreeSurferPipeline.sh')
    assert 'already been run' in again.stdout
    (study.session / 'T1w/xfms/OrigT1w2T1w.nii.gz').unlink()
    assert 'existing subject' in study.run('FreeSurfer/FreeSurferPipeline.sh').stdout


def test_variables_are_needed(study):
    del study.environment['MSMCONFIGDIR']
    done = study.run('PostFreeSurfer/PostFreeSurferPipeline.sh')
    assert (done.returncode, 'MSMCONFIGDIR' in done.stdout) == (1, True)


def test_killed_half_way(study):
    study.run_until(VOLUME)
    done = study.run(VOLUME, KETBIDS_TEST_KILL='fMRIVolume')
    assert done.returncode == -signal.SIGKILL
    damaged = []
    for path in (study.session / RUN, study.results / RUN):
        for file in path.rglob('*.nii.gz'):
            try:
                nib.load(file).get_fdata()
            except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError):
                damaged.append(file)
    assert len(damaged) == 1
    assert not (study.results / RUN / f'{RUN}.nii.gz').exists()
    # Only the first call is killed.
    assert study.run(VOLUME, KETBIDS_TEST_KILL='fMRIVolume').returncode == 0
    assert (study.results / RUN / f'{RUN}.nii.gz').exists()


@pytest.mark.parametrize('mode', ['ketbids', 'orphan'])
def test_who_started_it_is_killed(study, mode):
    study.programs.behave(kill=f'PreFreeSurfer:1:{mode}')
    script = 'PreFreeSurfer/PreFreeSurferPipeline.sh'
    command = [str(study.programs.hcp_dir / script), *study.named(script)]
    code = 'import subprocess, sys; subprocess.run(sys.argv[1:], start_new_session=True)'
    started = subprocess.Popen(
        [sys.executable, '-c', code, *command],
        env=study.environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    # The pipe is closed when the last of both processes has ended.
    said = started.communicate()[0].decode()
    assert started.returncode == -signal.SIGKILL
    last = study.session / 'MNINonLinear/T2w_restore_brain.nii.gz'
    assert (last.exists(), 'COMPLETED' in said) == ((mode == 'orphan',) * 2)


def test_what_runs_the_tests_is_never_killed(study):
    done = study.run(
        'PreFreeSurfer/PreFreeSurferPipeline.sh', KETBIDS_TEST_KILL='PreFreeSurfer:1:ketbids'
    )
    assert (done.returncode, str(os.getpgrp()) in done.stdout) == (99, True)


@pytest.mark.parametrize(
    ('kind', 'where', 'text'),
    [
        ('licence', 'log', 'license file'),
        ('disk', 'stdout', 'No space left on device'),
        ('memory', 'stdout', 'std::bad_alloc'),
    ],
)
def test_failures(study, kind, where, text):
    study.run_until('FreeSurfer/FreeSurferPipeline.sh')
    study.programs.behave(fail=f'FreeSurfer:{kind}')
    done = study.run('FreeSurfer/FreeSurferPipeline.sh')
    assert done.returncode == 1
    log = study.session / 'T1w' / SESSION / 'scripts/recon-all.log'
    assert text in (log.read_text() if where == 'log' else done.stdout)
    study.programs.behave(fail=None)
    if where == 'stdout':
        assert study.run('FreeSurfer/FreeSurferPipeline.sh').returncode == 0


def test_pyfix_needs_its_variable(study):
    study.run_until('ICAFIX/hcp_fix_multi_run')
    del study.environment['FSL_DIR']
    done = study.run('ICAFIX/hcp_fix_multi_run')
    assert (done.returncode, 'FSL_DIR: unbound' in done.stdout) == (1, True)


def test_older_fix(study):
    study.run_until('ICAFIX/hcp_fix_multi_run')
    volume = study.results / RUN / f'{RUN}.nii.gz'
    study.environment['FSL_FIXDIR'] = str(study.programs.fix_dir)
    unknown = study.call('ICAFIX/hcp_fix', volume, '200', 'FALSE')
    assert 'HCP_hp200.RData' in unknown.stdout
    assert study.call('ICAFIX/hcp_fix', volume, '2000', 'FALSE').returncode == 0
    ica = volume.with_name(f'{RUN}_hp2000.ica')
    assert (ica / '.fix').read_text() == '[2, 4, 5]\n'
    assert volume.with_name(f'{RUN}_Atlas_hp2000_clean.dtseries.nii').exists()


def test_series_of_the_synthetic_study(tmp_path, demo_study):
    programs = write_hcp_programs(tmp_path / 'programs', demo=demo_study)
    study = Study(tmp_path, programs)
    content = nifti((4, 4, 4, 200), (2, 2, 2, 0.8), values(64 * 200, 500, 9, 0))
    (study.raw / 'bold.nii.gz').write_bytes(content)
    study.run_until('ICAFIX/PostFix.sh')
    planted = nib.load(demo_study.series('01', 'TP1')).get_fdata()
    cleaned = study.results / RUN / f'{RUN}_Atlas_hp0_clean.dtseries.nii'
    np.testing.assert_array_equal(nib.load(cleaned).get_fdata(), planted)
    before = nib.load(study.results / RUN / f'{RUN}_Atlas.dtseries.nii').get_fdata()
    assert before.std(axis=0).mean() > 1.2 * planted.std(axis=0).mean()
    name = f'{SESSION}.L.midthickness.3k_fs_LR.surf.gii'
    surface = study.session / 'MNINonLinear/fsaverage_LR3k' / name
    assert (
        surface.read_bytes()
        == Path(demo_study.surface('01', 'TP1', 'L', 'midthickness')).read_bytes()
    )
