"""Options and outputs of the structural scripts of the HCP pipelines."""

from typing import Any

from nipype.interfaces.base import Directory, File, Str, traits

from ketbids.interfaces.hcp.script import HcpScriptInputSpec, HcpScriptOutputSpec

__all__ = [
    'READOUT_CORRECTIONS',
    'FreeSurferInputSpec',
    'FreeSurferOutputSpec',
    'PostFreeSurferInputSpec',
    'PostFreeSurferOutputSpec',
    'PreFreeSurferInputSpec',
    'PreFreeSurferOutputSpec',
]

_MODES = ('HCPStyleData', 'LegacyStyleData')
_AXES = ('x', 'y', 'z', 'x-', 'y-', 'z-', 'i', 'j', 'k', 'i-', 'j-', 'k-')

#: What each way of correcting distortions needs beside the spacing and direction of the readout.
READOUT_CORRECTIONS = {
    'TOPUP': (
        *('spin_echo_negative', 'spin_echo_positive', 'spin_echo_spacing', 'spin_echo_direction'),
        'topup_config',
    ),
    'SiemensFieldMap': ('magnitude', 'phase', 'echo_difference'),
    'FIELDMAP': ('magnitude', 'phase', 'echo_difference'),
    'PhilipsFieldMap': ('magnitude', 'phase', 'echo_difference'),
    'GEHealthCareFieldMap': ('magnitude', 'phase'),
    'GEHealthCareLegacyFieldMap': ('combined_field_map',),
}


def _provided(argstr: str, desc: str, **metadata: Any) -> Any:
    """Give the trait of a file that the HCP pipelines or an earlier stage provide."""
    return File(argstr=argstr, desc=desc, at_run=True, **metadata)


def _optional(argstr: str, desc: str, **metadata: Any) -> Any:
    """Give the trait of an image or file that the user provides."""
    return File(exists=True, argstr=argstr, desc=desc, **metadata)


