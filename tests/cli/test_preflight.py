"""What preflight finds missing: tools, versions, licence, files, room; and only what is needed."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ketbids.cli import room
from ketbids.cli.needs import chosen_stages
from ketbids.cli.preflight import lacking_room, lacking_tools, machine_memory_mb
from ketbids.interfaces.hcp.tools import MEMORY_GB, hcp_environment
from ketbids.io.bids import RunKey
from ketbids.io.hcpinputs import AnatInputs, BoldInputs, GradientEcho, HcpSession, SpinEcho
from ketbids.io.hcpnames import STAGES
from ketbids.settings import (
    FirstLevelSettings,
    GroupSettings,
    HcpSettings,
    InputSettings,
    PathSettings,
    ResourceSettings,
    SelectionSettings,
    Settings,
)
from tests.hcp_programs import write_hcp_programs

HCP_STAGES = tuple(stage for stage in STAGES if stage != 'FirstLevel')
STRUCTURAL = ('PreFreeSurfer', 'FreeSurfer', 'PostFreeSurfer')
LICENCE = 'me@example.org\n12345\n *Cabcdefgh\n FSabcdefgh\n'
SPIN = SpinEcho(Path('/b/ap.nii.gz'), Path('/b/pa.nii.gz'), 0.0005, 'y')
GRADIENT = GradientEcho(Path('/b/magnitude1.nii.gz'), Path('/b/phasediff.nii.gz'), 2.46)

TEMPLATES = (
    *(f'MNI152_{kind}_{size}.nii.gz' for kind in ('T1', 'T2') for size in ('0.8mm', '2mm')),
    *(f'MNI152_{kind}_0.8mm_brain.nii.gz' for kind in ('T1', 'T2')),
    *('MNI152_T1_0.8mm_brain_mask.nii.gz', 'MNI152_T1_2mm_brain_mask_dil.nii.gz'),
    'standard_mesh_atlases/Conte69.MyelinMap_BC.164k_fs_LR.dscalar.nii',
    *('91282_Greyordinates/x', 'MSMAll/x'),
)
CHECKOUT = (
    *('FreeSurfer/FreeSurferPipeline.sh', 'FreeSurfer/custom/recon-all.v6.hires'),
    *('PostFreeSurfer/PostFreeSurferPipeline.sh', 'PostFreeSurfer/scripts/CreateMyelinMaps.sh'),
    'fMRISurface/GenericfMRISurfaceProcessingPipeline.sh',
    *('ICAFIX/hcp_fix', 'ICAFIX/hcp_fix_multi_run', 'ICAFIX/PostFix.sh'),
    *('ICAFIX/ApplyHandReClassifications.sh', 'ICAFIX/ReApplyFixPipeline.sh'),
    'ICAFIX/ReApplyFixMultiRunPipeline.sh',
    'ICAFIX/PostFixScenes/ICA_Classification_DualScreenTemplate.scene',
    'ICAFIX/PostFixScenes/ICA_Classification_SingleScreenTemplate.scene',
    *('MSMAll/MSMAllPipeline.sh', 'DeDriftAndResample/DeDriftAndResamplePipeline.sh'),
    *('MSMConfig/MSMSulcStrainFinalconf', 'MSMConfig/MSMAllStrainFinalconf1to1_1to3_1'),
    'MSMConfig/MSMAllStrainFinalconf1to1_1to3_2',
    *('global/config/T1_2_MNI152_2mm.cnf', 'global/config/b02b0.cnf'),
    *(
        'global/config/FreeSurferSubcorticalLabelTableLut.txt',
        'global/config/FreeSurferAllLut.txt',
    ),
)
FSL = (
    *('fslmaths', 'flirt', 'fnirt', 'applywarp', 'convertwarp', 'fslpython', 'imtest', 'mcflirt'),
    *('remove_ext', 'melodic', 'topup', 'fugue', 'fix'),
    *('fsl_prepare_fieldmap', 'convert_fix_model'),
)
FREESURFER = (
    *('recon-all', 'tkregister', 'mri_convert', 'mri_concatenate_lta', 'mri_surf2surf'),
    *('mris_convert', 'mri_info', 'bbregister'),
)


def program(path: Path, text: str = 'exit 0') -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)


def file(path: Path, text: str = 'x') -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Machine:
    """A machine that has everything, in a folder; and what is to be done on it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        for name in CHECKOUT:
            file(top / 'hcp' / name)
        for name in TEMPLATES:
            file(top / 'hcp/global/templates' / name)
        parser = 'source newopts.shlib'
        file(top / 'hcp/PreFreeSurfer/PreFreeSurferPipeline.sh', parser)
        file(top / 'hcp/fMRIVolume/GenericfMRIVolumeProcessingPipeline.sh', parser)
        file(top / 'hcp/global/scripts/versioning/base.txt', 'v5.0.0\n')
        runtime = 'ICAFIX/scripts/Compiled_functionhighpassandvariancenormalize/readme.txt'
        file(top / 'hcp' / runtime, 'MATLAB Runtime(R2022b)')
        for name in FSL:
            program(top / 'fsl/bin' / name)
        file(top / 'fsl/etc/fslversion', '6.0.7.17')
        for name in FREESURFER:
            program(top / 'freesurfer/bin' / name)
        stamp = 'freesurfer-Linux-centos6_x86_64-stable-pub-v6.0.1-f53a55a'
        file(top / 'freesurfer/build-stamp.txt', stamp)
        (top / 'freesurfer/subjects/fsaverage').mkdir(parents=True)
        program(top / 'wb/wb_command', 'echo "Version: 1.5.0"')
        program(top / 'msm/msm')
        file(top / 'mcr/runtime/glnxa64/libmwmclmcrrt.so.9.13')
        for name in ('bash', 'bc', 'tcsh', 'perl'):
            program(top / 'system' / name)
        file(top / 'fs.lic', LICENCE)
        self.given = {
            'PATH': f'{top}/system',
            'FSLDIR': f'{top}/fsl',
            'FREESURFER_HOME': f'{top}/freesurfer',
            'CARET7DIR': f'{top}/wb',
            'MSMBINDIR': f'{top}/msm',
            'MATLAB_COMPILER_RUNTIME': f'{top}/mcr',
            'FS_LICENSE': f'{top}/fs.lic',
        }
        self.hcp = HcpSettings(hcp_dir=top / 'hcp')
        self.memory_mb = 32000
        self.field_map: SpinEcho | GradientEcho | None = SPIN
        self.runs = ('1', '2')
        self.t2w = True

    @property
    def settings(self) -> Settings:
        paths = PathSettings(
            bids_dir=self.top / 'bids',
            output_dir=self.top / 'out',
            work_dir=self.top / 'out/work',
            model=self.top / 'model.json',
        )
        return Settings(
            level='participant',
            paths=paths,
            inputs=InputSettings(preproc='hcp'),
            hcp=self.hcp,
            selection=SelectionSettings(),
            first_level=FirstLevelSettings(0, 5.0, 'spm', 0.005),
            group=GroupSettings(),
            resources=ResourceSettings(mem_mb=self.memory_mb),
        )

    @property
    def sessions(self) -> list[HcpSession]:
        image = Path('/b/image.nii.gz')
        t2w = (image,) if self.t2w else ()
        anat = AnatInputs((image,), t2w, '0.8', field_map=self.field_map)
        runs = tuple(
            BoldInputs(
                RunKey('01', 'TP1', 'carit', run=run),
                image,
                None,
                300,
                0.8,
                field_map=self.field_map,
            )
            for run in self.runs
        )
        return [HcpSession('01', 'TP1', anat, runs)]

    def lacking(self, *stages: str) -> list[str]:
        environment = hcp_environment(self.hcp.hcp_dir, environment=self.given)
        return lacking_tools(self.settings, self.sessions, stages, environment)

    def problem(self, *stages: str) -> str:
        """Give the only problem."""
        problems = self.lacking(*stages)
        assert len(problems) == 1, problems
        return problems[0]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize('fix', ['pyfix', 'none'])
