"""Runs among the derivatives of fMRIPrep."""

import re

import pytest

from ketbids.errors import InputError
from ketbids.io.bids import RunKey
from ketbids.io.derivatives import Derivatives
from ketbids.io.filters import BidsFilter
from tests.io.trees import fmriprep_run, fmriprep_surfaces, hcp_run, hcp_surfaces, series, touch

KEY = RunKey('01', 'TP1', 'carit')


def find(root, key=KEY, **options):
    return Derivatives([root], **options).find(key)


def test_a_run_and_what_belongs_to_it(tmp_path):
    func = fmriprep_run(tmp_path)
    anat = fmriprep_surfaces(tmp_path)
    found = find(tmp_path)
    name = 'sub-01_ses-TP1_task-carit'
    assert found.series == func / f'{name}_space-fsLR_den-91k_bold.dtseries.nii'
    assert found.confounds == func / f'{name}_desc-confounds_timeseries.tsv'
    assert found.confounds_sidecar == func / f'{name}_desc-confounds_timeseries.json'
    assert found.sidecars == (func / f'{name}_space-fsLR_den-91k_bold.json',)
    assert (found.origin, found.denoised, found.root) == ('fmriprep', False, tmp_path)
    surface = 'sub-01_hemi-{}_space-fsLR_den-32k_midthickness.surf.gii'
    assert found.anatomy.midthickness == tuple(anat / surface.format(hemi) for hemi in 'LR')
    assert found.anatomy.labels is None
    assert set(found.files) == {
        found.series,
        found.confounds,
        found.confounds_sidecar,
        *found.sidecars,
        *found.anatomy.files,
    }


@pytest.mark.parametrize(
    ('outputs', 'mesh'),
    [
        ('space-fsLR', '32k'),
        ('space-fsLR_den-91k_desc-preproc', '32k'),
        ('space-fsLR_den-170k', '59k'),
        ('space-fsLR_den-7k', '3k'),
        ('space-fsLR_den-30k', '10k'),
    ],
)
def test_names_of_several_releases_and_densities(tmp_path, outputs, mesh):
    func = fmriprep_run(tmp_path, outputs=outputs, mesh=mesh)
    fmriprep_surfaces(tmp_path, mesh=mesh)
    found = find(tmp_path)
    assert found.series == func / f'sub-01_ses-TP1_task-carit_{outputs}_bold.dtseries.nii'
    assert f'den-{mesh}_midthickness' in found.anatomy.midthickness[0].name
    assert found.confounds is not None


@pytest.mark.parametrize(
    'ending',
    ['_desc-confounds_timeseries.tsv', '_desc-confounds_regressors.tsv', '_bold_confounds.tsv'],
)
def test_confounds_of_several_releases(tmp_path, ending):
    name = 'sub-01_ses-TP1_task-carit_run-1'
    func = fmriprep_run(tmp_path, name)
    fmriprep_surfaces(tmp_path)
    (func / f'{name}_desc-confounds_timeseries.tsv').unlink()
    (func / f'{name}_desc-confounds_timeseries.json').unlink()
    key = RunKey('01', 'TP1', 'carit', '1')
    assert find(tmp_path, key).confounds is None
    path = touch(func / f'{name}{ending}')
    touch(func / f'sub-01_ses-TP1_task-carit_run-2{ending}')
    found = find(tmp_path, key)
    assert (found.confounds, found.confounds_sidecar) == (path, None)


def test_two_tables_of_confounds(tmp_path):
    name = 'sub-01_ses-TP1_task-carit_run-1'
    func = fmriprep_run(tmp_path, name)
    fmriprep_surfaces(tmp_path)
    touch(func / f'{name}_desc-confounds_regressors.tsv')
    with pytest.raises(InputError, match=r'Two candidates for the confounds of .*_bold\.dtseries'):
        find(tmp_path, RunKey('01', 'TP1', 'carit', '1'))


