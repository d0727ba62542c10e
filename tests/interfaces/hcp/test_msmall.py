from pathlib import Path

import nibabel as nb
import numpy as np
import pytest

from ketbids.errors import UsageError
from ketbids.interfaces.hcp.msmall import DeDriftAndResample, MSMAll
from ketbids.io.stages import broken
from tests.interfaces.hcp_inputs import LARGEST, REALISTIC, RUNS, named_inputs

SESSION = 'sub-01_ses-TP1'


@pytest.fixture
def inputs(tmp_path):
    return named_inputs(tmp_path)


@pytest.fixture
def atlas(tmp_path):
    return tmp_path / 'study' / SESSION / 'MNINonLinear'


def test_runs_that_were_cleaned_together(inputs, atlas):
    aligned = MSMAll(**inputs[REALISTIC]['MSMAll'][0])
    assert aligned.argv[3:10] == [
        '--fmri-names-list=',
        f'--multirun-fix-names={RUNS[0]}@{RUNS[1]}',
        '--multirun-fix-concat-name=ICAFIX_ALL',
        f'--multirun-fix-names-to-use={RUNS[0]}@{RUNS[1]}',
        '--output-fmri-name=MSMALL_RUNS',
        '--high-pass=0',
        '--fmri-proc-string=_Atlas_hp0_clean',
    ]
    assert aligned.registration == 'MSMAll_InitialReg_2_d40_WRN'
    outputs = aligned._list_outputs()
    assert outputs['spheres'] == [
        f'{atlas}/Native/{SESSION}.{side}.sphere.MSMAll_InitialReg_2_d40_WRN.native.surf.gii'
        for side in 'LR'
    ]
    joined = atlas / 'Results' / 'ICAFIX_ALL' / 'ICAFIX_ALL_Atlas_hp0_clean'
    needed = [str(path) for path in aligned.needed()]
    assert {f'{joined}.dtseries.nii', f'{joined}_vn.dscalar.nii'} <= set(needed)
    assert atlas / 'Results' / 'MSMALL_RUNS' in aligned.stale()
    assert atlas / 'Results' / 'ICAFIX_ALL' not in aligned.stale()
    # The script takes it for that of the myelin map that is there now.
    bias = f'{SESSION}.BiasField_MSMSulc.32k_fs_LR.dscalar.nii'
    assert atlas / 'fsaverage_LR32k' / bias in aligned.stale()


def test_runs_that_were_cleaned_one_by_one(inputs, atlas):
    aligned = MSMAll(**inputs[REALISTIC]['MSMAll'][1])
    assert aligned.argv[3:6] == [
        f'--fmri-names-list={RUNS[0]}@{RUNS[1]}',
        '--multirun-fix-names=',
        '--multirun-fix-concat-name=',
    ]
    noise = f'{RUNS[1]}_Atlas_hp2000_clean_vn.dscalar.nii'
    assert atlas / 'Results' / RUNS[1] / noise in aligned.needed()


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'fmri_names_list': RUNS}, 'either --multirun-fix-names or --fmri-names-list'),
        ({'multirun_fix_names': []}, 'either --multirun-fix-names or --fmri-names-list'),
        ({'multirun_fix_concat_name': ''}, 'needs --multirun-fix-concat-name'),
        ({'multirun_fix_names_to_use': ['other']}, 'other must stand in --multirun-fix-names'),
        ({'multirun_fix_names': [RUNS[0], *RUNS]}, 'stands twice'),
        ({'output_fmri_name': 'ICAFIX_ALL'}, 'cannot be called ICAFIX_ALL'),
        ({'iteration_modes': 'CB'}, 'made of C, A and T'),
        ({'start_frame': 5, 'end_frame': 4}, '--end-frame comes before --start-frame'),
        ({'high_pass': 'pd9'}, 'neither a number of seconds nor pd0 to pd5'),
    ],
)
def test_what_cannot_be_aligned(inputs, given, message):
    with pytest.raises(UsageError, match=message):
        _ = MSMAll(**{**inputs[REALISTIC]['MSMAll'][0], **given}).argv


def test_names_of_registrations(inputs):
    given = {**inputs[LARGEST]['MSMAll'][0], 'iteration_modes': 'CA', 'ica_dimension': 20}
    assert MSMAll(**given, environ={}).registration == 'MSMAll_InitialReg_1_d20_WRN'


