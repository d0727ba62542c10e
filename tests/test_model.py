"""The model file: what the packaged one means, and what is refused."""

import copy
import json
import re
import tomllib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bsmschema.models import BIDSStatsModel

from ketbids.errors import ModelError
from ketbids.io.filters import BidsFilter
from ketbids.model import (
    Analysis,
    Contrast,
    StudyModel,
    default_model_path,
    load_model,
)
from ketbids.stats.eventrules import (
    Condition,
    ResponseRule,
    StimulusRules,
    ValidityRules,
)
from ketbids.stats.groupdesign import build_group_design, build_people, describe

Load = Callable[[Any], StudyModel]
CONTENT = json.loads(default_model_path().read_text())
EXAMPLES = Path(__file__).parents[1] / 'docs' / 'examples'


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def write_and_load(content: Any) -> StudyModel:
        path = tmp_path / 'model.json'
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return load_model(path)

    return write_and_load


def test_default_is_the_study_of_the_paper() -> None:
    model = load_model()
    assert model.tasks == ('carit',)
    assert model.run.events.conditions == (
        Condition('correctGo', {'trial_type': ('go',)}, True),
        Condition('correctNogo', {'trial_type': ('nogo',)}, False),
        Condition('incorrectNogo', {'trial_type': ('nogo',)}, True),
        Condition('incorrectGo', {'trial_type': ('go',)}, False),
    )
    assert (model.run.hrf_model, model.run.high_pass) == ('spm', 0.005)
    assert model.run.events.response == ResponseRule((0, 0.8), 'response_time')
    assert model.run.events.stimuli == StimulusRules(
        {'trial_type': ('go',)}, {'trial_type': ('nogo',)}, {}, ValidityRules(10, 0.7, False)
    )
    assert (model.run.events.units, model.run.events.rename) == ({}, {})
    assert (model.run.events.ignore, model.run.events.duration) == ((), None)
    assert {(c.name, c.test): c.rows for c in model.run.contrasts} == {
        ('nogoVsGo', 't'): ({'correctNogo': 1, 'correctGo': -1},),
        ('correctNogo', 't'): ({'correctNogo': 1},),
        ('correctGo', 't'): ({'correctGo': 1},),
    }
    assert model.scores == ('hdrs', 'acq_time', 'infusion_time')
    assert model.derived == {
        'remitter': 'hdrs_TP3 <= 7',
        'hdrs_change': '100 * (hdrs_TP1 - hdrs_TP3) / hdrs_TP1',
    }
    assert model.levels == {'group': ('HC', 'TRD')}
    assert [(c.value, c.minimum, c.maximum, c.subset) for c in model.checks] == [
        ('age', 20, 64, None),
        ('hdrs_TP1', 17, None, "group == 'TRD'"),
        ('acq_time_TP3 - infusion_time_TP3', 24, 72, "group == 'TRD'"),
    ]
    assert model.source == default_model_path().read_text()
    assert model.path == default_model_path()


def test_default_analyses() -> None:
    model = load_model()
    rows = {
        a.name: (a.formula, a.subset, a.session or a.difference, a.center, a.contrast.weights)
        for a in model.analyses
    }
    mean = {'Intercept': 1.0}
    covariates = ('age', 'sex')
    both = "group in ['HC', 'TRD']"
    assert rows == {
        'meanHC': ('1 + age + sex', "group == 'HC'", 'TP1', covariates, mean),
        'meanTRD': ('1 + age + sex', "group == 'TRD'", 'TP1', covariates, mean),
        'meanAll': ('1 + age + sex', both, 'TP1', covariates, mean),
        'hcVsTrd': (
            '0 + group + age + sex',
            both,
            'TP1',
            covariates,
            {'group[TRD]': 1, 'group[HC]': -1},
        ),
        'pairedTP1TP2': ('1', "group == 'TRD'", ('TP1', 'TP2'), None, mean),
        'pairedTP1TP3': ('1', "group == 'TRD'", ('TP1', 'TP3'), None, mean),
        'pairedTP2TP3': ('1', "group == 'TRD'", ('TP2', 'TP3'), None, mean),
        'remitterChange': (
            '0 + remitter + age + sex',
            "group == 'TRD'",
            ('TP1', 'TP3'),
            covariates,
            {'remitter[yes]': 1, 'remitter[no]': -1},
        ),
    }
    for analysis in model.analyses:
        assert analysis.first_level == ('nogoVsGo',)
        assert analysis.description.endswith('.')
        assert (analysis.roi_atlas, analysis.roi_minimum_size) == ('DesikanKilliany', 0)
    with pytest.raises(ModelError, match='no analysis meanXY; it has meanHC, meanTRD'):
        model.analysis('meanXY')


