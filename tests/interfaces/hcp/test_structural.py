import os
from pathlib import Path

import pytest
from traits.trait_errors import TraitError

from ketbids.errors import KetbidsError, ToolError, UsageError
from ketbids.interfaces.hcp.structural import FreeSurfer, PostFreeSurfer, PreFreeSurfer

_TEMPLATES = {
    't1w_template': 'MNI152_T1_0.8mm.nii.gz',
    't1w_template_brain': 'MNI152_T1_0.8mm_brain.nii.gz',
    't1w_template_2mm': 'MNI152_T1_2mm.nii.gz',
    't2w_template': 'MNI152_T2_0.8mm.nii.gz',
    't2w_template_brain': 'MNI152_T2_0.8mm_brain.nii.gz',
    't2w_template_2mm': 'MNI152_T2_2mm.nii.gz',
    'template_mask': 'MNI152_T1_0.8mm_brain_mask.nii.gz',
    'template_2mm_mask': 'MNI152_T1_2mm_brain_mask_dil.nii.gz',
}
_SESSION = {'study_folder': '/study', 'session': 'sub-01_ses-TP1'}
_ALL = {'hcp_dir': '/hcp', 'record': '/study/r.json', 'log': '/study/r.log'}
_TOP = '/study/sub-01_ses-TP1'


@pytest.fixture
def raw(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).write_bytes(b'x')
        return [str(tmp_path / name) for name in names]

    return make


def _pre(raw, **changes):
    templates = {key: f'/hcp/global/templates/{name}' for key, name in _TEMPLATES.items()}
    given = {
        't1w': raw('T1w.nii.gz'),
        't2w': raw('T2w.nii.gz'),
        'brain_size': 150,
        'fnirt_config': '/hcp/global/config/T1_2_MNI152_2mm.cnf',
        'avgrdc_method': 'NONE',
        **changes,
    }
    given = {key: value for key, value in given.items() if value is not None}
    return PreFreeSurfer(**_ALL, **_SESSION, **templates, **given)


def _topup(raw):
    negative, positive = raw('AP.nii.gz', 'PA.nii.gz')
    return {
        'avgrdc_method': 'TOPUP',
        'spin_echo_negative': negative,
        'spin_echo_positive': positive,
        'spin_echo_spacing': 0.00058,
        'spin_echo_direction': 'y',
        't1w_sample_spacing': 2.1e-06,
        't2w_sample_spacing': 2.1e-06,
        'unwarp_direction': 'z',
        'topup_config': '/hcp/global/config/b02b0.cnf',
    }


def _freesurfer(top=Path('/study'), **changes):
    t1w = top / 'sub-01_ses-TP1' / 'T1w'
    given = {
        'session': 'sub-01_ses-TP1',
        'session_dir': t1w,
        't1w_image': t1w / 'T1w_acpc_dc_restore.nii.gz',
        't1w_brain': t1w / 'T1w_acpc_dc_restore_brain.nii.gz',
        't2w_image': t1w / 'T2w_acpc_dc_restore.nii.gz',
        **changes,
    }
    return FreeSurfer(**_ALL, **{key: value for key, value in given.items() if value is not None})


def _post(**changes):
    templates = '/hcp/global/templates'
    given = {
        't2w_image': f'{_TOP}/T2w/T2w.nii.gz',
        'surface_atlas_dir': f'{templates}/standard_mesh_atlases',
        'grayordinates_resolution': '2',
        'grayordinates_dir': f'{templates}/91282_Greyordinates',
        'high_res_mesh': 164,
        'low_res_meshes': [32],
        'subcortical_gray_labels': '/hcp/global/config/FreeSurferSubcorticalLabelTableLut.txt',
        'freesurfer_labels': '/hcp/global/config/FreeSurferAllLut.txt',
        'reference_myelin_maps': f'{templates}/standard_mesh_atlases/myelin.dscalar.nii',
        **changes,
    }
    given = {key: value for key, value in given.items() if value is not None}
    return PostFreeSurfer(**_ALL, **_SESSION, **given)


def _defined(script):
    outputs = script._list_outputs()
    return {name for name in outputs if name != 'record'}


# PreFreeSurfer


