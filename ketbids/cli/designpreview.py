"""What the designs of runs will be, from events, confounds and headers: nothing is computed."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from ketbids.cli.designlines import design_lines, design_picture, movement_line
from ketbids.cli.eventshifts import known_spans
from ketbids.cli.progress import counted
from ketbids.errors import InputError, KetbidsError, cannot_use
from ketbids.interfaces.rundesign import plan_run
from ketbids.interfaces.trials import read_trials
from ketbids.io.bids import RunKey
from ketbids.io.hcpinputs import HcpSession
from ketbids.io.inventory import RunFiles, Visit
from ketbids.io.rawvolumes import raw_volumes
from ketbids.io.timing import RunTiming, run_timing
from ketbids.model import RunModel
from ketbids.settings import FirstLevelSettings, Settings
from ketbids.stats.confounds import resolve_sets
from ketbids.stats.eventtiming import FITS, EventSpan, Message, compare_spans

__all__ = ['DesignPreview', 'preview_designs', 'preview_raw', 'summarise_designs']

#: Runs for which another process is worth its start.
_PER_PROCESS = 25
#: What messages start with.
_WORDS = {'ok': 'ok', 'unchecked': 'not checked', 'warn': 'warn', 'alarm': 'alarm'}


class DesignPreview(NamedTuple):
    """What is known of the design of one run before anything is fitted.

    Attributes
    ----------
    lines : tuple of str
        For the reader.
    level : {'ok', 'warn', 'alarm', 'failed'}
        The worst of its messages; ``failed``: the run cannot be modelled.
    """

    lines: tuple[str, ...]
    level: str


class _Asked(NamedTuple):
    """A run that is or will be preprocessed; without `timing`, that of its series."""

    key: RunKey
    events: Path
    series: Path
    timing: RunTiming | None = None
    sidecars: tuple[Path, ...] = ()
    confounds: Path | None = None
    confounds_sidecar: Path | None = None
    origin: Literal['hcp', 'fmriprep'] = 'hcp'
    denoised: bool = True


class _Planned(NamedTuple):
    """What is known of a run by itself."""

    lines: tuple[str, ...] = ()
    regressors: Mapping[str, tuple[float, ...]] = MappingProxyType({})
    messages: tuple[Message, ...] = ()
    notes: tuple[str, ...] = ()
    span: EventSpan | None = None
    error: str = ''


def preview_designs(
    settings: Settings, model: RunModel, visits: Sequence[Visit]
) -> dict[Path, DesignPreview]:
    """Make the designs of all runs as the participant level would, and check them.

    Events, confounds and the headers of images are read; nothing is written. A run that cannot
    be modelled stops no other.

    Parameters
    ----------
    settings : Settings
    model : RunModel
    visits : sequence of Visit

    Returns
    -------
    dict of Path to DesignPreview
        By the events file of the run.
    """
    return _previews(settings, model, [_preprocessed(r) for visit in visits for r in visit.runs])


def preview_raw(
    settings: Settings,
    model: RunModel,
    sessions: Sequence[HcpSession],
    events: Mapping[RunKey, Path],
) -> dict[Path, DesignPreview]:
    """Make the designs of runs that are still to be preprocessed by the HCP pipelines.

    Without FIX the model will have movement regressors that are not known yet: they are not in
    these designs.

    Parameters
    ----------
    settings : Settings
    model : RunModel
    sessions : sequence of HcpSession
    events : mapping of RunKey to Path
        Events of the runs; a run without is left out.

    Returns
    -------
    dict of Path to DesignPreview
        By the events file of the run.
    """
    runs = [
        _Asked(
            run.key,
            events[run.key],
            run.series,
            RunTiming(run.n_volumes, run.repetition_time, 0.5, ()),
        )
        for session in sessions
        for run in session.runs
        if run.key in events
    ]
    return _previews(settings, model, runs)


def _previews(
    settings: Settings, model: RunModel, runs: Sequence['_Asked']
) -> dict[Path, DesignPreview]:
    plan = partial(_planned, settings.first_level, model)
    processes = min(settings.resources.nprocs, len(runs) // _PER_PROCESS)
    found = _in_processes(plan, runs, processes) if processes > 1 else list(map(plan, runs))
    compared = _compared(settings.paths.output_dir, runs, found)
    return {
        run.events: _described(planned, compared.get(run.events))
        for run, planned in zip(runs, found, strict=True)
    }


def _preprocessed(run: RunFiles) -> '_Asked':
    found = run.preprocessed
    return _Asked(
        run.key,
        run.events,
        found.series,
        sidecars=found.sidecars,
        confounds=found.confounds,
        confounds_sidecar=found.confounds_sidecar,
        origin=found.origin,
        denoised=found.denoised,
    )


def summarise_designs(previews: Mapping[Path, DesignPreview]) -> str:
    """Say how many runs have designs that are bad or doubtful; empty if there is no run."""
    if not previews:
        return ''
    levels = [preview.level for preview in previews.values()]
    kinds = (
        ('failed', 'cannot be modelled'),
        ('alarm', 'with an alarm'),
        ('warn', 'with a warning'),
        ('ok', 'without a warning'),
    )
    parts = [f'{levels.count(level)} {text}' for level, text in kinds if level in levels]
    return f'Designs of {counted(len(levels), "run")}: {", ".join(parts)}.'


def _in_processes(
    plan: Callable[[_Asked], _Planned], runs: Sequence[_Asked], processes: int
) -> list[_Planned]:
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # Fresh processes: a fork of a process with threads can hang.
    with ProcessPoolExecutor(processes, mp_context=get_context('spawn')) as pool:
        try:
            return list(pool.map(plan, runs, chunksize=4))
        except BrokenProcessPool as error:
            raise KetbidsError(
                'A process that made designs was killed, perhaps for want of memory; repeat the '
                'command with a smaller --nprocs.'
            ) from error


def _planned(first: FirstLevelSettings, model: RunModel, run: _Asked) -> _Planned:
    """Do what the nodes of a run do until its design stands."""
    try:
        timing = run.timing or run_timing(run.series, run.sidecars)
        trials = read_trials(
            run.events,
            timing,
            model.events,
            drop_volumes=first.drop_volumes,
            series=str(run.series),
        )
        plan = plan_run(
            trials.trials,
            timing,
            [condition.name for condition in model.events.conditions],
            {contrast.name: contrast.rows for contrast in model.contrasts},
            hrf_model=first.hrf_model,
            high_pass=first.high_pass,
            sets=resolve_sets(first.confounds, origin=run.origin, denoised=run.denoised)
            if run.timing is None
            else (),
            confounds_file=run.confounds,
            confounds_sidecar=run.confounds_sidecar,
            origin=run.origin,
            drop_volumes=first.drop_volumes,
            raw_volumes=raw_volumes(run.events),
            series=str(run.series),
        )
    except InputError as error:
        return _Planned(error=str(error))
    except OSError as error:
        return _Planned(error=cannot_use(error))
    tests = {contrast.name: contrast.test for contrast in model.contrasts}
    lines = (
        *design_lines(trials.counts, plan, timing, tests),
        'movement: not known before the preprocessing'
        if run.timing is not None
        else movement_line(run.confounds, timing, run.origin),
    )
    task = plan.design.matrix[list(plan.checks.correlations.index)]
    regressors = {str(name): tuple(map(float, column)) for name, column in task.items()}
    notes = tuple(dict.fromkeys((*trials.notes, *plan.notes)))
    return _Planned(lines, regressors, plan.checks.messages, notes, plan.checks.span)


def _compared(
    output_dir: Path,
    runs: Sequence[_Asked],
    planned: Sequence[_Planned],
) -> dict[Path, Message]:
    """Compare where events lie with the other runs of the task, by the events file."""
    found: dict[Path, Message] = {}
    for task in dict.fromkeys(run.key.task for run in runs):
        spans = known_spans(output_dir, task, {str(run.key.visit) for run in runs})
        own = {
            str(run.events): plan.span
            for run, plan in zip(runs, planned, strict=True)
            if run.key.task == task and plan.span is not None
        }
        known = compare_spans({**spans, **own})
        found |= {Path(name): known[name] for name in own}
    return found


def _described(planned: _Planned, shifted: Message | None) -> DesignPreview:
    if planned.error:
        return DesignPreview((f'design: cannot be made: {planned.error}',), 'failed')
    messages = list(planned.messages)
    if shifted is not None and shifted.level == 'warn':
        # What is fine by itself is not fine among the other runs.
        messages = [m for m in messages if m.level != 'ok' or not m.text.startswith(FITS)]
    messages += [] if shifted is None else [shifted]
    levels = [message.level for message in messages]
    worst = next((level for level in ('alarm', 'warn') if level in levels), 'ok')
    lines = [
        *planned.lines,
        *design_picture(planned.regressors),
        *(f'{_WORDS[message.level]}: {message.text}' for message in messages),
        *(f'note: {note}.' for note in planned.notes),
    ]
    return DesignPreview(tuple(lines), worst)
