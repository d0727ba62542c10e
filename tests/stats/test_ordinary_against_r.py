"""Ordinary tests beside R's, on made-up and on real scores."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.stats.mixed.model import fit_mixed
from ketbids.stats.ordinary.ancova import fit_ancova
from ketbids.stats.ordinary.contingency import chi_squared, fisher_exact
from ketbids.stats.ordinary.corrections import adjust
from ketbids.stats.ordinary.correlations import correlate
from ketbids.stats.ordinary.distribution import levene, shapiro
from ketbids.stats.ordinary.location import anova, paired_t_test, t_test
from ketbids.stats.ordinary.ranks import kruskal_wallis, mann_whitney, wilcoxon
from tests.r import run_r
from tests.stats.mixed.simulated import trial

SHARED = Path(__file__).parents[3] / 'shared' / 'data'
CNP = SHARED / 'ds000030'
BDI = SHARED / 'hsaur_btheb' / 'BtheB.csv'


def people(source):
    """y, age, sex and group of people without missing values."""
    if source == 'made-up':
        table = trial(3, n=90).query("time == 'TP2'").copy()
        table['group'] = np.resize(['a', 'b', 'c', 'a', 'b'], len(table))
        table['y'] = table['y'].round()
        return table
    if not (CNP / 'phenotype' / 'hamilton.tsv').exists():
        pytest.skip(f'there is no {CNP}')
    scores = pd.read_csv(CNP / 'phenotype' / 'hamilton.tsv', sep='\t', na_values='n/a')
    about = pd.read_csv(CNP / 'participants.tsv', sep='\t', na_values='n/a')
    table = scores.merge(about, on='participant_id').dropna(subset='hamd_17')
    names = {'hamd_17': 'y', 'gender': 'sex', 'diagnosis': 'group'}
    table = table.rename(columns=names)
    assert table['group'].value_counts().to_dict() == {'SCHZ': 50, 'BIPOLAR': 49, 'ADHD': 43}
    return table


def pairs(source):
    """Scores before and after."""
    if source == 'made-up':
        wide = trial(3, n=90).pivot_table(index='subject', columns='time', values='y').round()
        return pd.DataFrame({'before': wide['TP1'], 'after': wide['TP2']}).dropna()
    if not BDI.exists():
        pytest.skip(f'there is no {BDI}')
    wide = pd.read_csv(BDI)
    return pd.DataFrame({'before': wide['bdi.pre'], 'after': wide['bdi.2m']}).dropna()


class Scores:
    """The data, and what R says of them: test -> column -> number."""

    def __init__(self, source, folder):
        self.people, self.pairs = people(source), pairs(source)
        for name in ('people', 'pairs'):
            getattr(self, name).to_csv(folder / f'{source}_{name}.csv', index=False)
        self.r = defaultdict(dict)
        files = (folder / f'{source}_{name}.csv' for name in ('people', 'pairs'))
        for test, column, value in run_r('ordinary.R', *files):
            self.r[test][column] = float(value)

    def by(self, name):
        """Scores of each level of a factor, in the order of the levels."""
        return {level: part['y'].to_numpy() for level, part in self.people.groupby(name)}

    def agrees(self, test, result, rel=1e-8, **renamed):
        assert self.r[test]
        for column, value in self.r[test].items():
            found = getattr(result, renamed.get(column, column))
            assert found == pytest.approx(value, rel=rel), (test, column)


@pytest.fixture(scope='module', params=['made-up', 'real'])
def scores(request, tmp_path_factory):
    return Scores(request.param, tmp_path_factory.mktemp('r'))


def test_t_tests(scores):
    women, men = scores.by('sex').values()
    scores.agrees('welch', t_test(women, men))
    scores.agrees('student', t_test(women, men, equal_variances=True))
    scores.agrees('paired', paired_t_test(scores.pairs['before'], scores.pairs['after']))


def test_rank_tests(scores):
    scores.agrees('mann-whitney', mann_whitney(*scores.by('sex').values()))
    scores.agrees('wilcoxon', wilcoxon(scores.pairs['before'], scores.pairs['after']))


def test_correlations(scores):
    y, age = scores.people['y'], scores.people['age']
    scores.agrees('pearson', correlate(y, age))
    scores.agrees('spearman', correlate(y, age, 'spearman', exact=False))
    scores.agrees('kendall', correlate(y, age, 'kendall', exact=False))
    covariates = pd.get_dummies(scores.people[['sex', 'group']], drop_first=True, dtype=float)
    scores.agrees('partial', correlate(y, age, covariates=covariates.to_numpy()))


def test_several_groups(scores):
    groups = scores.by('group')
    scores.agrees('anova', anova(groups))
    scores.agrees('kruskal-wallis', kruskal_wallis(groups))
    scores.agrees('levene-median', levene(groups))
    scores.agrees('levene-mean', levene(groups, center='mean'))


def test_normality(scores):
    scores.agrees('shapiro', shapiro(scores.people['y']), rel=1e-6)


def test_counts(scores):
    table = pd.crosstab(scores.people['group'], scores.people['sex'])
    scores.agrees('chi2', chi_squared(table))
    table = pd.crosstab(scores.people['y'] <= 7, scores.people['sex'])
    found = fisher_exact(table)
    assert found.p == pytest.approx(scores.r['fisher']['p'], rel=1e-8)
    # R searches the odds ratio and its limits by uniroot, to a ten-thousandth.
    scores.agrees('fisher', found, rel=1e-3)


def test_corrections(scores):
    p = [scores.r['adjust none'][level] for level in scores.by('group')]
    for method in ('BH', 'BY', 'holm', 'bonferroni'):
        expected = [scores.r[f'adjust {method}'][level] for level in scores.by('group')]
        assert adjust(p, method.lower()) == pytest.approx(expected, rel=1e-10)


def test_a_linear_model_is_an_analysis_of_covariance(scores):
    frame = scores.people.reset_index(drop=True)
    frame['subject'] = [f's{number}' for number in frame.index]
    formula = 'y ~ group * sex + age'
    mixed = fit_mixed(frame, formula, subject='subject', covariance='independent')
    for table in (mixed.terms(), fit_ancova(frame, formula).terms()):
        rows = table.set_index('term')
        for term in ('group', 'sex', 'age', 'group:sex'):
            for column, value in scores.r[f'ancova {term}'].items():
                assert rows.loc[term, column] == pytest.approx(value, rel=1e-8)
