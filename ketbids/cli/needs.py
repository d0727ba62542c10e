"""What each stage of the HCP pipelines needs: programs, and files of the pipelines."""

import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ketbids.io.hcpinputs import GradientEcho, HcpSession, SpinEcho
from ketbids.io.hcpnames import FixGroup, fix_groups
from ketbids.settings import HcpSettings, Settings

__all__ = ['FREESURFER', 'PYFIX_MODELS', 'SYSTEM', 'THICKNESS_MODULES', 'Wanted']
__all__ += ['checkout_files', 'chosen_stages', 'first_level_lacks', 'fsl_programs', 'not_there']
__all__ += ['plain', 'scripts']

_STRUCTURAL = ('PreFreeSurfer', 'FreeSurfer', 'PostFreeSurfer')
_FIX = ('ICAFIX', 'PostFix', 'ReApplyFix')
_MSMALL = ('MSMAll', 'DeDriftAndResample')
_HCP_STAGES = (*_STRUCTURAL, 'fMRIVolume', 'fMRISurface', *_FIX, *_MSMALL)

#: The scripts split paths at blanks, and lists of paths at @ and %.
_PLAIN = re.compile(r'[A-Za-z0-9._/+:=,-]+')
#: Programs of FSL that a stage calls early, so that a broken installation is noticed.
_FSL = {
    'PreFreeSurfer': ('fslmaths', 'flirt', 'fnirt', 'applywarp', 'convertwarp', 'fslpython'),
    'FreeSurfer': ('fslmaths', 'imtest', 'remove_ext'),
    'PostFreeSurfer': ('fslmaths', 'applywarp'),
    'fMRIVolume': ('fslmaths', 'flirt', 'mcflirt', 'applywarp', 'convertwarp'),
    'fMRISurface': ('fslmaths',),
    'ICAFIX': ('fslmaths', 'melodic'),
    'PostFix': ('fslmaths',),
    'ReApplyFix': ('fslmaths',),
    'DeDriftAndResample': ('fslmaths',),
}
#: Programs of FreeSurfer, likewise.
FREESURFER = {
    'FreeSurfer': (
        *('recon-all', 'tkregister', 'mri_convert', 'mri_concatenate_lta', 'mri_surf2surf'),
    ),
    'PostFreeSurfer': ('mri_convert', 'mris_convert', 'mri_info'),
    'fMRIVolume': ('bbregister', 'tkregister', 'mri_convert'),
}
#: Programs of the system.
SYSTEM = {
    'FreeSurfer': ('tcsh', 'perl', 'bc'),
    'PostFreeSurfer': ('bc',),
    'fMRIVolume': ('bc',),
    'fMRISurface': ('bc',),
    'ICAFIX': ('bc',),
}
#: Scripts that a stage calls in the folder `scripts` of its own; not all releases have all.
_CALLED = {
    'PreFreeSurfer': (
        *('ACPCAlignment', 'AnatomicalAverage', 'AtlasRegistrationToMNI152_FLIRTandFNIRT'),
        *('BiasFieldCorrection_T1wOnly', 'BiasFieldCorrection_sqrtT1wXT2w'),
        *('BrainExtraction_FNIRTbased', 'T2wToT1wDistortionCorrectAndReg', 'T2wToT1wReg'),
    ),
    'PostFreeSurfer': (
        *('CreateMyelinMaps', 'CreateRibbon', 'FreeSurfer2CaretConvertAndRegisterNonlinear'),
        'GenerateStructuralScenes',
    ),
    'fMRIVolume': (
        *('ComputeSpinEchoBiasField', 'IntensityNormalization', 'MotionCorrection'),
        'DistortionCorrectionAndEPIToT1wReg_FLIRTBBRAndFreeSurferBBRbased',
        'OneStepResampling',
    ),
    'fMRISurface': (
        *('CreateDenseTimeseries', 'GenerateFMRIScenes', 'RibbonVolumeToSurfaceMapping'),
        *('SubcorticalProcessing', 'SurfaceSmoothing'),
    ),
    'MSMAll': ('MSMAll', 'SingleSubjectConcat'),
}
#: Scripts that a stage calls in `global/scripts`.
_CALLED_GLOBAL = {
    'PostFreeSurfer': ('CorrThick', 'MSMSulc', 'MyelinMap_BC'),
    'fMRIVolume': ('mcflirt',),
    'MSMAll': ('MyelinMap_BC',),
    'DeDriftAndResample': ('ExtractFromMRFIXConcat', 'MyelinMap_BC'),
}
#: Modules of the Python that computes the newer kind of curvature-corrected thickness.
THICKNESS_MODULES = ('numpy', 'nibabel', 'scipy', 'psutil', 'threadpoolctl')
#: Models that come with pyfix.
PYFIX_MODELS = (
    *('HCP25_hp2000', 'HCP7T_hp2000', 'HCP_Style_Single_Multirun_Dedrift', 'NHP_HCP_Macaque'),
    *('NHP_HCP_MacaqueCyno', 'Standard', 'UKBiobank', 'WhII_MB6', 'WhII_Standard'),
)


