"""Whether a participant did the task, by the rules of the model file."""

from collections.abc import Mapping
from fractions import Fraction

from ketbids.stats.eventrules import ValidityRules

__all__ = ['MANY_UNMATCHED', 'validity']

#: Share of rows of unknown kind above which the measures may not describe the run: a misspelt
#: type takes away whole kinds of trials, a stray row does not.
MANY_UNMATCHED = Fraction(1, 20)


def validity(counts: Mapping[str, int], rules: ValidityRules) -> tuple[bool | None, str | None]:
    """Tell whether the task counts as done.

    Where many rows of the events are of no known kind, a rule counts as broken only if it were
    broken also with all of those rows as correct trials of the kind that the rule is about;
    and the task does not count as done, as nobody knows what is in them.

    Parameters
    ----------
    counts : mapping of str to int
        `ketbids.stats.behaviour.COUNTS` of a run or session.
    rules : ValidityRules

    Returns
    -------
    valid : bool or None
        None where there is no rule, or it cannot be told.
    reason : str or None
        Which rules are broken; what is odd, or why it cannot be told.
    """
    lost, n_trials = counts['n_unmatched'], counts['n_trials']
    unsure = lost if lost > MANY_UNMATCHED * (n_trials + lost) else 0
    broken, unknown = list[str](), list[str]()
    if unsure:
        unknown.append(
            f'{lost} of {n_trials + lost} rows of events are neither Go nor NoGo nor of a '
            'condition, so that the counts may be of a part of the trials (see Rename and Ignore '
            'of the model file)'
        )
    if rules.correct_nogo is not None and not counts['n_nogo']:
        unknown.append('there are no NoGo trials')
    elif rules.correct_nogo is not None and counts['n_correct_nogo'] < rules.correct_nogo:
        text = (
            f'{counts["n_correct_nogo"]} correct NoGo trials of {counts["n_nogo"]}, fewer than '
            f'{rules.correct_nogo}'
        )
        certain = counts['n_correct_nogo'] + unsure < rules.correct_nogo
        (broken if certain else unknown).append(text)
    if rules.go_accuracy is not None and not counts['n_go']:
        unknown.append('there are no Go trials')
    elif rules.go_accuracy is not None and not _reached(counts, rules.go_accuracy):
        certain = not _reached(counts, rules.go_accuracy, unsure)
        (broken if certain else unknown).append(_too_few_go(counts, rules.go_accuracy))
    reason = '; '.join([*broken, *unknown]) or None
    if rules.correct_nogo is None and rules.go_accuracy is None:
        return None, reason
    return (False if broken else None if unknown else True), reason


def _reached(counts: Mapping[str, int], share: float, more: int = 0) -> bool:
    """Compare exactly: in floating point, 55 of 100 are fewer than 0.55 of them."""
    return counts['n_correct_go'] + more >= Fraction(str(share)) * (counts['n_go'] + more)


def _too_few_go(counts: Mapping[str, int], share: float) -> str:
    n_go, outside = counts['n_go'], counts['n_outside']
    parts = [f'{counts["n_omissions"] - outside} of {n_go} Go trials without a press']
    if outside:
        parts.append(f'{outside} with a press outside of the window')
    parts.append(f'{counts["n_wrong_go"]} with a wrong one')
    accuracy = counts['n_correct_go'] / n_go
    return f'Go accuracy {accuracy:.3f}, below {share:g} ({", ".join(parts)})'