@pytest.mark.parametrize(
    'path', [default_model_path(), *sorted(EXAMPLES.glob('*.json'))], ids=lambda path: path.name
)
def test_models_pass_the_released_schema(path: Path) -> None:
    BIDSStatsModel.model_validate_json(path.read_text())


def test_model_is_frozen() -> None:
    with pytest.raises(AttributeError):
        load_model().name = 'other'  # type: ignore[misc]


def test_default_designs_of_a_small_study() -> None:
    """Every analysis of the default model can be built, from the tables alone."""
    model = load_model()
    people, visits, maps = [], [], []
    for index in range(24):
        group = 'HC' if index < 8 else 'TRD'
        who = f'sub-{group}{index:02d}'
        people.append((who, group, 20 + (index * 7) % 30, 'FM'[index % 3 == 0]))
        for visit in (1,) if group == 'HC' else (1, 2, 3):
            maps.append((who, f'ses-TP{visit}', f'{who}_{visit}'))
            visits.append((who, f'ses-TP{visit}', 24 - (6 + index % 4) * (visit - 1)))
    table = build_people(
        pd.DataFrame(people, columns=['participant_id', 'group', 'age', 'sex']),
        pd.DataFrame(visits, columns=['participant_id', 'session_id', 'hdrs']),
        model.scores,
        model.levels,
    )
    keys = pd.DataFrame(maps, columns=['participant_id', 'session_id', 'path'])
    found = {}
    for a in model.analyses:
        design = build_group_design(
            keys,
            table,
            formula=a.formula,
            contrast=a.contrast.weights,
            session=a.session,
            difference=a.difference,
            subset=a.subset,
            center=a.center,
            levels=model.levels,
            derived=model.derived,
            scheme=a.scheme,
            minimum_n=a.minimum_n,
        )
        found[a.name] = (len(design.rows), design.scheme, describe(design, a.first_level[0]))
    assert {name: row[:2] for name, row in found.items()} == {
        'meanHC': (8, 'flips'),
        'meanTRD': (16, 'flips'),
        'meanAll': (24, 'flips'),
        'hcVsTrd': (24, 'permutations'),
        'pairedTP1TP2': (16, 'flips'),
        'pairedTP1TP3': (16, 'flips'),
        'pairedTP2TP3': (16, 'flips'),
        'remitterChange': (16, 'permutations'),
    }
    assert found['remitterChange'][2] == (
        'Two-sample t-test on 16 participants (12 with remitter no, 4 with remitter yes): '
        'nogoVsGo at TP1 minus TP3, remitter yes minus no, adjusted for age and sex.'
    )


def test_preset_of_the_paper() -> None:
    text = (files('ketbids.data') / 'presets' / 'sahib2020.toml').read_text()
    expected = {'smoothing-fwhm': 5.0, 'permutations': 5000, 'tails': 'each', 'tfce': '100'}
    assert tomllib.loads(text) == expected


RUN, SESSION, HC, VS, CHANGE = (('Nodes', index) for index in (0, 1, 2, 5, 9))
BLOCK = ('Model', 'Software', 'ketbids')
STATISTICS = [s['Name'] for s in CONTENT['Nodes'][1]['Model']['Software']['ketbids']['Statistics']]


def changed(*path: Any, value: Any) -> dict:
    """Return the default model with one value set (or taken away, if it is ...)."""
    content = copy.deepcopy(CONTENT)
    place = content
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    elif isinstance(place, list) and path[-1] == len(place):
        place.append(value)
    else:
        place[path[-1]] = value
    return content


