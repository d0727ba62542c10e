"""What a model file says of events, and contrasts of runs: what it means, what is refused."""

import copy
import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ketbids.errors import ModelError
from ketbids.io.events import read_events
from ketbids.model import RunContrast, StudyModel, default_model_path, load_model
from ketbids.stats.eventrules import EventRules, ResponseRule, StimulusRules, ValidityRules
from ketbids.stats.events import code_trials

EXAMPLES = Path(__file__).parents[1] / 'docs' / 'examples'
CONTENT = json.loads(default_model_path().read_text())
GO, NOGO, PRESS = ({'trial_type': [name]} for name in ('go', 'nogo', 'press'))
STIMULI = {'Go': GO, 'Nogo': NOGO}

Load = Callable[..., StudyModel]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the packaged model with parts of its run block replaced (taken away if None)."""

    def load_with(blocks: Mapping[str, Any], **node: Any) -> StudyModel:
        content = copy.deepcopy(CONTENT)
        block = content['Nodes'][0]['Model']['Software']['ketbids']
        block |= blocks
        for name in [name for name, value in blocks.items() if value is None]:
            del block[name]
        content['Nodes'][0] |= node
        content['Nodes'][1]['Model']['Software']['ketbids'].pop('Statistics')  # of behaviour
        path = tmp_path / 'model.json'
        path.write_text(json.dumps(content))
        return load_model(path)

    return load_with


def test_events_of_a_column(load: Load) -> None:
    events = load(
        {
            'Events': {
                'Description': 'As the program wrote them.',
                'Units': {'onset': 's', 'rt': 'ms'},
                'Rename': {'trial_type': {'Goo': 'go', 'goo': 'go', 'no-go': 'nogo'}},
                'Ignore': [{'trial_type': ['NULL', 'pause']}, {'block': ['practice']}],
                'Duration': '1/2',
            },
            'Response': {'Column': 'rt', 'Press': {'key': ['1', '2']}, 'Window': [0.1, 1.2]},
            'Stimuli': {
                **STIMULI,
                'Correct': {'accuracy': ['right']},
                'Validity': {'CorrectNogo': None, 'GoAccuracy': '3/4', 'Exclude': True},
            },
        }
    ).run.events
    assert [condition.name for condition in events.conditions] == [
        'correctGo',
        'correctNogo',
        'incorrectNogo',
        'incorrectGo',
    ]
    assert events.response == ResponseRule((0.1, 1.2), 'rt', None, {'key': ('1', '2')})
    assert events.units == {'onset': 's', 'rt': 'ms'}
    assert events.rename == {'trial_type': {'Goo': 'go', 'goo': 'go', 'no-go': 'nogo'}}
    assert events.ignore == ({'trial_type': ('NULL', 'pause')}, {'block': ('practice',)})
    assert events.duration == 0.5
    assert events.stimuli == StimulusRules(
        {'trial_type': ('go',)},
        {'trial_type': ('nogo',)},
        {'accuracy': ('right',)},
        ValidityRules(None, 0.75, True),
    )


def test_events_with_rows_of_responses(load: Load) -> None:
    rows = {'Rows': PRESS, 'Press': {'key': ['1']}, 'Window': [0, 1]}
    response = load({'Response': rows}).run.events.response
    assert response == ResponseRule((0, 1), None, {'trial_type': ('press',)}, {'key': ('1',)})


def test_validity_has_defaults(load: Load) -> None:
    assert load({'Stimuli': STIMULI}).run.events.stimuli == StimulusRules(
        {'trial_type': ('go',)}, {'trial_type': ('nogo',)}, {}, ValidityRules(10, 0.7, False)
    )
    given = load({'Stimuli': {**STIMULI, 'Validity': {'GoAccuracy': 1}}}).run.events.stimuli
    assert given is not None
    assert given.validity == ValidityRules(10, 1.0, False)
    assert load({'Stimuli': None}).run.events.stimuli is None


def test_exclusion_is_no_reason_to_fit_again(load: Load) -> None:
    kept, left_out = (
        load({'Stimuli': {**STIMULI, 'Validity': {'Exclude': exclude}}}).run
        for exclude in (False, True)
    )
    assert kept != left_out
    assert repr(kept) == repr(left_out)  # what is finished is known by this text


@pytest.mark.parametrize('path', sorted(EXAMPLES.glob('*.json')), ids=lambda path: path.name)
def test_rules_survive_a_node_of_a_workflow(path: Path) -> None:
    rules = load_model(path).run.events
    assert EventRules.from_dict(rules.to_dict()) == rules
    assert EventRules.from_dict(json.loads(json.dumps(rules.to_dict()))) == rules


def independent(path: Path, column: str) -> list[tuple[str, ...]]:
    """Rows of an events file by the csv module alone."""
    with path.open(newline='', encoding='utf-8') as file:
        return [(row['trial_type'], row[column]) for row in csv.DictReader(file, delimiter='\t')]


def test_the_go_nogo_examples_agree_on_real_logs(shared: Path) -> None:
    by_column, by_row = (
        load_model(EXAMPLES / f'gonogo_{name}.json').run.events for name in ('columns', 'rows')
    )
    paths = sorted((shared / 'data' / 'ds002680_gonogo').glob('sub-*/ses-*/eeg/*_events.tsv'))
    assert len(paths) == 350
    for path in paths[::10]:
        events = read_events(path)
        first, second = (code_trials(events, rules) for rules in (by_column, by_row))
        rows = first['status'] == 'trial'
        assert rows.sum() == sum(kind == 'stimulus' for kind, _ in independent(path, 'value'))
        for column in ('condition', 'stimulus', 'responded', 'correct'):
            assert first.loc[rows, column].tolist() == second.loc[rows, column].tolist(), path
        time = first.loc[rows, 'response_time'] - second.loc[rows, 'response_time']
        assert time[first.loc[rows, 'responded'].astype(bool)].abs().max() < 1.1e-3
        counts = [(first['status'] == 'ignored').sum(), (second['status'] == 'response').sum()]
        assert counts == [len(first) - rows.sum()] * 2


def test_the_stop_signal_example_takes_every_trial_of_real_logs(shared: Path) -> None:
    rules = load_model(EXAMPLES / 'cnp_stopsignal.json').run.events
    conditions = {
        'SuccessfulGo': 'go',
        'JUNK': 'goError',
        'UnuccessfulGo': 'goError',
        'SuccessfulStop': 'successfulStop',
        'UnsuccessfulStop': 'unsuccessfulStop',
        'n/a': 'n/a',
    }
    paths = sorted((shared / 'data' / 'ds000030').glob('sub-*/func/*stopsignal_events.tsv'))
    assert len(paths) == 266
    for path in paths[::8]:
        coded = code_trials(read_events(path), rules)
        outcomes = [outcome for _, outcome in independent(path, 'TrialOutcome')]
        assert coded['condition'].tolist() == [conditions[outcome] for outcome in outcomes], path
        assert set(coded['status']) == {'trial', 'ignored'}


def test_examples_of_real_logs() -> None:
    by_column, by_row, stop = (
        load_model(EXAMPLES / f'{name}.json').run.events
        for name in ('gonogo_columns', 'gonogo_rows', 'cnp_stopsignal')
    )
    assert by_column.conditions == by_row.conditions
    assert by_column.stimuli == by_row.stimuli
    assert (by_column.rename, by_column.duration) == (by_row.rename, 0.02)
    assert by_column.response == ResponseRule((0, 1), 'response_time')
    assert by_column.units == {'response_time': 'ms'}
    assert by_column.ignore == ({'trial_type': ('response',)},)
    assert by_row.response == ResponseRule((0, 1), None, {'value': ('correct', 'incorrect')})
    assert stop.ignore == ({'trial_type': ('NULL',)},)
    assert stop.rename == {'TrialOutcome': {'UnuccessfulGo': 'UnsuccessfulGo'}}
    assert stop.stimuli is not None
    assert stop.stimuli.validity == ValidityRules(10, 0.7, True)


@pytest.mark.parametrize(
    ('blocks', 'words'),
    [
        # Shape
        ({'Events': {'Unit': {}}}, 'Events.Unit: unknown key (did you mean Units?)'),
        (
            {'Events': {'Units': {'onset': 'us'}}},
            "Events.Units.onset: Input should be 's' or 'ms'",
        ),
        ({'Events': {'Units': {}}}, 'Events.Units: '),
        ({'Events': {'Rename': {'trial_type': {}}}}, 'Events.Rename.trial_type: '),
        ({'Events': {'Rename': {'trial_type': {'a': 1}}}}, 'Events.Rename.trial_type.a: '),
        ({'Events': {'Ignore': {'trial_type': ['a']}}}, 'Events.Ignore: Input should be a valid'),
        ({'Events': {'Ignore': []}}, 'Events.Ignore: '),
        ({'Events': {'Ignore': [{}]}}, 'Events.Ignore[0]: '),
        ({'Events': {'Ignore': [{'trial_type': []}]}}, 'Events.Ignore[0].trial_type: '),
        ({'Events': {'Duration': 'n/a'}}, "Events.Duration: 'n/a' is not a finite number"),
        ({'Stimuli': {'Go': GO}}, 'Stimuli.Nogo: missing'),
        ({'Stimuli': {**STIMULI, 'NoGo': GO}}, 'Stimuli.NoGo: unknown key (did you mean Nogo?)'),
        ({'Stimuli': {**STIMULI, 'Validity': {'CorrectNogo': 0}}}, 'Validity.CorrectNogo: '),
        ({'Stimuli': {**STIMULI, 'Validity': {'CorrectNogo': 9.5}}}, 'Validity.CorrectNogo: '),
        ({'Stimuli': {**STIMULI, 'Validity': {'GoAccuracy': 70}}}, 'Validity.GoAccuracy: '),
        ({'Stimuli': {**STIMULI, 'Validity': {'GoAccuracy': 0}}}, 'Validity.GoAccuracy: '),
        ({'Stimuli': {**STIMULI, 'Validity': {'Exclude': 1}}}, 'Validity.Exclude: '),
        # Times
        (
            {'Events': {'Units': {'rt': 'ms'}}},
            'Events.Units: rt is not a column of times; there are onset, duration, response_time',
        ),
        ({'Events': {'Duration': 500}}, '500 is not a duration in seconds (0 to 300)'),
        ({'Events': {'Duration': -1}}, '-1 is not a duration in seconds (0 to 300)'),
        (
            {'Events': {'Rename': {'onset': {'a': '1'}}}},
            'Rename.onset: the times of rows are not renamed',
        ),
        (
            {'Events': {'Rename': {'response_time': {'miss': 'n/a', 'late': '1'}}}},
            'late becomes 1; in the column of the response, a value can only become n/a',
        ),
        # Names of values
        (
            {'Events': {'Rename': {'trial_type': {'Go': 'GO', 'GO': 'go'}}}},
            'Rename.trial_type: Go becomes GO, which is renamed itself; a value is renamed once',
        ),
        ({'Events': {'Rename': {'trial_type': {'go': 'go'}}}}, 'go becomes go, which is renamed'),
        (
            {'Events': {'Rename': {'trial_type': {'go': 'nogo'}}}},
            'Conditions, correctGo: go is renamed to nogo before (node run, '
            'Model.Software.ketbids.Events.Rename.trial_type): write nogo',
        ),
        (
            {'Events': {'Rename': {'trial_type': {'Go': 'goo'}}}},
            'Go becomes goo, which no rule asks for; they ask for go, nogo',
        ),
        (
            {'Events': {'Rename': {'trialtype': {'Go': 'go'}}}},
            'Rename.trialtype: no rule asks for values of this column',
        ),
        (
            {'Events': {'Rename': {'trial_type': {'1': 'go', '1.0': 'nogo'}}}},
            'Rename.trial_type: the value 1 stands twice',
        ),
        # Rows that are ignored
        (
            {'Events': {'Ignore': [{'trial_type': ['NULL', 'nogo']}]}},
            'Events.Ignore[0]: rows with nogo in trial_type are ignored, but Conditions, '
            'correctNogo asks for them',
        ),
        (
            {
                'Events': {'Ignore': [PRESS]},
                'Response': {'Rows': PRESS, 'Window': [0, 1]},
            },
            'rows with press in trial_type are ignored, but Response.Rows asks for them',
        ),
        (
            {'Events': {'Ignore': [PRESS, {**PRESS, 'key': ['9']}]}},
            'Ignore[1]: such rows are those of Ignore[0]; take one out',
        ),
        # Responses
        (
            {'Response': {'Window': [0, 1]}},
            'Response: give Column (the time stands in the row of the trial) or Rows (a response '
            'has a row of its own); neither is given',
        ),
        ({'Response': {'Column': 'rt', 'Rows': PRESS, 'Window': [0, 1]}}, 'own); not both'),
        ({'Response': {'Column': 'onset', 'Window': [0, 1]}}, 'onset is the time of the row itse'),
        (
            {'Response': {'Rows': {'key': ['1']}, 'Window': [0, 1]}},
            'Response.Rows: one row could be a response and a trial of Conditions, correctGo',
        ),
        ({'Response': {'Column': '', 'Window': [0, 1]}}, 'Response.Column: it is empty: name the'),
        (
            {'Response': {'Column': 'trial_type', 'Window': [0, 1]}},
            'Response.Column: trial_type must have times, but Conditions, correctGo asks for go',
        ),
        (
            {'Stimuli': {**STIMULI, 'Correct': {'response_time': ['fast']}}},
            'response_time must have times, but Stimuli.Correct asks for fast in it',
        ),
        (
            {'Response': {'Column': 'rt', 'Press': {'rt': ['1']}, 'Window': [0, 1]}},
            'Response.Press: rt is the time of the press; Window says which times count',
        ),
        (
            {'Response': {'Column': 'rt', 'Press': GO, 'Window': [0, 1]}},
            'Response.Press: no row of incorrectNogo could be a press',
        ),
        (
            {'Response': {'Rows': PRESS, 'Press': GO, 'Window': [0, 1]}},
            'Response.Press: no row of Response.Rows could be a press',
        ),
        ({'Response': None}, 'conditions ask for a Response, but the block Response is missing'),
        # Behaviour
        (
            {'Stimuli': {'Go': {'key': ['1']}, 'Nogo': {'key': ['2', '1.0']}}},
            'Stimuli: one trial could be Go and Nogo',
        ),
        (
            {'Stimuli': {'Go': GO, 'Nogo': {'colour': ['red']}}},
            'Stimuli: one trial could be Go and Nogo: make them exclusive',
        ),
        (
            {'Stimuli': {**STIMULI, 'Correct': NOGO}},
            'Stimuli.Correct: no row of Stimuli.Go could be correct',
        ),
        (
            {
                'Response': {'Rows': PRESS, 'Window': [0, 1]},
                'Stimuli': {**STIMULI, 'Correct': GO},
            },
            'Stimuli.Correct: no row of Response.Rows could be correct',
        ),
        (
            {
                'Stimuli': {
                    **STIMULI,
                    'Validity': {'CorrectNogo': None, 'GoAccuracy': None, 'Exclude': True},
                }
            },
            'Stimuli.Validity.Exclude: there is no rule that could be broken',
        ),
    ],
)
def test_refused(load: Load, blocks: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(blocks)
    assert words in str(caught.value)
    assert 'model.json: node run, Model.Software.ketbids' in str(caught.value)


def test_behaviour_needs_responses(load: Load) -> None:
    conditions = [
        {'Name': name, 'Where': {'outcome': [name]}}
        for name in ('correctGo', 'correctNogo', 'incorrectNogo', 'incorrectGo')
    ]
    with pytest.raises(ModelError, match='Stimuli asks who responded, but the block Response is'):
        load({'Conditions': conditions, 'Response': None})
    assert load({'Conditions': conditions, 'Response': None, 'Stimuli': None}).run.events == (
        EventRules(load({'Conditions': conditions}).run.events.conditions)
    )


def test_words_for_no_response(load: Load) -> None:
    rename = {'response_time': {'miss': 'n/a', 'too late': 'n/a'}}
    assert load({'Events': {'Rename': rename}}).run.events.rename == rename


def test_values_are_compared_as_cells_are(load: Load) -> None:
    where = {'trial_type': ['go'], 'code': ['1.0', ' 02', '2.50', 'TRUE', '', 'none']}
    condition = CONTENT['Nodes'][0]['Model']['Software']['ketbids']['Conditions'][0]
    others = CONTENT['Nodes'][0]['Model']['Software']['ketbids']['Conditions'][1:]
    loaded = load({'Conditions': [condition | {'Where': where}, *others]}).run.events.conditions
    assert loaded[0].where == {
        'trial_type': ('go',),
        'code': ('1', '02', '2.5', 'True', 'n/a', 'none'),
    }


def test_a_part_of_a_condition_may_be_ignored(load: Load) -> None:
    practice = {'block': ['practice'], **GO}
    assert load({'Events': {'Ignore': [practice]}}).run.events.ignore == (
        {'block': ('practice',), 'trial_type': ('go',)},
    )


def f_contrast(weights: Any, test: str = 'F') -> dict[str, Any]:
    terms = ['correctNogo', 'incorrectNogo', 'correctGo']
    return {'Name': 'any', 'ConditionList': terms, 'Weights': weights, 'Test': test}


def test_f_contrasts(load: Load) -> None:
    contrasts = [*CONTENT['Nodes'][0]['Contrasts'], f_contrast([[1, 0, '-1/2'], [0, 1, -1]])]
    model = load({}, Contrasts=contrasts)
    assert model.run.contrasts[-1] == RunContrast(
        'any',
        (
            {'correctNogo': 1, 'incorrectNogo': 0, 'correctGo': -0.5},
            {'correctNogo': 0, 'incorrectNogo': 1, 'correctGo': -1},
        ),
        'F',
    )
    single = load({}, Contrasts=[*contrasts[:-1], f_contrast([1, 0, -1])]).run.contrasts[-1]
    assert (single.test, len(single.rows)) == ('F', 1)


@pytest.mark.parametrize(
    ('contrast', 'words'),
    [
        (f_contrast([[1, 0, -1]], 't'), 'Weights: a t contrast has one list of numbers; several'),
        (f_contrast([[1, 0, -1], 1]), 'Weights: numbers and lists of numbers stand side by side'),
        (f_contrast([[1, 0, -1], [1, 0]]), 'any, Weights[1]: 2 weights for 3 conditions'),
        (f_contrast([[1, 0, -1], [0, 0, 0]]), 'any, Weights[1]: all are 0'),
        (
            f_contrast([[1, 0, -1], [0, 1, -1], [1, -1, 0]]),
            'any, Weights: a row follows from the others (its effect is a sum of theirs)',
        ),
        (f_contrast([[1, 0, 'x'], [0, 1, -1]]), "Weights[0]: 'x' is not a finite number"),
        (f_contrast([[], [0, 1, -1]]), 'Weights[0]: [] is not a finite number'),
        (f_contrast([]), 'Contrasts[3].Weights: '),
        (
            f_contrast([[1, 0, -1]]) | {'ConditionList': ['correctNogo', 'noSuch', 'correctGo']},
            'contrast any, ConditionList: noSuch is not a condition',
        ),
    ],
)
def test_refused_contrasts(load: Load, contrast: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError) as caught:
        load({}, Contrasts=[*CONTENT['Nodes'][0]['Contrasts'], contrast])
    assert words in str(caught.value)
    assert 'node run, ' in str(caught.value)


def with_f_only(*, unfiltered: bool) -> dict[str, Any]:
    content = copy.deepcopy(CONTENT)
    content['Nodes'][0]['Contrasts'] = [f_contrast([1, 0, -1]) | {'Name': 'nogoVsGo'}]
    if unfiltered:
        for edge in content['Edges']:
            edge.pop('Filter', None)
    return content


def test_edges_pass_t_contrasts_only(load: Load, tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    content['Nodes'][0]['Contrasts'].insert(0, f_contrast([[1, 0, -1], [0, 1, -1]]))
    del content['Edges'][1]['Filter']
    path = tmp_path / 'model.json'
    path.write_text(json.dumps(content))
    passed = load_model(path).analysis(content['Edges'][1]['Destination']).first_level
    assert passed == ('nogoVsGo', 'correctNogo', 'correctGo')


@pytest.mark.parametrize(
    ('unfiltered', 'words'),
    [
        (
            False,
            'edge session to meanHC, Filter.contrast: nogoVsGo is an F contrast; these have no '
            'sign and no effect that could be averaged over people; take it out, or write a t '
            'contrast for each of its rows',
        ),
        (
            True,
            'edge session to meanHC: all contrasts of node run are F contrasts (nogoVsGo), which '
            'have no sign',
        ),
    ],
)
def test_f_contrasts_reach_no_analysis(tmp_path: Path, unfiltered: bool, words: str) -> None:
    path = tmp_path / 'model.json'
    path.write_text(json.dumps(with_f_only(unfiltered=unfiltered)))
    with pytest.raises(ModelError) as caught:
        load_model(path)
    assert words in str(caught.value)