class PreFreeSurferInputSpec(HcpScriptInputSpec):
    """Options of PreFreeSurfer, in their order."""

    study_folder = Directory(argstr='--path=%s', mandatory=True, desc='study folder')
    session = Str(argstr='--subject=%s', mandatory=True, label=True, desc='name of the session')
    t1w = traits.List(
        File(exists=True),
        argstr='--t1=%s',
        sep='@',
        mandatory=True,
        minlen=1,
        desc='T1w images; several are averaged',
    )
    t2w = traits.List(
        File(exists=True),
        argstr='--t2=%s',
        sep='@',
        minlen=1,
        otherwise='NONE',
        desc='T2w images; several are averaged',
    )
    t1w_template = _provided('--t1template=%s', 'T1w template', mandatory=True)
    t1w_template_brain = _provided('--t1templatebrain=%s', 'its brain', mandatory=True)
    t1w_template_2mm = _provided('--t1template2mm=%s', 'at 2 mm', mandatory=True)
    t2w_template = _provided('--t2template=%s', 'T2w template', mandatory=True)
    t2w_template_brain = _provided('--t2templatebrain=%s', 'its brain', mandatory=True)
    t2w_template_2mm = _provided('--t2template2mm=%s', 'at 2 mm', mandatory=True)
    template_mask = _provided('--templatemask=%s', 'brain mask of the template', mandatory=True)
    template_2mm_mask = _provided('--template2mmmask=%s', 'at 2 mm', mandatory=True)
    brain_size = traits.Int(argstr='--brainsize=%s', mandatory=True, desc='mm')
    fnirt_config = _provided('--fnirtconfig=%s', 'options of fnirt', mandatory=True)
    magnitude = traits.List(
        File(exists=True),
        argstr='--fmapmag=%s',
        sep='@',
        minlen=1,
        requires=['phase'],
        desc='magnitude of a gradient-echo field map',
    )
    phase = _optional(
        '--fmapphase=%s', 'its phase, or the field in Hz (GE)', requires=['magnitude']
    )
    combined_field_map = _optional(
        '--fmap=%s', 'field in Hz and magnitude (GE)', xor=['magnitude', 'phase']
    )
    echo_difference = traits.Float(argstr='--echodiff=%s', desc='of the field map, ms')
    spin_echo_negative = _optional(
        '--SEPhaseNeg=%s', 'negative spin-echo image', requires=['spin_echo_positive']
    )
    spin_echo_negative_2 = _optional(
        '--SEPhaseNeg2=%s', 'of a second pair', requires=['spin_echo_positive_2']
    )
    spin_echo_positive = _optional(
        '--SEPhasePos=%s', 'positive spin-echo image', requires=['spin_echo_negative']
    )
    spin_echo_positive_2 = _optional(
        '--SEPhasePos2=%s', 'of a second pair', requires=['spin_echo_negative_2']
    )
    spin_echo_spacing = traits.Float(
        argstr='--seechospacing=%s', otherwise='NONE', desc='effective, of the spin-echo images, s'
    )
    spin_echo_direction = traits.Enum(
        *('x', 'y', 'i', 'j'),
        argstr='--seunwarpdir=%s',
        otherwise='NONE',
        desc='phase-encoding axis of the spin-echo images',
    )
    t1w_sample_spacing = traits.Float(
        argstr='--t1samplespacing=%s', otherwise='NONE', desc='of the readout, s'
    )
    t2w_sample_spacing = traits.Float(
        argstr='--t2samplespacing=%s', otherwise='NONE', desc='of the readout, s'
    )
    unwarp_direction = traits.Enum(
        *_AXES, argstr='--unwarpdir=%s', otherwise='NONE', desc='readout direction'
    )
    gradient_coefficients = _optional('--gdcoeffs=%s', 'gradient coefficients', otherwise='NONE')
    avgrdc_method = traits.Enum(
        *('NONE', *READOUT_CORRECTIONS),
        argstr='--avgrdcmethod=%s',
        mandatory=True,
        desc='correction of readout distortions',
    )
    topup_config = _provided('--topupconfig=%s', 'options of topup')
    bias_field_sigma = traits.Float(argstr='--bfsigma=%s', desc='smoothing of the bias field, mm')
    custom_brain = traits.Enum(
        *('NONE', 'MASK', 'CUSTOM', 'ORIGMASK'),
        argstr='--custombrain=%s',
        desc='what was made by hand',
    )
    processing_mode = traits.Enum(
        *_MODES, argstr='--processing-mode=%s', desc='LegacyStyleData: without T2w images'
    )
    use_jacobian = traits.Bool(argstr='--usejacobian=%s', desc='modulate the spin-echo images')
    species = Str(argstr='--species=%s', desc='species')
    run_mode = traits.Enum(
        *('Default', 'ACPCAlignment', 'BrainExtraction'),
        *('T2wToT1wRegAndBiasCorrection', 'AtlasRegistration'),
        argstr='--runmode=%s',
        desc='first step',
    )
    true_patient_position = Str(argstr='--truepatientposition=%s', desc='such as HFS')
    scanner_patient_position = Str(argstr='--scannerpatientposition=%s', desc='such as HFS')
    bet_center = traits.List(
        traits.Int,
        argstr='--betcenter=%s',
        sep=',',
        minlen=3,
        maxlen=3,
        desc='centre for bet, voxels',
    )
    bet_radius = traits.Int(argstr='--betradius=%s', desc='radius for bet, mm')
    bet_fraction = traits.Float(argstr='--betfraction=%s', desc='threshold of bet')
    bet_top_to_center = traits.Int(
        argstr='--bettop2center=%s', desc='from the top of the head to its centre, mm'
    )
    brain_extract = traits.Enum('INVIVO', 'EXVIVO', argstr='--brainextract=%s', desc='kind')
    use_t2w_phase_zero = traits.Bool(
        argstr='--use-t2w-phase-zero=%s', desc='T2w image as undistorted spin-echo image'
    )
    bias_field_sigma_no_t2w = traits.Float(
        argstr='--bias-field-sigma-no-T2w=%s', desc='without T2w image, mm'
    )
    bet_bias_field_correction = traits.Bool(
        argstr='--betbiasfieldcor=%s', desc='correct the bias field for bet'
    )