@pytest.mark.parametrize(
    ('path', 'where'),
    [
        (('Nmae',), 'Nmae: unknown key (did you mean Name?)'),
        (('Input', 'tsak'), 'Input.tsak'),
        ((*RUN, 'Modle'), 'node run, Modle: unknown key (did you mean Model?)'),
        ((*RUN, 'Model', 'Fromula'), 'node run, Model.Fromula'),
        ((*RUN, 'Model', 'HRF', 'Modell'), 'node run, Model.HRF.Modell'),
        (
            (*RUN, 'Model', 'Options', 'HighPassFilterCutofHz'),
            'Options.HighPassFilterCutofHz: unknown key (did you mean HighPassFilterCutoffHz?)',
        ),
        ((*RUN, 'Model', 'Software', 'ketbid'), 'Model.Software.ketbid: unknown key'),
        ((*RUN, *BLOCK, 'Respons'), 'Model.Software.ketbids.Respons'),
        ((*RUN, *BLOCK, 'Response', 'Windows'), 'ketbids.Response.Windows'),
        ((*RUN, *BLOCK, 'Conditions', 0, 'Wher'), 'ketbids.Conditions[0].Wher'),
        ((*RUN, 'Contrasts', 0, 'Weight'), 'node run, Contrasts[0].Weight'),
        ((*SESSION, 'DummyContrasts', 'Tset'), 'node session, DummyContrasts.Tset'),
        ((*SESSION, *BLOCK, 'Derived'), 'Derived: unknown key (did you mean Derive?)'),
        (
            (*SESSION, *BLOCK, 'Checks', 0, 'Minimun'),
            'Minimun: unknown key (did you mean Minimum?)',
        ),
        ((*HC, *BLOCK, 'Centre'), 'node meanHC, Model.Software.ketbids.Centre'),
        (
            (*CHANGE, *BLOCK, 'Associations'),
            'ketbids.Associations: there is no such key; a statistic of Type correlation '
            '(Statistics) takes its place',
        ),
        ((*CHANGE, *BLOCK, 'Scores'), 'ketbids.Scores: does not belong here'),
        (
            (*SESSION, *BLOCK, 'Statistics', 4, 'Fromula'),
            f'ketbids.Statistics.{STATISTICS[4]}.Fromula: unknown key (did you mean Formula?)',
        ),
        (
            (*SESSION, *BLOCK, 'Statistics', 5, 'Outcome', 'Regions', 'SelectBy'),
            f'Statistics.{STATISTICS[5]}.Outcome.Regions.SelectBy: unknown key (did you mean '
            'SelectedBy?)',
        ),
        ((*SESSION, *BLOCK, 'Regions', 'L_inferiorFrontal', 'Label'), 'L_inferiorFrontal.Label'),
        ((*SESSION, *BLOCK, 'Regions', 'Statistics'), 'ketbids.Regions.Statistics: '),
        ((*SESSION, *BLOCK, 'Statistics'), 'ketbids.Statistics: Input should be a valid list'),
        ((*CHANGE, *BLOCK, 'Rois', 'Atlass'), 'ketbids.Rois.Atlass'),
        (('Edges', 0, 'Sorce'), 'edge 0, Sorce: unknown key (did you mean Source?)'),
        (('Edges', 1, 'Filter', 'contrasts'), 'edge 1, Filter.contrasts'),
    ],
)
def test_misspelt_keys(load: Load, path: tuple, where: str) -> None:
    with pytest.raises(ModelError) as error:
        load(changed(*path, value='x'))
    assert where in str(error.value)
    assert 'model.json' in str(error.value)


