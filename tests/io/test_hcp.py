"""Runs in a study folder of the HCP pipelines."""

import re

import pytest

from ketbids.errors import InputError
from ketbids.io.bids import RunKey
from ketbids.io.hcp import find_preprocessed

KEY = RunKey('01', 'TP1', 'carit')
#: From the least to the most processed: each is preferred to those before it.
ENDINGS = (
    '_Atlas.dtseries.nii',
    '_Atlas_MSMAll.dtseries.nii',
    '_Atlas_hp2000_clean.dtseries.nii',
    '_Atlas_MSMAll_hp0_clean.dtseries.nii',
)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def make_surfaces(root, session='sub-01_ses-TP1', mesh='32k', registration=''):
    folder = root / session / 'MNINonLinear' / f'fsaverage_LR{mesh}'
    for hemi in 'LR':
        for kind in ('midthickness', 'inflated'):
            touch(folder / f'{session}.{hemi}.{kind}{registration}.{mesh}_fs_LR.surf.gii')
    return folder


def make_run(root, name='task-carit', endings=ENDINGS[:1], session='sub-01_ses-TP1'):
    folder = root / session / 'MNINonLinear' / 'Results' / name
    touch(folder / 'Movement_Regressors.txt')
    for ending in endings:
        touch(folder / f'{name}{ending}')
    return folder


@pytest.mark.parametrize('best', range(len(ENDINGS)))
def test_the_most_processed_series_wins(tmp_path, best):
    for registration in ('', '_MSMAll'):
        surfaces = make_surfaces(tmp_path, registration=registration)
    run = make_run(tmp_path, endings=ENDINGS[: best + 1])
    found = find_preprocessed([tmp_path], KEY)
    assert found.series == run / f'task-carit{ENDINGS[best]}'
    assert found.denoised == (best >= 2)
    assert found.confounds == run / 'Movement_Regressors.txt'
    assert found.root == tmp_path
    msm = '_MSMAll' if 'MSMAll' in ENDINGS[best] else ''
    assert found.anatomy.midthickness == tuple(
        surfaces / f'sub-01_ses-TP1.{hemi}.midthickness{msm}.32k_fs_LR.surf.gii' for hemi in 'LR'
    )
    assert found.anatomy.inflated[1].name == f'sub-01_ses-TP1.R.inflated{msm}.32k_fs_LR.surf.gii'
    assert found.anatomy.labels is None


def test_labels_are_taken_where_there_are_any(tmp_path):
    folder = make_surfaces(tmp_path)
    labels = touch(folder / 'sub-01_ses-TP1.aparc.32k_fs_LR.dlabel.nii')
    make_run(tmp_path)
    anatomy = find_preprocessed([tmp_path], KEY).anatomy
    assert anatomy.labels == labels
    assert anatomy.files == (*anatomy.midthickness, *anatomy.inflated, labels)


@pytest.mark.parametrize(
    ('name', 'key'),
    [
        ('ses-TP1_task-carit_run-01_bold', RunKey('01', 'TP1', 'carit', '01')),
        ('task-carit_dir-PA_run-2', RunKey('01', 'TP1', 'carit', '2')),
        ('sub-01_ses-TP1_task-carit', RunKey('01', 'TP1', 'carit')),
    ],
)
def test_run_folders_are_known_by_their_entities(tmp_path, name, key):
    make_surfaces(tmp_path)
    make_run(tmp_path, 'task-caritLong')
    make_run(tmp_path, 'task-rest_run-01')
    make_run(tmp_path, 'rfMRI_REST1_AP')
    run = make_run(tmp_path, name)
    assert find_preprocessed([tmp_path], key).confounds.parent == run


def test_a_run_label_is_not_a_number(tmp_path):
    make_surfaces(tmp_path)
    make_run(tmp_path, 'task-carit_run-1')
    with pytest.raises(InputError, match='run-01: no preprocessed time series'):
        find_preprocessed([tmp_path], RunKey('01', 'TP1', 'carit', '01'))


def test_no_sessions(tmp_path):
    make_surfaces(tmp_path, 'sub-01')
    run = make_run(tmp_path, session='sub-01')
    assert find_preprocessed([tmp_path], RunKey('01', '', 'carit')).confounds.parent == run


@pytest.mark.parametrize('order', [1, -1])
def test_the_folder_that_has_the_run_is_found_among_others(tmp_path, order):
    """Wherever it stands in the list; of two that have it, the first counts."""
    empty, full = tmp_path / 'empty', tmp_path / 'full'
    empty.mkdir()
    make_surfaces(full)
    make_run(full)
    assert find_preprocessed([empty, full][::order], KEY).root == full
    make_surfaces(empty)
    make_run(empty)
    assert find_preprocessed([empty, full][::order], KEY).root == [empty, full][::order][0]


def test_nothing_there_says_where_it_looked(tmp_path):
    roots = [tmp_path / 'a', tmp_path / 'b']
    with pytest.raises(InputError, match=r'sub-01_ses-TP1_task-carit: no preproc') as caught:
        find_preprocessed(roots, KEY)
    for root in roots:
        assert f'{root}/sub-01_ses-TP1/MNINonLinear/Results' in str(caught.value)


def test_a_run_folder_without_series_is_no_run(tmp_path):
    make_surfaces(tmp_path)
    make_run(tmp_path, endings=())
    with pytest.raises(InputError, match='no preprocessed time series'):
        find_preprocessed([tmp_path], KEY)


def test_two_run_folders(tmp_path):
    make_surfaces(tmp_path)
    make_run(tmp_path, 'task-carit_dir-AP')
    make_run(tmp_path, 'task-carit_dir-PA')
    with pytest.raises(InputError, match=r'Two candidates.*dir-AP and .*dir-PA'):
        find_preprocessed([tmp_path], KEY)


def test_two_cleaned_series(tmp_path):
    make_surfaces(tmp_path)
    make_run(
        tmp_path, endings=('_Atlas_hp0_clean.dtseries.nii', '_Atlas_hp2000_clean.dtseries.nii')
    )
    with pytest.raises(InputError, match=r'Two candidates.*hp0_clean.*hp2000_clean'):
        find_preprocessed([tmp_path], KEY)


def test_movement_is_needed(tmp_path):
    make_surfaces(tmp_path)
    movement = make_run(tmp_path) / 'Movement_Regressors.txt'
    movement.unlink()
    with pytest.raises(InputError, match=re.escape(f'{movement} is missing')):
        find_preprocessed([tmp_path], KEY)


def test_surfaces_of_the_series_registration_are_needed(tmp_path):
    make_surfaces(tmp_path)
    make_run(tmp_path, endings=ENDINGS)
    with pytest.raises(InputError, match=r'L\.midthickness_MSMAll\.32k_fs_LR.surf.gii is missing'):
        find_preprocessed([tmp_path], KEY)


def test_no_surfaces(tmp_path):
    make_run(tmp_path)
    with pytest.raises(InputError, match='no fsaverage_LR'):
        find_preprocessed([tmp_path], KEY)


def test_which_mesh(tmp_path):
    make_run(tmp_path)
    make_surfaces(tmp_path, mesh='3k')
    assert '.3k_fs_LR' in find_preprocessed([tmp_path], KEY).anatomy.inflated[0].name
    make_surfaces(tmp_path, mesh='59k')
    with pytest.raises(InputError, match=r'Two candidates for the mesh'):
        find_preprocessed([tmp_path], KEY)
    make_surfaces(tmp_path, mesh='32k')
    assert '.32k_fs_LR' in find_preprocessed([tmp_path], KEY).anatomy.inflated[0].name