@pytest.mark.parametrize('field_map', [SPIN, GRADIENT, None])
def test_nothing_is_missing(machine, fix, field_map):
    machine.field_map = field_map
    machine.hcp = replace(machine.hcp, fix=fix, msmall=fix == 'pyfix')
    assert machine.lacking() == []
    assert machine.lacking(*HCP_STAGES) == []


def test_an_empty_machine(machine):
    """One sentence for each tool, all at once."""
    machine.given = {'PATH': str(machine.top / 'none')}
    machine.hcp = replace(machine.hcp, hcp_dir=machine.top / 'none')
    starts = [problem.split(':')[0] for problem in machine.lacking()]
    assert starts == [
        f'The HCP pipelines are not in {machine.top}/none',
        'FSL is needed',
        'FreeSurfer is needed',
        'There is no licence of FreeSurfer',
        'Connectome Workbench is needed',
        'MSM is needed',
        'Programs that the scripts call are not on the PATH',
        'ICAFIX, PostFix, ReApplyFix run code of MATLAB',
    ]


@pytest.mark.parametrize(
    ('stages', 'needed'),
    [
        (('FirstLevel',), []),
        (('PreFreeSurfer',), ['FSL is', 'Connectome']),
        (('FreeSurfer',), ['FSL is', 'FreeSurfer is', 'There is no licence']),
        (('fMRISurface',), ['FSL is', 'Connectome']),
        (('PostFix',), ['FSL is', 'Connectome', 'PostFix run']),
        (('MSMAll',), []),  # not without --msmall
    ],
)
def test_only_what_the_stages_need(machine, stages, needed):
    machine.given = {'PATH': machine.given['PATH']}
    problems = machine.lacking(*stages)
    assert len(problems) == len(needed)
    assert all(p.startswith(n) for p, n in zip(problems, needed, strict=True))