class PreFreeSurferOutputSpec(HcpScriptOutputSpec):
    """What PreFreeSurfer makes."""

    t1w = File(desc='average of the T1w images')
    t1w_acpc = File(desc='aligned to the AC-PC line')
    t1w_acpc_dc = File(desc='without distortions')
    t1w_acpc_dc_restore = File(desc='without bias field')
    t1w_acpc_dc_restore_brain = File(desc='brain only')
    bias_field = File(desc='bias field')
    acpc_transform = File(desc='from the T1w image to the AC-PC line')
    t1w_dc_warp = File(desc='correction of distortions')
    t2w = File(desc='average of the T2w images; only with T2w, like all others of t2w')
    t2w_acpc_transform = File(desc='from the T2w image to the AC-PC line')
    t2w_warp = File(desc='from there to the T1w image')
    t2w_acpc_dc = File(desc='T2w image on the T1w image')
    t2w_acpc_dc_restore = File(desc='without bias field')
    t2w_acpc_dc_restore_brain = File(desc='brain only')
    mni_t1w = File(desc='T1w image in MNI space')
    mni_t1w_restore = File(desc='without bias field')
    mni_t1w_restore_brain = File(desc='brain only')
    mni_t2w = File(desc='T2w image in MNI space')
    mni_t2w_restore = File(desc='without bias field')
    mni_t2w_restore_brain = File(desc='brain only')
    to_standard = File(desc='warp to MNI space')
    from_standard = File(desc='and back')
    jacobians = File(desc='of the warp to MNI space')


class FreeSurferInputSpec(HcpScriptInputSpec):
    """Options of FreeSurfer, in their order."""

    session = Str(argstr='--subject=%s', mandatory=True, label=True, desc='name of the session')
    session_dir = Directory(
        argstr='--session-dir=%s', mandatory=True, desc="the session's T1w folder"
    )
    t1w_image = _provided('--t1=%s', 'T1w image without bias field')
    t1w_brain = _provided('--t1brain=%s', 'its brain', requires=['t1w_image'])
    t2w_image = _provided('--t2=%s', 'T2w image without bias field', requires=['t1w_image'])
    seed = traits.Int(argstr='--seed=%s', desc='of random numbers')
    flair = traits.Bool(argstr='--flair', requires=['t2w_image'], desc='T2w image is FLAIR')
    existing_session = traits.Bool(
        argstr='--existing-subject',
        requires=['extra_reconall_args'],
        desc='work on what is there',
    )
    extra_reconall_args = traits.List(
        Str, argstr='--extra-reconall-arg=%s', desc='further arguments of recon-all, one by one'
    )
    no_conf2hires = traits.Bool(argstr='--no-conf2hires', desc='surfaces at 1 mm')
    processing_mode = traits.Enum(
        *_MODES, argstr='--processing-mode=%s', desc='LegacyStyleData: without T2w images'
    )


class FreeSurferOutputSpec(HcpScriptOutputSpec):
    """What FreeSurfer makes."""

    freesurfer_dir = Directory(desc="the session's folder of FreeSurfer")
    rawavg = File(desc='T1w image as FreeSurfer has it')
    orig = File(desc='conformed')
    brain_finalsurfs = File(desc='brain')
    wmparc = File(desc='white matter by the nearest gyrus')
    aparc_aseg = File(desc='cortex (Desikan-Killiany) and subcortex')
    aparc_a2009s_aseg = File(desc='cortex (Destrieux) and subcortex')
    t1w_hires = File(desc='T1w image, not conformed')
    t2w_hires = File(desc='T2w image on it; only with T2w')
    t1w_mul_t2w_hires = File(desc='root of their product; only with T2w')
    t2w_to_t1w = File(desc='refined registration of the T2w image; only with T2w')
    surfaces = traits.List(File(), desc='surfaces and maps on them, left and right')
    labels = traits.List(File(), desc='cortical parcels, left and right')


