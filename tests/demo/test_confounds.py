import numpy as np
import pytest

from ketbids.demo.confounds import SHARES, read_confounds
from ketbids.errors import InputError
from tests.demo.sources import MOTION, confounds, write


def test_both_generations_of_names_give_the_same(tmp_path):
    new = read_confounds(write(tmp_path / 'new.tsv', confounds(1)))
    old = read_confounds(write(tmp_path / 'old.tsv', confounds(1, old=True)))
    assert new.names == old.names
    assert (new.series == old.series).all()
    assert [new.sources.count(source) for source in SHARES] == [12, 2, 6]
    assert new.series.shape == (100, 20)
    assert new.series.mean(axis=0) == pytest.approx(0, abs=1e-9)
    assert new.series.std(axis=0) == pytest.approx(1)


def test_differences_are_backward_and_0_at_first(tmp_path):
    table = confounds(1)
    made = read_confounds(write(tmp_path / 't.tsv', table))
    expected = np.diff(table['rot_y'], prepend=table['rot_y'][0])
    expected = (expected - expected.mean()) / expected.std()
    assert made.series[:, made.names.index('rot_y_derivative1')] == pytest.approx(expected)


def test_components_by_mask(tmp_path):
    table = confounds(1).rename(columns=lambda name: name.replace('a_comp_cor_', 'w_comp_cor_'))
    table['c_comp_cor_00'] = table['csf']
    names = read_confounds(write(tmp_path / 't.tsv', table)).names
    assert names[-4:] == ('w_comp_cor_00', 'w_comp_cor_01', 'w_comp_cor_02', 'c_comp_cor_00')


def test_constant_and_absent_values_are_left_out(tmp_path):
    table = confounds(1)
    table['csf'] = np.nan
    table['a_comp_cor_01'] = 0.0
    table.loc[0, 'white_matter'] = np.nan
    made = read_confounds(write(tmp_path / 't.tsv', table))
    assert not {'csf', 'a_comp_cor_01'} & set(made.names)
    assert np.isfinite(made.series).all()
    assert made.series[0, made.names.index('white_matter')] < -5


def test_what_is_no_table_of_confounds(tmp_path):
    table = confounds(1)
    with pytest.raises(InputError, match='has 0 rows; one per volume'):
        read_confounds(write(tmp_path / 'a.tsv', table.iloc[:0]))
    with pytest.raises(InputError, match='has none of the columns trans_x'):
        read_confounds(write(tmp_path / 'b.tsv', table[['framewise_displacement']]))
    table[MOTION[0]] = 'much'
    with pytest.raises(InputError, match=r'trans_x has no number in row 2 \(much\)'):
        read_confounds(write(tmp_path / 'c.tsv', table))
