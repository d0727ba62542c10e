"""Statistics in the model file: what the packaged ones mean, and what is refused."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ketbids.errors import ModelError
from ketbids.model import StudyModel, default_model_path, load_model
from ketbids.stats.clinical.specs import (
    CorrelationStatistic,
    CountStatistic,
    FlowStatistic,
    LinearStatistic,
    MixedStatistic,
    Outcome,
    ReferenceStatistic,
    RegionChoice,
    TableStatistic,
    from_dict,
    to_dict,
)
from ketbids.stats.clinical.uses import statistic_uses

Load = Callable[..., StudyModel]
CONTENT = json.loads(default_model_path().read_text())
GIVEN = {s['Name']: s for s in CONTENT['Nodes'][1]['Model']['Software']['ketbids']['Statistics']}
PATIENTS = "group == 'TRD'"
VISITS = ('TP1', 'TP2', 'TP3')
A_PRIORI = tuple(
    f'{side}_{name}' for name in ('precentralGyrus', 'inferiorFrontal') for side in 'LR'
)
ROIS = Outcome(regions=RegionChoice('nogoVsGo', ('remitterChange', 'pairedTP1TP3'), A_PRIORI))


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the packaged model with other statistics, and other keys of the session node."""

    def load_with(*statistics: dict[str, Any], sessions: bool = True, **keys: Any) -> StudyModel:
        content = copy.deepcopy(CONTENT)
        node = content['Nodes'][1]
        node['Model']['Software']['ketbids'] |= {'Statistics': list(statistics)} | keys
        if not sessions:
            node['GroupBy'].remove('session')
        path = tmp_path / 'model.json'
        path.write_text(json.dumps(content))
        return load_model(path)

    return load_with


def test_packaged_statistics() -> None:
    model = load_model()
    found = {statistic.name: statistic for statistic in model.statistics}
    assert list(found) == [
        *('flow', 'table1', 'table1Remitters', 'remission', 'hdrsOverTime', 'roiOverTime'),
        *('roiTimeByRemitter2', 'roiTimeByRemitter3', 'roiVsControls', 'hdrsChange'),
        *('networksOverTime', 'behaviourOverTime', 'behaviourVsControls'),
        *('performanceOverTime', 'performanceVsControls'),
    ]
    for statistic in found.values():
        assert statistic.description.endswith('.')
        assert from_dict(json.loads(json.dumps(to_dict(statistic)))) == statistic

    def described(name: str) -> str:
        return found[name].description

    assert found['hdrsOverTime'] == MixedStatistic(
        'hdrsOverTime',
        description=described('hdrsOverTime'),
        subset=PATIENTS,
        outcome=Outcome('hdrs'),
        formula='time',
        means=('time',),
        sessions=VISITS,
        covariance='csh',
        basis='spss',
        ddf='satterthwaite',
        compare=('ri', 'cs', 'un', 'ar1', 'arh1', 'toep', 'diag'),
    )
    assert found['roiTimeByRemitter2'] == MixedStatistic(
        'roiTimeByRemitter2',
        description=described('roiTimeByRemitter2'),
        subset=PATIENTS,
        outcome=ROIS,
        formula='time * remitter',
        means=('time|remitter', 'remitter|time'),
        sessions=('TP1', 'TP3'),
        compare=('cs', 'un'),
    )
    assert found['roiVsControls'] == ReferenceStatistic(
        'roiVsControls',
        description=described('roiVsControls'),
        outcome=ROIS,
        groups={
            'remitters': f'{PATIENTS} and remitter',
            'nonremitters': f'{PATIENTS} and not remitter',
            'patients': PATIENTS,
        },
        reference='controls',
        reference_subset="group == 'HC'",
        reference_session='TP1',
        sessions=VISITS,
        covariates=('age', 'sex'),
    )
    assert found['hdrsChange'] == CorrelationStatistic(
        'hdrsChange',
        description=described('hdrsChange'),
        subset=PATIENTS,
        outcome=ROIS,
        variable='hdrs_change',
        values={'baseline': ('TP1',), 'acute': ('TP1', 'TP2'), 'serial': ('TP1', 'TP3')},
        method='pearson',
        covariates=('age', 'sex'),
    )