@pytest.mark.parametrize(
    ('path', 'value', 'words'),
    [
        # Shape
        (('Name',), ..., 'Name: missing'),
        (('BIDSModelVersion',), '2.0.0', "BIDSModelVersion: Input should be '1.0.0'"),
        (('Nodes',), {}, 'Nodes: '),
        ((*RUN,), 'run', 'node 0: Input should be'),
        ((*RUN, 'Level'), 'Subject', "node run, Level: the level must be 'Run', 'Session'"),
        ((*RUN, 'Level'), ..., 'node run, Level: '),
        (
            (*RUN, 'Contrasts', 0, 'Test'),
            'x',
            "node run, Contrasts[0].Test: Input should be 't' or",
        ),
        (
            (*HC, 'Contrasts', 0, 'Test'),
            'F',
            "node meanHC, Contrasts[0].Test: Input should be 't'",
        ),
        ((*RUN, 'Contrasts', 0, 'Weights'), [1, 'x'], "Weights[1]: 'x' is not a finite number"),
        ((*RUN, 'Contrasts', 0, 'Weights'), [1, '1/0'], "'1/0' is not a finite number"),
        ((*RUN, 'Contrasts', 0, 'Weights'), [1, True], 'True is not a finite number'),
        ((*HC, 'Contrasts', 0, 'Weights'), [[1]], 'Weights[0]: [1] is not a finite'),
        ((*RUN, 'Contrasts', 0, 'ConditionList'), [True, 'a'], 'ConditionList[0]: a name, or 1'),
        ((*RUN, 'Contrasts'), [], 'node run, Contrasts: '),
        ((*RUN, 'Model', 'HRF', 'Model'), 'fir', 'node run, Model.HRF.Model: '),
        ((*RUN, 'Model', 'HRF', 'Parameters'), {'a': 1}, 'HRF.Parameters: ketbids does not carry'),
        (
            (*RUN, 'Transformations'),
            {'Transformer': 'pybids-transforms-v1', 'Instructions': []},
            'node run, Transformations: ketbids does not carry this out',
        ),
        ((*RUN, 'Model', 'Options', 'Aggregate'), 'mean', 'Options.Aggregate: ketbids does not'),
        ((*RUN, 'Model', 'Formula'), '1', 'node run, Model.Formula: ketbids does not'),
        ((*RUN, *BLOCK, 'Conditions', 0, 'Response'), 'yes', 'Conditions[0].Response: '),
        ((*RUN, *BLOCK, 'Conditions', 0, 'Where'), {}, 'Conditions[0].Where: '),
        ((*HC, 'Model', 'Formula'), ..., 'node meanHC, Model.Formula: missing'),
        ((*HC, *BLOCK, 'MinimumN'), 0, 'MinimumN: '),
        ((*HC, *BLOCK, 'Permutation'), {'Scheme': 'flip'}, 'Permutation.Scheme: '),
        # Names
        ((*HC, 'Name'), 'mean-HC', "Nodes: the node name 'mean-HC' becomes part of file names"),
        ((*HC, 'Name'), 'meanTRD', 'Nodes: the name meanTRD stands twice'),
        ((*HC, 'Name'), 'meantrd', 'stands twice'),
        ((*RUN, 'Contrasts', 1, 'Name'), 'nogoVsGo', 'node run, Contrasts: the name nogoVsGo'),
        ((*RUN, 'Contrasts', 1, 'Name'), 'nogo_go', "the contrast name 'nogo_go' becomes"),
        (('Input', 'task'), ['../x'], "Input.task: '../x' is not a task label"),
        # First level
        ((*RUN, 'GroupBy'), ['subject'], 'node run, GroupBy: '),
        ((*RUN, 'Contrasts', 0, 'Weights'), [1], 'nogoVsGo, Weights: 1 weights for 2 conditions'),
        ((*RUN, 'Contrasts', 0, 'Weights'), [0, 0], 'nogoVsGo, Weights: all are 0'),
        (
            (*RUN, 'Contrasts', 0, 'ConditionList'),
            ['correctNoGo', 'correctGo'],
            'contrast nogoVsGo, ConditionList: correctNoGo is not a condition; there are',
        ),
        ((*RUN, 'Contrasts', 0, 'ConditionList'), ['correctGo'] * 2, 'correctGo stands twice'),
        ((*RUN, 'Model', 'X', 4), 'trans_x', 'Model.X: trans_x is not in Conditions'),
        ((*RUN, 'Model', 'X', 0), ..., 'Model.X: correctGo of Conditions is missing'),
        ((*RUN, 'Model', 'HRF', 'Variables', 0), ..., 'HRF.Variables: correctGo of Conditions'),
        ((*RUN, *BLOCK, 'Response', 'Window'), [0.8, 0], '[0.8, 0] is not a window in seconds'),
        ((*RUN, *BLOCK, 'Response', 'Window'), [0, 800], '[0, 800] is not a window in seconds'),
        ((*RUN, *BLOCK, 'Response', 'Window'), [-1, 1], '[-1, 1] is not a window in seconds'),
        ((*RUN, *BLOCK, 'Response'), ..., 'the block Response is missing'),
        (
            (*RUN, *BLOCK, 'Conditions', 3, 'Response'),
            None,
            'one trial could be correctGo and incorrectGo',
        ),
        ((*RUN, *BLOCK, 'Conditions', 3, 'Name'), 'correctGo', 'the name correctGo stands twice'),
        ((*RUN, 'Model', 'Options', 'HighPassFilterCutoffHz'), 128, '128 is not between 0 and 1'),
        # Participants
        ((*SESSION, 'GroupBy'), ['subject'], 'node session, GroupBy: '),
        ((*SESSION, *BLOCK, 'Derive', 'remitter'), 'hdrs_TP3 =< 7', 'Derive.remitter: Expression'),
        ((*SESSION, *BLOCK, 'Derive', 'remitter'), 'f(hdrs_TP3)', 'Derive.remitter: Expression'),
        (
            (*SESSION, *BLOCK, 'Derive', 'remitter'),
            'hdrs_change > 50',
            'Derive.remitter: hdrs_change is not derived before it',
        ),
        ((*SESSION, *BLOCK, 'Derive', 'a-b'), 'x > 1', "'a-b' cannot be the name of a variable"),
        ((*SESSION, *BLOCK, 'Derive', 'C'), 'x > 1', "'C' cannot be the name of a variable"),
        ((*SESSION, *BLOCK, 'Levels', 'group'), ['HC', 'HC'], 'Levels.group: the level HC stands'),
        (
            (*SESSION, *BLOCK, 'Derive'),
            {'a': 'b + 1', 'b': 'a + 1'},
            'Derive.a: b is not derived before it',
        ),
        ((*SESSION, *BLOCK, 'Derive'), {'a': 'a + 1'}, 'Derive.a: a is not derived before it'),
        ((*SESSION, *BLOCK, 'Derive', 'x'), "open('/etc/passwd')", 'Derive.x: Expression'),
        ((*SESSION, *BLOCK, 'Derive', 'x'), 'age ** 9 ** 9', 'Derive.x: Expression'),
        ((*SESSION, *BLOCK, 'Derive', 'x'), 'age ** 99', 'the exponent 99 is not a number from'),
        ((*SESSION, *BLOCK, 'Derive', 'x'), 'age ** sex', 'the exponent sex is not a number'),
        (
            (*SESSION, *BLOCK, 'Derive', 'x'),
            'age.__class__.__base__.__subclasses__()',
            'Derive.x: Expression',
        ),
        ((*SESSION, *BLOCK, 'Checks', 0, 'Name'), 'a b', "Checks: the check name 'a b'"),
        ((*SESSION, *BLOCK, 'Checks', 1, 'Name'), 'Age', 'Checks: the name Age stands twice'),
        ((*SESSION, *BLOCK, 'Checks', 0, 'Value'), '__import__("os")', 'Checks.age.Value: Expr'),
        ((*SESSION, *BLOCK, 'Checks', 0, 'Value'), ..., 'Checks[0].Value: missing'),
        ((*SESSION, *BLOCK, 'Checks', 0, 'Subset'), '1 == 1', 'Checks.age.Subset: Expression'),
        ((*SESSION, *BLOCK, 'Checks', 0, 'Minimum'), 65, 'Minimum 65 is above Maximum 64'),
        ((*SESSION, *BLOCK, 'Checks', 0, 'Minimum'), 'x', "Minimum: 'x' is not a finite number"),
        (
            (*SESSION, *BLOCK, 'Checks', 0),
            {'Name': 'a', 'Value': 'age'},
            'Checks.a: Minimum, Maximum or both are needed',
        ),
        # Analyses
        ((*HC, 'GroupBy'), [], 'node meanHC, GroupBy: a dataset node needs ["contrast"]'),
        (
            (*HC, 'Model', 'Formula'),
            '1 + np.log(age) + sex',
            'node meanHC, Model.Formula: Formula',
        ),
        (
            (*HC, 'Model', 'Formula'),
            "1 + open('/etc/passwd').read()",
            'node meanHC, Model.Formula: Formula',
        ),
        ((*HC, 'Model', 'Formula'), '1 + age**99', 'node meanHC, Model.Formula: Formula'),
        ((*HC, 'Model', 'Formula'), 'age + sex', 'the intercept is not stated'),
        ((*HC, 'Model', 'Formula'), '1 + age', 'node meanHC, Model.X: sex is not in Formula'),
        ((*HC, 'Model', 'X'), [1, 'age'], 'node meanHC, Model.X: sex of Formula is missing'),
        ((*HC, 'Model', 'Formula'), '0 + age + sex', '1 needs an intercept'),
        ((*HC, 'Contrasts', 0, 'ConditionList'), ['weight'], 'weight is not in the formula'),
        (
            (*HC, 'Contrasts', 1),
            {'Name': 'other', 'ConditionList': ['age'], 'Weights': [1], 'Test': 't'},
            'node meanHC, Contrasts: there are 2; an analysis is one test',
        ),
        (
            (*VS, 'Contrasts', 0, 'ConditionList'),
            ['group[TDR]', 'group[HC]'],
            'node hcVsTrd, contrast trdMinusHc, ConditionList: group[TDR]: Levels of group are HC',
        ),
        ((*HC, *BLOCK, 'Difference'), ['TP1', 'TP2'], 'give Session or Difference, not both'),
        ((*HC, *BLOCK, 'Session'), 'ses-TP1', "Session: 'ses-TP1' is not a session label"),
        ((*CHANGE, *BLOCK, 'Difference'), ['TP1', 'TP1'], 'needs two different sessions'),
        ((*CHANGE, *BLOCK, 'Difference'), ['TP1'], 'needs two different sessions'),
        ((*HC, *BLOCK, 'Center'), ['weight'], 'Center: weight is not in the formula'),
        (
            (*HC, *BLOCK, 'VarianceGroups'),
            'weight',
            'VarianceGroups: weight is not in the formula',
        ),
        ((*HC, *BLOCK, 'Subset'), "group = 'HC'", 'node meanHC, Model.Software.ketbids.Subset'),
        (
            (*HC, *BLOCK, 'Subset'),
            "group == 'Hc'",
            "node meanHC, Model.Software.ketbids.Subset: 'Hc' is no level of group; Levels has HC",
        ),
        ((*CHANGE, *BLOCK, 'Rois', 'Atlas'), 'my atlas', "Rois.Atlas: the name of an atlas 'my"),
        ((*CHANGE, *BLOCK, 'Rois', 'MinimumSize'), -1, 'Rois.MinimumSize: Input should be great'),
        # Graph
        (('Edges', 1, 'Destination'), 'meanCH', 'edge session to meanCH: there is no node meanCH'),
        (('Edges', 1), ..., 'Edges: none reaches node meanHC'),
        (('Edges', 0), ..., 'Edges: there is none from run to session'),
        (('Edges', 9), {'Source': 'meanHC', 'Destination': 'run'}, 'edge meanHC to run: edges go'),
        (('Edges', 9), {'Source': 'run', 'Destination': 'meanHC'}, 'edge run to meanHC: edges go'),
        (('Edges', 9), {'Source': 'session', 'Destination': 'session'}, 'could make a cycle'),
        (('Edges', 9), {'Source': 'run', 'Destination': 'session'}, 'run to session stands twice'),
        (
            ('Edges', 0, 'Filter'),
            {'contrast': ['nogoVsGo']},
            'put it on the edges to the analyses',
        ),
        (
            ('Edges', 1, 'Filter', 'contrast'),
            ['NogoVsGo'],
            'edge session to meanHC, Filter.contrast: there is no contrast NogoVsGo; node run has',
        ),
        (('Edges',), ..., 'edge meanHC to meanTRD: edges go'),
        ((*RUN,), ..., 'one node of level Run is needed, there are 0'),
        (('Nodes',), CONTENT['Nodes'][:2], 'no node of level Dataset'),
    ],
)
def test_refused(load: Load, path: tuple, value: Any, words: str) -> None:
    with pytest.raises(ModelError) as error:
        load(changed(*path, value=value))
    assert words in str(error.value)
    assert error.value.exit_code == 3