def test_fix_none_needs_nothing_of_fix(machine):
    machine.given.pop('MATLAB_COMPILER_RUNTIME')
    assert [p[:6] for p in machine.lacking()] == ['ICAFIX']
    machine.hcp = replace(machine.hcp, fix='none')
    (machine.top / 'fsl/bin/fix').unlink()
    assert machine.lacking() == []


@pytest.mark.parametrize(
    ('version', 'parser', 'said'),
    [('v4.3.0', False, '4.3.0'), ('v4.7.0', True, '4.7.0'), ('', True, 'unknown')],
)
def test_old_pipelines(machine, version, parser, said):
    file(machine.top / 'hcp/global/scripts/versioning/base.txt', version)
    if not parser:
        file(machine.top / 'hcp/PreFreeSurfer/PreFreeSurferPipeline.sh', 'opts_GetOpt1')
    problem = machine.problem(*STRUCTURAL)
    assert f'are of version {said}; 4.8 or later is needed' in problem
    assert str(machine.top / 'hcp') in problem


def test_pyfix_needs_pipelines_5(machine):
    file(machine.top / 'hcp/global/scripts/versioning/base.txt', 'v4.8.0')
    assert machine.lacking(*STRUCTURAL) == []
    assert machine.problem().startswith('--fix pyfix needs HCP pipelines 5.0 or later; those in')


def test_files_of_the_checkout(machine):
    for name in ('global/templates/MNI152_T1_0.8mm.nii.gz', 'global/config/b02b0.cnf'):
        (machine.top / 'hcp' / name).unlink()
    problem = machine.problem()
    assert 'global/templates/MNI152_T1_0.8mm.nii.gz, global/config/b02b0.cnf' in problem
    machine.field_map = None
    assert 'b02b0.cnf' not in machine.problem()
    assert machine.lacking('fMRISurface') == []


def test_version_of_fsl(machine):
    file(machine.top / 'fsl/etc/fslversion', '5.0.9')
    assert 'is version 5.0.9; 6.0.1 or later is needed' in machine.problem()
    (machine.top / 'fsl/etc/fslversion').unlink()
    assert f'{machine.top}/fsl/etc/fslversion, which tells the version' in machine.problem()


def test_programs_of_fsl_by_the_field_maps(machine):
    for name in ('topup', 'fugue'):
        (machine.top / 'fsl/bin' / name).unlink()
    assert 'has no topup that can be run' in machine.problem()
    machine.field_map = GRADIENT
    assert 'has no fugue that can be run' in machine.problem()
    machine.field_map = None
    assert machine.lacking() == []


@pytest.mark.parametrize(
    ('stamp', 'version'),
    [
        ('freesurfer-linux-centos7_x86_64-7.1.1-20200723-8b40551', '7.1.1'),
        ('freesurfer-Linux-centos4_x86_64-stable-pub-v5.3.0-HCP', '5.3.0'),
    ],
)
def test_version_of_freesurfer(machine, stamp, version):
    file(machine.top / 'freesurfer/build-stamp.txt', stamp)
    problem = machine.problem()
    assert f'FreeSurfer in {machine.top}/freesurfer is version {version}' in problem
    assert 'Install FreeSurfer 6.0.1' in problem
    assert machine.lacking('PreFreeSurfer', 'fMRISurface') == []