def test_packaged_statistics_of_three_visits_and_of_networks() -> None:
    found = {statistic.name: statistic for statistic in load_model().statistics}
    three = found['roiTimeByRemitter3']
    assert isinstance(three, MixedStatistic)
    assert (three.sessions, three.compare) == (VISITS, ('csh', 'un'))
    networks = found['networksOverTime']
    assert isinstance(networks, MixedStatistic)
    assert networks.outcome == Outcome(regions=RegionChoice('nogoVsGo', atlas='Yeo7'))
    assert networks.families == {
        'paper': tuple(
            f'{side}_{name}'
            for name in ('Default', 'Frontoparietal', 'Dorsal Attention', 'Ventral Attention')
            for side in 'LR'
        )
    }
    assert load_model().regions == {
        'L_precentralGyrus': ('DesikanKilliany', ('L_precentral',)),
        'R_precentralGyrus': ('DesikanKilliany', ('R_precentral',)),
        'L_inferiorFrontal': ('DesikanKilliany', ('L_parsopercularis', 'L_parstriangularis')),
        'R_inferiorFrontal': ('DesikanKilliany', ('R_parsopercularis', 'R_parstriangularis')),
    }


def test_packaged_tables_and_counts() -> None:
    found = {statistic.name: statistic for statistic in load_model().statistics}
    remission, flow, behaviour = (found[n] for n in ('remission', 'flow', 'behaviourVsControls'))
    assert isinstance(remission, CountStatistic)
    assert remission.conditions == {
        'remission': 'hdrs_TP3 <= 7',
        'below7': 'hdrs_TP3 < 7',
        'exactly7': 'hdrs_TP3 == 7',
        'response': 'hdrs_change >= 50',
    }
    assert (remission.subset, remission.by) == (PATIENTS, None)
    assert flow == FlowStatistic(
        'flow',
        description=flow.description,
        subset="group in ['HC', 'TRD']",
        sessions=VISITS,
        by='group',
        completers=PATIENTS,
        variables=('age', 'sex', 'hdrs'),
    )
    assert found['table1Remitters'] == TableStatistic(
        'table1Remitters',
        description=found['table1Remitters'].description,
        subset=PATIENTS,
        variables=('age', 'sex', 'hdrs', 'hdrs_change'),
        by='remitter',
        sessions=VISITS,
    )
    assert isinstance(behaviour, LinearStatistic)
    assert (behaviour.formula, behaviour.value) == ('group + age + sex', ('TP1',))
    assert behaviour.outcome.behaviour[:2] == ('accuracy', 'go_accuracy')


def test_defaults_and_every_option(load: Load) -> None:
    plain = {
        'Name': 'a',
        'Type': 'mixed',
        'Outcome': 'hdrs',
        'Formula': 'time',
        'Sessions': ['TP1', 'TP2'],
    }
    assert load(plain).statistics == (
        MixedStatistic('a', outcome=Outcome('hdrs'), formula='time', sessions=('TP1', 'TP2')),
    )
    full = {
        'Name': 'b',
        'Type': 'mixed',
        'Description': 'All of it.',
        'Subset': PATIENTS,
        'Outcome': {
            'Regions': {
                'Contrast': 'nogoVsGo',
                'Atlas': 'mine',
                'Labels': ['x', 'y'],
                'AreaWeighted': True,
            }
        },
        'Formula': ' time * C(site) + age ',
        'Sessions': ['TP1', 'TP2'],
        'Covariance': 'un',
        'Basis': 'lmertest',
        'Ddf': 'kenward-roger',
        'Compare': ['cs'],
        'Means': ['time', 'time : site', 'time | site'],
        'Adjust': 'tukey',
        'Center': ['age'],
        'Families': {'first': ['x']},
    }
    assert load(full).statistics == (
        MixedStatistic(
            'b',
            description='All of it.',
            subset=PATIENTS,
            outcome=Outcome(
                regions=RegionChoice(
                    'nogoVsGo', atlas='mine', labels=('x', 'y'), area_weighted=True
                )
            ),
            formula='time * C(site) + age',
            means=('time', 'time:site', 'time|site'),
            center=('age',),
            adjust='tukey',
            families={'first': ('x',)},
            sessions=('TP1', 'TP2'),
            covariance='un',
            basis='lmertest',
            ddf='kenward-roger',
            compare=('cs',),
        ),
    )


