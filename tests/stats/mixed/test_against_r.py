"""Mixed models beside R itself, on made-up and on real trials."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from ketbids.cli.mixedresults import Request, mixed_results
from tests.r import run_r
from tests.stats.mixed.simulated import trial

SHARED = Path(__file__).parents[4] / 'shared' / 'data'
HAMD = SHARED / 'rbmi' / 'antidepressant_hamd17.csv'
BDI = SHARED / 'hsaur_btheb' / 'BtheB.csv'

MADE_UP = 'time=TP1,TP2,TP3;group=remitter,nonremitter;sex=F,M'
MADE_UP_FORMULA = 'y ~ time * group + age + sex'
HAMD_LEVELS = 'time=4,5,6,7;group=DRUG,PLACEBO'
BDI_LEVELS = 'time=2m,3m,5m,8m;group=TAU,BtheB;drug=No,Yes'
BDI_FORMULA = 'y ~ time * group + base + drug'


class Case(NamedTuple):
    """A model that both sides fit."""

    case: str
    source: str
    formula: str
    covariance: str
    factors: str
    means: tuple[str, ...] = ()


CASES = [
    Case('made-up', 'made-up', MADE_UP_FORMULA, 'ri', MADE_UP, ('time', 'time:group')),
    Case('one term', 'made-up', 'y ~ time', 'ri', 'time=TP1,TP2,TP3', ('time',)),
    *(Case(f'made-up {c}', 'made-up', MADE_UP_FORMULA, c, MADE_UP) for c in ('csh', 'un', 'ar1')),
    Case('hamd', 'hamd', 'y ~ time * group + base', 'ri', HAMD_LEVELS, ('time|group',)),
    Case('hamd un', 'hamd', 'y ~ time * group + base', 'un', HAMD_LEVELS),
    Case('bdi', 'bdi', BDI_FORMULA, 'ri', BDI_LEVELS, ('time|group', 'group|time')),
    *(
        Case(f'bdi {c}', 'bdi', BDI_FORMULA, c, BDI_LEVELS)
        for c in ('cs', 'csh', 'un', 'ar1', 'arh1', 'diag')
    ),
]


def tables() -> dict[str, pd.DataFrame]:
    """Long tables by the name of the source; those that are at hand."""
    found = {'made-up': trial(7)}
    if HAMD.exists():
        names = {'PATIENT': 'subject', 'VISIT': 'time', 'THERAPY': 'group', 'BASVAL': 'base'}
        found['hamd'] = pd.read_csv(HAMD).rename(columns={**names, 'HAMDTL17': 'y'})
    if BDI.exists():
        wide = pd.read_csv(BDI)
        wide['subject'] = [f's{number:03d}' for number in range(len(wide))]
        visits = [f'bdi.{month}m' for month in (2, 3, 5, 8)]
        kept = ['subject', 'drug', 'treatment', 'bdi.pre']
        long = wide.melt(kept, visits, 'time', 'y').replace({'time': r'^bdi\.'}, '', regex=True)
        found['bdi'] = long.rename(columns={'treatment': 'group', 'bdi.pre': 'base'})
    return found


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('r')
    for name, table in tables().items():
        table.to_csv(folder / f'{name}.csv', index=False)
    return folder


@pytest.fixture(scope='module')
def from_r(folder):
    """Case -> what -> name -> column -> number."""
    rows = [
        {**case._asdict(), 'file': folder / f'{case.source}.csv', 'means': ';'.join(case.means)}
        for case in CASES
        if (folder / f'{case.source}.csv').exists()
    ]
    pd.DataFrame(rows).to_csv(folder / 'cases.tsv', sep='\t', index=False)
    found = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for case, what, name, column, value in run_r('lmertest.R', folder / 'cases.tsv'):
        found[case][what][name][column] = float(value)
    return found


def ours(folder, case, **more):
    path = folder / f'{case.source}.csv'
    if not path.exists():
        pytest.skip(f'there is no table of {case.source}')
    levels = dict(part.split('=') for part in case.factors.split(';'))
    request = Request(
        formula=case.formula,
        subject='subject',
        visit='time',
        covariance=case.covariance,
        basis='lmertest',
        levels={name: tuple(text.split(',')) for name, text in levels.items()},
        means=case.means,
        **more,
    )
    return mixed_results(path, request)


def assert_terms(found, expected):
    assert set(found) == set(expected)
    for name, row in expected.items():
        for key in ('F', 'num_df', 'den_df'):
            assert found[name][key] == pytest.approx(row[key], rel=1e-5, abs=1e-6), (name, key)
        assert found[name]['p'] == pytest.approx(row['p'], rel=1e-3, abs=1e-12)


def assert_row(found, expected, keys):
    """Estimates and limits to 1e-5 of a standard error, the others to 1e-5 of themselves."""
    for key in keys:
        rel, scale = (1e-5, 0.0) if key in ('se', 'df', 't') else (0.0, 1e-5 * expected['se'])
        assert found[key] == pytest.approx(expected[key], rel=rel, abs=scale or 1e-6), key


@pytest.mark.parametrize('case', [c for c in CASES if c.covariance == 'ri'], ids=lambda c: c.case)
def test_a_random_intercept_is_lmertests(folder, from_r, case):
    found, expected = ours(folder, case), from_r[case.case]
    assert found['loglik'] == pytest.approx(expected['fit']['loglik']['value'], abs=1e-6)
    between, within = (row['estimate'] for row in found['covariance'].values())
    assert between == pytest.approx(expected['covariance']['between']['estimate'], rel=1e-5)
    assert within == pytest.approx(expected['covariance']['within']['estimate'], rel=1e-5)
    assert_terms(found['terms'], expected['satterthwaite'])
    assert set(found['fixed']) == set(expected['fixed'])
    for name, row in expected['fixed'].items():
        assert_row(found['fixed'][name], row, ('estimate', 'se', 'df', 't'))
        assert found['fixed'][name]['p'] == pytest.approx(row['p'], rel=1e-3, abs=1e-12)


@pytest.mark.parametrize('case', [c for c in CASES if c.covariance == 'ri'], ids=lambda c: c.case)
def test_kenward_roger_is_pbkrtests(folder, from_r, case):
    found = ours(folder, case, ddf='kenward-roger')
    assert_terms(found['terms'], from_r[case.case]['kenward-roger'])


@pytest.mark.parametrize('case', [c for c in CASES if c.means], ids=lambda c: c.case)
def test_marginal_means_and_pairs_are_those_of_emmeans(folder, from_r, case):
    found = ours(folder, case)
    for spec in case.means:
        factors = spec.replace('|', ':').split(':')
        expected = from_r[case.case][f'emm {spec}']
        rows = {'/'.join(row[name] for name in factors): row for row in found['emmeans'][spec]}
        assert set(rows) == set(expected)
        for name, row in expected.items():
            assert_row(rows[name], row, ('emmean', 'se', 'df', 'ci95_low', 'ci95_high'))
        by = spec.split('|')[1:]
        expected = from_r[case.case][f'pairs {spec}']
        rows = {'/'.join(row[n] for n in (*by, 'contrast')): row for row in found['pairs'][spec]}
        # emmeans writes "TP1 nonremitter"; levels that look like numbers get a prefix.
        assert len(rows) == len(expected)
        for ours_, (name, row) in zip(rows.items(), expected.items(), strict=True):
            assert ours_[0] == name.replace('time', '')
            columns = ('estimate', 'se', 'df', 't', 'ci95_low', 'ci95_high')
            assert_row(ours_[1], row, columns)
            for key in ('p', 'p_bonferroni', 'p_holm', 'p_sidak'):
                assert ours_[1][key] == pytest.approx(row[key], rel=1e-3, abs=1e-12)
            assert ours_[1]['p_tukey'] == pytest.approx(row['p_tukey'], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize('case', [c for c in CASES if c.covariance != 'ri'], ids=lambda c: c.case)
def test_residual_covariances_are_those_of_nlme(folder, from_r, case):
    found, expected = ours(folder, case), from_r[case.case]
    # gls can stop before the maximum: we may be above it, never below.
    assert -1e-6 < found['loglik'] - expected['fit']['loglik']['value'] < 1e-4
    for name, row in expected['fixed'].items():
        assert found['fixed'][name]['estimate'] == pytest.approx(
            row['estimate'], abs=2e-4 * row['se']
        )
        assert found['fixed'][name]['se'] == pytest.approx(row['se'], rel=2e-4)


@pytest.mark.skipif(not HAMD.exists(), reason=f'there is no {HAMD}')
def test_the_trial_has_the_people_that_it_had(folder):
    found = ours(folder, next(case for case in CASES if case.case == 'hamd un'))
    assert (found['n_subjects'], found['n_obs']) == (172, 608)
    assert found['terms']['time:group']['p'] < 0.05