class PostFreeSurferInputSpec(HcpScriptInputSpec):
    """Options of PostFreeSurfer, in their order."""

    t2w_image = File(
        at_run=True, desc='average of the T2w images, which the script finds by itself'
    )
    study_folder = Directory(argstr='--path=%s', mandatory=True, desc='study folder')
    session = Str(argstr='--subject=%s', mandatory=True, label=True, desc='name of the session')
    surface_atlas_dir = Directory(
        argstr='--surfatlasdir=%s', mandatory=True, at_run=True, desc='spheres of the atlas'
    )
    grayordinates_resolution = Str(
        argstr='--grayordinatesres=%s', mandatory=True, desc='voxels of the subcortex, mm'
    )
    grayordinates_dir = Directory(
        argstr='--grayordinatesdir=%s', mandatory=True, at_run=True, desc='grayordinates'
    )
    high_res_mesh = traits.Int(
        argstr='--hiresmesh=%s', mandatory=True, desc='thousands of vertices'
    )
    low_res_meshes = traits.List(
        traits.Int,
        argstr='--lowresmesh=%s',
        sep='@',
        mandatory=True,
        minlen=1,
        desc='thousands of vertices',
    )
    subcortical_gray_labels = _provided(
        '--subcortgraylabels=%s', 'subcortical structures', mandatory=True
    )
    freesurfer_labels = _provided('--freesurferlabels=%s', 'labels of FreeSurfer', mandatory=True)
    reference_myelin_maps = _provided(
        '--refmyelinmaps=%s', 'myelin maps of a group', mandatory=True
    )
    myelin_correction_sigma = traits.Float(
        argstr='--mcsigma=%s', desc='of the bias correction of myelin maps, mm'
    )
    registration = traits.Enum('MSMSulc', 'FS', argstr='--regname=%s', desc='surface registration')
    inflate_scale = traits.Float(argstr='--inflatescale=%s', desc='of inflated surfaces')
    processing_mode = traits.Enum(
        *_MODES, argstr='--processing-mode=%s', desc='LegacyStyleData: without T2w images'
    )
    structural_qc = traits.Enum('yes', 'no', 'only', argstr='--structural-qc=%s', desc='pictures')
    use_individual_mean = traits.Enum(
        'YES', 'NO', argstr='--use-ind-mean=%s', desc="of the session's own myelin map"
    )
    thickness_regression = traits.Enum(
        'OLD', 'NEW', 'BOTH', argstr='--thickness-regression=%s', desc='of curvature'
    )
    subject_long = Str(
        argstr='--subject-long=%s', label=True, desc='participant, for longitudinal_mode'
    )
    longitudinal_mode = traits.Enum(
        *('NONE', 'TIMEPOINT_STAGE1', 'TIMEPOINT_STAGE2', 'TEMPLATE'),
        argstr='--longitudinal-mode=%s',
        desc='only NONE is supported',
    )
    longitudinal_template = Str(
        argstr='--longitudinal-template=%s', label=True, desc='for longitudinal_mode'
    )
    sessions = traits.List(
        Str, argstr='--sessions=%s', sep='@', label=True, desc='for longitudinal_mode'
    )
    species = Str(argstr='--species=%s', desc='species')
    myelin_volume_fwhm = traits.Float(argstr='--myelin-volume-fwhm=%s', desc='smoothing, mm')
    myelin_surface_fwhm = traits.Float(argstr='--myelin-surface-fwhm=%s', desc='smoothing, mm')
    msmsulc_config = Str(argstr='--msmsulc-conf=%s', desc='options of msm')
    flatmap_root_name = Str(argstr='--flatmap-root-name=%s', label=True, desc='flat map')


class PostFreeSurferOutputSpec(HcpScriptOutputSpec):
    """What PostFreeSurfer makes."""

    t1w_volumes = traits.List(File(), desc='labels and masks in native space')
    t1w_acpc_dc_restore = File(desc='T1w image with the final brain mask')
    t2w_acpc_dc_restore = File(desc='T2w image, registered anew; only with T2w')
    orig_to_t1w = File(desc='warp of the T1w image in one step')
    mni_volumes = traits.List(File(), desc='labels and masks in MNI space')
    bias_field = File(desc='bias field in MNI space')
    rois = traits.List(File(), desc='subcortical structures')
    t1w_surfaces = traits.List(File(), desc='on the low-resolution meshes, native space')
    vertex_areas = traits.List(File(), desc='of the midthickness surfaces')
    native_surfaces = traits.List(File(), desc='on the native mesh, MNI space')
    native_rois = traits.List(File(), desc='cortex on the native mesh')
    registered_spheres = traits.List(File(), desc='surface registration')
    high_res_surfaces = traits.List(File(), desc='on the high-resolution mesh, MNI space')
    surfaces = traits.List(File(), desc='on the low-resolution meshes, MNI space')
    atlas_rois = traits.List(File(), desc='cortex on the low-resolution meshes')
    maps = traits.List(File(), desc='dense maps of curvature, thickness, distortion')
    myelin_maps = traits.List(File(), desc='dense myelin maps; only with T2w')
    parcellations = traits.List(File(), desc='dense labels')
    spec_files = traits.List(File(), desc='lists of files for wb_view')
    structural_qc = File(desc='scene; only with structural_qc')
