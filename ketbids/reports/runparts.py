"""Parts of a run's section on the participant's page: plain values in, tables and words out."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ketbids.reports.page import Part, Picture, RunSection
from ketbids.reports.tables import Table
from ketbids.stats.eventtiming import FITS, Message

__all__ = [
    'empty_grayordinates',
    'fit_facts',
    'motion_facts',
    'run_parts',
    'runs_caption',
    'trial_notes',
    'with_shift',
]

#: A time in a note.
_SECONDS = re.compile(r'\((-?[\d.]+(?:e-?\d+)?) s\)')
_LEVELS = {'ok': 'fine', 'unchecked': 'not checked', 'warn': 'doubtful', 'alarm': 'bad'}
_TIMES = 'Times'
_REGRESSORS = (
    'VIF: how many times larger the variance of the estimate is than if the regressor were not '
    'correlated with the others. Up to 5 is fine, above 5 doubtful, above 10 bad: then the data '
    'hardly tell this condition from the rest. Few trials make a condition noisy, whatever its '
    'VIF. A condition without trials is not in the design.'
)
_CONTRASTS = (
    'VIF, as above, for the difference that is tested: this one counts, also where single '
    'regressors have a higher one; it can be below 1. Efficiency: 1 / variance of the estimate '
    'for white noise of variance 1; compare runs of a study by it, not contrasts. Worry about a '
    'contrast that is marked, and about a run whose efficiency is half that of others.'
)
_COUNTS = (
    'Every row of the events file is in exactly one line. Worry if trials are of no condition, '
    'or if more responses are left out than a few.'
)
_CORRELATIONS = (
    'Regressors of the task should hardly correlate with each other, and less still with '
    'confounds and drifts. Worry about an absolute value above .7, unless the VIF of the contrast '
    'is fine.'
)
_DESIGN = (
    'Each line is a regressor over the time of the run. Worry if trials stop long before the end '
    'of the run, or start late: the events may be of another run or shifted.'
)
_WHITENESS = (
    'Noise of a scanner is correlated over time; the noise model takes this out, so that t and p '
    'are right. After whitening, the medians should lie near 0. Worry if they are far from it: t '
    'and z of this run are then too large or too small.'
)
_REJECTED = (
    ' The test for any autocorrelation that is left rejects 5 % of the grayordinates where noise '
    'is white; about 1 % where the noise model is smoothed in space, as it is by default.'
)
_MOTION = (
    'Framewise displacement is how far the head moved since the volume before. A mean above '
    '0.2 mm is a lot for a volume every second or less, peaks above 0.5 mm are marked. Breathing '
    'moves the head, or the image, at each breath: what stays without its frequencies is '
    'movement that matters. DVARS is the change of the signal between volumes: peaks without '
    'movement are artefacts of the scanner.'
)


def run_parts(
    plan: Mapping[str, Any],
    counts: pd.DataFrame | None,
    quality: Mapping[str, Any],
    pictures: Mapping[str, str],
) -> list[Part]:
    """Make the parts of a run's section.

    Parameters
    ----------
    plan : mapping
        What `BuildRunDesign` writes: ``checks``, ``tests``.
    counts : DataFrame or None
        Where every row of the events file went.
    quality : mapping
        Of the fit: autocorrelations before and after whitening.
    pictures : mapping of str to str
        Paths of ``design``, ``correlations``, ``whiteness`` and ``motion``, those that there are.

    Returns
    -------
    list of Part
        In the order of the page.
    """
    checks = plan['checks']
    found = [_regressors(checks['regressors'])]
    if counts is not None:
        found.append(Part('Rows of the events file', _COUNTS, _count_table(counts)))
    found += _picture(pictures, 'design', 'Design matrix', _DESIGN)
    found += _picture(pictures, 'correlations', 'Correlation of regressors', _CORRELATIONS)
    found += [_contrasts(checks['contrasts'], plan['tests']), _timing(checks['messages'])]
    words = _WHITENESS + (_REJECTED if quality.get('PortmanteauRejected') is not None else '')
    found += _picture(pictures, 'whiteness', 'Autocorrelation of the residuals', words)
    return found + _picture(pictures, 'motion', 'Head movement', _MOTION)


def fit_facts(
    sidecars: Sequence[Mapping[str, Any]], quality: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Facts of the fit: noise model, degrees of freedom, whiteness, units.

    Parameters
    ----------
    sidecars : sequence of mapping
        Metadata of the maps; none if nothing could be estimated.
    quality : mapping
        Of the fit; empty if there was none.
    """
    if not sidecars and not quality:
        return [('Model', 'not fitted: no contrast can be estimated')]
    known = {**(sidecars[0] if sidecars else {}), **quality}
    found = []
    if 'NoiseModel' in known:
        noise = str(known['NoiseModel'])
        fwhm = known.get('NoiseSmoothingFWHM')
        found.append(('Noise model', f'{noise}, smoothed {fwhm:g} mm' if fwhm else noise))
    if 'DegreesOfFreedomNominal' in known:
        words = f'{known["DegreesOfFreedomNominal"]:g}'
        if known.get('DegreesOfFreedomEffective') is not None:
            words += (
                f'; {known["DegreesOfFreedomEffective"]:g} without the '
                f'{known["ComponentsRemoved"]} components that FIX removed'
            )
        found.append(('Degrees of freedom', words))
    if known.get('PortmanteauRejected') is not None:
        share = 100 * known['PortmanteauRejected']
        found.append(('Grayordinates with autocorrelation left', f'{share:.1f} %'))
    if 'SignalUnits' in known:
        found.append(('Units', str(known['SignalUnits'])))
    return found


