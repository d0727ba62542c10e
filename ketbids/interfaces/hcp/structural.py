"""Structural scripts of the HCP pipelines: PreFreeSurfer, FreeSurfer, PostFreeSurfer.

Options are spelled as HCP pipelines 4.8, 5.0 and later all take them. Only those that are set are
given, so that all others have the scripts' own defaults.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from nipype.interfaces.base import isdefined

from ketbids.errors import KetbidsError, ToolError, UsageError
from ketbids.interfaces.hcp.runscript import knows_option
from ketbids.interfaces.hcp.script import HcpScript
from ketbids.interfaces.hcp.structuraloutputs import (
    post_freesurfer_outputs,
    post_freesurfer_stale,
    pre_freesurfer_outputs,
)
from ketbids.interfaces.hcp.structuralspecs import (
    READOUT_CORRECTIONS,
    FreeSurferInputSpec,
    FreeSurferOutputSpec,
    PostFreeSurferInputSpec,
    PostFreeSurferOutputSpec,
    PreFreeSurferInputSpec,
    PreFreeSurferOutputSpec,
)
from ketbids.io.hcpnames import SessionFolders

__all__ = ['FreeSurfer', 'PostFreeSurfer', 'PreFreeSurfer']

#: Masks that people make, in the folders T1w and T2w.
_BY_HAND = ('custom_*', '*_custom_mask.nii.gz')


def _all_but_masks(folder: Path) -> list[Path]:
    """Give a folder; or all that is in it but masks by hand, which the script looks for."""
    kept = {path for name in _BY_HAND for path in folder.glob(name)}
    return sorted(set(folder.iterdir()) - kept) if kept else [folder]


class _Structural(HcpScript):
    """A script for the anatomy of one session."""

    def _check_values(self) -> None:
        for name, tokens in self._options():
            for flag in (token.partition('=')[0] for token in tokens):
                if not self._knows(flag):
                    raise ToolError(
                        f'{self._stage}: HCP pipelines {self.version} do not know {flag} '
                        f'({name.replace("_", " ")}). Leave it out, or name a newer version with '
                        '--hcp-dir.'
                    )

    def _knows(self, flag: str) -> bool:
        return knows_option(self.script, flag)

    def _refuse_missing_t2w(self, mode: str) -> None:
        if mode != 'LegacyStyleData':
            raise UsageError(
                f'{self.title}: there is no T2w image, which only --processing-mode legacy '
                '(LegacyStyleData) accepts.'
            )


class PreFreeSurfer(_Structural):
    """Align, undistort and bias-correct the anatomical images, and register them to MNI space."""

    input_spec = PreFreeSurferInputSpec
    output_spec = PreFreeSurferOutputSpec
    _script = 'PreFreeSurfer/PreFreeSurferPipeline.sh'
    _stage = 'PreFreeSurfer'
    _variables: ClassVar[tuple[str, ...]] = (
        *('HCPPIPEDIR', 'FSLDIR', 'HCPPIPEDIR_Global', 'HCPPIPEDIR_Templates', 'CARET7DIR'),
    )

    def _check_values(self) -> None:
        i = self.inputs
        super()._check_values()
        with_t2w = isdefined(i.t2w)
        if not with_t2w:
            self._refuse_missing_t2w(i.processing_mode)
        needed = READOUT_CORRECTIONS.get(i.avgrdc_method, ())
        if needed:
            needed += ('t1w_sample_spacing', 'unwarp_direction')
            needed += ('t2w_sample_spacing',) if with_t2w else ()
        lacking = [name for name in needed if not isdefined(getattr(i, name))]
        if lacking:
            raise UsageError(
                f'{self.title}: the distortion correction {i.avgrdc_method} needs '
                f'{", ".join(lacking)}. The script would notice it hours later, or not at all.'
            )

    @property
    def _begins_anew(self) -> bool:
        """Whether the script starts from the raw images, and not from what is there."""
        i = self.inputs
        by_hand = isdefined(i.custom_brain) and i.custom_brain != 'NONE'
        return not by_hand and (not isdefined(i.run_mode) or i.run_mode == 'Default')

    def _list_outputs(self) -> dict[str, Any]:
        made = pre_freesurfer_outputs(self.folders, with_t2w=isdefined(self.inputs.t2w))
        return {**super()._list_outputs(), **made}

    def stale(self) -> list[Path]:
        """All of the anatomy; nothing, if the script is to start from what is there."""
        if not self._begins_anew:
            return []
        folders = (self.folders.t1w, self.folders.top / 'T2w')
        found = [path for folder in folders for path in _all_but_masks(folder)]
        return [*found, self.folders.atlas]


class FreeSurfer(_Structural):
    """Reconstruct the cortical surfaces with FreeSurfer 6."""

    input_spec = FreeSurferInputSpec
    output_spec = FreeSurferOutputSpec
    _script = 'FreeSurfer/FreeSurferPipeline.sh'
    _stage = 'FreeSurfer'
    _variables: ClassVar[tuple[str, ...]] = ('HCPPIPEDIR', 'FSLDIR', 'FREESURFER_HOME')

    #: Subjects of FreeSurfer that recon-all registers to.
    _averages: ClassVar[tuple[str, ...]] = ('fsaverage', 'lh.EC_average', 'rh.EC_average')

    @property
    def folders(self) -> SessionFolders:
        """Folders of the session."""
        return SessionFolders(Path(self.inputs.session_dir).parent.parent, self.inputs.session)

    def _options(self) -> Iterator[tuple[str, list[str]]]:
        for name, tokens in super()._options():
            # No spelling of this one is known to 4.8.0 and to 5.0.0.
            old = name == 'session_dir' and not self._knows('--session-dir')
            yield name, [f'--subjectDIR={self.inputs.session_dir}'] if old else tokens

    def _knows(self, flag: str) -> bool:
        # Not an option of the parser, but understood before it by all versions.
        return flag == '--no-conf2hires' or super()._knows(flag)

    @property
    def _existing(self) -> bool:
        return isdefined(self.inputs.existing_session) and self.inputs.existing_session

    def _check_values(self) -> None:
        super()._check_values()
        i = self.inputs
        if Path(i.session_dir) != self.folders.t1w:
            raise UsageError(
                f'{self.title}: session_dir must be the T1w folder of the session, such as '
                f'STUDY/{i.session}/T1w, not {i.session_dir}.'
            )
        if self._existing:
            return
        # The script takes NONE for the brain as if it were said of the whole image.
        lacking = [
            name
            for name in ('t1w_image', 't1w_brain')
            if not isdefined(getattr(i, name)) or getattr(i, name) == 'NONE'
        ]
        if lacking:
            raise UsageError(
                f'{self.title}: {" and ".join(lacking)} must be given, unless existing_session is.'
            )
        if not isdefined(i.t2w_image):
            self._refuse_missing_t2w(i.processing_mode)

    def _list_outputs(self) -> dict[str, Any]:
        top = self.folders.freesurfer
        outputs = super()._list_outputs()
        volumes = {
            'rawavg': 'rawavg.mgz',
            'orig': 'orig.mgz',
            'brain_finalsurfs': 'brain.finalsurfs.mgz',
            'wmparc': 'wmparc.mgz',
            'aparc_aseg': 'aparc+aseg.mgz',
            'aparc_a2009s_aseg': 'aparc.a2009s+aseg.mgz',
            't1w_hires': 'T1w_hires.nii.gz',
        }
        if isdefined(self.inputs.t2w_image):
            volumes['t2w_hires'] = 'T2w_hires.nii.gz'
            volumes['t1w_mul_t2w_hires'] = 'T1wMulT2w_hires.nii.gz'
            volumes['t2w_to_t1w'] = 'transforms/T2wtoT1w.mat'
        outputs.update({key: str(top / 'mri' / name) for key, name in volumes.items()})
        outputs['freesurfer_dir'] = str(top)
        kinds = (
            *('white', 'pial', 'white.deformed', 'sphere', 'sphere.reg'),
            *('sulc', 'curv', 'thickness'),
        )
        outputs['surfaces'] = [str(top / 'surf' / f'{h}h.{kind}') for h in 'lr' for kind in kinds]
        parcels = ('aparc', 'aparc.a2009s')
        outputs['labels'] = [
            str(top / 'label' / f'{h}h.{name}.annot') for h in 'lr' for name in parcels
        ]
        return outputs

    def stale(self) -> list[Path]:
        """What FreeSurfer makes; nothing, if it is to work on what is there."""
        if self._existing:
            return []
        return [self.folders.freesurfer, self.folders.t1w / self._thresholded]

    _thresholded: ClassVar[str] = 'T1w_acpc_dc_restore_zero_threshold.nii.gz'

    def inner_logs(self) -> list[Path]:
        """Logs of recon-all."""
        return [self.folders.freesurfer / 'scripts' / 'recon-all.log']

    def needs_fresh_start(self) -> bool:
        """Tell whether PreFreeSurfer must be done again before FreeSurfer can be done.

        PostFreeSurfer replaces images that FreeSurfer starts from, so that the script refuses to
        run after it. This counts if FreeSurfer is to be done; see `state`.
        """
        warp = self.folders.t1w / 'xfms' / 'OrigT1w2T1w'
        replaced = any(Path(f'{warp}{ending}').exists() for ending in ('.nii.gz', '.nii'))
        return replaced and not self._existing

    def _check_before(self, environment: Mapping[str, str]) -> None:
        super()._check_before(environment)
        if self.needs_fresh_start():
            raise KetbidsError(
                f'{self.title}: PostFreeSurfer has replaced the images that FreeSurfer starts '
                'from. PreFreeSurfer must be done again before: do not leave it out with --stages.'
            )

    def _prepare(self, environment: Mapping[str, str]) -> None:
        """Link the average subjects into the session's subjects folder.

        recon-all does that late, and fails at a link that an earlier FreeSurfer, elsewhere, left.
        """
        subjects = Path(environment['FREESURFER_HOME']) / 'subjects'
        for name in self._averages:
            source, link = subjects / name, self.folders.t1w / name
            if not source.is_dir():
                raise ToolError(
                    f'{source} is missing: FREESURFER_HOME must name a complete FreeSurfer 6.'
                )
            if link.is_symlink():
                if os.readlink(link) == str(source):
                    continue
                link.unlink()
            if not link.exists():
                link.symlink_to(source)


class PostFreeSurfer(_Structural):
    """Bring FreeSurfer's surfaces into grayordinates, and register them to the atlas."""

    input_spec = PostFreeSurferInputSpec
    output_spec = PostFreeSurferOutputSpec
    _script = 'PostFreeSurfer/PostFreeSurferPipeline.sh'
    _stage = 'PostFreeSurfer'
    _variables: ClassVar[tuple[str, ...]] = (
        *('HCPPIPEDIR', 'FSLDIR', 'CARET7DIR', 'MSMBINDIR', 'MSMCONFIGDIR'),
    )

    def _check_values(self) -> None:
        super()._check_values()
        i = self.inputs
        if isdefined(i.longitudinal_mode) and i.longitudinal_mode != 'NONE':
            raise UsageError(
                f'{self.title}: the longitudinal pipelines of HCP are not supported yet.'
            )
        if not isdefined(i.t2w_image):
            self._refuse_missing_t2w(i.processing_mode)

    def needed(self) -> list[Path]:
        """What the command names, and what the script looks for in the session's folder."""
        t1w, atlas = self.folders.t1w, self.folders.atlas
        mri, surf = self.folders.freesurfer / 'mri', self.folders.freesurfer / 'surf'
        names = ('T1w.nii.gz', 'T1w_acpc_dc_restore.nii.gz', 'BiasField_acpc_dc.nii.gz')
        return [
            *super().needed(),
            *(t1w / name for name in names),
            *(t1w / 'xfms' / name for name in ('acpc.mat', 'T1w_dc.nii.gz')),
            atlas / 'T1w_restore.nii.gz',
            *(atlas / 'xfms' / f'{n}.nii.gz' for n in ('acpc_dc2standard', 'standard2acpc_dc')),
            *(mri / name for name in ('brain.finalsurfs.mgz', 'wmparc.mgz')),
            *(surf / f'{h}h.{kind}' for h in 'lr' for kind in ('white', 'pial', 'sphere.reg')),
        ]

    def _list_outputs(self) -> dict[str, Any]:
        i = self.inputs
        made = post_freesurfer_outputs(
            self.folders,
            with_t2w=isdefined(i.t2w_image),
            resolution=i.grayordinates_resolution,
            high=i.high_res_mesh,
            low=i.low_res_meshes,
            sphere='MSMSulc' if i.registration != 'FS' else 'reg.reg_LR',
        )
        if i.structural_qc != 'no':
            scene = self.folders.atlas / 'StructuralQC' / f'{self.session}.structuralQC.wb_scene'
            made['structural_qc'] = str(scene)
        return {**super()._list_outputs(), **made}

    def stale(self) -> list[Path]:
        """What only this stage makes; images that it replaces stay, since it starts from them."""
        if self.inputs.structural_qc == 'only':
            return [self.folders.atlas / 'StructuralQC']
        return post_freesurfer_stale(
            self.folders, high=self.inputs.high_res_mesh, low=self.inputs.low_res_meshes
        )
