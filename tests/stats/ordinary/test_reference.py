"""The ordinary tests on the reference data that stand beside the repository (R 4.2)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ketbids.stats.ordinary.ancova import fit_ancova
from ketbids.stats.ordinary.contingency import chi_squared, fisher_exact
from ketbids.stats.ordinary.corrections import adjust
from ketbids.stats.ordinary.correlations import correlate
from ketbids.stats.ordinary.distribution import levene, shapiro
from ketbids.stats.ordinary.location import anova, paired_t_test, t_test
from ketbids.stats.ordinary.ranks import mann_whitney, wilcoxon

CASES = Path(__file__).parents[4] / 'shared' / 'reference' / 'mixed'
pytestmark = pytest.mark.skipif(
    not (CASES / 'misc').is_dir(), reason='the reference cases are not beside the repository'
)

#: Relative tolerances: of everything, of Shapiro and Wilk's p, of intervals of effect sizes.
CLOSE, SHAPIRO, EFFECTS = 1e-8, 1e-6, 1e-5


@pytest.fixture(scope='module')
def expected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CASES / 'misc' / 'expected_R.json').read_text('utf-8'))
    return found


@pytest.fixture(scope='module')
def people() -> pd.DataFrame:
    return pd.read_csv(CASES / 'misc' / 'subjects.csv')


def groups(people: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    of = people['group'] == 'remitter'
    return people.loc[of, column], people.loc[~of, column]


@pytest.mark.parametrize(
    ('case', 'x', 'y', 'method', 'exact', 'partial'),
    [
        ('pearson', 'roi_change', 'hdrs_pct', 'pearson', None, False),
        ('pearson_with_missing', 'roi_change_na', 'hdrs_pct', 'pearson', None, False),
        ('spearman_default_exact', 'roi_change', 'hdrs_pct', 'spearman', None, False),
        ('spearman_t_approx', 'roi_change', 'hdrs_pct', 'spearman', False, False),
        ('spearman_ties_hdrs', 'roi_change', 'hdrs', 'spearman', None, False),
        ('kendall_ties', 'roi_change', 'hdrs', 'kendall', None, False),
        ('partial_pearson_age_sex', 'roi_change', 'hdrs_pct', 'pearson', None, True),
        ('partial_spearman_age_sex', 'roi_change', 'hdrs_pct', 'spearman', None, True),
        (
            'partial_pearson_age_sex_with_missing',
            'roi_change_na',
            'hdrs_pct',
            'pearson',
            None,
            True,
        ),
    ],
)
def test_correlations(expected, people, case, x, y, method, exact, partial) -> None:
    covariates = np.column_stack([people['age'], people['sex'] == 'M']) if partial else None

    found = correlate(people[x], people[y], method, covariates=covariates, exact=exact)

    want = expected[case]
    assert found.estimate == pytest.approx(want['estimate'], rel=CLOSE)
    assert found.p == pytest.approx(want['p'], rel=CLOSE)
    if 'ci95' in want:
        assert [found.low, found.high] == pytest.approx(want['ci95'], rel=CLOSE)
    if 'df' in want:
        assert found.df == want['df']
        assert found.statistic == pytest.approx(want.get('t', want.get('statistic')), rel=CLOSE)


@pytest.mark.parametrize(
    ('name', 'column'), [('age', 'age'), ('roi_change', 'roi_change'), ('rt1', 'rt1')]
)
def test_two_groups(
    expected: dict[str, Any], people: pd.DataFrame, name: str, column: str
) -> None:
    a, b = groups(people, column)

    for kind, found in (('welch', t_test(a, b)), ('student', t_test(a, b, equal_variances=True))):
        want = expected[f'{kind}_t_{name}']
        assert (found.t, found.df, found.p) == pytest.approx(
            (want['statistic'], want['df'], want['p']), rel=CLOSE
        )
        assert [found.low, found.high] == pytest.approx(want['ci95'], rel=CLOSE)
        assert [found.mean_1, found.mean_2] == pytest.approx(want['estimate'], rel=CLOSE)
    size, want = t_test(a, b).effect, expected[f'effect_{name}']
    assert size is not None
    assert (size.d, size.g) == pytest.approx((want['cohens_d'], want['hedges_g']), rel=CLOSE)
    assert [size.d_low, size.d_high] == pytest.approx(want['cohens_d_ci95'], rel=EFFECTS)
    assert [size.g_low, size.g_high] == pytest.approx(want['hedges_g_ci95'], rel=EFFECTS)
    ranks = expected[f'mannwhitney_{name}']
    for exact, key in ((None, 'exact_or_default'), (False, 'normal_approx_continuity')):
        found_ranks = mann_whitney(a, b, exact=exact)
        assert found_ranks.statistic == ranks[key]['statistic']
        assert found_ranks.p == pytest.approx(ranks[key]['p'], rel=CLOSE)
    by_mean, by_median = levene([a, b], 'mean'), levene([a, b])
    want = expected[f'levene_{name}']
    assert (by_mean.statistic, by_mean.p) == pytest.approx(
        (want['F_mean'], want['p_mean']), rel=CLOSE
    )
    want = expected[f'brown_forsythe_{name}']
    assert (by_median.statistic, by_median.p) == pytest.approx((want['F'], want['p']), rel=CLOSE)


def test_differences(expected: dict[str, Any], people: pd.DataFrame) -> None:
    found, ranks = (test(people['rt1'], people['rt2']) for test in (paired_t_test, wilcoxon))

    want = expected['paired_t_rt']
    assert (found.t, found.df, found.p) == pytest.approx(
        (want['statistic'], want['df'], want['p']), rel=CLOSE
    )
    assert (found.effect.d, found.effect.g) == pytest.approx(
        (want['cohens_dz'], want['hedges_gz']), rel=CLOSE
    )
    assert [found.effect.d_low, found.effect.d_high] == pytest.approx(want['dz_ci95'], rel=EFFECTS)
    assert [found.effect.g_low, found.effect.g_high] == pytest.approx(want['gz_ci95'], rel=EFFECTS)
    want = expected['wilcoxon_signed_rank_rt']
    assert (ranks.statistic, ranks.p) == pytest.approx((want['statistic'], want['p']), rel=CLOSE)


def test_linear_models(expected: dict[str, Any], people: pd.DataFrame) -> None:
    one_way = anova(groups(people, 'roi_change'))
    terms = fit_ancova(people, 'roi_change ~ group + age + sex').terms().set_index('term')

    want = expected['anova_oneway_roi']
    assert (one_way.statistic, one_way.p) == pytest.approx((want['F'], want['p']), rel=CLOSE)
    for term, want in expected['ancova_roi_group_age_sex_type3'].items():
        row = terms.loc[term]
        assert (row['f'], row['p']) == pytest.approx((want['F'], want['p']), rel=CLOSE)
        assert (row['num_df'], row['den_df']) == (want['df1'], want['df2'])


def test_tables(expected: dict[str, Any]) -> None:
    for name, file in (('t2', 'table_2x2.csv'), ('t3', 'table_3x3.csv')):
        table = pd.read_csv(CASES / 'misc' / file, index_col=0).to_numpy()
        found, want = chi_squared(table), expected[f'chisq_{name}']
        assert (found.statistic, found.p, found.df) == pytest.approx(
            (want['statistic'], want['p'], want['df']), rel=CLOSE
        )
        assert found.smallest_expected == pytest.approx(want['min_expected'], rel=CLOSE)
        assert found.cramers_v == pytest.approx(want['cramers_v'], rel=CLOSE)
        assert fisher_exact(table).p == pytest.approx(expected[f'fisher_{name}']['p'], rel=CLOSE)
    table = pd.read_csv(CASES / 'misc' / 'table_2x2.csv', index_col=0).to_numpy()
    assert fisher_exact(table).odds_ratio == pytest.approx(expected['odds_ratio_t2_sample'])
    want = expected['chisq_sex_by_group']
    found = chi_squared(want['table'])
    assert (found.statistic, found.p) == pytest.approx((want['statistic'], want['p']), rel=CLOSE)


@pytest.mark.parametrize('column', ['age', 'hdrs', 'roi_change', 'acc', 'hdrs_pct'])
def test_normality(expected: dict[str, Any], people: pd.DataFrame, column: str) -> None:
    found, want = shapiro(people[column]), expected[f'shapiro_{column}']

    assert found.w == pytest.approx(want['statistic'], rel=CLOSE)
    assert found.p == pytest.approx(want['p'], rel=SHAPIRO)


def test_corrections(expected: dict[str, Any]) -> None:
    p = pd.read_csv(CASES / 'misc' / 'pvalues.csv')['p'].to_numpy()
    with_gaps = p.copy()
    with_gaps[[1, 8]] = np.nan

    for method in ('BH', 'BY', 'holm', 'bonferroni'):
        want = expected[f'padjust_{method}']
        assert adjust(p, method.lower()) == pytest.approx(want, rel=CLOSE)
    want = [np.nan if v == 'NA' else v for v in expected['padjust_BH_with_NA_at_2_and_9']]
    assert adjust(with_gaps, 'bh') == pytest.approx(want, rel=CLOSE, nan_ok=True)


def test_scores_against_changes_of_a_region() -> None:
    folder = CASES / 'roi_vs_hdrs'
    want = json.loads((folder / 'expected_R.json').read_text('utf-8'))
    people = pd.read_csv(folder / 'participants.csv').set_index('subject')
    for file, name in (('hdrs.csv', 'hdrs'), ('roi.csv', 'roi')):
        wide = pd.read_csv(folder / file).pivot(index='subject', columns='time', values=name)
        people = people.join(wide.add_prefix(f'{name}_'))
    percent = 100 * (people['hdrs_TP3'] - people['hdrs_TP1']) / people['hdrs_TP1']
    change = people['roi_TP3'] - people['roi_TP1']
    covariates = np.column_stack([people['age'], people['sex'] == 'M'])

    found = correlate(percent, change)
    partial = correlate(percent, change, covariates=covariates)
    ranks = correlate(percent, change, 'spearman', exact=False)

    assert found.n == want['n_correlation']
    assert (found.estimate, found.p) == pytest.approx(
        (want['pearson']['r'], want['pearson']['p']), rel=CLOSE
    )
    assert [found.low, found.high] == pytest.approx(want['pearson']['ci95'], rel=CLOSE)
    assert (ranks.estimate, ranks.p) == pytest.approx(
        (want['spearman']['rho'], want['spearman']['p_t_approx']), rel=CLOSE
    )
    mine = want['partial_pearson_age_sex']
    assert (partial.estimate, partial.p, partial.df) == pytest.approx(
        (mine['r'], mine['p'], mine['df']), rel=CLOSE
    )
    assert fisher_exact(want['table']).p == pytest.approx(want['sex_fisher_p'], rel=CLOSE)
    assert chi_squared(want['table']).p == pytest.approx(
        want['sex_chisq_no_yates']['p'], rel=CLOSE
    )
    known = people.dropna(subset='hdrs_TP3')
    remitter = known['hdrs_TP3'] <= 7
    age = t_test(known.loc[~remitter, 'age'], known.loc[remitter, 'age'])
    mine = want['age_welch_nonremitter_minus_remitter']
    assert (age.t, age.df, age.p) == pytest.approx((mine['t'], mine['df'], mine['p']), rel=CLOSE)
