"""Nuisance regressors: which columns of a table enter, and what is made of them."""

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.stats.confounds import (
    MOTION,
    choose_confounds,
    current_names,
    head_movement,
    resolve_sets,
)

N = 40
RNG = np.random.default_rng(0)
DIFFERENCES = [f'{name}_derivative1' for name in MOTION]


def table(*more: str, differences: bool = False) -> pd.DataFrame:
    """Movement, and noise in further columns."""
    columns = {name: RNG.standard_normal(N) for name in (*MOTION, *more)}
    if differences:
        for name in MOTION:
            values = np.diff(columns[name], prepend=np.nan)
            columns[f'{name}_derivative1'] = values
    return pd.DataFrame(columns)


def components(prefix: str, n: int) -> list[str]:
    return [f'{prefix}_comp_cor_{number:02d}' for number in range(n)]


@pytest.mark.parametrize(
    ('sets', 'origin', 'denoised', 'expected'),
    [
        (('auto',), 'hcp', True, ()),
        (('auto',), 'hcp', False, ('24',)),
        (('auto',), 'fmriprep', False, ('24', 'acompcor')),
        (('none',), 'fmriprep', False, ()),
        (('6',), 'hcp', True, ('6',)),
        (('12', 'wmcsf', 'outliers'), 'fmriprep', False, ('12', 'wmcsf', 'outliers')),
    ],
)
def test_what_auto_means(sets, origin, denoised, expected):
    assert resolve_sets(sets, origin=origin, denoised=denoised) == expected


@pytest.mark.parametrize('differences', [True, False])
def test_movement_terms(differences):
    """The 24 by their definition: M, M - M before it, and the squares of both."""
    given = table('csf', differences=differences)
    moved = given[list(MOTION)].to_numpy()
    change = np.vstack([np.zeros(6), moved[1:] - moved[:-1]])
    for name, expected in (
        ('6', moved),
        ('12', np.hstack([moved, change])),
        ('24', np.hstack([moved, change, moved**2, change**2])),
    ):
        found = choose_confounds(given, (name,), N)
        np.testing.assert_allclose(found.matrix, expected, atol=1e-14)
        noted = differences and name != '6'
        assert len(found.notes) == noted
        assert not noted or 'n/a for the first volume, are 0 there' in found.notes[0]
    names = [*MOTION, *DIFFERENCES]
    assert list(found.matrix.columns) == names + [f'{name}_power2' for name in names]


def test_differences_of_the_file_are_taken_as_they_are():
    given = table()
    for name in DIFFERENCES:
        given[name] = RNG.standard_normal(N)
    found = choose_confounds(given, ('12',), N).matrix
    pd.testing.assert_frame_equal(found, given)


@pytest.mark.parametrize('sets', [(), ('6',), ('24', 'acompcor')])
def test_volumes_before_the_steady_state_enter_with_every_set(sets):
    given = table(*components('a', 3)).assign(
        non_steady_state_outlier00=np.eye(N)[0], non_steady_state_outlier01=np.eye(N)[1]
    )
    found = choose_confounds(given, sets, N).matrix
    spikes = [name for name in found.columns if name.startswith('non_steady')]
    assert spikes == [f'non_steady_state_outlier0{n}' for n in (0, 1) if sets]
    assert len(found) == N


def test_components_by_the_masks_of_the_json_file():
    """fMRIPrep 1.4 to 20.2: one numbering over the masks, here CSF, white matter, both."""
    names = components('a', 24)
    masks = dict(zip(names, ['CSF'] * 8 + ['WM'] * 7 + ['combined'] * 9, strict=True))
    found = choose_confounds(table(*reversed(names)), ('acompcor',), N, masks)
    assert list(found.matrix.columns) == [*names[8:13], *names[:5]]
    assert found.notes == ()


def test_components_by_their_names():
    """Since fMRIPrep 21: w, c and a (both masks) have numbers of their own."""
    names = [*components('a', 6), *components('c', 6), *components('w', 3)]
    found = choose_confounds(table(*names), ('acompcor',), N)
    assert list(found.matrix.columns) == [*components('w', 3), *components('c', 5)]
    assert found.notes == ('aCompCor: there are only 3 of WM',)


@pytest.mark.parametrize(('there', 'taken'), [(123, 10), (6, 6)])
def test_components_of_which_nobody_says_the_mask(there, taken):
    found = choose_confounds(table(*components('a', there)), ('acompcor',), N)
    assert list(found.matrix.columns) == components('a', there)[:taken]
    assert f'the first {taken} are in the model' in found.notes[0]