def test_several_faults_are_named_together(load: Load) -> None:
    content = changed(*RUN, 'Modle', value=1)
    content['Nodes'][2]['Nmae'] = 1
    with pytest.raises(ModelError, match=r'node run, Modle: .*; node meanHC, Nmae: '):
        load(content)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('{"Name": "a",\n "Nodes": [1,,2]}', 'not JSON: line 2, column 14'),
        ('', 'not JSON: line 1'),
        ('[]', 'not a JSON object'),
        ('{"Name": "a", "Name": "b"}', 'the key Name stands twice'),
        ('{"Name": NaN}', 'NaN is not a number in JSON'),
        ('[' * 100_000, 'not readable as JSON'),
        ('{"Name": "' + 'a' * 1_000_000 + '"}', 'more than 1000000 bytes'),
    ],
    ids=lambda value: re.sub(r'\W+', '-', value[:20]),
)
def test_files_that_are_no_models(load: Load, text: str, words: str) -> None:
    with pytest.raises(ModelError) as error:
        load(text)
    assert words in str(error.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='there is no such file'):
        load_model(tmp_path / 'absent.json')
    with pytest.raises(ModelError, match='there is no such file'):
        load_model(tmp_path)
    path = tmp_path / 'latin.json'
    path.write_bytes('{"Name": "é"}'.encode('latin-1'))
    with pytest.raises(ModelError, match='not a text in UTF-8'):
        load_model(path)