def motion_facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Facts of head movement and signal change, of those that are known.

    Parameters
    ----------
    facts : mapping
        ``MeanFramewiseDisplacement`` ... as `RunQuality` gives them; None: not known.
    """
    found: list[tuple[str, str]] = []
    told = set()
    for key, name, unit in (
        ('MeanFramewiseDisplacement', 'Mean framewise displacement', ' mm'),
        ('MeanFramewiseDisplacementFiltered', 'The same without breathing', ' mm'),
        ('ShareAboveFramewiseDisplacementLimit', 'Volumes that moved', ' %'),
        ('MeanDVARS', 'Mean DVARS', ''),
    ):
        value, reason = facts.get(key), facts.get('NotAvailable', {}).get(key)
        if value is not None and unit == ' %':
            limit = facts['FramewiseDisplacementLimit']
            found.append((name, f'{100 * value:.1f} % more than {limit:g} mm'))
        elif value is not None:
            found.append((name, f'{value:.3f}{unit}' if unit else f'{value:.3g}'))
        elif reason and reason not in told:
            found.append((name, f'n/a: {reason}'))
            told.add(reason)
    return found


def empty_grayordinates(sidecars: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say how many grayordinates have no data."""
    empty = sidecars[0].get('GrayordinatesWithoutData', 0) if sidecars else 0
    if not empty:
        return []
    return [f'{empty} grayordinates are constant or not finite over time: NaN in the maps.']


def trial_notes(trials: pd.DataFrame) -> list[str]:
    """Count the notes of coded trials: one sentence per kind, with the range of its times."""
    times: dict[str, list[float]] = {}
    counts: Counter[str] = Counter()
    for note in trials['note'].dropna():
        for part in filter(None, str(note).split('; ')):
            kind = _SECONDS.sub('({})', part)
            counts[kind] += 1
            times.setdefault(kind, []).extend(map(float, _SECONDS.findall(part)))
    counts.pop('n/a', None)
    found = []
    for kind, count in counts.most_common():
        low, high = (f(times[kind], default=0.0) for f in (min, max))
        span = f'({low:g} s)' if low == high else f'({low:g} to {high:g} s)'
        noun = 'row' if count == 1 else 'rows'
        found.append(f'{count} {noun} of the events file: {kind.replace("({})", span)}.')
    return found


def _regressors(checks: Sequence[Mapping[str, Any]]) -> Part:
    rows = [
        (
            check['name'],
            str(check['trials']),
            _number(check['vif'], 2),
            'n/a'
            if check['correlation'] is None
            else f'{_number(check["correlation"], 2)} ({check["partner"]})',
            _judgement(check),
        )
        for check in checks
    ]
    columns = ('regressor', 'trials', 'VIF', 'largest correlation (with)', 'judgement')
    numeric = (False, True, True, False, False)
    table = Table(columns, tuple(rows), numeric, 'Trials and regressors of the task')
    return Part('Trials', _REGRESSORS, table)