def test_values_of_outcomes(load: Load) -> None:
    """One session, a difference, a variable of people, and the only visit of a study."""
    linear = {'Name': 'a', 'Type': 'linear', 'Formula': 'group'}
    behaviour = {'Behaviour': ['dprime']}

    def value(outcome: Any, visits: Any, **more: Any) -> tuple[str, ...]:
        (statistic,) = load(linear | {'Outcome': outcome, 'Value': visits}, **more).statistics
        assert isinstance(statistic, LinearStatistic)
        return statistic.value

    assert value('hdrs', 'TP1') == ('TP1',)
    assert value('hdrs', ['TP1', 'TP2']) == ('TP1', 'TP2')
    assert value('hdrs_change', None) == ()
    assert value(behaviour, ['TP2']) == ('TP2',)
    assert value(behaviour, None, sessions=False) == ('',)
    assert value('hdrs', None, sessions=False) == ()


def test_variables_of_statistics(load: Load) -> None:
    assert {
        statistic.name: sorted(statistic_uses(statistic, ('hdrs',)).names)
        for statistic in load_model().statistics
    } == {
        'flow': ['age', 'group', 'hdrs_TP1', 'sex'],
        'table1': ['age', 'group', 'hdrs_TP1', 'hdrs_TP2', 'hdrs_TP3', 'sex'],
        'table1Remitters': [
            *('age', 'group', 'hdrs_TP1', 'hdrs_TP2', 'hdrs_TP3', 'hdrs_change', 'remitter'),
            'sex',
        ],
        'remission': ['group', 'hdrs_TP3', 'hdrs_change'],
        'hdrsOverTime': ['group', 'hdrs_TP1', 'hdrs_TP2', 'hdrs_TP3'],
        'roiOverTime': ['group'],
        'roiTimeByRemitter2': ['group', 'remitter'],
        'roiTimeByRemitter3': ['group', 'remitter'],
        'roiVsControls': ['age', 'group', 'remitter', 'sex'],
        'hdrsChange': ['age', 'group', 'hdrs_change', 'sex'],
        'networksOverTime': ['group'],
        'behaviourOverTime': ['group'],
        'behaviourVsControls': ['age', 'group', 'sex'],
        'performanceOverTime': ['group'],
        'performanceVsControls': ['age', 'group', 'sex'],
    }
    model = load(
        GIVEN['hdrsOverTime'] | {'Formula': 'time + weight + arm', 'Center': ['weight']},
        GIVEN['hdrsChange'] | {'Outcome': 'dose', 'Values': {'dose': None}, 'Variable': 'level'},
    )
    correlation = model.statistics[1]
    assert isinstance(correlation, CorrelationStatistic)
    assert correlation.values == {'dose': ('',)}
    used = model.variables()
    assert used.all >= {'weight', 'arm', 'dose', 'level', 'hdrs_TP2'}
    # One statistic that cannot have them must not stop the others: it refuses them by itself.
    assert used.numbers.isdisjoint({'weight', 'dose', 'level', 'arm'})
    assert used.required.isdisjoint({'weight', 'arm', 'dose', 'level'})
    assert used.all.isdisjoint({'time', 'hdrs', 'hdrs_change', 'remitter'})


REGIONS = GIVEN['roiTimeByRemitter2']['Outcome']['Regions']


def regions(**keys: Any) -> dict[str, Any]:
    """Return an outcome of regions with other keys; ... takes one away."""
    return {'Regions': {k: v for k, v in (REGIONS | keys).items() if v is not ...}}


