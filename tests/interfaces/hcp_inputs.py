"""Inputs of the interfaces to scripts of the HCP pipelines: realistic ones, and all of them."""

REALISTIC, LARGEST = 'realistic', 'largest'

RUNS = ['task-carit_dir-PA_run-1', 'task-carit_dir-AP_run-2']
SESSION = 'sub-01_ses-TP1'


def touched(path):
    """Make a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return str(path)


def scripts_inputs(folder, hcp_dir):
    """Give inputs by kind (`REALISTIC`, `LARGEST`) and class; several dictionaries for each.

    Parameters
    ----------
    folder : Path
        For raw data; the study folder is in it.
    hcp_dir : Path
        The HCP pipelines, whose files are named only.
    """
    raw, study = folder / 'raw', folder / 'study'
    names = ('T1w', 'T2w', 'AP', 'PA', 'AP2', 'PA2', 'zero', 'zeromask', 'bold', 'sbref')
    names = (*names, 'magnitude', 'phase', 'combined', 'hz', 'b0', 'world')
    image = {name: touched(raw / f'{name}.nii.gz') for name in names}
    templates, config = hcp_dir / 'global' / 'templates', hcp_dir / 'global' / 'config'
    common = {
        'record': str(study / 'stages' / 'x.json'),
        'log': str(study / 'stages' / 'x.log'),
        'session': SESSION,
    }
    given = {**common, 'study_folder': str(study)}
    images = {'image': image, 'gradients': touched(raw / 'coeff.grad'), 'config': config}
    realistic, largest = {}, {}
    for kinds in (
        _structural(given, common, study, templates, images),
        _functional(given, images),
        _fix(given, folder, hcp_dir),
        _msmall(given, templates),
    ):
        for name, (usual, most) in kinds.items():
            realistic[name], largest[name] = usual, most
    return {REALISTIC: realistic, LARGEST: largest}


def named_inputs(folder):
    """Give the inputs of `scripts_inputs` with a folder of the HCP pipelines, ``folder/hcp``."""
    hcp_dir = folder / 'hcp'
    return {
        which: {
            name: [{**one, 'hcp_dir': str(hcp_dir)} for one in several]
            for name, several in kinds.items()
        }
        for which, kinds in scripts_inputs(folder, hcp_dir).items()
    }


def _structural(given, common, study, templates, images):
    image, config = images['image'], images['config']
    pre = {
        **given,
        't1w': [image['T1w']],
        't2w': [image['T2w']],
        't1w_template': str(templates / 'MNI152_T1_0.8mm.nii.gz'),
        't1w_template_brain': str(templates / 'MNI152_T1_0.8mm_brain.nii.gz'),
        't1w_template_2mm': str(templates / 'MNI152_T1_2mm.nii.gz'),
        't2w_template': str(templates / 'MNI152_T2_0.8mm.nii.gz'),
        't2w_template_brain': str(templates / 'MNI152_T2_0.8mm_brain.nii.gz'),
        't2w_template_2mm': str(templates / 'MNI152_T2_2mm.nii.gz'),
        'template_mask': str(templates / 'MNI152_T1_0.8mm_brain_mask.nii.gz'),
        'template_2mm_mask': str(templates / 'MNI152_T1_2mm_brain_mask_dil.nii.gz'),
        'brain_size': 150,
        'fnirt_config': str(config / 'T1_2_MNI152_2mm.cnf'),
        'spin_echo_negative': image['AP'],
        'spin_echo_positive': image['PA'],
        'spin_echo_spacing': 0.00058,
        'spin_echo_direction': 'y',
        't1w_sample_spacing': 0.0000074,
        't2w_sample_spacing': 0.0000021,
        'unwarp_direction': 'z',
        'avgrdc_method': 'TOPUP',
        'topup_config': str(config / 'b02b0.cnf'),
    }
    bare = {
        **given,
        **{name: pre[name] for name in pre if 'template' in name},
        't1w': [image['T1w'], image['T1w']],
        'brain_size': 150,
        'fnirt_config': pre['fnirt_config'],
        'avgrdc_method': 'NONE',
        'processing_mode': 'LegacyStyleData',
    }
    most = {
        **pre,
        't1w': [image['T1w'], image['T1w']],
        'spin_echo_negative_2': image['AP2'],
        'spin_echo_positive_2': image['PA2'],
        'gradient_coefficients': images['gradients'],
        'bias_field_sigma': 5.0,
        'custom_brain': 'NONE',
        'processing_mode': 'HCPStyleData',
        'use_jacobian': True,
        'species': 'Human',
        'run_mode': 'Default',
        'true_patient_position': 'HFS',
        'scanner_patient_position': 'HFS',
        'bet_center': [45, 55, 39],
        'bet_radius': 75,
        'bet_fraction': 0.3,
        'bet_top_to_center': 86,
        'brain_extract': 'INVIVO',
        'use_t2w_phase_zero': False,
        'bias_field_sigma_no_t2w': 20.0,
        'bet_bias_field_correction': False,
    }
    field = {
        **bare,
        't2w': [image['T2w']],
        'magnitude': [image['magnitude']],
        'phase': image['phase'],
        'echo_difference': 2.46,
        't1w_sample_spacing': 0.0000074,
        't2w_sample_spacing': 0.0000021,
        'unwarp_direction': 'z-',
        'avgrdc_method': 'SiemensFieldMap',
    }
    combined = {name: value for name, value in field.items() if name not in ('magnitude', 'phase')}
    combined |= {
        'combined_field_map': image['combined'],
        'avgrdc_method': 'GEHealthCareLegacyFieldMap',
    }
    t1w = study / SESSION / 'T1w'
    free = {
        **common,
        'session_dir': str(t1w),
        't1w_image': str(t1w / 'T1w_acpc_dc_restore.nii.gz'),
        't1w_brain': str(t1w / 'T1w_acpc_dc_restore_brain.nii.gz'),
        't2w_image': str(t1w / 'T2w_acpc_dc_restore.nii.gz'),
    }
    most_free = {
        **free,
        'seed': 1234,
        'flair': True,
        'existing_session': True,
        'extra_reconall_args': ['-3T', '-openmp', '2'],
        'no_conf2hires': True,
        'processing_mode': 'LegacyStyleData',
    }
    meshes = templates / 'standard_mesh_atlases'
    post = {
        **given,
        'surface_atlas_dir': str(meshes),
        'grayordinates_resolution': '2',
        'grayordinates_dir': str(templates / '91282_Greyordinates'),
        'high_res_mesh': 164,
        'low_res_meshes': [32],
        'subcortical_gray_labels': str(config / 'FreeSurferSubcorticalLabelTableLut.txt'),
        'freesurfer_labels': str(config / 'FreeSurferAllLut.txt'),
        'reference_myelin_maps': str(meshes / 'Conte69.MyelinMap_BC.164k_fs_LR.dscalar.nii'),
        'registration': 'MSMSulc',
        't2w_image': str(study / SESSION / 'T2w' / 'T2w.nii.gz'),
    }
    most_post = {
        **post,
        'low_res_meshes': [32, 59],
        'myelin_correction_sigma': 14.142135623730951,
        'inflate_scale': 1.0,
        'processing_mode': 'HCPStyleData',
        'structural_qc': 'yes',
        'use_individual_mean': 'YES',
        'thickness_regression': 'BOTH',
        'subject_long': 'sub-01',
        'longitudinal_mode': 'NONE',
        'longitudinal_template': 'template',
        'sessions': ['TP1', 'TP2'],
        'species': 'Human',
        'myelin_volume_fwhm': 5.0,
        'myelin_surface_fwhm': 4.0,
        'msmsulc_config': 'MSMSulcStrainFinalconf',
        'flatmap_root_name': 'colin.cerebral',
    }
    return {
        'PreFreeSurfer': ([pre, bare], [most, field, combined]),
        'FreeSurfer': ([free], [most_free]),
        'PostFreeSurfer': ([post], [most_post]),
    }


def _functional(given, images):
    image = images['image']
    volume = {
        **given,
        'fmri_series': image['bold'],
        'fmri_name': RUNS[0],
        'resolution': 2,
        'bias_correction': 'SEBASED',
        'reference_image': image['sbref'],
        'motion_correction': 'MCFLIRT',
        'distortion_correction': 'TOPUP',
        'echo_spacing': 0.00058,
        'unwarp_direction': 'y-',
        'spin_echo_negative': image['AP'],
        'spin_echo_positive': image['PA'],
        'topup_config': str(images['config'] / 'b02b0.cnf'),
        'dof': 6,
    }
    bare = {
        **given,
        'fmri_series': image['bold'],
        'fmri_name': RUNS[0],
        'resolution': 2.0,
        'bias_correction': 'NONE',
        'distortion_correction': 'NONE',
        'processing_mode': 'LegacyStyleData',
    }
    most = {
        **volume,
        'gradient_coefficients': images['gradients'],
        'spin_echo_negative_2': image['AP2'],
        'spin_echo_positive_2': image['PA2'],
        'spin_echo_zero': image['zero'],
        'spin_echo_zero_brain_mask': image['zeromask'],
        'spin_echo_spacing': 0.000065,
        'spin_echo_direction': 'j',
        'use_jacobian': True,
        'processing_mode': 'LegacyStyleData',
        'wb_resample': True,
        'echo_times': [14.2, 38.93, 63.66],
        'matlab_run_mode': 1,
        'bbr_contrast': 'T2w',
        'wm_projection': 2.0,
        'run_mode': 'Default',
        'initial_world_matrix': image['world'],
        'true_patient_position': 'HFS',
        'scanner_patient_position': 'HFS',
        'species': 'Human',
        'brain_scale_factor': 1.0,
        'preregister_tool': 'epi_reg',
        'slice_timing': False,
        'slice_timing_parameters': ['--odd', '--down'],
        'fmri_mask': 'T1_DILATED_fMRI_FOV',
        'is_longitudinal': False,
        'longitudinal_session': 'sub-01_ses-TP1.long.template',
    }
    field = {
        **{name: value for name, value in bare.items() if name != 'reference_image'},
        'distortion_correction': 'SiemensFieldMap',
        'echo_spacing': 0.00058,
        'unwarp_direction': '-y',
        'magnitude': [image['magnitude'], image['magnitude']],
        'phase': image['phase'],
        'echo_difference': 2.46,
        'combined_field_map': image['combined'],
        'precomputed_field_map': image['hz'],
        'precomputed_magnitude': image['b0'],
        'fmri_reference': RUNS[1],
        'fmri_reference_registration': 'nonlinear',
    }
    surface = {
        **given,
        'fmri_name': RUNS[0],
        'low_res_mesh': 32,
        'resolution': 2,
        'smoothing': 2,
        'grayordinates_resolution': 2,
        'registration_name': 'MSMSulc',
    }
    most_surface = {
        **surface,
        'resolution': 1.6,
        'quality_control': 'NO',
        'good_voxels': 'NO',
        'species': 'Human',
    }
    return {
        'FMRIVolume': ([volume, bare], [most, field]),
        'FMRISurface': ([surface], [most_surface]),
    }


def _fix(given, folder, hcp_dir):
    scenes = hcp_dir / 'ICAFIX' / 'PostFixScenes'
    model = touched(folder / 'Own.pyfix_model')
    single = {
        **given,
        'fmri_name': RUNS[0],
        'high_pass': '2000',
        'motion_regression': False,
        'training_file': 'HCP_hp2000',
        'fix_threshold': 10,
    }
    fewest = {**given, 'fmri_name': RUNS[0], 'high_pass': '-1'}
    joined = {
        **given,
        'fmri_names': RUNS,
        'high_pass': '0',
        'concat_fmri_name': 'ICAFIX_ALL',
        'motion_regression': False,
        'enable_legacy_fix': False,
        'training_file': 'HCP_Style_Single_Multirun_Dedrift',
        'fix_threshold': 10,
        'matlab_run_mode': 2,
    }
    most_joined = {
        **joined,
        'high_pass': 'pd2',
        'training_file': model,
        'template_brain': str(hcp_dir / 'global' / 'templates' / 'MNI152_T1_0.8mm_brain.nii.gz'),
        'delete_intermediates': True,
        'fallback_threshold': 0.5,
        'volume_wisharts': 3,
        'dense_wisharts': 2,
        'ica_dimension_mode': 'fewtimepoints',
        'processing_mode': 'LegacyStyleData',
        'concatenate_only': False,
        'ica_method': 'ICASSO',
        'parallel_limit': 4,
        'matlab_run_mode': 0,
        'reuse_existing_ica': True,
        'fix_backup': 'earlier',
    }
    older = {**joined, 'enable_legacy_fix': True}
    # The older FIX and its file can be had in all releases.
    most_older = {**most_joined, 'enable_legacy_fix': True, 'training_file': 'HCP_hp2000'}
    after = {**given, 'fmri_name': 'ICAFIX_ALL', 'high_pass': '0'}
    post = {
        **after,
        'dual_screen_template': str(scenes / 'ICA_Classification_DualScreenTemplate.scene'),
        'single_screen_template': str(scenes / 'ICA_Classification_SingleScreenTemplate.scene'),
        'reuse_high_pass': 'YES',
        'matlab_run_mode': 1,
    }
    ica = folder / 'study' / SESSION / 'ica'
    labels = {
        'signal_file': str(ica / 'ReclassifyAsSignal.txt'),
        'noise_file': str(ica / 'ReclassifyAsNoise.txt'),
    }
    again = {
        **given,
        'fmri_name': RUNS[0],
        'high_pass': '2000',
        'registration_name': 'NONE',
        'low_res_mesh': 32,
        'matlab_run_mode': 1,
        'motion_regression': False,
    }
    again_joined = {
        **given,
        'fmri_names': RUNS,
        'concat_fmri_name': 'ICAFIX_ALL',
        'high_pass': '0',
        'registration_name': 'NONE',
        'low_res_mesh': 32,
        'motion_regression': False,
        'matlab_run_mode': 0,
    }
    most_again = {'delete_intermediates': True, 'clean_substring': 'clean_rclean'}
    return {
        'IcaFix': ([single, fewest], [{**single, 'delete_intermediates': True}]),
        'IcaFixMultiRun': ([joined, older], [most_joined, most_older]),
        'PostFix': ([post], [{**post, 'reuse_high_pass': 'NO', 'high_pass': '2000'}]),
        'ApplyHandReClassifications': ([{**after, **labels}], [
            {**after, **labels, 'matlab_run_mode': 2}
        ]),
        'ReApplyFix': ([again], [{**again, **most_again, 'registration_name': 'MSMAll'}]),
        'ReApplyFixMultiRun': ([again_joined], [{
            **again_joined,
            **most_again,
            'high_pass': 'pd1',
            'volume_wisharts': 2,
            'dense_wisharts': 3,
            'ica_dimension_mode': 'default',
            'processing_mode': 'HCPStyleData',
            'is_longitudinal': False,
            'longitudinal_session': 'sub-01_ses-TP1.long.template',
        }]),
    }  # fmt: skip


def _msmall(given, templates):
    target = 'Q1-Q6_RelatedParcellation210.MyelinMap_BC_MSMAll_2_d41_WRN_DeDrift'
    folder = templates / 'MSMAll'
    aligned = {
        **given,
        'fmri_names_list': [],
        'multirun_fix_names': RUNS,
        'multirun_fix_concat_name': 'ICAFIX_ALL',
        'multirun_fix_names_to_use': RUNS,
        'output_fmri_name': 'MSMALL_RUNS',
        'high_pass': '0',
        'processing_string': '_Atlas_hp0_clean',
        'templates_dir': str(folder),
        'myelin_target': str(folder / f'{target}.32k_fs_LR.dscalar.nii'),
        'output_registration': 'MSMAll_InitialReg',
        'high_res_mesh': 164,
        'low_res_mesh': 32,
        'input_registration': 'MSMSulc',
        'matlab_run_mode': 1,
    }
    alone = {
        **aligned,
        'fmri_names_list': RUNS,
        'multirun_fix_names': [],
        'multirun_fix_concat_name': '',
        'multirun_fix_names_to_use': [],
        'high_pass': '2000',
        'processing_string': '_Atlas_hp2000_clean',
    }
    most = {
        **aligned,
        'multirun_fix_names_to_use': RUNS[:1],
        'module_name': 'MSMAll.sh',
        'iteration_modes': 'CA_CAT',
        'method': 'WRN',
        'use_migp': 'NO',
        'ica_dimension': 40,
        'low_ica_dimensions': [7, 8, 9],
        'variance_normalization': 'NO',
        'rerun': 'YES',
        'registration_config': 'MSMAllStrainFinalconf1to1_1to3',
        'registration_overrides': 'REGNUMBER=1,REGPOWER=3',
        'rsn_template': 'rfMRI_dREPLACEDIM/melodic_oIC.dscalar.nii',
        'rsn_weights': 'rfMRI_dREPLACEDIM/Weights.txt',
        'topography_roi': 'ROIs.32k_fs_LR.dscalar.nii',
        'topography_target': 'Topography.32k_fs_LR.dscalar.nii',
        'use_individual_mean': 'YES',
        'start_frame': 1,
        'end_frame': 300,
        'is_longitudinal': False,
        'longitudinal_subject': 'sub-01',
        'longitudinal_sessions': ['TP1', 'TP2'],
        'longitudinal_template': 'template',
        'run_list_file': 'fmri_list.txt',
    }
    resampled = {
        **given,
        'high_res_mesh': 164,
        'low_res_meshes': [32],
        'registration_name': 'MSMAll_InitialReg_2_d40_WRN',
        'dedrift_spheres': [
            str(folder / f'DeDriftingGroup.{side}.sphere.DeDriftMSMAll.164k_fs_LR.surf.gii')
            for side in 'LR'
        ],
        'output_registration': 'MSMAll',
        'maps': ['sulc', 'curvature', 'corrThickness', 'thickness'],
        'myelin_maps': ['MyelinMap', 'SmoothedMyelinMap'],
        'multirun_fix_names': [RUNS],
        'multirun_fix_concat_names': ['ICAFIX_ALL'],
        'smoothing': 2,
        'high_pass': '0',
        'motion_regression': False,
        'myelin_target': aligned['myelin_target'],
        'matlab_run_mode': 1,
    }
    one_by_one = {
        name: value for name, value in resampled.items() if not name.startswith('multirun')
    }
    most_resampled = {
        **resampled,
        'low_res_meshes': [32, 59],
        'multirun_fix_names': [RUNS, ['task-rest_run-1', 'task-rest_run-2']],
        'multirun_fix_concat_names': ['ICAFIX_ALL', 'ICAFIX_REST'],
        'multirun_fix_extract_names': [RUNS[:1], ['NONE']],
        'multirun_fix_extract_concat_names': ['EXTRACTED', 'NONE'],
        'multirun_fix_extract_registrations': ['MSMSulc'],
        'multirun_fix_extract_volume': True,
        'fix_names': ['task-motor_run-1'],
        'dont_fix_names': ['task-motor_run-2'],
        'input_registration': '_1.6mm',
        'use_individual_mean': 'NO',
    }
    return {
        'MSMAll': ([aligned, alone], [most]),
        'DeDriftAndResample': (
            [resampled, {**one_by_one, 'fix_names': RUNS, 'high_pass': '2000'}],
            [most_resampled],
        ),
    }