def test_all_entities_tell_runs_apart(tmp_path):
    names = [
        'sub-01_ses-TP1_task-carit_acq-a_rec-r_dir-LR_run-1',
        'sub-01_ses-TP1_task-carit_acq-a_rec-r_dir-RL_run-1',
        'sub-01_ses-TP1_task-carit_acq-a_rec-r_dir-LR_run-2',
        'sub-01_ses-TP1_task-carit_acq-b_rec-r_dir-LR_run-1',
        'sub-01_ses-TP1_task-carit',
    ]
    for name in names:
        func = fmriprep_run(tmp_path, name)
    fmriprep_surfaces(tmp_path)
    labels = {'acquisition': 'a', 'reconstruction': 'r', 'direction': 'RL'}
    found = find(tmp_path, RunKey('01', 'TP1', 'carit', '1', **labels))
    assert found.series == func / f'{names[1]}_space-fsLR_den-91k_bold.dtseries.nii'
    assert found.confounds == func / f'{names[1]}_desc-confounds_timeseries.tsv'
    assert find(tmp_path).series.name == f'{names[4]}_space-fsLR_den-91k_bold.dtseries.nii'


def test_other_outputs_are_passed_over(tmp_path):
    func = fmriprep_run(tmp_path, outputs='space-fsaverage5')
    fmriprep_surfaces(tmp_path)
    touch(func / 'sub-01_ses-TP1_task-carit_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz')
    touch(func / 'sub-01_ses-TP1_task-carit_hemi-L_space-fsLR_bold.func.gii')
    with pytest.raises(InputError, match='no preprocessed time series') as caught:
        find(tmp_path)
    name = 'sub-01_ses-TP1_task-carit_space-fsLR_den-*_bold.dtseries.nii'
    assert str(func / name) in str(caught.value)
    assert f'{tmp_path}/sub-01_ses-TP1/MNINonLinear/Results' in str(caught.value)


@pytest.mark.parametrize(
    ('outputs', 'entities', 'advice'),
    [
        (('space-fsLR_den-91k', 'space-fsLR_den-170k'), 'density', ('170k', '91k')),
        (
            ('space-fsLR_den-91k', 'space-fsLR_den-91k_desc-denoised'),
            'desc',
            (None, 'denoised'),
        ),
    ],
)
def test_two_outputs_of_one_run(tmp_path, outputs, entities, advice):
    for output in outputs:
        func = fmriprep_run(tmp_path, outputs=output, mesh='59k' if '170k' in output else '32k')
    for mesh in ('32k', '59k'):
        fmriprep_surfaces(tmp_path, mesh=mesh)
    with pytest.raises(InputError, match='Two candidates for sub-01_ses-TP1_task-carit') as caught:
        find(tmp_path)
    for output in outputs:
        path = func / f'sub-01_ses-TP1_task-carit_{output}_bold.dtseries.nii'
        assert str(path) in str(caught.value)
    assert f'--bids-filter-file and {{"bold": {{"{entities}": ' in str(caught.value)
    for value, output in zip(advice, sorted(outputs), strict=True):
        found = find(tmp_path, filters=BidsFilter({entities: (value,)}))
        assert f'_{output}_bold' in found.series.name


def test_sidecars_are_inherited(tmp_path):
    func = fmriprep_run(tmp_path)
    fmriprep_surfaces(tmp_path)
    stem = 'sub-01_ses-TP1_task-carit'
    expected = [
        func / f'{stem}_space-fsLR_den-91k_bold.json',
        touch(func / f'{stem}_space-fsLR_den-91k_bold.dtseries.json'),
        touch(tmp_path / 'sub-01' / 'ses-TP1' / 'sub-01_ses-TP1_bold.json'),
        touch(tmp_path / 'sub-01' / 'sub-01_task-carit_bold.json'),
        touch(tmp_path / 'task-carit_space-fsLR_bold.json'),
        touch(tmp_path / 'task-carit_bold.json'),
        touch(tmp_path / 'bold.json'),
    ]
    touch(tmp_path / 'task-rest_bold.json')
    touch(tmp_path / 'task-carit_events.json')
    touch(func / f'{stem}_run-1_space-fsLR_den-91k_bold.json')
    touch(func / f'{stem}_desc-preproc_bold.json')
    touch(tmp_path.parent / 'task-carit_bold.json')
    assert list(find(tmp_path).sidecars) == expected