@pytest.mark.parametrize(
    ('name', 'keys', 'words'),
    [
        # Shape
        ('hdrsOverTime', {'Type': 'anova'}, "hdrsOverTime.Type: the type must be 'mixed', "),
        (
            'hdrsOverTime',
            {'Type': ...},
            "Statistics.hdrsOverTime.Type: the type must be 'mixed', 'linear', 'reference', "
            "'correlation', 'table', 'counts' or 'flow'",
        ),
        ('hdrsOverTime', {'Name': ..., 'Formula': 3}, 'Statistics[0].Name: missing'),
        ('hdrsOverTime', {'Formula': ...}, 'hdrsOverTime.Formula: missing'),
        (
            'hdrsOverTime',
            {'Value': 'TP1'},
            'hdrsOverTime.Value: does not belong to a statistic of type mixed',
        ),
        (
            'table1',
            {'Covariates': ['age']},
            'table1.Covariates: does not belong to a statistic of type table',
        ),
        ('table1', {'Sesions': ['TP1']}, 'unknown key (did you mean Sessions?)'),
        ('hdrsOverTime', {'Formula': 'time -'}, 'for example time * group + age'),
        ('hdrsOverTime', {'Formula': 'a*b*c*d*e'}, 'a product of more than 4 parts'),
        ('hdrsOverTime', {'Covariance': 'us'}, "hdrsOverTime.Covariance: Input should be 'ri'"),
        ('hdrsOverTime', {'Outcome': 3}, 'hdrsOverTime.Outcome: the name of a score, or an'),
        ('hdrsOverTime', {'Outcome': {'Score': 'x'}}, 'hdrsOverTime.Outcome: the name of a'),
        ('hdrsOverTime', {'Outcome': {'Behaviour': []}}, 'hdrsOverTime.Outcome.Behaviour: '),
        ('hdrsChange', {'Values': {'a': 3}}, 'Values.a: one session ("TP1"), two for a'),
        ('hdrsChange', {'Values': {}}, 'hdrsChange.Values: '),
        # Names
        ('hdrsOverTime', {'Name': 'hdrs_time'}, "the name of a statistic 'hdrs_time' becomes"),
        ('hdrsOverTime', {'Name': 'meanhc'}, 'Statistics: meanhc is the name of an analysis'),
        # Outcomes
        ('hdrsOverTime', {'Outcome': 'madrs'}, 'Outcome: madrs has no value per session'),
        ('hdrsOverTime', {'Outcome': 'a b'}, "Outcome: 'a b' cannot be the name of a variable"),
        (
            'behaviourOverTime',
            {'Outcome': {'Behaviour': ['acuracy']}},
            'behaviourOverTime.Outcome.Behaviour: there is no measure of behaviour acuracy',
        ),
        ('behaviourOverTime', {'Outcome': {'Behaviour': ['dprime'] * 2}}, 'dprime stands twice'),
        (
            'roiOverTime',
            {'Outcome': regions(Contrast='correctGo')},
            'no analysis takes a contrast correctGo, so there are no regional values of it; they',
        ),
        (
            'roiOverTime',
            {'Outcome': regions(SelectedBy=['remiterChange'])},
            'SelectedBy: there is no analysis remiterChange; there are meanHC',
        ),
        (
            'roiOverTime',
            {'Outcome': regions(APriori=['sma'])},
            'APriori: there is no region of Regions sma; there are L_precentralGyrus',
        ),
        ('roiOverTime', {'Outcome': regions(Labels=['x'])}, 'Labels: name the Atlas that'),
        ('roiOverTime', {'Outcome': regions(Atlas='my atlas')}, "name of an atlas 'my atlas'"),
        (
            'roiOverTime',
            {'Outcome': regions(SelectedBy=..., APriori=...)},
            'which regions? Give SelectedBy, APriori or Atlas',
        ),
        # Formulas
        ('hdrsOverTime', {'Formula': 'hdrs ~ time'}, 'Formula: write the right side only'),
        ('hdrsOverTime', {'Formula': 'time + np.log(age)'}, 'hdrsOverTime.Formula: Formula'),
        ('hdrsOverTime', {'Formula': 'time:group'}, 'time:group stands there without time'),
        ('hdrsOverTime', {'Formula': 'time + hdrs'}, 'Formula: hdrs is the outcome'),
        ('roiOverTime', {'Formula': 'time + hdrs'}, 'Formula: hdrs has a value per session; name'),
        ('behaviourVsControls', {'Formula': 'time'}, 'time is the factor of sessions in mixed'),
        ('hdrsOverTime', {'Means': ['group']}, "Means: group is not in the formula 'time'"),
        ('hdrsOverTime', {'Means': ['time|']}, "Means: Means 'time|': write factors as time"),
        ('hdrsOverTime', {'Means': ['time', ' time']}, 'Means: the entry time stands twice'),
        ('hdrsOverTime', {'Center': ['age']}, "Center: age is not in the formula 'time'"),
        ('hdrsOverTime', {'Center': ['time']}, 'Center: time is a factor; only numbers are'),
        (
            'behaviourVsControls',
            {'Center': ['group']},
            'behaviourVsControls.Center: group is a factor; only numbers are demeaned',
        ),
        (
            'behaviourVsControls',
            {'Center': ['age'], 'Means': ['age']},
            'Means: age is a number (Center); means are those of factors',
        ),
        ('hdrsOverTime', {'Compare': ['csh']}, 'Compare: csh is the structure of the model'),
        ('hdrsOverTime', {'Compare': ['un', 'un']}, 'Compare: the structure un stands twice'),
        # Sessions
        ('hdrsOverTime', {'Sessions': ['TP1']}, 'Sessions: a mixed model needs two sessions'),
        ('hdrsOverTime', {'Sessions': ['TP1', 'TP1']}, 'Sessions: the session TP1 stands twice'),
        ('hdrsOverTime', {'Sessions': ['TP1', 'ses-TP2']}, "'ses-TP2' is not a session label"),
        ('hdrsOverTime', {'Sessions': ['TP1', 'tp3']}, 'tp3 is written TP3 in the analyses'),
        ('behaviourVsControls', {'Value': None}, 'Value: which session? Name one, or two'),
        ('behaviourVsControls', {'Value': ['TP1'] * 2}, 'Value: a difference needs two different'),
        ('behaviourVsControls', {'Value': ['TP1', 'TP2', 'TP3']}, 'needs two different'),
        ('behaviourVsControls', {'Outcome': 'hdrs', 'Value': None}, 'hdrs has a value per'),
        ('behaviourVsControls', {'Outcome': 'iq'}, 'Outcome: iq has no value per session'),
        # Who
        ('hdrsOverTime', {'Subset': "group = 'TRD'"}, 'hdrsOverTime.Subset: Expression'),
        ('hdrsOverTime', {'Subset': "group == 'TDR'"}, "Subset: 'TDR' is no level of group"),
        ('remission', {'Conditions': {'a': 'f(x)'}}, 'remission.Conditions.a: Expression'),
        ('remission', {'Conditions': {'<7': 'x < 7'}}, "name of a condition '<7' becomes"),
        ('remission', {'By': 'hdrs'}, 'By: hdrs has a value per session; name one of them'),
        ('roiVsControls', {'Groups': {'controls': PATIENTS}}, 'Groups: the group controls stands'),
        ('roiVsControls', {'Groups': {'a': "'TDR' != group"}}, "Groups.a: 'TDR' is no level"),
        ('roiVsControls', {'Covariates': ['age', 'age']}, 'Covariates: the name age stands twice'),
        ('roiVsControls', {'Covariates': ['hdrs']}, 'Covariates: hdrs has a value per session'),
        (
            'roiVsControls',
            {'Reference': {'Name': 'HC', 'Subset': "group == 'HC'", 'Session': 'Tp1'}},
            'Reference.Session: Tp1 is written TP1 in the analyses',
        ),
        ('hdrsChange', {'Variable': 'hdrs'}, 'Variable: hdrs has a value per session; name one'),
        ('hdrsChange', {'Covariates': ['hdrs_change']}, 'Covariates: hdrs_change is the Variable'),
        ('hdrsChange', {'Values': {'a': None}}, 'Values.a: which session?'),
        ('hdrsChange', {'Values': {'a-b': 'TP1'}}, "Values: the name 'a-b' becomes part"),
        # Tables
        ('table1', {'Sessions': ...}, 'table1: Sessions is needed, for hdrs has a value per'),
        ('table1', {'Variables': ['age']}, 'Sessions: no effect, as none of Variables is among'),
        ('table1', {'Variables': ['age', 'group']}, 'Variables: group makes the groups (By)'),
        ('flow', {'Variables': ['age', 'age']}, 'flow.Variables: the name age stands twice'),
        ('flow', {'Completers': '1 == 1'}, 'flow.Completers: Expression'),
        # Families
        ('hdrsOverTime', {'Families': {'a': ['hdrs']}}, 'there is one outcome, hdrs, so nothing'),
        (
            'behaviourOverTime',
            {'Families': {'All': ['accuracy']}},
            'the family of all outcomes',
        ),
        (
            'behaviourOverTime',
            {'Families': {'a': ['dprime']}},
            'there is no outcome dprime',
        ),
        ('networksOverTime', {'Families': {'a': ['L_Default'] * 2}}, 'L_Default stands twice'),
        (
            'networksOverTime',
            {
                'Outcome': regions(SelectedBy=..., Atlas='Yeo7', Labels=['L_Default']),
                'Families': {'a': ['L_Limbic']},
            },
            'Families.a: there is no outcome L_Limbic; there are L_precentralGyrus',
        ),
    ],
)
def test_refused(load: Load, name: str, keys: dict[str, Any], words: str) -> None:
    statistic = {k: v for k, v in (GIVEN[name] | keys).items() if v is not ...}
    with pytest.raises(ModelError) as error:
        load(statistic)
    assert words in str(error.value)
    assert 'model.json: node session, Model.Software.ketbids.Statistics' in str(error.value)
    assert error.value.exit_code == 3


