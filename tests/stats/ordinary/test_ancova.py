"""Analysis of covariance against R (drop1, emmeans), t tests, and bad input."""

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.stats.ordinary.ancova import fit_ancova
from ketbids.stats.ordinary.location import t_test
from tests.stats.ordinary.made_up import X, Z

LEVELS = {'group': ('a', 'b', 'ctl')}


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({'y': X, 'group': np.repeat(['ctl', 'a', 'b'], 4), 'score': Z})


def test_type_three_tests(frame: pd.DataFrame) -> None:
    terms = fit_ancova(frame, 'y ~ group + score', LEVELS).terms().set_index('term')

    assert tuple(terms.loc['group', ['f', 'p']]) == pytest.approx(
        (1.94597610455191, 0.204808193597194), rel=1e-10
    )
    assert tuple(terms.loc['score', ['f', 'p']]) == pytest.approx(
        (0.0232763225044837, 0.882518412826063), rel=1e-10
    )
    assert tuple(terms.loc['group', ['num_df', 'den_df']]) == (2, 8)
    f = terms.loc['group', 'f']
    assert terms.loc['group', 'partial_eta2'] == pytest.approx(2 * f / (2 * f + 8))


def test_adjusted_means_and_pairs(frame: pd.DataFrame) -> None:
    found = fit_ancova(frame, 'y ~ group + score', LEVELS)

    means, pairs = found.means('group'), found.pairs('group')

    assert list(means['group']) == ['a', 'b', 'ctl']
    assert list(means['emmean']) == pytest.approx([6.13, 9.65, 4.95], abs=6e-3)  # emmeans, printed
    assert list(means['ci95_low']) == pytest.approx([2.139, 5.646, 0.901], abs=6e-4)
    assert list(pairs['contrast']) == ['a - b', 'a - ctl', 'b - ctl']
    assert list(pairs['t']) == pytest.approx([-1.443, 0.473, 1.882], abs=6e-4)
    assert list(pairs['p_holm']) == pytest.approx([0.3741, 0.6487, 0.2900], abs=6e-5)
    assert list(pairs['d']) == pytest.approx(list(pairs['estimate'] / found.sigma))


def test_without_covariates_two_groups_are_students_t(frame: pd.DataFrame) -> None:
    two = frame[frame['group'] != 'b']

    found = fit_ancova(two, 'y ~ group')

    student = t_test(
        two['y'][two['group'] == 'a'], two['y'][two['group'] == 'ctl'], equal_variances=True
    )
    pair = found.pairs('group').iloc[0]
    assert pair['t'] == pytest.approx(student.t)
    assert pair['p'] == pytest.approx(student.p)
    assert student.effect is not None
    assert (pair['d'], pair['d_ci95_low']) == pytest.approx(
        (float(student.effect.d), float(student.effect.d_low))
    )


def test_type_three_does_not_depend_on_the_order_of_terms(frame: pd.DataFrame) -> None:
    unequal = frame.assign(sex=list('FFMMFMMMFFFM')).drop(index=3)

    one = fit_ancova(unequal, 'y ~ group * sex').terms().set_index('term')['f']
    other = fit_ancova(unequal, 'y ~ sex * group').terms().set_index('term')['f']

    assert (one['group'], one['sex']) == pytest.approx((other['group'], other['sex']))
    assert one['group:sex'] == pytest.approx(other['sex:group'])


def test_incomplete_rows_are_left_out_and_named(frame: pd.DataFrame) -> None:
    frame.loc[[1, 6], ['y', 'score']] = [[np.nan, 1], [2, np.nan]]

    found = fit_ancova(frame, 'y ~ group + score')

    assert (found.n, found.dropped, found.df) == (10, (1, 6), 6)


@pytest.mark.parametrize(
    ('formula', 'change', 'message'),
    [
        ('~ group', {}, 'has no response'),
        ('y ~ sex', {}, 'there is no column sex; at hand: y, group, score'),
        ('y ~ group', {'group': 'ctl'}, r'The factor group has one level \(ctl\)'),
        ('y ~ group', {'y': 3.0}, 'y does not vary: 12 complete rows'),
        ('y ~ score + other', {'other': 2 * Z}, 'depend on each other in the 12 complete rows'),
        ('y ~ group + other', {'other': 5.0}, 'depend on each other'),
        ('y ~ C(score)', {}, 'too few for 12 coefficients'),
        ('y ~ group', {'y': np.repeat([1.0, 2, 3], 4)}, 'without a residual'),
        ('group ~ score', {}, 'The column group holds something that is no number'),
    ],
)
def test_bad_input(frame: pd.DataFrame, formula: str, change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_ancova(frame.assign(**change), formula)