@dataclass(frozen=True)
class Wanted:
    """What is to be done, and with what.

    Attributes
    ----------
    hcp : HcpSettings
    sessions : sequence of HcpSession
    stages : tuple of str
        Stages of the HCP pipelines that may run, in their order.
    environment : mapping of str to str
        Of the scripts.
    """

    hcp: HcpSettings
    sessions: Sequence[HcpSession]
    stages: tuple[str, ...]
    environment: Mapping[str, str]

    def any_of(self, *stages: str) -> bool:
        """Tell whether one of these stages is to be done."""
        return any(stage in self.stages for stage in stages)

    def programs(self, table: Mapping[str, Iterable[str]]) -> list[str]:
        """List the programs that the stages need."""
        return list(dict.fromkeys(p for stage in self.stages for p in table.get(stage, ())))

    @property
    def groups(self) -> list[FixGroup]:
        """Runs that FIX cleans together."""
        return [
            group
            for session in self.sessions
            for group in fix_groups(
                [run.name for run in session.runs],
                fix=self.hcp.fix,
                grouping=self.hcp.fix_runs,
                high_pass=self.hcp.fix_high_pass,
            )
        ]

    @property
    def field_maps(self) -> set[type]:
        """Kinds of field maps that the stages use."""
        maps = []
        if self.any_of('PreFreeSurfer'):
            maps += [session.anat.field_map for session in self.sessions]
        if self.any_of('fMRIVolume'):
            maps += [run.field_map for session in self.sessions for run in session.runs]
        return {type(found) for found in maps if found is not None}


def first_level_lacks(settings: Settings) -> list[str]:
    """Say which programs are not there that the first level was told to use."""
    lacking = []
    if settings.first_level.smoother == 'wb_command' and shutil.which('wb_command') is None:
        lacking.append(
            '--smoother wb_command needs Connectome Workbench, but wb_command is not on the PATH: '
            'install it, or choose --smoother native, which smooths with the same weights.'
        )
    if settings.first_level.noise_model == 'film':
        # Of Nipype, which takes seconds to import.
        from ketbids.interfaces.film import film_problems

        lacking += film_problems()
    return lacking


def chosen_stages(settings: Settings, stages: Collection[str]) -> tuple[str, ...]:
    """Give the stages of the HCP pipelines that may run, in their order.

    Parameters
    ----------
    settings : Settings
    stages : collection of str
        What may run; empty means all.
    """
    left_out = {*(_FIX if settings.hcp.fix == 'none' else ())}
    left_out |= {*(() if settings.hcp.msmall else _MSMALL)}
    return tuple(s for s in _HCP_STAGES if (not stages or s in stages) and s not in left_out)


def fsl_programs(wanted: Wanted) -> list[str]:
    """List the programs of FSL that the stages need, by field maps and images, too."""
    programs = wanted.programs(_FSL)
    programs += ['topup'] if SpinEcho in wanted.field_maps else []
    programs += ['fugue', 'fsl_prepare_fieldmap'] if GradientEcho in wanted.field_maps else []
    if wanted.any_of('PreFreeSurfer') and not all(s.anat.t2w for s in wanted.sessions):
        programs.append('fsl_anat')  # bias field of the T1w alone
    return programs


def plain(what: str, path: str) -> Iterator[str]:
    """Refuse a folder whose name the scripts would take apart."""
    if not _PLAIN.fullmatch(path):
        yield (
            f'{what} is {path!r}; the scripts of the HCP pipelines take only letters, digits and '
            '. _ / + : = , - in a path. Move or link it to another.'
        )


def not_there(what: str, folder: Path, programs: Iterable[str], advice: str) -> Iterator[str]:
    """Name the programs that are not in a folder, or cannot be run."""
    missing = [name for name in programs if not os.access(folder / name, os.X_OK)]
    if missing:
        yield f'{what}: {folder} has no {", ".join(missing)} that can be run. {advice}'