def test_the_order_of_time_is_one(load: Load) -> None:
    """Two mixed models, or one and the flow, may not have sessions the other way round."""
    mixed, flow, table = (GIVEN[name] for name in ('hdrsOverTime', 'flow', 'table1'))
    backwards = {'Sessions': ['TP3', 'TP1']}
    words = (
        'TP1 is before TP3 in Sessions of flow, and after it in those of hdrsOverTime; '
        'Sessions of mixed and flow are in the order of time'
    )
    with pytest.raises(ModelError, match=words):
        load(flow, mixed | backwards)
    with pytest.raises(ModelError, match='Sessions of hdrsOverTime, and after it in those of b'):
        load(mixed, mixed | backwards | {'Name': 'b'})
    # The sessions of a table are columns, in any order.
    load(flow, mixed, table | {'Sessions': ['TP3', 'TP2', 'TP1']})


def test_names_are_those_of_one_statistic(load: Load) -> None:
    with pytest.raises(ModelError, match='Statistics: the name REMISSION stands twice'):
        load(GIVEN['remission'], GIVEN['remission'] | {'Name': 'REMISSION'})


@pytest.mark.parametrize('key', ['Levels', 'Derive'])
def test_time_is_no_variable_of_people(load: Load, key: str) -> None:
    taken = {'Levels': ['a', 'b'], 'Derive': 'age > 50'}[key]
    with pytest.raises(ModelError, match=f'{key} has a variable time, which is the factor of'):
        load(GIVEN['hdrsOverTime'], **{key: {'time': taken}})