def test_surfaces_of_the_session_come_first(tmp_path):
    fmriprep_run(tmp_path)
    fmriprep_surfaces(tmp_path)
    own = fmriprep_surfaces(tmp_path, 'sub-01_ses-TP1_acq-mprage_run-1', desc='_desc-preproc')
    fmriprep_surfaces(tmp_path, 'sub-01_ses-TP2')
    anatomy = find(tmp_path).anatomy
    name = 'sub-01_ses-TP1_acq-mprage_run-1_hemi-R_space-fsLR_den-32k_desc-preproc'
    assert anatomy.midthickness[1] == own / f'{name}_midthickness.surf.gii'
    assert anatomy.template == ('inflated',)


def test_own_inflated_surfaces(tmp_path):
    fmriprep_run(tmp_path)
    anat = fmriprep_surfaces(tmp_path, kinds=('midthickness', 'inflated'))
    anatomy = find(tmp_path).anatomy
    assert anatomy.inflated[0].parent == anat
    assert anatomy.template == ()


def test_average_surfaces_stand_in_for_none(tmp_path):
    """Releases before 25.0 wrote the surfaces of the participant's own mesh only."""
    fmriprep_run(tmp_path)
    touch(tmp_path / 'sub-01' / 'anat' / 'sub-01_hemi-L_midthickness.surf.gii')
    anatomy = find(tmp_path).anatomy
    assert anatomy.template == ('midthickness', 'inflated')
    name = 'S1200.L.midthickness_MSMAll.32k_fs_LR.surf.gii'
    assert anatomy.midthickness[0].name == name
    assert all(path.is_file() for path in anatomy.files)


def test_no_average_surfaces_of_other_meshes(tmp_path):
    fmriprep_run(tmp_path, outputs='space-fsLR_den-170k', mesh='59k')
    with pytest.raises(InputError, match='on the fsLR 59k mesh, but there are no surfaces') as c:
        find(tmp_path)
    for folder in ('sub-01/ses-TP1/anat', 'sub-01/anat'):
        assert str(tmp_path / folder) in str(c.value)
    fmriprep_surfaces(tmp_path, mesh='59k')
    anatomy = find(tmp_path).anatomy
    assert anatomy.inflated == anatomy.midthickness  # pictures only
    assert anatomy.template == ()


def test_surfaces_that_are_incomplete_or_double(tmp_path):
    fmriprep_run(tmp_path)
    anat = fmriprep_surfaces(tmp_path)
    name = 'sub-01_hemi-{}_space-fsLR_den-32k{}_midthickness.surf.gii'
    double = touch(anat / name.format('L', '_desc-preproc'))
    with pytest.raises(InputError, match=r'Two candidates for the L midthickness surface'):
        find(tmp_path)
    double.unlink()
    (anat / name.format('R', '')).unlink()
    with pytest.raises(InputError, match=re.escape(f'{anat} has a midthickness surface of one')):
        find(tmp_path)


def test_both_kinds_in_one_folder(tmp_path):
    fmriprep_run(tmp_path)
    hcp_run(tmp_path)
    hcp_surfaces(tmp_path)
    with pytest.raises(InputError, match=r'Two candidates.*in folders of their own'):
        find(tmp_path)


def test_volumes_only(tmp_path):
    func = fmriprep_run(tmp_path)
    path = func / 'sub-01_ses-TP1_task-carit_space-fsLR_den-91k_bold.dtseries.nii'
    content = series(path).read_bytes()
    path.write_bytes(content.replace(b'SurfaceNumberOfVertices', b'XurfaceNumberOfVertices'))
    with pytest.raises(InputError, match='has no cortex'):
        find(tmp_path)


