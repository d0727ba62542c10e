"""Anatomy and functional runs of a session by the HCP pipelines."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.hcp.functional import FMRISurface, FMRIVolume
from ketbids.interfaces.hcp.structural import FreeSurfer, PostFreeSurfer, PreFreeSurfer
from ketbids.io.hcpinputs import AnatInputs, BoldInputs, FieldMap, GradientEcho, SpinEcho
from ketbids.io.hcpnames import SessionFolders

__all__ = [
    'HIGH_MESH',
    'LOW_MESH',
    'REGISTRATION',
    'SMOOTHING',
    'Pipelines',
    'init_hcp_anat_wf',
    'init_hcp_func_wf',
    'node_name',
]

#: Voxels of the functional data and of grayordinates, mm.
_RESOLUTION = 2
#: Vertices of a hemisphere, thousands.
LOW_MESH, HIGH_MESH = 32, 164
#: Along the surface, mm: about the distance of grayordinates, as HCP does it.
SMOOTHING = 2
REGISTRATION = 'MSMSulc'
#: Of a human brain, mm.
_BRAIN_SIZE = 150


@dataclass(frozen=True)
class Pipelines:
    """The HCP pipelines, and how every script of theirs is called.

    Attributes
    ----------
    hcp_dir : Path
    environ : mapping of str to str
        All environment variables that the scripts get.
    gdcoeffs : Path or None
        Gradient coefficients.
    legacy : bool
        Data without T2w images or field maps are accepted.
    matlab_mode : int or None
        0: compiled, 1: MATLAB, 2: Octave; None: as the scripts do it.
    threads : int
        Of one program.
    """

    hcp_dir: Path
    environ: Mapping[str, str]
    gdcoeffs: Path | None = None
    legacy: bool = False
    matlab_mode: int | None = None
    threads: int = 1

    def common(self, folders: SessionFolders, stage: str, label: str = '') -> dict[str, Any]:
        """Give the inputs that all scripts of a session have.

        Parameters
        ----------
        folders : SessionFolders
        stage : str
            One of `ketbids.io.hcpnames.STAGES`.
        label : str
            What tells this stage from others of its kind: the run.
        """
        name = f'{stage}_{label}' if label else stage
        return {
            'hcp_dir': str(self.hcp_dir),
            'environ': dict(self.environ),
            'record': str(folders.stages / f'{name}.json'),
            'log': str(folders.stages / f'{name}.log'),
        }

    @property
    def matlab(self) -> dict[str, int]:
        """Give the input of scripts that use MATLAB."""
        return {} if self.matlab_mode is None else {'matlab_run_mode': self.matlab_mode}

    def mode(self, *, complete: bool) -> dict[str, str]:
        """Give the processing mode.

        Data that lack nothing are processed in the scripts' stricter one, whatever other
        sessions lack.
        """
        return {'processing_mode': 'LegacyStyleData'} if self.legacy and not complete else {}

    def node(self, script: Any, name: str, *, mem_gb: float) -> pe.Node:
        """Make the node of a script. Its record says what is done, and not Nipype's cache."""
        return pe.Node(script, name=name, mem_gb=mem_gb, n_procs=self.threads, overwrite=True)


def node_name(text: str) -> str:
    """Give a name of BIDS labels as Nipype takes it."""
    return text.replace('-', '_')