def test_pre_freesurfer_with_spin_echo_field_maps(raw, tmp_path):
    templates = '/hcp/global/templates'
    assert _pre(raw, **_topup(raw)).argv == [
        '/hcp/PreFreeSurfer/PreFreeSurferPipeline.sh',
        '--path=/study',
        '--subject=sub-01_ses-TP1',
        f'--t1={tmp_path}/T1w.nii.gz',
        f'--t2={tmp_path}/T2w.nii.gz',
        f'--t1template={templates}/MNI152_T1_0.8mm.nii.gz',
        f'--t1templatebrain={templates}/MNI152_T1_0.8mm_brain.nii.gz',
        f'--t1template2mm={templates}/MNI152_T1_2mm.nii.gz',
        f'--t2template={templates}/MNI152_T2_0.8mm.nii.gz',
        f'--t2templatebrain={templates}/MNI152_T2_0.8mm_brain.nii.gz',
        f'--t2template2mm={templates}/MNI152_T2_2mm.nii.gz',
        f'--templatemask={templates}/MNI152_T1_0.8mm_brain_mask.nii.gz',
        f'--template2mmmask={templates}/MNI152_T1_2mm_brain_mask_dil.nii.gz',
        '--brainsize=150',
        '--fnirtconfig=/hcp/global/config/T1_2_MNI152_2mm.cnf',
        f'--SEPhaseNeg={tmp_path}/AP.nii.gz',
        f'--SEPhasePos={tmp_path}/PA.nii.gz',
        '--seechospacing=0.00058',
        '--seunwarpdir=y',
        '--t1samplespacing=0.0000021',
        '--t2samplespacing=0.0000021',
        '--unwarpdir=z',
        '--gdcoeffs=NONE',
        '--avgrdcmethod=TOPUP',
        '--topupconfig=/hcp/global/config/b02b0.cnf',
    ]


def test_pre_freesurfer_without_field_map_or_t2w(raw, tmp_path):
    argv = _pre(raw, t2w=None, processing_mode='LegacyStyleData').argv
    assert argv[3:5] == [f'--t1={tmp_path}/T1w.nii.gz', '--t2=NONE']
    assert argv[15:] == [
        '--seechospacing=NONE',
        '--seunwarpdir=NONE',
        '--t1samplespacing=NONE',
        '--t2samplespacing=NONE',
        '--unwarpdir=NONE',
        '--gdcoeffs=NONE',
        '--avgrdcmethod=NONE',
        '--processing-mode=LegacyStyleData',
    ]


def test_all_other_options_of_pre_freesurfer(raw, tmp_path):
    magnitude, phase, coefficients = raw('mag.nii.gz', 'phase.nii.gz', 'coeff.grad')
    first, second = raw('T1w_run-1.nii.gz', 'T1w_run-2.nii.gz')
    argv = _pre(
        raw,
        t1w=[first, second],
        avgrdc_method='SiemensFieldMap',
        magnitude=[magnitude],
        phase=phase,
        echo_difference=2.46,
        t1w_sample_spacing=7.4e-06,
        t2w_sample_spacing=2.1e-06,
        unwarp_direction='z-',
        gradient_coefficients=coefficients,
        bias_field_sigma=5.0,
        custom_brain='NONE',
        use_jacobian=True,
        species='Human',
        run_mode='Default',
        true_patient_position='HFS',
        scanner_patient_position='HFS',
        bet_center=[45, 55, 39],
        bet_radius=75,
        bet_fraction=0.3,
        bet_top_to_center=86,
        brain_extract='INVIVO',
        use_t2w_phase_zero=False,
        bias_field_sigma_no_t2w=20.0,
        bet_bias_field_correction=False,
    ).argv
    assert argv[3] == f'--t1={first}@{second}'
    assert argv[15:] == [
        f'--fmapmag={magnitude}',
        f'--fmapphase={phase}',
        '--echodiff=2.46',
        '--seechospacing=NONE',
        '--seunwarpdir=NONE',
        '--t1samplespacing=0.0000074',
        '--t2samplespacing=0.0000021',
        '--unwarpdir=z-',
        f'--gdcoeffs={coefficients}',
        '--avgrdcmethod=SiemensFieldMap',
        '--bfsigma=5',
        '--custombrain=NONE',
        '--usejacobian=TRUE',
        '--species=Human',
        '--runmode=Default',
        '--truepatientposition=HFS',
        '--scannerpatientposition=HFS',
        '--betcenter=45,55,39',
        '--betradius=75',
        '--betfraction=0.3',
        '--bettop2center=86',
        '--brainextract=INVIVO',
        '--use-t2w-phase-zero=FALSE',
        '--bias-field-sigma-no-T2w=20',
        '--betbiasfieldcor=FALSE',
    ]