def test_byte_order_mark_and_text_are_kept(tmp_path: Path) -> None:
    path = tmp_path / 'model.json'
    path.write_bytes(b'\xef\xbb\xbf' + default_model_path().read_bytes())
    assert load_model(path).source == default_model_path().read_text()


def test_another_study(load: Load) -> None:
    """Another task and design: one group, three runs' conditions without responses."""
    model = load(
        {
            'Name': 'faces',
            'BIDSModelVersion': '1.0.0',
            'Input': {'task': ['faces']},
            'Nodes': [
                {
                    'Level': 'Run',
                    'Name': 'run',
                    'GroupBy': ['run', 'subject'],
                    'Model': {
                        'Type': 'glm',
                        'X': [1, 'face', 'house'],
                        'HRF': {'Variables': ['face', 'house'], 'Model': 'glover + derivative'},
                        'Software': {
                            'ketbids': {
                                'Conditions': [
                                    {'Name': 'face', 'Where': {'trial_type': ['sad', 'happy']}},
                                    {'Name': 'house', 'Where': {'trial_type': ['house']}},
                                ]
                            }
                        },
                    },
                    'Contrasts': [
                        {
                            'Name': 'faceVsHouse',
                            'ConditionList': ['face', 'house'],
                            'Weights': ['1/2', '-1/2'],
                            'Test': 't',
                        }
                    ],
                },
                {
                    'Level': 'Session',
                    'Name': 'session',
                    'GroupBy': ['contrast', 'session', 'subject'],
                    'Model': {'Type': 'meta', 'X': [1]},
                    'DummyContrasts': {'Test': 't'},
                },
                {
                    'Level': 'Dataset',
                    'Name': 'ageSlope',
                    'GroupBy': ['contrast'],
                    'Model': {
                        'Type': 'glm',
                        'X': [1, 'age'],
                        'Formula': '1 + age',
                        'Software': {
                            'ketbids': {
                                'Session': '01',
                                'Permutation': {'Scheme': 'permutations'},
                                'MinimumN': 10,
                            }
                        },
                    },
                    'Contrasts': [
                        {'Name': 'age', 'ConditionList': ['age'], 'Weights': [1], 'Test': 't'}
                    ],
                },
            ],
        }
    )
    assert (model.run.events.response, model.run.events.stimuli) == (None, None)
    assert model.run.high_pass is None
    assert model.run.contrasts[0].rows == ({'face': 0.5, 'house': -0.5},)
    assert (model.scores, model.derived, model.levels) == ((), {}, {})
    assert model.analyses == (
        Analysis(
            name='ageSlope',
            description='',
            first_level=('faceVsHouse',),
            formula='1 + age',
            contrast=Contrast('age', {'age': 1.0}),
            session='01',
            scheme='permutations',
            minimum_n=10,
        ),
    )