def init_hcp_anat_wf(
    pipelines: Pipelines, *, folders: SessionFolders, anat: AnatInputs, name: str = 'anat_wf'
) -> pe.Workflow:
    """Process the anatomy of a session: PreFreeSurfer, FreeSurfer, PostFreeSurfer.

    Parameters
    ----------
    pipelines : Pipelines
    folders : SessionFolders
    anat : AnatInputs

    Outputs
    -------
    record
        Of the last stage.
    t1w_restore
        T1w image without distortion and bias.
    """
    workflow = pe.Workflow(name=name)
    outputnode = pe.Node(
        niu.IdentityInterface(fields=['record', 't1w_restore']), name='outputnode'
    )
    where = {'session': folders.session}
    study = {'study_folder': str(folders.study), **where}
    mode = pipelines.mode(complete=bool(anat.t2w))
    pre_freesurfer = pipelines.node(
        PreFreeSurfer(
            **pipelines.common(folders, 'PreFreeSurfer'),
            **study,
            **mode,
            **_templates(pipelines.hcp_dir, anat.template),
            **_anatomical_images(anat, pipelines.hcp_dir),
        ),
        'pre_freesurfer',
        mem_gb=8,
    )
    if pipelines.gdcoeffs:
        pre_freesurfer.inputs.gradient_coefficients = str(pipelines.gdcoeffs)
    freesurfer = pipelines.node(
        FreeSurfer(
            **pipelines.common(folders, 'FreeSurfer'),
            **where,
            **mode,
            session_dir=str(folders.t1w),
        ),
        'freesurfer',
        mem_gb=10,
    )
    post_freesurfer = pipelines.node(
        PostFreeSurfer(
            **pipelines.common(folders, 'PostFreeSurfer'),
            **study,
            **mode,
            **_atlas(pipelines.hcp_dir),
        ),
        'post_freesurfer',
        mem_gb=12,
    )
    workflow.connect([
        (pre_freesurfer, freesurfer, [
            ('record', 'after'),
            ('t1w_acpc_dc_restore', 't1w_image'),
            ('t1w_acpc_dc_restore_brain', 't1w_brain'),
        ]),
        (freesurfer, post_freesurfer, [('record', 'after')]),
        (post_freesurfer, outputnode, [
            ('record', 'record'),
            ('t1w_acpc_dc_restore', 't1w_restore'),
        ]),
    ])  # fmt: skip
    if anat.t2w:
        workflow.connect([
            (pre_freesurfer, freesurfer, [('t2w_acpc_dc_restore', 't2w_image')]),
            (pre_freesurfer, post_freesurfer, [('t2w', 't2w_image')]),
        ])  # fmt: skip
    return workflow


def _templates(hcp_dir: Path, size: str) -> dict[str, Any]:
    """Give the templates of PreFreeSurfer; `size` is that of their voxels."""
    templates = hcp_dir / 'global' / 'templates'
    t1w, t2w = templates / f'MNI152_T1_{size}mm', templates / f'MNI152_T2_{size}mm'
    low = templates / 'MNI152_T1_2mm'
    return {
        't1w_template': f'{t1w}.nii.gz',
        't1w_template_brain': f'{t1w}_brain.nii.gz',
        't1w_template_2mm': f'{low}.nii.gz',
        't2w_template': f'{t2w}.nii.gz',
        't2w_template_brain': f'{t2w}_brain.nii.gz',
        't2w_template_2mm': str(templates / 'MNI152_T2_2mm.nii.gz'),
        'template_mask': f'{t1w}_brain_mask.nii.gz',
        'template_2mm_mask': f'{low}_brain_mask_dil.nii.gz',
        'brain_size': _BRAIN_SIZE,
        'fnirt_config': str(hcp_dir / 'global' / 'config' / 'T1_2_MNI152_2mm.cnf'),
    }


def _method(field_map: FieldMap | None) -> str:
    """Name the correction of distortions that a field map allows."""
    if isinstance(field_map, SpinEcho):
        return 'TOPUP'
    return 'SiemensFieldMap' if isinstance(field_map, GradientEcho) else 'NONE'


def _anatomical_images(anat: AnatInputs, hcp_dir: Path) -> dict[str, Any]:
    """Give the images of PreFreeSurfer, and how their distortions are corrected."""
    found: dict[str, Any] = {
        't1w': [str(path) for path in anat.t1w],
        'avgrdc_method': _method(anat.field_map),
    }
    if anat.t2w:
        found['t2w'] = [str(path) for path in anat.t2w]
    if anat.field_map is None:
        return found
    readout = {
        't1w_sample_spacing': anat.t1w_spacing,
        't2w_sample_spacing': anat.t2w_spacing if anat.t2w else None,
        'unwarp_direction': anat.unwarp,
    }
    found |= {key: value for key, value in readout.items() if value is not None}
    if isinstance(anat.field_map, SpinEcho):
        found['spin_echo_spacing'] = anat.field_map.echo_spacing
        found['spin_echo_direction'] = anat.field_map.axis
    return found | _field_map(anat.field_map, hcp_dir)