@pytest.mark.parametrize(
    'name',
    [
        *('spin_echo_spacing', 'spin_echo_direction', 'topup_config', 'unwarp_direction'),
        *('t1w_sample_spacing', 't2w_sample_spacing'),
    ],
)
def test_what_topup_needs_is_checked_before_it_runs(raw, name):
    with pytest.raises(UsageError, match=rf'correction TOPUP needs {name}\.'):
        _ = _pre(raw, **{**_topup(raw), name: None}).argv


@pytest.mark.parametrize(
    ('method', 'needed'),
    [
        ('TOPUP', 'spin_echo_negative, spin_echo_positive, spin_echo_spacing'),
        ('SiemensFieldMap', 'magnitude, phase, echo_difference, t1w_sample_spacing'),
        ('FIELDMAP', 'magnitude, phase, echo_difference'),
        ('PhilipsFieldMap', 'magnitude, phase, echo_difference'),
        ('GEHealthCareFieldMap', 'magnitude, phase, t1w_sample_spacing'),
        ('GEHealthCareLegacyFieldMap', 'combined_field_map, t1w_sample_spacing'),
    ],
)
def test_each_correction_needs_its_field_map(raw, method, needed):
    with pytest.raises(UsageError, match=f'correction {method} needs {needed}'):
        _ = _pre(raw, avgrdc_method=method).argv


def test_wrong_values_are_refused_by_the_spec(raw):
    for name, value in (
        ('avgrdc_method', 'FOO'),
        ('unwarp_direction', 'NONE'),
        ('spin_echo_direction', 'z'),
        ('processing_mode', 'hcp'),
        ('t1w', []),
        ('t1w', ['/nowhere/T1w.nii.gz']),
    ):
        with pytest.raises(TraitError):
            _pre(raw, **{name: value})


def test_half_a_pair_is_refused(raw):
    negative = raw('AP.nii.gz')[0]
    with pytest.raises(UsageError, match="requires a value for input 'spin_echo_positive'"):
        _ = _pre(raw, spin_echo_negative=negative).argv


def test_no_t2w_needs_the_legacy_mode(raw):
    for script in (_pre(raw, t2w=None), _freesurfer(t2w_image=None), _post(t2w_image=None)):
        with pytest.raises(UsageError, match='there is no T2w image, which only'):
            _ = script.argv


def test_outputs_of_pre_freesurfer(raw):
    outputs = _pre(raw)._list_outputs()
    assert outputs['t1w_acpc_dc_restore'] == f'{_TOP}/T1w/T1w_acpc_dc_restore.nii.gz'
    assert outputs['to_standard'] == f'{_TOP}/MNINonLinear/xfms/acpc_dc2standard.nii.gz'
    assert outputs['t2w'] == f'{_TOP}/T2w/T2w.nii.gz'
    assert outputs['record'] == '/study/r.json'
    without = _defined(_pre(raw, t2w=None))
    assert _defined(_pre(raw)) - without == {
        *('t2w', 't2w_acpc_transform', 't2w_warp', 't2w_acpc_dc', 't2w_acpc_dc_restore'),
        *('t2w_acpc_dc_restore_brain', 'mni_t2w', 'mni_t2w_restore', 'mni_t2w_restore_brain'),
    }
    names = set(PreFreeSurfer.output_spec().copyable_trait_names())
    assert _defined(_pre(raw)) | {'record'} == names


def test_pre_freesurfer_begins_anew_unless_it_is_to_go_on(raw):
    top = Path(_TOP)
    assert _pre(raw).stale() == [top / 'T1w', top / 'T2w', top / 'MNINonLinear']
    assert _pre(raw, custom_brain='NONE', run_mode='Default').stale() != []
    assert _pre(raw, custom_brain='MASK').stale() == []
    assert _pre(raw, run_mode='AtlasRegistration').stale() == []