def test_freesurfer_without_its_version_or_subjects(machine):
    (machine.top / 'freesurfer/build-stamp.txt').unlink()
    (machine.top / 'freesurfer/subjects/fsaverage').rmdir()
    first, second = machine.lacking()
    assert 'build-stamp.txt, which tells the version, is missing' in first
    assert 'subjects/fsaverage is missing' in second


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('', 'is empty'),
        ('\n \n', 'is empty'),
        ('hello\n', 'does not look like a licence'),
        ('me@example.org\nabc\n *Cx\n FSx\n', 'does not look like a licence'),
        ('no address\n1\n *Cx\n FSx\n', 'does not look like a licence'),
        ('<html>@\n1\nkey\n', 'does not look like a licence'),
    ],
)
def test_bad_licence(machine, text, said):
    file(machine.top / 'fs.lic', text)
    problem = machine.problem()
    assert said in problem
    assert str(machine.top / 'fs.lic') in problem
    assert machine.lacking('PreFreeSurfer', 'fMRISurface', 'ICAFIX') == []


def test_missing_licence(machine):
    (machine.top / 'fs.lic').unlink()
    assert 'fs.lic, cannot be read: No such file or directory' in machine.problem()
    machine.given.pop('FS_LICENSE')
    assert 'There is no licence of FreeSurfer: name its file with --fs-lic' in machine.problem()
    file(machine.top / 'freesurfer/.license', LICENCE)
    assert machine.lacking() == []


@pytest.mark.skipif(os.geteuid() == 0, reason='root reads everything')
def test_unreadable_licence(machine):
    (machine.top / 'fs.lic').chmod(0)
    assert 'cannot be read: Permission denied' in machine.problem()


def test_freesurfer_6_0_0_reads_its_licence_in_its_folder_only(machine):
    stamp = 'freesurfer-Linux-centos6_x86_64-stable-pub-v6.0.0-2beb96c'
    file(machine.top / 'freesurfer/build-stamp.txt', stamp)
    assert f'at {machine.top}/freesurfer/license.txt only' in machine.problem()
    file(machine.top / 'freesurfer/license.txt', LICENCE)
    assert machine.lacking() == []


@pytest.mark.parametrize(
    ('says', 'said'),
    [
        ('echo "Version: 1.4.2"', 'is version 1.4.2; 1.5.0 or later is needed'),
        ('exit 127', 'does not say its version'),
    ],
)
def test_version_of_workbench(machine, says, said):
    program(machine.top / 'wb/wb_command', says)
    assert said in machine.problem()
    assert machine.lacking('FreeSurfer') == []


def test_msm(machine):
    (machine.top / 'msm/msm').chmod(0o644)
    assert f'MSM: {machine.top}/msm has no msm that can be run' in machine.problem()
    machine.given['MSMCONFIGDIR'] = str(machine.top / 'none')
    assert any('MSMCONFIGDIR' in problem for problem in machine.lacking())
    assert machine.lacking('PreFreeSurfer', 'FreeSurfer', *HCP_STAGES[3:]) == []


def test_configurations_of_msm(machine):
    """Only what somebody set can be unset; without any pipelines that alone is said."""
    (machine.top / 'hcp/MSMConfig/MSMSulcStrainFinalconf').unlink()
    problem = machine.problem()
    assert problem.startswith('MSM: its configurations MSMSulcStrainFinalconf are missing in ')
    assert 'MSMCONFIGDIR' not in problem
    machine.given['MSMCONFIGDIR'] = str(machine.top / 'mine')
    said = f'MSMCONFIGDIR ({machine.top}/mine) has no MSMSulcStrainFinalconf. Unset it'
    assert said in machine.problem()
    machine.hcp = replace(machine.hcp, hcp_dir=machine.top / 'none')
    assert [p.split(' ')[0] for p in machine.lacking('PostFreeSurfer')] == ['The', 'MSM:']
    machine.given.pop('MSMCONFIGDIR')
    assert machine.problem('PostFreeSurfer').startswith('The HCP pipelines are not in')