def scripts(wanted: Wanted) -> list[str]:
    """List the scripts of the HCP pipelines that the stages call, relative to their folder.

    Those that a release does not have are not in it.
    """
    names = [f'{s}/scripts/{name}.sh' for s in wanted.stages for name in _CALLED.get(s, ())]
    shared = [name for s in wanted.stages for name in _CALLED_GLOBAL.get(s, ())]
    shared += ['FieldMapPreprocessingAll'] if GradientEcho in wanted.field_maps else []
    shared += ['TopupPreprocessingAll'] if SpinEcho in wanted.field_maps else []
    if wanted.hcp.gdcoeffs and wanted.any_of('PreFreeSurfer', 'fMRIVolume'):
        shared.append('GradientDistortionUnwarp')
    names += [f'global/scripts/{name}.sh' for name in dict.fromkeys(shared)]
    if wanted.any_of('PreFreeSurfer'):
        names.append('PreFreeSurfer/PreFreeSurferPipeline.sh')
    names += [name for name in checkout_files(wanted) if name.endswith('.sh')]
    names += [name for name in checkout_files(wanted) if Path(name).stem.startswith('hcp_fix')]
    return [name for name in names if (wanted.hcp.hcp_dir / name).is_file()]


def checkout_files(wanted: Wanted) -> Iterator[str]:
    """List the files of the HCP pipelines that the stages read, relative to their folder."""
    templates, config = 'global/templates', 'global/config'
    if wanted.any_of('PreFreeSurfer'):
        kinds = {('T1', s.anat.template) for s in wanted.sessions}
        kinds |= {('T2', s.anat.template) for s in wanted.sessions if s.anat.t2w}
        for kind, size in sorted(kinds):
            stem = f'{templates}/MNI152_{kind}_{size}mm'
            yield from (f'{stem}.nii.gz', f'{stem}_brain.nii.gz')
            yield f'{templates}/MNI152_{kind}_2mm.nii.gz'
        for size in sorted({s.anat.template for s in wanted.sessions}):
            yield f'{templates}/MNI152_T1_{size}mm_brain_mask.nii.gz'
        yield f'{templates}/MNI152_T1_2mm_brain_mask_dil.nii.gz'
        yield f'{config}/T1_2_MNI152_2mm.cnf'
    if wanted.any_of('FreeSurfer'):
        yield 'FreeSurfer/FreeSurferPipeline.sh'
        yield 'FreeSurfer/custom/recon-all.v6.hires'
    if wanted.any_of('PostFreeSurfer'):
        yield 'PostFreeSurfer/PostFreeSurferPipeline.sh'
        yield f'{templates}/standard_mesh_atlases'
        yield f'{templates}/standard_mesh_atlases/Conte69.MyelinMap_BC.164k_fs_LR.dscalar.nii'
        yield f'{templates}/91282_Greyordinates'
        yield f'{config}/FreeSurferSubcorticalLabelTableLut.txt'
        yield f'{config}/FreeSurferAllLut.txt'
    if wanted.any_of('fMRIVolume'):
        yield 'fMRIVolume/GenericfMRIVolumeProcessingPipeline.sh'
    if SpinEcho in wanted.field_maps:
        yield f'{config}/b02b0.cnf'
    if wanted.any_of('fMRISurface'):
        yield 'fMRISurface/GenericfMRISurfaceProcessingPipeline.sh'
    concatenates = {group.concatenates for group in wanted.groups}
    if wanted.any_of('ICAFIX'):
        yield from (
            f'ICAFIX/{"hcp_fix_multi_run" if several else "hcp_fix"}' for several in concatenates
        )
    if wanted.any_of('PostFix') and concatenates:
        yield 'ICAFIX/PostFix.sh'
        yield 'ICAFIX/PostFixScenes/ICA_Classification_DualScreenTemplate.scene'
        yield 'ICAFIX/PostFixScenes/ICA_Classification_SingleScreenTemplate.scene'
    if wanted.any_of('ReApplyFix') and concatenates:
        yield 'ICAFIX/ApplyHandReClassifications.sh'
        yield from (
            f'ICAFIX/ReApplyFix{"MultiRun" if several else ""}Pipeline.sh'
            for several in concatenates
        )
    if wanted.any_of('MSMAll'):
        yield 'MSMAll/MSMAllPipeline.sh'
        yield f'{templates}/MSMAll'
    if wanted.any_of('DeDriftAndResample'):
        yield 'DeDriftAndResample/DeDriftAndResamplePipeline.sh'