def test_masks_by_hand_are_kept(raw, tmp_path):
    t1w = tmp_path / 'sub-01_ses-TP1' / 'T1w'
    for name in ('custom_mask.nii.gz', 'T1w_acpc_custom_mask.nii.gz', 'T1w.nii.gz', 'xfms'):
        (t1w / name).mkdir(parents=True)
    script = _pre(raw)
    script.inputs.study_folder = str(tmp_path)
    top = tmp_path / 'sub-01_ses-TP1'
    assert script.stale() == [
        *(t1w / 'T1w.nii.gz', t1w / 'xfms', top / 'T2w', top / 'MNINonLinear'),
    ]


# FreeSurfer


def test_freesurfer():
    t1w = f'{_TOP}/T1w'
    assert _freesurfer().argv == [
        '/hcp/FreeSurfer/FreeSurferPipeline.sh',
        '--subject=sub-01_ses-TP1',
        f'--session-dir={t1w}',
        f'--t1={t1w}/T1w_acpc_dc_restore.nii.gz',
        f'--t1brain={t1w}/T1w_acpc_dc_restore_brain.nii.gz',
        f'--t2={t1w}/T2w_acpc_dc_restore.nii.gz',
    ]


def test_flags_and_repeated_options_of_freesurfer():
    argv = _freesurfer(
        seed=1234,
        flair=True,
        existing_session=True,
        extra_reconall_args=['-norm3diters', '3'],
        no_conf2hires=True,
        processing_mode='LegacyStyleData',
    ).argv
    assert argv[6:] == [
        '--seed=1234',
        '--flair',
        '--existing-subject',
        '--extra-reconall-arg=-norm3diters',
        '--extra-reconall-arg=3',
        '--no-conf2hires',
        '--processing-mode=LegacyStyleData',
    ]
    assert _freesurfer(flair=False, no_conf2hires=False).argv == _freesurfer().argv


def _release(top, script, *flags):
    path = top / script.split('/')[0] / script.split('/')[1]
    path.parent.mkdir()
    path.write_text(''.join(f"opts_AddMandatory '{flag}' 'X'\n" for flag in flags))
    return str(top)


def test_releases_spell_the_folder_in_different_ways(tmp_path):
    script = _freesurfer()
    common = ('--subject', '--t1', '--t1brain', '--t2')
    (tmp_path / 'old').mkdir()
    script.inputs.hcp_dir = _release(tmp_path / 'old', script._script, '--subjectDIR', *common)
    assert script.argv[2] == f'--subjectDIR={_TOP}/T1w'
    mark = script.mark()
    (tmp_path / 'new').mkdir()
    script.inputs.hcp_dir = _release(tmp_path / 'new', script._script, '--session-dir', *common)
    assert script.argv[2] == f'--session-dir={_TOP}/T1w'
    # Another version is no reason to do it again.
    assert script.mark() == mark


def test_options_that_a_release_does_not_know_are_refused(tmp_path):
    script = _post(thickness_regression='OLD')
    known = [token.partition('=')[0] for token in _post().argv[1:]]
    script.inputs.hcp_dir = _release(tmp_path, script._script, *known)
    with pytest.raises(ToolError, match=r'do not know --thickness-regression \(thickness regress'):
        _ = script.argv


@pytest.mark.parametrize('value', [None, 'NONE'])
@pytest.mark.parametrize('name', ['t1w_image', 't1w_brain'])
def test_freesurfer_needs_image_and_brain(name, value):
    with pytest.raises(UsageError, match=name):
        _ = _freesurfer(**{name: value}).argv


def test_freesurfer_works_in_the_folder_of_the_session():
    with pytest.raises(UsageError, match='session_dir must be the T1w folder of the session'):
        _ = _freesurfer(session_dir='/study/sub-02_ses-TP1/T1w').argv


def test_an_existing_session_needs_to_know_what_to_do():
    with pytest.raises(UsageError, match="requires a value for input 'extra_reconall_args'"):
        _ = _freesurfer(existing_session=True).argv


def test_outputs_of_freesurfer():
    outputs = _freesurfer()._list_outputs()
    top = f'{_TOP}/T1w/sub-01_ses-TP1'
    assert outputs['freesurfer_dir'] == top
    assert outputs['wmparc'] == f'{top}/mri/wmparc.mgz'
    assert outputs['t2w_to_t1w'] == f'{top}/mri/transforms/T2wtoT1w.mat'
    assert f'{top}/surf/rh.white.deformed' in outputs['surfaces']
    without = _defined(_freesurfer(t2w_image=None))
    assert _defined(_freesurfer()) - without == {'t2w_hires', 't1w_mul_t2w_hires', 't2w_to_t1w'}
    names = set(FreeSurfer.output_spec().copyable_trait_names())
    assert _defined(_freesurfer()) | {'record'} == names