@pytest.mark.parametrize(('written', 'run'), [('1', '01'), ('01', '1')])
def test_a_run_label_is_a_number(tmp_path, written, run):
    """fMRIPrep 20.2 wrote run-1 for run-01."""
    name = f'sub-01_ses-TP1_task-carit_run-{written}'
    func = fmriprep_run(tmp_path, name)
    fmriprep_run(tmp_path, 'sub-01_ses-TP1_task-carit_run-10')
    fmriprep_surfaces(tmp_path)
    key = RunKey('01', 'TP1', 'carit', run)
    found = find(tmp_path, key)
    assert found.series == func / f'{name}_space-fsLR_den-91k_bold.dtseries.nii'
    assert found.confounds == func / f'{name}_desc-confounds_timeseries.tsv'
    fmriprep_run(tmp_path, 'sub-01_ses-TP1_task-carit_run-001')
    fmriprep_run(tmp_path, str(key))
    assert find(tmp_path, key).series.name.startswith(f'{key}_space')


def test_two_run_labels_of_one_number(tmp_path):
    for run in ('001', '1'):
        fmriprep_run(tmp_path, f'sub-01_ses-TP1_task-carit_run-{run}')
    with pytest.raises(InputError, match=r'Two candidates.*run-001_.*run-1_'):
        find(tmp_path, RunKey('01', 'TP1', 'carit', '01'))


def test_surfaces_of_the_only_session_that_has_any(tmp_path):
    """With one T1w image, its derivatives stand in the folder of its session."""
    fmriprep_run(tmp_path)
    fmriprep_run(tmp_path, 'sub-01_ses-TP3_task-carit')
    kinds = ('midthickness', 'inflated')
    other = fmriprep_surfaces(tmp_path, 'sub-01_ses-TP3', kinds=kinds)
    fmriprep_surfaces(tmp_path, 'sub-02_ses-TP2')
    for key in (KEY, RunKey('01', 'TP3', 'carit')):
        anatomy = find(tmp_path, key).anatomy
        assert {path.parent for path in anatomy.files} == {other}
        assert anatomy.template == ()
    subject = fmriprep_surfaces(tmp_path)
    anatomy = find(tmp_path).anatomy
    assert anatomy.midthickness[0].parent == subject
    assert anatomy.template == ('inflated',)


def test_surfaces_of_several_other_sessions(tmp_path):
    fmriprep_run(tmp_path)
    others = [fmriprep_surfaces(tmp_path, f'sub-01_ses-{s}') for s in ('TP2', 'TP3')]
    with pytest.raises(InputError, match='has no surfaces on the fsLR 32k mesh in') as caught:
        find(tmp_path)
    assert f'but {others[0]} and {others[1]} have some' in str(caught.value)
    advice = f'Copy or link the right ones to {tmp_path / "sub-01" / "ses-TP1" / "anat"}.'
    assert advice in str(caught.value)
    own = fmriprep_surfaces(tmp_path, 'sub-01_ses-TP1')
    assert find(tmp_path).anatomy.midthickness[0].parent == own


def test_a_series_that_others_made_of_it_must_be_chosen(tmp_path):
    """XCP-D names its denoised series as fMRIPrep names its own."""
    func = fmriprep_run(tmp_path, outputs='space-fsLR_den-91k_desc-denoised')
    fmriprep_surfaces(tmp_path)
    with pytest.raises(InputError, match='desc-denoised says that something else') as caught:
        find(tmp_path)
    name = 'sub-01_ses-TP1_task-carit_space-fsLR_den-91k_desc-denoised_bold.dtseries.nii'
    assert str(func / name) in str(caught.value)
    assert '--bids-filter-file and {"bold": {"desc": "denoised"}}' in str(caught.value)
    assert find(tmp_path, filters=BidsFilter({'desc': ('denoised',)})).series.name == name