def test_components_of_an_empty_mask():
    """fMRIPrep writes n/a for all volumes; a gap in a component is an error as elsewhere."""
    names = components('a', 3)
    given = table(*names).assign(a_comp_cor_01=np.nan)
    found = choose_confounds(given, ('acompcor',), N)
    assert list(found.matrix.columns) == ['a_comp_cor_00', 'a_comp_cor_02']
    assert found.notes[0] == 'aCompCor: n/a throughout, left out: a_comp_cor_01'
    with pytest.raises(InputError, match=r'^a_comp_cor_01 have no value\. The set acompcor needs'):
        choose_confounds(given[[*MOTION, 'a_comp_cor_01']], ('acompcor',), N)
    given.loc[5:, 'a_comp_cor_01'] = 1.0
    with pytest.raises(InputError, match=r'Row 1 .*a_comp_cor_01 n/a'):
        choose_confounds(given, ('acompcor',), N)


def test_components_in_the_order_of_their_numbers():
    names = [f'w_comp_cor_{n}' for n in (100, 99, 2, 11, 10, 9)]
    found = choose_confounds(table(*names), ('acompcor',), N).matrix
    assert list(found.columns) == [f'w_comp_cor_{n}' for n in (2, 9, 10, 11, 99)]


def test_sets_are_put_together():
    spikes = pd.DataFrame(np.eye(N)[:, 5:7], columns=['motion_outlier00', 'motion_outlier01'])
    given = table(
        'csf', 'white_matter', 'global_signal', 'cosine00', 'csf_power2', 't_comp_cor_00'
    )
    given = pd.concat([given, spikes], axis=1)
    found = choose_confounds(given, ('6', 'wmcsf', 'global', 'outliers'), N)
    assert list(found.matrix.columns) == [
        *(*MOTION, 'white_matter', 'csf', 'global_signal'),
        *('motion_outlier00', 'motion_outlier01'),
    ]
    assert found.notes == ()


def test_no_volume_is_an_outlier():
    found = choose_confounds(table('framewise_displacement'), ('outliers',), N)
    assert found.matrix.shape == (N, 0)
    assert found.notes == ('confounds: no volume is marked as an outlier',)


def test_old_names():
    old = ['X', 'Y', 'Z', 'RotX', 'RotY', 'RotZ', 'CSF', 'WhiteMatter', 'GlobalSignal']
    old += ['aCompCor00', 'aCompCor11', 'NonSteadyStateOutlier00', 'Cosine03', 'stdDVARS']
    given = pd.DataFrame(RNG.standard_normal((N, len(old))), columns=old)
    assert list(current_names(given).columns) == [
        *(*MOTION, 'csf', 'white_matter', 'global_signal', 'a_comp_cor_00', 'a_comp_cor_11'),
        *('non_steady_state_outlier00', 'cosine03', 'stdDVARS'),
    ]
    found = choose_confounds(given, ('6', 'acompcor', 'wmcsf'), N).matrix
    assert found.shape == (N, 6 + 2 + 2 + 1)
    np.testing.assert_array_equal(head_movement(given), given[old[:6]])


@pytest.mark.parametrize(
    ('name', 'absent'),
    [
        ('24', 'no column trans_z, rot_x, which the set 24 needs'),
        ('acompcor', 'the set acompcor needs the columns a_comp_cor_00'),
        ('wmcsf', 'no column white_matter, which the set wmcsf needs'),
        ('global', 'no column global_signal, which the set global needs'),
        ('outliers', 'which the set outliers'),
    ],
)
def test_absent_columns(name, absent):
    given = table('csf', *(f'x{n}' for n in range(30))).drop(columns=['trans_z', 'rot_x'])
    with pytest.raises(InputError) as caught:
        choose_confounds(given, (name,), N)
    message = str(caught.value)
    assert absent.lower() in message.lower()
    assert 'there are: trans_x, trans_y, rot_y, rot_z, csf, x0, ' in message
    assert 'and 23 more. Choose other sets with --confounds.' in message


def test_another_number_of_rows():
    with pytest.raises(InputError, match='40 rows of confounds, but the time series has 41 vol'):
        choose_confounds(table(), ('6',), N + 1)


@pytest.mark.parametrize(
    ('column', 'row', 'value', 'message'),
    [
        ('trans_x', 0, np.nan, r'Row 1 \(line 2 .* has trans_x n/a'),
        ('trans_x_derivative1', 3, np.nan, r'Row 4 \(line 5 .* has trans_x_derivative1 n/a'),
        ('csf', 0, np.nan, 'Row 1 .* has csf n/a'),
        ('csf', 7, np.inf, 'Row 8 .* has csf inf'),
        ('csf', 7, 'high', "Row 8 .* has csf 'high'"),
    ],
)
def test_values_that_are_no_numbers(column, row, value, message):
    given = table('csf', 'white_matter', differences=True).astype({column: object})
    given.loc[row, column] = value
    with pytest.raises(InputError, match=message):
        choose_confounds(given, ('12', 'wmcsf'), N)


def test_constant_columns_are_left_out():
    given = table('csf', 'white_matter').assign(rot_z=0.0, white_matter=5.0)
    found = choose_confounds(given, ('6', 'wmcsf'), N)
    assert list(found.matrix.columns) == [*MOTION[:5], 'csf']
    assert found.notes == ('confounds that are constant, left out: rot_z, white_matter',)