def test_workbench_that_cannot_draw(machine):
    """Built without OSMesa it does not know the command, as seen with a command of no sense."""
    said = 'echo "ERROR: the switch does not match any processing commands"; exit 255'
    program(
        machine.top / 'wb/wb_command',
        f'if [ "$*" = -version ]; then echo "Version: 1.5.0"; else {said}; fi',
    )
    for stage in ('PostFreeSurfer', 'fMRISurface'):
        problem = machine.problem(stage)
        assert problem.startswith(f'{machine.top}/wb/wb_command does not know the command -show-')
        assert 'without OSMesa' in problem
    assert machine.lacking('PreFreeSurfer', 'fMRIVolume', 'ICAFIX') == []


@pytest.fixture
def bash(machine):
    """Let the machine have a bash that reads scripts."""
    (machine.top / 'system/bash').unlink()
    (machine.top / 'system/bash').symlink_to(shutil.which('bash') or '/bin/bash')


FIELD_MAPS = 'global/scripts/FieldMapPreprocessingAll.sh'


def test_gradient_echoes_with_the_release_that_cannot_read_its_script(machine, bash):
    path = machine.top / 'hcp' / FIELD_MAPS
    file(path, 'touch ran\nif [[ "$1" == *@*]]\nthen\n    :\nfi\n')
    assert machine.lacking() == []
    machine.field_map = GRADIENT
    for stages in ((), ('PreFreeSurfer',), ('fMRIVolume',)):
        problem = machine.problem(*stages)
        assert problem.startswith(f'{path} cannot be read by bash: line 2: syntax error')
        assert 'do not work with the release 5.0.0 of the HCP pipelines: get the state' in problem
    assert machine.lacking('FreeSurfer', 'PostFreeSurfer', 'fMRISurface') == []
    machine.hcp = replace(machine.hcp, fix='none')
    assert 'get the release 4.8.0, or the state after it' in machine.problem()
    assert not (path.parent / 'ran').exists()
    file(path, path.read_text().replace(']]', ' ]]'))
    assert machine.lacking() == []


def test_other_scripts_that_bash_cannot_read(machine, bash):
    file(machine.top / 'hcp/fMRISurface/scripts/SurfaceSmoothing.sh', 'if true\n')
    problem = machine.problem()
    assert 'fMRISurface/scripts/SurfaceSmoothing.sh cannot be read by bash: line' in problem
    assert 'Get the whole release again' in problem
    assert machine.lacking('fMRIVolume') == []
    file(machine.top / 'hcp/fMRISurface/scripts/SurfaceSmoothing.sh')
    file(machine.top / 'hcp/PreFreeSurfer/scripts/NobodyCallsThis.sh', 'if true\n')
    assert machine.lacking() == []


def test_bias_field_of_the_t1w_alone(machine):
    machine.t2w = False
    assert 'has no fsl_anat that can be run' in machine.problem('PreFreeSurfer')
    assert machine.lacking('FreeSurfer', 'fMRIVolume') == []
    program(machine.top / 'fsl/bin/fsl_anat')
    assert machine.lacking() == []


@pytest.mark.skipif('HCPPIPEDIR' not in os.environ, reason='HCPPIPEDIR names no checkout')
def test_scripts_of_a_real_checkout_can_be_read(machine, bash):
    """All but the one of gradient echoes of 5.0.0, which is the only problem then."""
    machine.hcp = replace(machine.hcp, hcp_dir=Path(os.environ['HCPPIPEDIR']))
    assert not [p for p in machine.lacking() if 'cannot be read by bash' in p]
    machine.field_map = GRADIENT
    broken = [p for p in machine.lacking() if 'cannot be read by bash' in p]
    assert all(FIELD_MAPS in problem and 'line 170' in problem for problem in broken)


def test_programs_of_the_system(machine):
    (machine.top / 'system/tcsh').unlink()
    (machine.top / 'system/bc').unlink()
    assert machine.problem().endswith('not on the PATH: tcsh, bc.')
    assert machine.problem('PostFreeSurfer').endswith('not on the PATH: bc.')
    assert machine.lacking('PreFreeSurfer') == []


def test_python_of_the_newer_thickness(machine):
    script = machine.top / 'hcp/PostFreeSurfer/scripts/CreateMyelinMaps.sh'
    file(script, '$HCPPIPEDIR/global/scripts/CorrThick.sh')
    assert 'calls python3, which is not on the PATH, with numpy' in machine.problem()
    program(machine.top / 'system/python3', 'echo missing psutil threadpoolctl')
    problem = machine.problem()
    assert f'({machine.top}/system/python3) lacks psutil, threadpoolctl' in problem
    program(machine.top / 'system/python3', 'echo missing')
    assert machine.lacking() == []


