"""Whether the events of a run lie where they should: removed volumes and shifted events."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ['FITS', 'EventSpan', 'Message', 'compare_spans', 'timing_messages']

#: How the message starts that there is nothing wrong with the times within a run.
FITS = 'The first trial starts at'

#: A lead-in or tail longer than this (s) and than this share of the run is told.
_LONG, _LONG_SHARE = 30.0, 0.15
#: The response to the last trial is cut off if less than this follows its onset (s).
_RESPONSE = 6.0
#: Runs of a study that are needed for a comparison.
_ENOUGH = 4
#: A lead-in differs if it is more than this many volumes from the median, a tail if it is more
#: than this many seconds, and both if they are more than this many spreads.
_LEAD_VOLUMES, _TAIL_SECONDS, _SPREADS = 0.9, 2.0, 5.0
#: Median absolute deviation to standard deviation, of a normal distribution.
_MAD = 1.4826
#: Rows of coded trials that tell where the task was.
_SHOWN = ('trial', 'unmatched', 'early', 'repeated')


class Message(NamedTuple):
    """A sentence of a check.

    Attributes
    ----------
    level : {'ok', 'unchecked', 'warn', 'alarm'}
        ``unchecked``: there is nothing to compare with.
    text : str
    kind : {'timing', 'design'}
        What was checked.
    """

    level: Literal['ok', 'unchecked', 'warn', 'alarm']
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
            # A row of no condition after the end is no trial (`ketbids.stats.runevents`).
            after = trials['onset'] >= n_volumes * repetition_time
            stray = after & (trials['status'] == 'unmatched')
            shown = trials.loc[trials['status'].isin(_SHOWN) & ~stray]
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
        ``ok`` messages, too: what was compared; ``unchecked`` ones: what could not be.
    """
    found = [_volumes(n_volumes, drop_volumes, raw_volumes)]
    if span is None:
        return [*found, Message('alarm', 'There is no trial whose time could be checked.')]
    worries = _span(span)
    if not worries:
        text = (
            f'{FITS} {span.first:.1f} s; the run goes on for {span.tail:.1f} s '
            'after the onset of the last one.'
        )
        worries = [Message('ok', text)]
    return found + worries


def compare_spans(spans: Mapping[str, EventSpan]) -> dict[str, Message]:
    """Compare where events lie with the other runs of a study, to find those that are shifted.

    A run stands out if its lead-in (onset of the first trial) is more than 0.9 volumes from the
    median of all, or its tail more than 2 s, and either more than 5 robust standard deviations
    (1.4826 x median absolute deviation). Fewer than 4 runs are not compared.

    Parameters
    ----------
    spans : mapping of str to EventSpan
        By the name of the run.

    Returns
    -------
    dict of str to Message
        Of every run: ``warn`` if it stands out, ``unchecked`` if there are too few runs.
    """
    if len(spans) < _ENOUGH:
        text = f'Other runs: not compared ({len(spans)} runs; {_ENOUGH} are needed).'
        if len(spans) == 1:
            text = f'Other runs: not compared (this is the only run; {_ENOUGH} are needed).'
        return dict.fromkeys(spans, Message('unchecked', text))
    leads, tails = (
        np.array([getattr(span, field) for span in spans.values()]) for field in ('first', 'tail')
    )
    return {
        name: _compared(span, _Usual.of(leads), _Usual.of(tails), len(spans))
        for name, span in spans.items()
    }


class _Usual(NamedTuple):
    """Median of all runs, and their robust standard deviation; s."""

    middle: float
    spread: float

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> '_Usual':
        middle = float(np.median(values))
        return cls(middle, _MAD * float(np.median(np.abs(values - middle))))


def _compared(span: EventSpan, leads: _Usual, tails: _Usual, n_runs: int) -> Message:
    lead, trail = span.first - leads.middle, span.tail - tails.middle
    if abs(lead) > max(_LEAD_VOLUMES * span.step, _SPREADS * leads.spread):
        text = (
            f'The first trial starts {abs(lead):.1f} s {"later" if lead > 0 else "earlier"} than '
            f'in the other runs (median {leads.middle:.1f} s; {abs(lead) / span.step:.1f} volumes)'
        )
        # A shift that keeps the length of the run moves the tail the other way, apart from what
        # tails differ by anyway.
        room = max(_TAIL_SECONDS, 0.25 * abs(lead), 3 * tails.spread)
        if abs(lead + trail) > room:
            text += ': check whether the events are complete and of this run.'
        else:
            text += ', and the last one is shifted as much' if abs(trail) > room else ''
            text += ': check --drop-volumes and the clock of the events.'
        return Message('warn', text)
    if abs(trail) > max(_TAIL_SECONDS, _SPREADS * tails.spread):
        text = (
            f'The run goes on for {abs(trail):.1f} s {"longer" if trail > 0 else "less"} after '
            f'the last trial than other runs (median {tails.middle:.1f} s): check whether events '
            'or volumes are missing.'
        )
        return Message('warn', text)
    text = (
        f'Other runs: the first trial starts at {span.first:.1f} s, in all {n_runs} runs at '
        f'{leads.middle:.1f} s (median).'
    )
    return Message('ok', text)


def _volumes(n_volumes: int, drop_volumes: int, raw_volumes: int | None) -> Message:
    said = f'{n_volumes} volumes, --drop-volumes {drop_volumes}'
    if raw_volumes is None:
        text = f'Removed volumes: there is no raw image ({said}).'
        return Message('unchecked', text)
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
