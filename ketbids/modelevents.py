"""What the model file says of the rows of events files: conditions, responses, stimuli."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from ketbids.errors import ModelError
from ketbids.modelblocks import EventsBlock, ResponseBlock, RunBlock, StimuliBlock
from ketbids.modelnames import need_label, refuse_repeats
from ketbids.stats.eventcells import MISSING, cell_text, is_missing, is_time
from ketbids.stats.eventrules import (
    Condition,
    EventRules,
    ResponseRule,
    StimulusRules,
    ValidityRules,
    Where,
)

__all__ = ['read_event_rules']

#: A response window longer than this is milliseconds taken for seconds.
_LONGEST_WINDOW = 30.0
#: So is a duration longer than this.
_LONGEST_DURATION = 300.0
_TIMES = ('onset', 'duration')


def read_event_rules(block: RunBlock, key: str) -> EventRules:
    """Read how rows of events become trials of conditions.

    Parameters
    ----------
    block : RunBlock
    key : str
        Where it stands, for messages.

    Raises
    ------
    ModelError
        Names the key of a rule that contradicts another one or has no effect.
    """
    conditions = tuple(Condition(c.Name, _where(c.Where), c.Response) for c in block.Conditions)
    _check_conditions(conditions, f'{key}.Conditions')
    if block.Response is None:
        for asks, what in (
            (any(c.response is not None for c in conditions), 'conditions ask for a Response'),
            (block.Stimuli is not None, 'Stimuli asks who responded'),
        ):
            if asks:
                raise ModelError(f'{key}: {what}, but the block Response is missing')
    response = None if block.Response is None else _response(block.Response, f'{key}.Response')
    stimuli = None if block.Stimuli is None else _stimuli(block.Stimuli, f'{key}.Stimuli')
    events = block.Events or EventsBlock()
    rules = EventRules(
        conditions=conditions,
        response=response,
        units={} if events.Units is None else dict(events.Units),
        rename=_rename(events, f'{key}.Events.Rename'),
        ignore=tuple(_where(where) for where in events.Ignore or ()),
        duration=events.Duration,
        stimuli=stimuli,
    )
    _check_times(rules, f'{key}.Events')
    _check_rename(rules, key)
    _check_ignore(rules, key)
    _check_responses(rules, key)
    return rules


def _where(content: Mapping[str, Sequence[str]] | None) -> Where:
    # Texts that are the same to whoever reads the events must be the same to the checks here.
    return {column: tuple(map(cell_text, values)) for column, values in (content or {}).items()}


def _response(block: ResponseBlock, key: str) -> ResponseRule:
    start, end = block.Window
    if not 0 <= start < end <= _LONGEST_WINDOW:
        raise ModelError(
            f'{key}.Window: [{start:g}, {end:g}] is not a window in seconds '
            f'(0 <= start < end <= {_LONGEST_WINDOW:g})'
        )
    if (block.Column is None) == (block.Rows is None):
        given = 'neither is given' if block.Column is None else 'not both'
        raise ModelError(
            f'{key}: give Column (the time stands in the row of the trial) or Rows (a response '
            f'has a row of its own); {given}'
        )
    if block.Column in _TIMES:
        raise ModelError(
            f'{key}.Column: {block.Column} is the time of the row itself; if a response has a '
            'row of its own, give Rows'
        )
    if block.Column is not None and not block.Column.strip():
        raise ModelError(f'{key}.Column: it is empty: name the column with the time of the press')
    rows = None if block.Rows is None else _where(block.Rows)
    return ResponseRule((start, end), block.Column, rows, _where(block.Press))


def _stimuli(block: StimuliBlock, key: str) -> StimulusRules:
    go, nogo, correct = _where(block.Go), _where(block.Nogo), _where(block.Correct)
    if _compatible(go, nogo):
        raise ModelError(f'{key}: one trial could be Go and Nogo: make them exclusive')
    given = block.Validity
    validity = (
        ValidityRules()
        if given is None
        else ValidityRules(given.CorrectNogo, given.GoAccuracy, given.Exclude)
    )
    if validity.exclude and validity.correct_nogo is None and validity.go_accuracy is None:
        raise ModelError(f'{key}.Validity.Exclude: there is no rule that could be broken')
    return StimulusRules(go, nogo, correct, validity)


def _check_conditions(conditions: Sequence[Condition], key: str) -> None:
    refuse_repeats((condition.name for condition in conditions), key, 'name')
    for condition in conditions:
        need_label(condition.name, key, 'condition name')
    for first, second in combinations(conditions, 2):
        responses = {first.response, second.response} - {None}
        if len(responses) < 2 and _compatible(first.where, second.where):
            raise ModelError(
                f'{key}: one trial could be {first.name} and {second.name}: make them exclusive'
            )


def _compatible(first: Where, second: Where) -> bool:
    """True if one row could be of both kinds."""
    return all(set(first[c]) & set(second[c]) for c in set(first) & set(second))


def _implies(first: Where, second: Where) -> bool:
    """True if every row of the first kind is of the second kind too."""
    return all(column in first and set(first[column]) <= set(second[column]) for column in second)


def _trial_kinds(rules: EventRules) -> dict[str, Where]:
    """Kinds of rows that are trials, by key."""
    kinds = {f'Conditions, {c.name}': c.where for c in rules.conditions}
    if rules.stimuli is not None:
        kinds |= {'Stimuli.Go': rules.stimuli.go, 'Stimuli.Nogo': rules.stimuli.nogo}
    return kinds


def _correct(rules: EventRules) -> dict[str, Where]:
    """What makes a press correct, by key."""
    return {} if rules.stimuli is None else {'Stimuli.Correct': rules.stimuli.correct}


def _all_kinds(rules: EventRules) -> dict[str, Where]:
    """All that asks for values of columns, by key."""
    kinds = _trial_kinds(rules)
    if rules.response is not None:
        kinds |= {
            'Response.Rows': rules.response.rows or {},
            'Response.Press': rules.response.press,
        }
    kinds |= _correct(rules)
    return kinds | {f'Events.Ignore[{i}]': where for i, where in enumerate(rules.ignore)}


def _check_times(rules: EventRules, key: str) -> None:
    """Refuse units of what is no time, and a default duration that is no duration."""
    column = None if rules.response is None else rules.response.column
    times = [*_TIMES, *([] if column is None else [column])]
    for name in rules.units:
        if name not in times:
            raise ModelError(
                f'{key}.Units: {name} is not a column of times; there are {", ".join(times)}'
            )
    if rules.duration is not None and not 0 <= rules.duration <= _LONGEST_DURATION:
        raise ModelError(
            f'{key}.Duration: {rules.duration:g} is not a duration in seconds '
            f'(0 to {_LONGEST_DURATION:g})'
        )


def _rename(block: EventsBlock, key: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for column, names in (block.Rename or {}).items():
        refuse_repeats(map(cell_text, names), f'{key}.{column}', 'value')
        found[column] = {cell_text(old): cell_text(new) for old, new in names.items()}
    return found


def _check_rename(rules: EventRules, key: str) -> None:
    """Refuse new names that nothing asks for, and old ones that something still asks for."""
    kinds = _all_kinds(rules)
    for column, names in rules.rename.items():
        where = f'{key}.Events.Rename.{column}'
        if column in _TIMES:
            raise ModelError(f'{where}: the times of rows are not renamed')
        for old, new in names.items():
            if new in names:
                raise ModelError(
                    f'{where}: {old} becomes {new}, which is renamed itself; a value is renamed '
                    'once: write what it is to be in the end'
                )
        if rules.response is not None and column == rules.response.column:
            _check_renamed_times(names, where)
            continue
        asked = {value for kind in kinds.values() for value in kind.get(column, ())}
        if not asked:
            raise ModelError(f'{where}: no rule asks for values of this column')
        for old, new in names.items():
            for name, kind in kinds.items():
                if old in kind.get(column, ()):
                    raise ModelError(
                        f'{key}.{name}: {old} is renamed to {new} before ({where}): write {new}'
                    )
            if new not in asked:
                raise ModelError(
                    f'{where}: {old} becomes {new}, which no rule asks for; they ask for '
                    f'{", ".join(sorted(asked))}'
                )


def _check_renamed_times(names: Mapping[str, str], where: str) -> None:
    """Let words in a column of times stand for no response, and for nothing else."""
    for old, new in names.items():
        if not is_missing(new):
            raise ModelError(
                f'{where}: {old} becomes {new}; in the column of the response, a value can only '
                f'become {MISSING}, for no response'
            )


def _check_ignore(rules: EventRules, key: str) -> None:
    """Refuse rules that have no effect because all of their rows are ignored."""
    kinds = _trial_kinds(rules)
    if rules.response is not None and rules.response.rows is not None:
        kinds['Response.Rows'] = rules.response.rows
    for number, ignored in enumerate(rules.ignore):
        where = f'{key}.Events.Ignore[{number}]'
        for other, more in enumerate(rules.ignore):
            if other != number and _implies(ignored, more):
                raise ModelError(f'{where}: such rows are those of Ignore[{other}]; take one out')
        for name, kind in kinds.items():
            for column, values in kind.items():
                for value in values:
                    if _implies({**kind, column: (value,)}, ignored):
                        raise ModelError(
                            f'{where}: rows with {value} in {column} are ignored, but '
                            f'{name} asks for them; take them out of one of the two'
                        )


def _check_responses(rules: EventRules, key: str) -> None:
    """Refuse responses that could be trials, and presses that there can never be."""
    response, stimuli = rules.response, rules.stimuli
    if response is None:
        return
    pressed = {c.name: c.where for c in rules.conditions if c.response}
    if response.rows is not None:
        for name, kind in _trial_kinds(rules).items():
            if _compatible(response.rows, kind):
                raise ModelError(
                    f'{key}.Response.Rows: one row could be a response and a trial of {name}: '
                    'make them exclusive'
                )
        pressed = {'Response.Rows': response.rows}
    elif response.column in response.press:
        raise ModelError(
            f'{key}.Response.Press: {response.column} is the time of the press; Window says '
            'which times count'
        )
    for name, kind in {**_trial_kinds(rules), **_correct(rules)}.items():
        for value in kind.get(response.column or '', ()):
            if not (is_missing(value) or is_time(value)):
                raise ModelError(
                    f'{key}.Response.Column: {response.column} must have times, but {name} asks '
                    f'for {value} in it'
                )
    for name, kind in pressed.items():
        if not _compatible(kind, response.press):
            raise ModelError(f'{key}.Response.Press: no row of {name} could be a press')
    if stimuli is not None:
        source, kind = (
            ('Stimuli.Go', stimuli.go)
            if response.rows is None
            else ('Response.Rows', response.rows)
        )
        if not _compatible(kind, stimuli.correct):
            raise ModelError(f'{key}.Stimuli.Correct: no row of {source} could be correct')