def test_resampling(inputs, atlas, tmp_path):
    resampled = DeDriftAndResample(**inputs[REALISTIC]['DeDriftAndResample'][0])
    templates = tmp_path / 'hcp' / 'global' / 'templates' / 'MSMAll'
    start = f'{templates}/DeDriftingGroup'
    end = 'sphere.DeDriftMSMAll.164k_fs_LR.surf.gii'
    argv = resampled.argv
    assert f'--dedrift-reg-files={start}.L.{end}@{start}.R.{end}' in argv
    assert f'--multirun-fix-names={RUNS[0]}@{RUNS[1]}' in argv
    assert '--maps=sulc@curvature@corrThickness@thickness' in argv
    assert '--motion-regression=FALSE' in argv
    outputs = resampled._list_outputs()
    assert outputs['dense_cleaned'] == [
        str(atlas / 'Results' / run / f'{run}_Atlas_MSMAll_hp0_clean.dtseries.nii') for run in RUNS
    ]
    surface = f'{SESSION}.L.midthickness_MSMAll.32k_fs_LR.surf.gii'
    assert str(atlas / 'fsaverage_LR32k' / surface) in outputs['surfaces']
    area = f'{SESSION}.midthickness_MSMAll_va.32k_fs_LR.dscalar.nii'
    assert str(atlas.parent / 'T1w' / 'fsaverage_LR32k' / area) in outputs['vertex_areas']
    myelin = f'{SESSION}.MyelinMap_BC_MSMAll.32k_fs_LR.dscalar.nii'
    assert str(atlas / 'fsaverage_LR32k' / myelin) in outputs['maps']
    sphere = f'{SESSION}.R.sphere.MSMAll_InitialReg_2_d40_WRN.native.surf.gii'
    assert atlas / 'Native' / sphere in resampled.needed()
    assert atlas / 'Native' / sphere not in resampled.stale()


def test_myelin_maps_without_bias_correction_may_be_missing(inputs, atlas):
    resampled = DeDriftAndResample(**inputs[REALISTIC]['DeDriftAndResample'][0])
    plain = [
        atlas / 'fsaverage_LR32k' / f'{SESSION}.{name}_MSMAll.32k_fs_LR.dscalar.nii'
        for name in ('MyelinMap', 'SmoothedMyelinMap')
    ]
    outputs = resampled._list_outputs()
    assert outputs['uncorrected_myelin_maps'] == [str(path) for path in plain]
    assert len(outputs['maps']) == 6
    assert set(plain).isdisjoint(resampled.expected())
    assert {Path(path) for path in outputs['maps']} <= set(resampled.expected())
    # Of another version, they would stay for those of this registration.
    assert set(plain) <= set(resampled.stale())


def test_series_of_another_registration_are_not_taken(inputs, atlas):
    resampled = DeDriftAndResample(**inputs[REALISTIC]['DeDriftAndResample'][0])
    results, run = atlas / 'Results', RUNS[1]
    joined = results / 'ICAFIX_ALL' / 'ICAFIX_ALL_Atlas_MSMAll_hp0.dtseries.nii'
    joined.parent.mkdir(parents=True)
    header = nb.Nifti2Header()
    header.set_data_shape((1, 1, 1))
    nb.Nifti2Image(np.zeros((1, 1, 1)), np.eye(4), header).to_filename(joined)
    assert broken(joined) is None
    stale = resampled.stale()
    assert joined in stale
    for ending in ('_demean.dtseries', '_vn.dscalar', '_hp0_vn.dscalar', '_hp0_vn.dtseries'):
        assert results / run / f'{run}_Atlas_MSMAll{ending}.nii' in stale
    # What FIX made for the first registration stays.
    assert joined.with_name('ICAFIX_ALL_Atlas_hp0.dtseries.nii') not in stale
    assert results / run / f'{run}_Atlas_hp0_vn.dscalar.nii' not in stale


def test_groups_of_runs(inputs):
    resampled = DeDriftAndResample(**inputs[LARGEST]['DeDriftAndResample'][0])
    groups = f'{RUNS[0]}@{RUNS[1]}%task-rest_run-1@task-rest_run-2'
    assert f'--multirun-fix-names={groups}' in resampled.argv
    assert f'--multirun-fix-extract-names={RUNS[0]}%NONE' in resampled.argv
    outputs = resampled._list_outputs()
    assert [path.rsplit('/', 1)[1] for path in outputs['extracted']] == [
        'EXTRACTED_Atlas_MSMAll_hp0_clean.dtseries.nii'
    ]
    assert len(outputs['dense_series']) == 6
    assert len(outputs['dense_cleaned']) == 5


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'multirun_fix_concat_names': ['A', 'B']}, 'differ in length'),
        ({'fix_names': [RUNS[0]]}, f'{RUNS[0]} is named more than once'),
        ({'multirun_fix_extract_volume': True}, 'needs --multirun-fix-extract-concat-names'),
    ],
)
def test_groups_must_fit(inputs, given, message):
    with pytest.raises(UsageError, match=message):
        _ = DeDriftAndResample(**{**inputs[REALISTIC]['DeDriftAndResample'][0], **given}).argv


def test_another_name_needs_the_displacement(inputs):
    given = inputs[REALISTIC]['DeDriftAndResample'][0]
    del given['dedrift_spheres']
    with pytest.raises(UsageError, match='dedrift_spheres'):
        _ = DeDriftAndResample(**given).argv
    del given['output_registration']
    plain = DeDriftAndResample(**given)
    assert plain.registration == 'MSMAll_InitialReg_2_d40_WRN'
    # The registration is an input then, and stays.
    assert not [path for path in plain.stale() if '.sphere.' in path.name]