def test_gradient_coefficients(machine):
    machine.hcp = replace(machine.hcp, gdcoeffs=machine.top / 'coeff.grad')
    assert '--gdcoeffs needs gradient_unwarp.py on the PATH' in machine.problem()
    assert machine.lacking('FreeSurfer', 'ICAFIX') == []
    program(machine.top / 'system/gradient_unwarp.py')
    assert machine.lacking() == []


def test_pyfix(machine):
    (machine.top / 'fsl/bin/convert_fix_model').unlink()
    problem = machine.problem()
    assert problem.startswith(f'--fix pyfix: {machine.top}/fsl/bin has no convert_fix_model')
    assert machine.lacking('PostFix', 'ReApplyFix') == []


def test_training_set_of_pyfix(machine):
    machine.hcp = replace(machine.hcp, fix_training='HCP_hp2000')  # of the older FIX only
    assert '--fix-training HCP_hp2000 is neither a file' in machine.problem()
    file(machine.top / 'mine.pyfix_model')
    machine.hcp = replace(machine.hcp, fix_training=str(machine.top / 'mine'))
    assert machine.lacking() == []


def legacy(machine: Machine, **more: str) -> Path:
    folder = machine.top / 'fix'
    for name in ('fix', 'settings.sh', 'training_files/HCP_hp2000.RData'):
        file(folder / name)
    file(folder / 'training_files/HCP_Style_Single_Multirun_Dedrift.RData')
    file(folder / 'fixversion', '1.06.15')
    machine.given['FSL_FIXDIR'] = str(folder)
    machine.hcp = replace(machine.hcp, fix='legacy', **more)
    return folder


def test_legacy_fix(machine):
    folder = legacy(machine)
    assert machine.lacking() == []
    file(folder / 'fixversion', '1.06.11')
    assert f'FIX in {folder} is version 1.06.11; 1.06.12 or later' in machine.problem()
    (folder / 'settings.sh').unlink()
    assert f'FSL_FIXDIR ({folder}) has no settings.sh' in machine.problem()
    machine.given.pop('FSL_FIXDIR')
    assert '--fix legacy needs FSL_FIXDIR' in machine.problem()


@pytest.mark.parametrize(
    ('runs', 'training'), [('single', 'HCP_hp2000'), ('multi', 'HCP_Style_Single_Multirun')]
)
def test_training_sets_of_legacy_fix(machine, runs, training):
    folder = legacy(machine, fix_runs=runs)
    for path in (folder / 'training_files').glob(f'{training}*'):
        path.unlink()
    assert f'The training set {training}' in machine.problem()


def test_single_runs_of_legacy_fix_are_told_by_its_settings_how_to_run_matlab(machine):
    legacy(machine, fix_runs='single')
    machine.given.pop('MATLAB_COMPILER_RUNTIME')
    assert machine.lacking('ICAFIX') == []
    assert machine.problem('PostFix').startswith('PostFix run code of MATLAB')


def test_matlab_runtime(machine):
    (machine.top / 'mcr/runtime/glnxa64/libmwmclmcrrt.so.9.13').rename(
        machine.top / 'mcr/runtime/glnxa64/libmwmclmcrrt.so.9.3'
    )
    problem = machine.problem()
    assert f'MATLAB_COMPILER_RUNTIME ({machine.top}/mcr) is not the MATLAB Runtime R20' in problem
    assert machine.lacking(*STRUCTURAL, 'fMRIVolume', 'fMRISurface') == []
    machine.given['MATLAB_COMPILER_RUNTIME'] = str(machine.top / 'none')
    assert f'MATLAB_COMPILER_RUNTIME ({machine.top}/none) is not a folder' in machine.problem()
    program(machine.top / 'system/matlab')
    assert machine.lacking() == []


@pytest.mark.parametrize('variable', ['FSLDIR', 'FREESURFER_HOME', 'CARET7DIR', 'MSMBINDIR'])
@pytest.mark.parametrize('name', ['a b', 'a;b', 'a$b', 'a@b'])
def test_folders_that_the_scripts_would_take_apart(machine, variable, name):
    folder = machine.top / name
    folder.symlink_to(machine.given[variable])
    machine.given[variable] = str(folder)
    assert machine.problem().startswith(f'{variable} is {str(folder)!r}; the scripts')


