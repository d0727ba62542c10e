"""What is odd about the responses of a run as a whole."""

import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.eventcells import asked, kinds, matches, renamed
from ketbids.stats.eventrules import EventRules, ResponseRule

__all__ = ['absent_responses', 'odd_response_times']

#: Nobody's usual response is faster than this (s).
_FASTEST = 0.05
#: Response times that are needed to say so.
_ENOUGH = 5
#: No response at all is faster than this (s).
_IMPOSSIBLE = 0.005
#: Nobody's usual response is slower than this (s): a window ends long before.
_SLOWEST = 50.0


def absent_responses(
    events: pd.DataFrame, rules: EventRules, coded: pd.DataFrame
) -> tuple[str, ...]:
    """Say if no row of a run can be a press.

    Parameters
    ----------
    events : DataFrame
        The table as it was read.
    rules : EventRules
    coded : DataFrame
        Result of `ketbids.stats.events.code_trials` for them, in the same order.

    Returns
    -------
    tuple of str
        One sentence that says what the file has and what the model asks for, or none.
    """
    rule = rules.response
    if rule is None:
        return ()
    ignored = coded['status'].to_numpy() == 'ignored'
    seen = events[~ignored]
    nobody = (
        'every trial is taken for one without a response, which is right only if nobody pressed'
    )
    if rule.rows is None:
        if not (coded['response_time'].abs() > 0).any():
            return (f'no row has a response time in {rule.column}: {nobody}',)
        candidates = ~ignored
    else:
        candidates = coded['status'].to_numpy() == 'response'
        if not candidates.any():
            return (
                f'no row is a response: Response.Rows of the model file asks for '
                f'{asked(rule.rows)}, the file has {kinds(seen, rule.rows)}; {nobody}',
            )
    pressed = matches(renamed(events, rules.rename), rule.press)
    if (candidates & pressed).any():
        return ()
    return (
        f'no row is a press: Response.Press of the model file asks for {asked(rule.press)}, the '
        f'file has {kinds(events[candidates], rule.press)}; {nobody}',
    )


def odd_response_times(rules: EventRules, coded: pd.DataFrame) -> tuple[str, ...]:
    """Find response times that look like those of another unit or another clock.

    Parameters
    ----------
    rules : EventRules
    coded : DataFrame
        Result of `ketbids.stats.events.code_trials`.

    Returns
    -------
    tuple of str
        One sentence, or none.

    Raises
    ------
    InputError
        They are in a column, and nobody's are so long.
    """
    times = coded.loc[coded['response_time'] > 0, 'response_time']
    rule = rules.response
    if rule is None or not len(times):
        return ()
    middle = float(times.median())
    if rule.column is not None and middle > _SLOWEST:
        raise InputError(_too_long(rules, rule, coded, middle))
    if middle >= (_FASTEST if len(times) >= _ENOUGH else _IMPOSSIBLE):
        return ()
    return (
        f'the median response time is {middle * 1000:.3g} ms, faster than anybody responds: '
        'check the unit of the times and the clock of the responses',
    )


def _too_long(rules: EventRules, rule: ResponseRule, coded: pd.DataFrame, middle: float) -> str:
    """Say what times may be that are no response times in seconds."""
    column = rule.column
    pressed = coded[coded['response_time'] > 0]
    since = pressed['response_time'] - pressed['onset']
    # Times of the run are a little later than the onsets of their trials, all along the run.
    if ((since > 0) & (since < _SLOWEST)).mean() > 0.5 and len(pressed) > 1:
        return (
            f'The values of {column} look like times since the start of the run: half of them are '
            f'{middle:g} s or more, and most are little more than the onset of their row (median '
            f'{since.median():.3g} s). It must have the time since the onset of the trial: '
            'subtract the onset.'
        )
    half = f'half of them are {middle:g} or more'
    if rules.units.get(str(column), 's') == 'ms':
        return (
            f'The values of {column} cannot be milliseconds from the onset of a trial to its '
            f'press: half of them are {middle * 1000:g} or more, which is {middle:g} s. Correct '
            'the file; a code for no response must be n/a.'
        )
    return (
        f'The values of {column} look like milliseconds ({half}), but are taken for seconds. Say '
        f'so in the model file: "Units": {{"{column}": "ms"}}. If it is a code for no response, '
        f'Rename it to n/a there.'
    )
