"""Every statistic of the packaged model file is computed on a made-up study of its kind."""

import numpy as np
import pandas as pd
import pytest

from ketbids.model import load_model
from ketbids.stats import expressions
from ketbids.stats.circularity import uses_of_analysis
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.results import Result
from ketbids.stats.clinical.run import run_statistic
from ketbids.stats.clinical.specs import MixedStatistic

MODEL = load_model()
VISITS = ('TP1', 'TP2', 'TP3')
SELECTED = 'remitterChange:R_precentral'
NETWORKS = [
    f'{side}_{name}'
    for side in 'LR'
    for name in (
        *('Visual', 'Somatomotor', 'Dorsal Attention', 'Ventral Attention'),
        *('Limbic', 'Frontoparietal', 'Default'),
    )
]
ROOTS = {name: frozenset({'hdrs'}) for name in MODEL.derived}


def make_people(rng: np.random.Generator) -> pd.DataFrame:
    """20 controls seen once, and 30 patients of whom some miss a later visit."""
    number = np.arange(50)
    people = pd.DataFrame(
        {
            'group': np.where(number < 20, 'HC', 'TRD'),
            'age': rng.integers(20, 64, 50),
            'sex': np.where(number % 2, 'M', 'F'),
        },
        index=[f'{n:02d}' for n in number],
    )
    patient = people['group'] == 'TRD'
    for place, visit in enumerate(VISITS):
        scores = np.clip(np.round(rng.normal(22 - 7 * place, 4, 50)), 0, None)
        there = patient & ((place == 0) | (number % 7 != place))
        people[f'hdrs_{visit}'] = np.where(there, scores, np.nan)
    return expressions.derive(people, MODEL.derived)


def make_outcomes(people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    asked = [s.outcome for s in MODEL.statistics if isinstance(s, MixedStatistic)]
    measures = [name for outcome in asked for name in outcome.behaviour]
    names = dict.fromkeys([SELECTED, 'R_precentral', *MODEL.regions, *NETWORKS, *measures])
    rows = []
    for who, person in people.iterrows():
        for visit in VISITS:
            seen = visit == 'TP1' if person['group'] == 'HC' else pd.notna(person[f'hdrs_{visit}'])
            rows += [(who, visit, name, rng.normal()) for name in names if seen]
    return pd.DataFrame(rows, columns=['participant_id', 'session_id', 'outcome', 'value'])


@pytest.fixture(scope='module')
def data() -> ClinicalData:
    rng = np.random.default_rng(3)
    people = make_people(rng)
    outcomes = make_outcomes(people, rng)
    regions = [
        (SELECTED, 'significant', 'remitterChange', 'DesikanKilliany', 'R_precentral'),
        ('R_precentral', 'parcel', None, 'DesikanKilliany', 'R_precentral'),
        *((n, 'apriori', None, a, ' + '.join(labels)) for n, (a, labels) in MODEL.regions.items()),
        *((name, 'network', None, 'Yeo7', name) for name in NETWORKS),
    ]
    patients = list(people.index[people['group'] == 'TRD'])
    return ClinicalData(
        people=people,
        outcomes=outcomes,
        regions=pd.DataFrame(
            regions, columns=['outcome', 'source', 'selected_by', 'atlas', 'label']
        ),
        selecting={
            'remitterChange': uses_of_analysis(('TP1', 'TP3'), ('remitter',), patients, ROOTS),
            'pairedTP1TP3': uses_of_analysis(('TP1', 'TP3'), (), patients, ROOTS),
        },
        visits=outcomes[['participant_id', 'session_id']].drop_duplicates().assign(has_map='yes'),
        levels=MODEL.levels,
        roots=ROOTS,
    )


@pytest.fixture(scope='module')
def results(data: ClinicalData) -> dict[str, Result]:
    return {statistic.name: run_statistic(statistic, data) for statistic in MODEL.statistics}


def test_each_has_results_and_a_method(results: dict[str, Result]) -> None:
    for name, result in results.items():
        assert result.methods, name
        assert any(len(table) for table in result.tables.values()), name
        assert not any('there is no outcome' in warning for warning in result.warnings), name


def test_remission_is_counted(results: dict[str, Result], data: ClinicalData) -> None:
    last = data.people['hdrs_TP3'].dropna()
    counts = results['remission'].tables['counts'].set_index('condition')
    assert counts['count'].to_dict() == {
        'remission': (last <= 7).sum(),
        'below7': (last < 7).sum(),
        'exactly7': (last == 7).sum(),
        'response': (data.people['hdrs_change'] >= 50).sum(),
    }


def test_the_score_falls(results: dict[str, Result]) -> None:
    (term,) = results['hdrsOverTime'].tables['terms'].to_dict('records')
    assert (term['term'], term['num_df']) == ('time', 2)
    assert term['p'] < 1e-6
    structures = results['hdrsOverTime'].tables['comparison']['covariance']
    assert set(structures) == {'ri', 'cs', 'csh', 'un', 'ar1', 'arh1', 'toep', 'diag'}


@pytest.mark.parametrize(('name', 'df'), [('roiTimeByRemitter2', 1), ('roiTimeByRemitter3', 2)])
def test_both_codings_of_time(results: dict[str, Result], name: str, df: int) -> None:
    terms = results[name].tables['terms']
    interaction = terms[terms['term'] == 'time:remitter'].set_index('outcome')
    assert set(interaction['num_df']) == {df}
    assert set(interaction.index) == {SELECTED, 'R_precentral', *MODEL.regions}
    # What selected the region is not tested by it; the whole parcel is.
    assert np.isnan(interaction.loc[SELECTED, 'p'])
    assert 0 <= interaction.loc['R_precentral', 'p'] <= 1


def test_correlations_are_those_of_numpy(results: dict[str, Result], data: ClinicalData) -> None:
    table = results['hdrsChange'].tables['correlations']
    assert set(table['values']) == {'baseline', 'acute', 'serial'}
    one = table[(table['outcome'] == 'R_precentral') & (table['values'] == 'serial')].iloc[0]
    wide = data.outcomes[data.outcomes['outcome'] == 'R_precentral'].pivot_table(
        index='participant_id', columns='session_id', values='value'
    )
    change = (wide['TP1'] - wide['TP3']).dropna()
    score = data.people['hdrs_change'].reindex(change.index)
    both = score.notna() & (data.people['group'].reindex(change.index) == 'TRD')
    assert one['n'] == both.sum()
    assert one['r'] == pytest.approx(np.corrcoef(change[both], score[both])[0, 1], rel=1e-9)


def test_the_family_of_the_paper_has_eight_tests(results: dict[str, Result]) -> None:
    families = results['networksOverTime'].tables['families']
    time = families[families['test'] == 'time']
    assert time.groupby('family')['n_tests'].unique().map(list).to_dict() == {
        'networks of Yeo7': [14],
        'paper': [8],
    }


def test_groups_are_compared_with_controls(results: dict[str, Result]) -> None:
    table = results['roiVsControls'].tables['comparisons']
    assert set(table['group']) == {'remitters', 'nonremitters', 'patients'}
    assert len(table) == 3 * 3 * 6
    terms = results['behaviourVsControls'].tables['terms']
    assert set(terms['term']) == {'group', 'age', 'sex'}