def test_freesurfer_removes_its_folder_unless_it_is_to_go_on():
    t1w = Path(_TOP) / 'T1w'
    thresholded = t1w / 'T1w_acpc_dc_restore_zero_threshold.nii.gz'
    assert _freesurfer().stale() == [t1w / 'sub-01_ses-TP1', thresholded]
    assert _freesurfer(existing_session=True, extra_reconall_args=['-all']).stale() == []


@pytest.fixture
def freesurfer(tmp_path):
    home = tmp_path / 'freesurfer'
    for name in ('fsaverage', 'lh.EC_average', 'rh.EC_average'):
        (home / 'subjects' / name).mkdir(parents=True)
    t1w = tmp_path / 'study' / 'sub-01_ses-TP1' / 'T1w'
    (t1w / 'xfms').mkdir(parents=True)
    return _freesurfer(tmp_path / 'study'), t1w, home


def test_average_subjects_are_linked(freesurfer):
    script, t1w, home = freesurfer
    (t1w / 'fsaverage').symlink_to('/an/earlier/freesurfer/fsaverage')
    (t1w / 'lh.EC_average').mkdir()
    script._prepare({'FREESURFER_HOME': str(home)})
    assert os.readlink(t1w / 'fsaverage') == str(home / 'subjects' / 'fsaverage')
    assert not (t1w / 'lh.EC_average').is_symlink()
    assert os.readlink(t1w / 'rh.EC_average') == str(home / 'subjects' / 'rh.EC_average')
    script._prepare({'FREESURFER_HOME': str(home)})
    (home / 'subjects' / 'rh.EC_average').rmdir()
    with pytest.raises(ToolError, match=r'rh\.EC_average is missing: FREESURFER_HOME must name'):
        script._prepare({'FREESURFER_HOME': str(home)})


def test_freesurfer_cannot_begin_after_post_freesurfer(freesurfer, monkeypatch):
    script, t1w, _ = freesurfer
    assert not script.needs_fresh_start()
    (t1w / 'xfms' / 'OrigT1w2T1w.nii.gz').touch()
    assert script.needs_fresh_start()
    monkeypatch.setattr('ketbids.interfaces.hcp.script.check_script', lambda *_, **__: None)
    monkeypatch.setattr(FreeSurfer, 'needed', lambda _: [])
    variables = dict.fromkeys(FreeSurfer._variables, '/x')
    with pytest.raises(KetbidsError, match='PreFreeSurfer must be done again before'):
        script._check_before(variables)
    script.inputs.trait_set(existing_session=True, extra_reconall_args=['-all'])
    assert not script.needs_fresh_start()


# PostFreeSurfer


def test_post_freesurfer():
    templates = '/hcp/global/templates'
    assert _post().argv == [
        '/hcp/PostFreeSurfer/PostFreeSurferPipeline.sh',
        '--path=/study',
        '--subject=sub-01_ses-TP1',
        f'--surfatlasdir={templates}/standard_mesh_atlases',
        '--grayordinatesres=2',
        f'--grayordinatesdir={templates}/91282_Greyordinates',
        '--hiresmesh=164',
        '--lowresmesh=32',
        '--subcortgraylabels=/hcp/global/config/FreeSurferSubcorticalLabelTableLut.txt',
        '--freesurferlabels=/hcp/global/config/FreeSurferAllLut.txt',
        f'--refmyelinmaps={templates}/standard_mesh_atlases/myelin.dscalar.nii',
    ]


