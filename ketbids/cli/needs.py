"""What each stage of the HCP pipelines needs: programs, and files of the pipelines."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ketbids.io.hcpinputs import HcpSession, SpinEcho
from ketbids.io.hcpnames import FixGroup, fix_groups
from ketbids.settings import HcpSettings, Settings

__all__ = ['FREESURFER', 'FSL', 'PYFIX_MODELS', 'SYSTEM', 'THICKNESS_MODULES', 'Wanted']
__all__ += ['checkout_files', 'chosen_stages']

_STRUCTURAL = ('PreFreeSurfer', 'FreeSurfer', 'PostFreeSurfer')
_FIX = ('ICAFIX', 'PostFix', 'ReApplyFix')
_MSMALL = ('MSMAll', 'DeDriftAndResample')
_HCP_STAGES = (*_STRUCTURAL, 'fMRIVolume', 'fMRISurface', *_FIX, *_MSMALL)

#: Programs of FSL that a stage calls early, so that a broken installation is noticed.
FSL = {
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
        """Kinds of field maps in use."""
        maps = [session.anat.field_map for session in self.sessions]
        maps += [run.field_map for session in self.sessions for run in session.runs]
        return {type(found) for found in maps if found is not None}


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
    if wanted.any_of('PreFreeSurfer', 'fMRIVolume') and SpinEcho in wanted.field_maps:
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