def test_stages_in_their_order(machine):
    chosen = chosen_stages(machine.settings, ('ICAFIX', 'FreeSurfer', 'FirstLevel', 'MSMAll'))
    assert chosen == ('FreeSurfer', 'ICAFIX')
    assert chosen_stages(machine.settings, ()) == HCP_STAGES[:8]
    assert set(MEMORY_GB) == set(HCP_STAGES)


def free(monkeypatch: pytest.MonkeyPatch, gb: float) -> None:
    class Usage:
        free = gb * 1e9

    monkeypatch.setattr(room.shutil, 'disk_usage', lambda path: Usage)


def test_room_on_the_disk(machine, monkeypatch):
    names = ['sub-01_ses-TP1', 'sub-01_ses-TP2']
    free(monkeypatch, 71.5)
    assert lacking_room(machine.settings, names, ()) == []
    free(monkeypatch, 70.5)
    (problem,) = lacking_room(machine.settings, names, ())
    assert problem.startswith(
        f'The disk of {machine.top} has 70.5 GB free; 2 unfinished sessions of up to 35 GB need '
        '71.0 GB more.'
    )
    assert '--session-disk-gb' in problem
    assert lacking_room(machine.settings, names[:1], ()) == []
    assert lacking_room(machine.settings, [], ()) == []
    assert lacking_room(machine.settings, names, ('FirstLevel',)) == []
    machine.hcp = replace(machine.hcp, session_disk_gb=0.0)
    assert lacking_room(machine.settings, names, ()) == []


def test_what_a_session_holds_is_not_needed_again(machine, monkeypatch):
    held = machine.top / 'out/sourcedata/hcp/sub-01_ses-TP1/T1w'
    held.mkdir(parents=True)
    (held / 'T1w.nii.gz').write_bytes(os.urandom(3_000_000))
    machine.hcp = replace(machine.hcp, session_disk_gb=0.004)
    free(monkeypatch, 1.002)
    assert lacking_room(machine.settings, ['sub-01_ses-TP1'], ()) == []
    (problem,) = lacking_room(machine.settings, ['sub-01_ses-TP2'], ())
    assert 'The disk of' in problem


def test_memory(machine):
    machine.hcp = replace(machine.hcp, session_disk_gb=0.0)
    machine.memory_mb = 8000
    assert lacking_room(machine.settings, ['s'], ('FreeSurfer', 'fMRISurface')) == []
    (problem,) = lacking_room(machine.settings, ['s'], ())
    assert problem.startswith('ICAFIX is expected to need 14000 MB of memory; 8000 MB may be used')
    assert '--mem-mb' in problem


@pytest.mark.parametrize(
    ('membership', 'limits', 'expected'),
    [
        ('0::/job/step\n', {'job/step/memory.max': 'max', 'job/memory.max': '8000000'}, [8000000]),
        ('0::/gone\n', {'memory.max': '7000000\n'}, [7000000]),
        (
            '4:memory:/job\n3:cpu,cpuacct:/job\n',
            {'memory/job/memory.limit_in_bytes': '6000000', 'cpu/memory.max': '1'},
            [6000000],
        ),
        ('', {'memory.max': '5'}, []),
    ],
)
def test_limits_of_jobs_and_containers(tmp_path, membership, limits, expected):
    file(tmp_path / 'cgroup', membership)
    for name, text in limits.items():
        file(tmp_path / 'fs' / name, text)
    assert room._group_limits(tmp_path / 'cgroup', tmp_path / 'fs') == expected


def test_memory_of_this_machine():
    total = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    assert 100 < machine_memory_mb() <= total / 1e6


@pytest.mark.parametrize('kind', ['pyfix', 'legacy', 'none'])
def test_the_stand_in_of_other_tests_lacks_nothing(machine, tmp_path, kind):
    programs = write_hcp_programs(tmp_path / 'programs')
    given = programs.environment | {'FSL_FIXDIR': str(programs.fix_dir)}
    given['PATH'] += f':{machine.top}/system'
    machine.hcp = HcpSettings(hcp_dir=programs.hcp_dir, fix=kind, msmall=kind != 'none')
    environment = hcp_environment(programs.hcp_dir, environment=given)
    for machine.field_map in (SPIN, GRADIENT):
        assert lacking_tools(machine.settings, machine.sessions, (), environment) == []
