"""Whether the events of a run lie where they should: removed volumes and shifted events."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

__all__ = ['EventSpan', 'Message', 'compare_spans', 'timing_messages']

#: A lead-in or tail longer than this (s) and than this share of the run is told.
_LONG, _LONG_SHARE = 30.0, 0.15
#: The response to the last trial is cut off if less than this follows its onset (s).
_RESPONSE = 6.0
#: Runs of a study that are needed for a comparison.
_ENOUGH = 4
#: Runs differ if they are more than this from the median (s), and than this many spreads.
_SHIFT, _SPREADS = 2.0, 5.0
#: Median absolute deviation to standard deviation, of a normal distribution.
_MAD = 1.4826
#: Rows of coded trials that tell where the task was.
_SHOWN = ('trial', 'unmatched', 'early', 'repeated')


class Message(NamedTuple):
    """A sentence of a check.

    Attributes
    ----------
    level : {'ok', 'warn', 'alarm'}
    text : str
    kind : {'timing', 'design'}
        What was checked.
    """

    level: Literal['ok', 'warn', 'alarm']
    text: str
    kind: Literal['timing', 'design'] = 'timing'


class EventSpan(NamedTuple):
    """Where the trials lie in a run.

    Attributes
    ----------
    first : float
        Onset of the first trial, s after the first volume that is left.
    last : float
        Onset of the last trial, s.
    end : float
        End of the trial that ends last, s.
    length : float
        Length of the run, s.
    step : float
        Repetition time, s.
    """

    first: float
    last: float
    end: float
    length: float
    step: float

    @property
    def tail(self) -> float:
        """Seconds from the onset of the last trial to the end of the run."""
        return self.length - self.last

    @classmethod
    def of_trials(
        cls, trials: pd.DataFrame, n_volumes: int, repetition_time: float
    ) -> 'EventSpan | None':
        """Take the span of coded trials; None if there is no trial.

        Parameters
        ----------
        trials : DataFrame
            ``onset``, ``duration`` (s), ``condition``, and ``status`` if there is one.
        n_volumes : int
        repetition_time : float
            Seconds.
        """
        shown = trials
        if 'status' in trials.columns:
            shown = trials.loc[trials['status'].isin(_SHOWN)]
        onset = shown['onset'].to_numpy(np.float64)
        if not len(onset):
            return None
        end = onset + np.nan_to_num(shown['duration'].to_numpy(np.float64))
        first, last = float(onset.min()), float(onset.max())
        return cls(first, last, float(end.max()), n_volumes * repetition_time, repetition_time)


def timing_messages(
    span: EventSpan | None,
    n_volumes: int,
    *,
    drop_volumes: int = 0,
    raw_volumes: int | None = None,
) -> list[Message]:
    """Check removed volumes, and the events against the length of the run.

    Parameters
    ----------
    span : EventSpan or None
        None: there is no trial.
    n_volumes : int
        Volumes of the preprocessed series.
    drop_volumes : int
        Volumes removed from the start, as the user says.
    raw_volumes : int, optional
        Volumes of the raw image.

    Returns
    -------
    list of Message
        ``ok`` messages, too: what was compared.
    """
    found = [_volumes(n_volumes, drop_volumes, raw_volumes)]
    if span is None:
        return [*found, Message('alarm', 'There is no trial whose time could be checked.')]
    worries = _span(span)
    if not worries:
        text = (
            f'The first trial starts at {span.first:.1f} s; the run goes on for {span.tail:.1f} s '
            'after the onset of the last one.'
        )
        worries = [Message('ok', text)]
    return found + worries


def compare_spans(spans: Mapping[str, EventSpan]) -> dict[str, Message]:
    """Compare where events lie with the other runs of a study, to find those that are shifted.

    A run stands out if its lead-in (onset of the first trial) or its tail is more than 2 s and
    more than 5 robust standard deviations (1.4826 x median absolute deviation) from the median
    of all. Fewer than 4 runs are not compared.

    Parameters
    ----------
    spans : mapping of str to EventSpan
        By the name of the run.

    Returns
    -------
    dict of str to Message
        Of the runs that stand out.
    """
    if len(spans) < _ENOUGH:
        return {}
    first, tail = (
        np.array([getattr(span, field) for span in spans.values()]) for field in ('first', 'tail')
    )
    found = {}
    for (name, span), lead, trail in zip(
        spans.items(), _outlying(first), _outlying(tail), strict=True
    ):
        if not lead and not trail:
            continue
        if lead:
            # A shift that keeps the length of the run moves the tail the other way.
            kept = abs(lead + trail) < max(_SHIFT, 0.25 * abs(lead))
            text = (
                f'The first trial starts {abs(lead):.1f} s '
                f'{"later" if lead > 0 else "earlier"} than in the other runs (median '
                f'{np.median(first):.1f} s; {abs(lead) / span.step:.1f} volumes)'
            )
            text += (
                ', and the last one is shifted as much: check --drop-volumes and the clock of the '
                'events.'
                if kept
                else ': check whether the events are complete and of this run.'
            )
        else:
            text = (
                f'The run goes on for {abs(trail):.1f} s {"longer" if trail > 0 else "less"} '
                f'after the last trial than other runs (median {np.median(tail):.1f} s): check '
                'whether events or volumes are missing.'
            )
        found[name] = Message('warn', text)
    return found


def _outlying(values: np.ndarray) -> list[float]:
    """Distance from the median; 0 for what does not stand out."""
    distance = values - np.median(values)
    limit = max(_SHIFT, _SPREADS * _MAD * float(np.median(np.abs(distance))))
    return [float(d) if abs(d) > limit else 0.0 for d in distance]


def _volumes(n_volumes: int, drop_volumes: int, raw_volumes: int | None) -> Message:
    said = f'{n_volumes} volumes, --drop-volumes {drop_volumes}'
    if raw_volumes is None:
        return Message('ok', f'Removed volumes: not checked, there is no raw image ({said}).')
    missing = raw_volumes - n_volumes - drop_volumes
    if missing == 0:
        return Message('ok', f'Removed volumes: the raw image has {raw_volumes} ({said}).')
    if missing == -drop_volumes:
        return Message(
            'alarm',
            f'The series has all {raw_volumes} volumes of the raw image, but --drop-volumes says '
            f'that {drop_volumes} were removed: the events are shifted. Give --drop-volumes 0.',
        )
    if raw_volumes < n_volumes:
        return Message(
            'alarm',
            f'The series has {n_volumes} volumes, more than the raw image ({raw_volumes}): it is '
            'of another run.',
        )
    return Message(
        'alarm',
        f'The raw image has {raw_volumes} volumes and the series {n_volumes}: '
        f'{raw_volumes - n_volumes} were removed, but --drop-volumes says {drop_volumes}. If they '
        f'were removed from the start, give --drop-volumes {raw_volumes - n_volumes}.',
    )


def _span(span: EventSpan) -> list[Message]:
    found = []
    long = max(_LONG, _LONG_SHARE * span.length)
    if span.first < 0:
        text = (
            f'The first trial starts {-span.first:.1f} s before the first volume '
            f'({-span.first / span.step:.1f} volumes): right only if volumes were removed.'
        )
        found.append(Message('warn', text))
    elif span.first > long:
        text = (
            f'The first trial starts {span.first:.1f} s after the first volume: check the clock.'
        )
        found.append(Message('warn', text))
    if span.end > span.length:
        text = f'The last trial ends {span.end - span.length:.1f} s after the end of the run.'
        found.append(Message('warn', text))
    elif span.tail < _RESPONSE:
        text = (
            f'The run ends {span.tail:.1f} s after the onset of the last trial: the end of its '
            'response is not in the data.'
        )
        found.append(Message('warn', text))
    elif span.length - span.end > long:
        text = (
            f'The run goes on for {span.length - span.end:.1f} s after the last trial: check '
            'whether the file of events is complete.'
        )
        found.append(Message('warn', text))
    return found