def test_an_analysis_without_session_takes_the_only_map(load: Load) -> None:
    content = changed(*SESSION, 'GroupBy', value=['contrast', 'subject'])
    content['Nodes'][1]['Model']['Software']['ketbids'].pop('Statistics')
    content['Nodes'][2]['Model']['Software']['ketbids'].pop('Session')
    analysis = load(content).analysis('meanHC')
    assert (analysis.session, analysis.difference) == (None, None)


def test_anatomical_images_that_are_meant(load: Load) -> None:
    assert load(CONTENT).run.t1w == BidsFilter()
    given = {
        'T1w': {'acquisition': 'MPR', 'reconstruction': None},
        'T2w': {'run': [1, 2]},
        'Description': 'Without the first try.',
    }
    run = load(changed(*RUN, *BLOCK, 'Preprocessing', value=given)).run
    assert run.t1w == BidsFilter({'acquisition': ('MPR',), 'reconstruction': (None,)})
    assert run.t2w == BidsFilter({'run': (1, 2)})
    # What is finished is known by this text, and does not depend on raw images.
    assert repr(run) == repr(load(CONTENT).run)


@pytest.mark.parametrize(
    ('value', 'words'),
    [
        ({'T1': {}}, 'Preprocessing.T1: unknown key (did you mean T1w?)'),
        ({'T1w': 'MPR'}, 'Preprocessing.T1w: Input should be a valid dictionary'),
        ({'T1w': {'acq': 'MPR'}}, 'Preprocessing.T1w: acq is called acquisition'),
        ({'T2w': {'run': []}}, 'Preprocessing.T2w: run is an empty list'),
        ({'T2w': {'run': [1.5]}}, 'Preprocessing.T2w: run is 1.5; it must be a label'),
        ({'T2w': {'suffix': 'T1w'}}, 'suffix is "T1w", but only T2w can be used'),
    ],
)
def test_anatomical_images_that_cannot_be(load: Load, value: Any, words: str) -> None:
    with pytest.raises(ModelError, match=re.escape(words)) as caught:
        load(changed(*RUN, *BLOCK, 'Preprocessing', value=value))
    assert f'node {CONTENT["Nodes"][0]["Name"]}, Model.Software.ketbids' in str(caught.value)