@pytest.mark.parametrize('name', ['roiOverTime', 'behaviourOverTime', 'roiVsControls', 'flow'])
def test_studies_without_sessions(load: Load, name: str) -> None:
    with pytest.raises(ModelError, match='the files of this study have no sessions'):
        load(GIVEN[name], sessions=False)


@pytest.mark.parametrize(
    ('declared', 'words'),
    [
        ({'a-b': {'Atlas': 'x', 'Labels': ['y']}}, "'a-b' cannot be the name of a variable"),
        ({'y': {'Atlas': 'x', 'Labels': ['y']}}, 'Regions.y: this is the name of a whole parcel'),
        ({'a': {'Atlas': 'x y', 'Labels': ['y']}}, "a.Atlas: the name of an atlas 'x y' becomes"),
        ({'a': {'Atlas': 'x', 'Labels': ['y', 'y']}}, 'a.Labels: the label y stands twice'),
        ({'a': {'Atlas': 'x', 'Labels': []}}, 'Regions.a.Labels: '),
        (
            {'a': {'Atlas': 'x', 'Labels': ['y']}, 'A': {'Atlas': 'x', 'Labels': ['z']}},
            'Regions: the region A stands twice',
        ),
    ],
)
def test_regions_that_cannot_be(load: Load, declared: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError) as error:
        load(Regions=declared)
    assert words in str(error.value)


def test_a_region_need_not_be_in_a_statistic(load: Load) -> None:
    declared = {'a': {'Atlas': 'mine', 'Labels': ['1', '2'], 'Description': 'Both.'}}
    assert load(Regions=declared).regions == {'a': ('mine', ('1', '2'))}
    assert load(Regions=declared).statistics == ()


def test_names_that_are_asked_for_are_told_apart() -> None:
    model = load_model()
    analyses = [analysis.name for analysis in model.analyses]
    statistics = [statistic.name for statistic in model.statistics]
    assert model.chosen([]) == (analyses, statistics)
    # In the order of the model file.
    assert model.chosen(['remission', 'meanHC', 'flow']) == (['meanHC'], ['flow', 'remission'])
    assert model.chosen(['meanHC']) == (['meanHC'], [])
    with pytest.raises(
        ModelError, match=r'has no analysis flows; it has .*, and the statistics flow'
    ):
        model.chosen(['meanHC', 'flows'])
    with pytest.raises(ModelError, match=r'has no analysis flow; it has [A-Za-z0-9, ]*$'):
        replace(model, statistics=()).chosen(['flow'])