def test_all_other_options_of_post_freesurfer():
    argv = _post(
        low_res_meshes=[32, 59],
        myelin_correction_sigma=14.5,
        registration='MSMSulc',
        inflate_scale=1.0,
        processing_mode='HCPStyleData',
        structural_qc='no',
        use_individual_mean='YES',
        thickness_regression='OLD',
        subject_long='sub-01',
        longitudinal_mode='NONE',
        longitudinal_template='base',
        sessions=['a', 'b'],
        species='Human',
        myelin_volume_fwhm=5.0,
        myelin_surface_fwhm=4.0,
        msmsulc_config='MSMSulcStrainFinalconf',
        flatmap_root_name='colin.cerebral',
    ).argv
    assert argv[7] == '--lowresmesh=32@59'
    assert argv[11:] == [
        '--mcsigma=14.5',
        '--regname=MSMSulc',
        '--inflatescale=1',
        '--processing-mode=HCPStyleData',
        '--structural-qc=no',
        '--use-ind-mean=YES',
        '--thickness-regression=OLD',
        '--subject-long=sub-01',
        '--longitudinal-mode=NONE',
        '--longitudinal-template=base',
        '--sessions=a@b',
        '--species=Human',
        '--myelin-volume-fwhm=5',
        '--myelin-surface-fwhm=4',
        '--msmsulc-conf=MSMSulcStrainFinalconf',
        '--flatmap-root-name=colin.cerebral',
    ]


def test_longitudinal_pipelines_are_refused():
    with pytest.raises(UsageError, match='longitudinal pipelines of HCP are not supported yet'):
        _ = _post(longitudinal_mode='TEMPLATE').argv


def test_outputs_of_post_freesurfer():
    outputs = _post()._list_outputs()
    atlas = f'{_TOP}/MNINonLinear'
    name = 'sub-01_ses-TP1'
    assert outputs['atlas_rois'] == [
        f'{atlas}/fsaverage_LR32k/{name}.{h}.atlasroi.32k_fs_LR.shape.gii' for h in 'LR'
    ]
    assert outputs['registered_spheres'] == [
        f'{atlas}/Native/{name}.{h}.sphere.MSMSulc.native.surf.gii' for h in 'LR'
    ]
    assert outputs['vertex_areas'] == [
        f'{_TOP}/T1w/fsaverage_LR32k/{name}.midthickness_va{n}.32k_fs_LR.dscalar.nii'
        for n in ('', '_norm')
    ]
    assert f'{atlas}/fsaverage_LR32k/{name}.aparc.32k_fs_LR.dlabel.nii' in outputs['parcellations']
    myelin = f'{atlas}/fsaverage_LR32k/{name}.MyelinMap_BC.32k_fs_LR.dscalar.nii'
    assert myelin in outputs['myelin_maps']
    assert f'{atlas}/ROIs/Atlas_ROIs.2.nii.gz' in outputs['rois']
    assert outputs['structural_qc'].endswith(f'StructuralQC/{name}.structuralQC.wb_scene')
    without = _post(t2w_image=None)
    assert _defined(_post()) - _defined(without) == {'t2w_acpc_dc_restore', 'myelin_maps'}
    assert not any('T2w' in str(path) for path in without.expected())
    assert 'structural_qc' not in _defined(_post(structural_qc='no'))
    names = set(PostFreeSurfer.output_spec().copyable_trait_names())
    assert _defined(_post()) | {'record'} == names


def test_the_registration_of_freesurfer_has_other_files():
    outputs = _post(registration='FS')._list_outputs()
    assert outputs['registered_spheres'][0].endswith('.L.sphere.reg.reg_LR.native.surf.gii')
    assert not any('MSMSulc' in path for path in outputs['maps'])


def test_post_freesurfer_keeps_the_images_that_it_starts_from():
    script = _post()
    kept = {
        Path(_TOP) / 'T1w' / name
        for name in ('T1w.nii.gz', 'T1w_acpc_dc_restore.nii.gz', 'xfms', 'sub-01_ses-TP1')
    } | {Path(_TOP) / 'MNINonLinear' / name for name in ('xfms', 'T1w_restore.nii.gz', 'Results')}
    assert not kept & set(script.stale())
    assert Path(_TOP) / 'MNINonLinear' / 'Native' in script.stale()
    assert Path(_TOP) / 'MNINonLinear' / 'fsaverage_LR32k' in script.stale()
    assert _post(structural_qc='only').stale() == [Path(_TOP) / 'MNINonLinear' / 'StructuralQC']
    assert not set(script.needed()) & set(script.stale())


def test_post_freesurfer_looks_for_what_earlier_stages_made():
    needed = _post().needed()
    assert Path(f'{_TOP}/T2w/T2w.nii.gz') in needed
    assert Path(f'{_TOP}/T1w/sub-01_ses-TP1/surf/lh.white') in needed
    assert Path('/hcp/global/config/FreeSurferAllLut.txt') in needed
    assert Path(f'{_TOP}/MNINonLinear/xfms/acpc_dc2standard.nii.gz') in needed
