"""Every reference case of R (lmerTest, pbkrtest, emmeans, mmrm) and the listing of SAS."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.stats.mixed.model import MixedFit, MixedModel, fit_mixed
from ketbids.stats.ordinary.corrections import adjust

FOLDER = Path(__file__).parents[4] / 'shared' / 'reference' / 'mixed'
#: Names of structures in the cases, and here.
NAMES = {'us': 'un', 'ar1h': 'arh1'}


def _cases():
    for path in sorted(FOLDER.glob('*/case.json')):
        case = json.loads(path.read_text(encoding='utf-8'))
        for kind in case.get('kinds', []):
            yield pytest.param(path.parent, case, kind, id=f'{path.parent.name}-{kind}')


CASES = list(_cases()) or [pytest.param(None, None, None, marks=pytest.mark.skip('no ../shared'))]


def close(found, expected, *, rel=0.0, within=0.0):
    np.testing.assert_allclose(found, expected, rtol=rel, atol=within)


def same_terms(found: pd.DataFrame, expected: dict) -> None:
    """F to 1e-5 (or 1e-6 absolutely: lmerTest rounds its rows), df to 1e-5, p to 1e-3."""
    assert sorted(found['term']) == sorted(expected)
    for row in found.itertuples():
        wanted = expected[row.term]
        assert row.num_df == wanted['numDF']
        close(row.f, wanted['F'], rel=1e-5, within=1e-6)
        close(row.den_df, wanted['denDF'], rel=1e-5)
        close(row.p, wanted['p'], rel=1e-3, within=1e-12)
        close(row.p_log10, np.log10(wanted['p']), rel=1e-4, within=5e-4)


def same_estimates(found: pd.DataFrame, expected: list[dict]) -> None:
    assert found['term'].tolist() == [row['term'] for row in expected]
    table = pd.DataFrame(expected)
    se = table['Std. Error']
    assert (abs(found['estimate'] - table['Estimate']) <= 1e-5 * se).all()
    close(found['se'], se, rel=1e-5)
    close(found['df'], table['df'], rel=1e-5)
    close(found['p'], table['Pr(>|t|)'], rel=1e-3, within=1e-12)
    if 'lower' in table:
        assert (abs(found['ci95_low'] - table['lower']) <= 1e-5 * se).all()
        assert (abs(found['ci95_high'] - table['upper']) <= 1e-5 * se).all()


def same_means(fit: MixedFit, spec: str, expected: dict) -> None:
    factors, table = spec.split(':'), pd.DataFrame(expected['means'])
    found = fit.emmeans(spec)
    assert found[factors].to_numpy().tolist() == table[factors].to_numpy().tolist()
    for mine, theirs in (
        ('emmean', 'emmean'),
        ('ci95_low', 'lower.CL'),
        ('ci95_high', 'upper.CL'),
    ):
        assert (abs(found[mine] - table[theirs]) <= 1e-5 * table['SE']).all(), mine
    close(found['se'], table['SE'], rel=1e-5)
    close(found['df'], table['df'], rel=1e-5)


def same_pairs(fit: MixedFit, spec: str, expected: list[dict]) -> None:
    found, table = fit.pairs(spec), pd.DataFrame(expected)
    assert found['contrast'].tolist() == table['contrast'].tolist()
    if by := spec.partition('|')[2]:
        assert found[by].tolist() == table[by].tolist()
    for mine, theirs in (('estimate',) * 2, ('ci95_low', 'lower.CL'), ('ci95_high', 'upper.CL')):
        assert (abs(found[mine] - table[theirs]) <= 1e-5 * table['SE']).all(), mine
    close(found['se'], table['SE'], rel=1e-5)
    close(found['df'], table['df'], rel=1e-5)
    close(found['p'], table['p_none'], rel=1e-3, within=1e-12)
    for name in ('p_bonferroni', 'p_holm', 'p_sidak'):
        close(found[name], table[name], rel=1e-3, within=1e-12)
    close(found['p_tukey'], table['p_tukey'], within=1e-6)


@pytest.fixture(scope='module')
def models():
    """Model of each case, made once."""
    return {}


def fitted(models, folder, case, kind) -> MixedFit:
    if folder not in models:
        table = pd.read_csv(folder / 'data.csv')
        model = MixedModel(
            table, case['formula'], subject='subject', visit=case['visit'], levels=case['factors']
        )
        models[folder] = model, table[case['response']].to_numpy() * case.get('y_scale', 1)
    model, y = models[folder]
    return model.fit(y, covariance=NAMES.get(kind, kind))


@pytest.mark.parametrize(('folder', 'case', 'kind'), CASES)
def test_reference_case(models, folder, case, kind):
    fit = fitted(models, folder, case, kind)
    expected = json.loads((folder / 'expected_R.json').read_text(encoding='utf-8'))
    assert (fit.n_obs, fit.n_subjects) == (expected['n_obs'], expected['n_subjects'])
    assert fit.converged
    random_intercept = kind == 'ri'
    if random_intercept:
        wanted = expected['random_intercept']
        _check_random_intercept(fit, wanted)
    else:
        wanted = expected[f'marginal_{kind}']
        wanted = wanted.get('mmrm') or wanted['numeric']
        _check_marginal(fit, wanted)
    close(fit.criteria()['loglik'], wanted['logLik'], within=1e-6)
    same_terms(fit.terms(basis='lmertest'), wanted['anova_satterthwaite'])
    same_terms(fit.terms(basis='spss'), wanted['anova_satterthwaite_spss_basis'])
    flavour = 'anova_kenward_roger' + '_linear' * (not random_intercept)
    assert flavour in wanted or kind in ('csh', 'ar1', 'ar1h', 'diag')
    if flavour in wanted:
        same_terms(fit.terms('kenward-roger'), wanted[flavour])
    for spec, tables in wanted.get('emmeans', {}).items():
        same_means(fit, spec, tables)
        same_pairs(fit, spec, tables['pairs'])
        for name in tables.keys() - {'means', 'pairs'}:
            same_pairs(fit, name.removeprefix('pairs_').replace('_by_', '|'), tables[name])


def _check_random_intercept(fit: MixedFit, wanted: dict) -> None:
    assert fit.singular == wanted['isSingular']
    variances = np.array([wanted['var_subject'], wanted['var_residual']])
    close(fit.covariance()['estimate'], variances, rel=1e-5, within=1e-8 * variances.sum())
    criteria = fit.criteria()
    close(criteria['minus2_restricted_loglik'], wanted['REML_criterion'], within=2e-6)
    close([criteria['aic_lme4'], criteria['bic_lme4']], [wanted['AIC'], wanted['BIC']], rel=1e-6)
    same_estimates(fit.estimates('treatment'), wanted['coef_treatment'])
    same_estimates(fit.estimates('sum'), wanted['coef_sum'])
    found = fit.terms(basis='lmertest').set_index('term')
    for term, eta in wanted['partial_eta2'].items():
        limits = found.loc[term, ['partial_eta2', 'ci90_low', 'ci90_high']].to_numpy(float)
        close(limits, [eta['eta2p'], eta['ci90_low'], eta['ci90_high']], within=1e-4)


def _check_marginal(fit: MixedFit, wanted: dict) -> None:
    if 'varcor' in wanted:
        sigma = np.array(wanted['varcor'])
        close(fit.fit.sigma, sigma, within=1e-5 * sigma.diagonal().min())
    else:
        visits = fit.prepared.rows.visits
        variances = [wanted['visit_variances'][visit] for visit in visits]
        close(fit.covariance()['estimate'], variances, rel=1e-5)
    if 'coef_sum' in wanted:
        same_estimates(fit.estimates('sum'), wanted['coef_sum'])


def test_the_listing_of_sas(shared):
    """To the digits it is good for; df of AVISIT need its basis (164 with the other one)."""
    folder = shared / 'reference' / 'mixed' / 'sas_fev_satterthwaite'
    case = json.loads((folder / 'case.json').read_text(encoding='utf-8'))
    listing = json.loads((folder / 'expected_SAS.json').read_text(encoding='utf-8'))
    fit = fit_mixed(
        pd.read_csv(folder / 'data.csv'), case['formula'], subject=case['subject'],
        visit=case['visit'], levels=case['factors'], covariance=NAMES[case['covariance']],
    )  # fmt: skip
    assert (fit.n_obs, fit.n_subjects) == (case['n_obs'], case['n_subjects_used'])
    criteria = fit.criteria()
    assert criteria['minus2_restricted_loglik'] == pytest.approx(listing['minus2RLL'], abs=0.05)
    assert criteria['aic'] == pytest.approx(listing['AIC_covparms_only'], abs=0.05)
    found = fit.terms(basis='spss').set_index('term')
    for term, wanted in listing['type3'].items():
        assert found.loc[term, 'f'] == pytest.approx(wanted['F'], abs=0.01)
        assert round(found.loc[term, 'den_df']) == wanted['denDF']
        if 'p' in wanted:
            assert found.loc[term, 'p'] == pytest.approx(wanted['p'], abs=5e-4)
    first = fit.terms(basis='lmertest').set_index('term')
    wrong = listing['wrong_basis_for_comparison']['AVISIT denDF, first-level basis']
    assert first.loc['AVISIT', 'den_df'] == pytest.approx(wrong, abs=0.005)


def test_networks_over_time(shared):
    """One model per network of one table, and p corrected over networks."""
    folder = shared / 'reference' / 'mixed' / 'yeo7'
    expected = json.loads((folder / 'expected_R.json').read_text(encoding='utf-8'))
    table = pd.read_csv(folder / 'data.csv')
    wide = table.pivot_table(
        index=['subject', 'time'], columns='network', values='y', dropna=False
    ).reset_index()
    wide = wide[wide.drop(columns=['subject', 'time']).notna().any(axis=1)]
    model = MixedModel(wide, 'time', subject='subject', visit='time')
    p = {}
    for network, wanted in expected.items():
        if network not in wide:
            continue
        fit = model.fit(wide[network].to_numpy(), name=network)
        found, spss = fit.terms(basis='lmertest').iloc[0], fit.terms(basis='spss').iloc[0]
        close(found['f'], wanted['F'], rel=1e-5, within=1e-6)
        close([found['den_df'], spss['den_df']], [wanted['denDF'], wanted['denDF_spss']], rel=1e-5)
        close([found['p'], spss['p']], [wanted['p'], wanted['p_spss']], rel=1e-3)
        assert fit.singular == wanted['isSingular']
        means, pairs = pd.DataFrame(wanted['emmeans']), pd.DataFrame(wanted['pairs_holm'])
        close(fit.emmeans('time')['emmean'], means['emmean'], rel=1e-5)
        close(fit.pairs('time')['df'], pairs['df'], rel=1e-5)
        close(fit.pairs('time')['p_holm'], pairs['p.value'], rel=1e-3)
        p[network] = found['p']
    assert len(p) == 7
    for corrected, name in (
        (adjust(list(p.values()), 'bh'), 'BH'),
        (adjust(list(p.values()), 'holm'), 'holm'),
    ):
        wanted = expected[f'p_{name}_across_networks']
        close(corrected, [wanted[network] for network in p], rel=1e-3)