def test_an_analysis_needs_no_software(load: Load) -> None:
    analysis = load(changed(*HC, 'Model', 'Software', value=...)).analysis('meanHC')
    assert analysis == Analysis(
        name='meanHC',
        description=analysis.description,
        first_level=('nogoVsGo',),
        formula='1 + age + sex',
        contrast=analysis.contrast,
    )


def test_which_regions_are_cut(load: Load) -> None:
    path = (*CHANGE, *BLOCK, 'Rois')
    analysis = load(changed(*path, value={'Atlas': 'mine', 'MinimumSize': 20})).analyses[-1]
    assert (analysis.roi_atlas, analysis.roi_minimum_size) == ('mine', 20)
    analysis = load(changed(*path, value={'MinimumSize': '1/2'})).analyses[-1]
    assert (analysis.roi_atlas, analysis.roi_minimum_size) == ('DesikanKilliany', 0.5)


def test_variables_that_the_model_uses(load: Load) -> None:
    used = load_model().variables()
    times, scores = {'acq_time_TP3', 'infusion_time_TP3'}, {'hdrs_TP1', 'hdrs_TP2', 'hdrs_TP3'}
    assert used.all == {'group', 'age', 'sex'} | scores | times
    # A statistic that lacks something says so itself.
    assert used.required == {'group', 'age', 'sex', 'hdrs_TP3'}
    assert used.numbers == {'age', 'hdrs_TP1', 'hdrs_TP3'} | times