def _field_map(field_map: FieldMap, hcp_dir: Path) -> dict[str, Any]:
    """Give the images of a field map, and what belongs to its kind."""
    if isinstance(field_map, SpinEcho):
        return {
            'spin_echo_negative': str(field_map.negative),
            'spin_echo_positive': str(field_map.positive),
            'topup_config': str(hcp_dir / 'global' / 'config' / 'b02b0.cnf'),
        }
    return {
        'magnitude': [str(field_map.magnitude)],
        'phase': str(field_map.phase),
        'echo_difference': field_map.echo_difference,
    }


def _atlas(hcp_dir: Path) -> dict[str, Any]:
    """Give the meshes, labels and maps of PostFreeSurfer."""
    templates, config = hcp_dir / 'global' / 'templates', hcp_dir / 'global' / 'config'
    meshes = templates / 'standard_mesh_atlases'
    return {
        'surface_atlas_dir': str(meshes),
        'grayordinates_resolution': str(_RESOLUTION),
        'grayordinates_dir': str(templates / '91282_Greyordinates'),
        'high_res_mesh': HIGH_MESH,
        'low_res_meshes': [LOW_MESH],
        'subcortical_gray_labels': str(config / 'FreeSurferSubcorticalLabelTableLut.txt'),
        'freesurfer_labels': str(config / 'FreeSurferAllLut.txt'),
        'reference_myelin_maps': str(
            meshes / f'Conte69.MyelinMap_BC.{HIGH_MESH}k_fs_LR.dscalar.nii'
        ),
        'registration': REGISTRATION,
    }


def init_hcp_func_wf(
    pipelines: Pipelines, *, folders: SessionFolders, run: BoldInputs, name: str = ''
) -> pe.Workflow:
    """Process a run: fMRIVolume, fMRISurface.

    Parameters
    ----------
    pipelines : Pipelines
    folders : SessionFolders
    run : BoldInputs
    name : str
        By default after the run.

    Inputs
    ------
    after
        Record of the anatomy.

    Outputs
    -------
    record
        Of the last stage.
    series, dense_series
        In MNI space, and in grayordinates.
    """
    workflow = pe.Workflow(name=name or f'func_{node_name(run.name)}_wf')
    inputnode = pe.Node(niu.IdentityInterface(fields=['after']), name='inputnode')
    outputnode = pe.Node(
        niu.IdentityInterface(fields=['record', 'series', 'dense_series']), name='outputnode'
    )
    common = {
        'study_folder': str(folders.study),
        'session': folders.session,
        'fmri_name': run.name,
        'resolution': _RESOLUTION,
    }
    volume = pipelines.node(
        FMRIVolume(
            **pipelines.common(folders, 'fMRIVolume', run.name),
            **common,
            **pipelines.mode(complete=run.field_map is not None),
            **_functional_images(run, pipelines.hcp_dir),
            motion_correction='MCFLIRT',
            gradient_coefficients=str(pipelines.gdcoeffs or 'NONE'),
            dof=6,
        ),
        'volume',
        mem_gb=12,
    )
    surface = pipelines.node(
        FMRISurface(
            **pipelines.common(folders, 'fMRISurface', run.name),
            **common,
            low_res_mesh=LOW_MESH,
            smoothing=SMOOTHING,
            grayordinates_resolution=_RESOLUTION,
            registration_name=REGISTRATION,
        ),
        'surface',
        mem_gb=8,
    )
    workflow.connect([
        (inputnode, volume, [('after', 'after')]),
        (volume, surface, [('record', 'after')]),
        (volume, outputnode, [('fmri', 'series')]),
        (surface, outputnode, [('record', 'record'), ('dense_series', 'dense_series')]),
    ])  # fmt: skip
    return workflow


def _functional_images(run: BoldInputs, hcp_dir: Path) -> dict[str, Any]:
    """Give the images of fMRIVolume, and how their distortions are corrected."""
    method = _method(run.field_map)
    found: dict[str, Any] = {
        'fmri_series': str(run.series),
        'distortion_correction': method,
        'bias_correction': 'SEBASED' if method == 'TOPUP' else 'NONE',
    }
    if run.reference:
        found['reference_image'] = str(run.reference)
    if run.field_map is None:
        return found
    readout = {'echo_spacing': run.echo_spacing, 'unwarp_direction': run.direction}
    found |= {key: value for key, value in readout.items() if value is not None}
    return found | _field_map(run.field_map, hcp_dir)