def _contrasts(checks: Sequence[Mapping[str, Any]], tests: Mapping[str, str]) -> Part:
    rows = [
        (
            check['name'],
            tests.get(check['name'], 't'),
            _number(check['vif'], 2),
            _significant(check['efficiency']),
            _judgement(check, failed='not estimable'),
        )
        for check in checks
    ]
    columns = ('contrast', 'test', 'VIF', 'efficiency', 'judgement')
    table = Table(
        columns, tuple(rows), (False, False, True, True, False), 'What the contrasts rest on'
    )
    return Part('Contrasts', _CONTRASTS, table)


def _timing(messages: Sequence[Mapping[str, Any]]) -> Part:
    """Messages about times; others stand among the warnings and in the tables."""
    rows = tuple(
        (_LEVELS[message['level']], message['text'])
        for message in messages
        if message['kind'] == 'timing'
    )
    table = Table(
        ('judgement', 'what was compared'), rows, (False, False), 'Removed volumes and times'
    )
    words = (
        'Whether the volumes and the events belong together. Worry about anything that is '
        'doubtful or bad: a shift of a few seconds makes every map of the run wrong.'
    )
    return Part(_TIMES, words, table)


def with_shift(run: RunSection, message: Message) -> RunSection:
    """Add to a run how its events lie among those of other runs.

    Parameters
    ----------
    run : RunSection
    message : Message
        Of `ketbids.stats.eventtiming.compare_spans`.

    Returns
    -------
    RunSection
        With a row in the table of times, and a warning if the run stands out: then what was fine
        by itself no longer is.
    """
    stands_out = message.level in ('warn', 'alarm')
    parts = []
    for part in run.parts:
        if part.heading == _TIMES and part.table is not None:
            rows = [
                row
                for row in part.table.rows
                if not (stands_out and row[0] == _LEVELS['ok'] and row[1].startswith(FITS))
            ]
            table = replace(part.table, rows=(*rows, (_LEVELS[message.level], message.text)))
            part = replace(part, table=table)
        parts.append(part)
    warnings = (*run.warnings, message.text) if stands_out else run.warnings
    return replace(run, parts=tuple(parts), warnings=warnings)


def runs_caption(sidecar: Mapping[str, Any]) -> str:
    """Say which runs are in a map of several runs; empty if all are.

    Parameters
    ----------
    sidecar : mapping
        Of the map: ``RunsUsed``, names; ``RunsLeftOut``, reasons by name.
    """
    left_out = sidecar.get('RunsLeftOut')
    if not left_out:
        return ''
    used = ', '.join(_spoken(name) for name in sidecar['RunsUsed'])
    reasons = '; '.join(f'{_spoken(name)} is left out: {why}' for name, why in left_out.items())
    return f'{used[:1].upper()}{used[1:]} only; {reasons}.'


def _spoken(label: str) -> str:
    """Turn ``dir-AP_run-1`` into ``dir AP run 1``."""
    return label.replace('-', ' ').replace('_', ' ')


def _count_table(counts: pd.DataFrame) -> Table:
    headings = {'n_rows': 'rows'}
    caption = 'Where every row of the events file went'
    return Table.from_frame(counts, caption=caption, headings=headings)


def _picture(pictures: Mapping[str, str], name: str, heading: str, words: str) -> list[Part]:
    if name not in pictures:
        return []
    return [Part(heading, words, picture=Picture(pictures[name], heading))]


def _judgement(check: Mapping[str, Any], failed: str = 'bad') -> str:
    word = (
        failed if check['vif'] is None and check['level'] == 'alarm' else _LEVELS[check['level']]
    )
    return f'{word}: {check["mark"]}' if check['mark'] else word


def _number(value: float | None, digits: int) -> str:
    if value is None or not np.isfinite(value):
        return 'n/a'
    return f'{value:z.{digits}f}'.replace('-', '\N{MINUS SIGN}')


def _significant(value: float | None) -> str:
    if value is None:
        return 'n/a'
    return f'{value:.0f}' if value >= 100 else f'{value:#.3g}'
