"""Marginal means and pairs as rows on the coefficients."""

import itertools

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.stats.mixed.design import build_design, parse_formula
from ketbids.stats.mixed.margins import marginal_rows, pair_rows, parse_means

LEVELS = {'time': ('TP1', 'TP2', 'TP3'), 'group': ('r', 'n'), 'sex': ('F', 'M')}


def unbalanced(formula):
    cells = pd.DataFrame(list(itertools.product(*LEVELS.values())), columns=list(LEVELS))
    values = pd.concat([cells, cells.iloc[:5], cells.iloc[:2]], ignore_index=True)
    values['age'] = np.arange(len(values)) ** 1.5
    return build_design(values, parse_formula(formula), LEVELS)


def test_means_weigh_levels_equally_and_take_covariates_at_their_mean():
    design = unbalanced('time * group + sex + age')
    cells, rows = marginal_rows(design, 'time:group')
    assert cells.to_numpy().tolist()[:4] == [
        ['TP1', 'r'],
        ['TP2', 'r'],
        ['TP3', 'r'],
        ['TP1', 'n'],
    ]
    by_name = dict(zip(design.names, rows[0], strict=True))
    assert by_name['sex1'] == 0
    assert by_name['age'] == pytest.approx(design.values['age'].mean())
    assert (by_name['time1'], by_name['group1'], by_name['time1:group1']) == (1, 1, 1)
    means = rows.reshape(2, 3, -1).mean(axis=0)
    np.testing.assert_allclose(marginal_rows(design, 'time').rows, means, atol=1e-12)
    np.testing.assert_allclose(means[:, design.slices['time:group']], 0, atol=1e-12)


def test_products_of_numbers_are_products_of_means():
    design = unbalanced('time * age')
    rows = marginal_rows(design, 'time').rows
    mean = design.means['age']
    np.testing.assert_allclose(rows[0], [1, 1, 0, mean, mean, 0])


def test_pairs_are_in_the_order_of_emmeans():
    design = unbalanced('time * group + age')
    found = pair_rows(design, 'time')
    assert found.contrast == ('TP1 - TP2', 'TP1 - TP3', 'TP2 - TP3')
    np.testing.assert_allclose(found.rows[:, 1:3], [[1, -1], [2, 1], [1, 2]])
    assert (found.n_means, found.family.tolist(), list(found.by)) == (3, [0, 0, 0], [])
    cells = pair_rows(design, 'time:group')
    assert len(cells.contrast) == 15
    assert cells.contrast[:3] == ('TP1 r - TP2 r', 'TP1 r - TP3 r', 'TP1 r - TP1 n')
    assert set(cells.family) == {0}


def test_simple_effects_are_families_of_their_own():
    design = unbalanced('time * group + age')
    found = pair_rows(design, 'time | group')
    assert found.by['group'].tolist() == ['r'] * 3 + ['n'] * 3
    assert found.family.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.contrast == ('TP1 - TP2', 'TP1 - TP3', 'TP2 - TP3') * 2
    cells = marginal_rows(design, 'time:group').rows
    np.testing.assert_allclose(found.rows[3], cells[3] - cells[4])
    other = pair_rows(design, 'group|time')
    assert other.contrast == ('r - n',) * 3
    np.testing.assert_allclose(other.rows[1], cells[1] - cells[4])


def test_specifications():
    assert parse_means('time') == (('time',), ())
    assert parse_means('time : group|sex') == (('time', 'group'), ('sex',))


@pytest.mark.parametrize('spec', ['', 'time|', '|time', 'time:', 'time|group|sex', 'time|time'])
def test_other_specifications_are_refused(spec):
    with pytest.raises(InputError, match='write factors as time, time:group'):
        parse_means(spec)


def test_only_factors_of_the_model_have_means():
    design = unbalanced('time + age')
    with pytest.raises(InputError, match='age is a number, not a factor, of the model'):
        marginal_rows(design, 'age')
    with pytest.raises(InputError, match='group is no factor of the model; its factors: time'):
        pair_rows(design, 'time|group')


def many(formula, **levels):
    """Design of one row per level of the largest factor."""
    n = max(levels.values())
    names = {name: tuple(f'l{i}' for i in range(count)) for name, count in levels.items()}
    values = pd.DataFrame({name: np.resize(own, n) for name, own in names.items()})
    return build_design(values, parse_formula(formula), names)


def test_means_and_pairs_that_are_too_many_are_refused_before_they_are_made(monkeypatch):
    few = many('site + arm', site=45, arm=2)
    assert len(pair_rows(few, 'site').contrast) == 990
    with pytest.raises(
        InputError, match=r"Means 'site': 1035 pairs, more than 1000 \(site: 46 lev"
    ):
        pair_rows(many('site', site=46), 'site')
    with pytest.raises(
        InputError, match=r'1980 pairs, more than 1000 \(site: 45 levels, arm: 2 l'
    ):
        pair_rows(few, 'site|arm')
    big = many('site + arm', site=800, arm=2)
    wide = many('a + b + c + d', a=40, b=40, c=40, d=2)
    monkeypatch.setattr('ketbids.stats.mixed.margins.pd.DataFrame', None)  # nothing is made
    with pytest.raises(InputError, match=r"Means 'arm:site': 1600 means, more than 1000"):
        marginal_rows(big, 'arm:site')
    with pytest.raises(
        InputError, match=r'averaged, are too many \(a: 40 levels, b: 40 levels, c'
    ):
        marginal_rows(wide, 'd')
