"""``ketbids-events``: events files of BIDS from the logs of a task and from FSL's EVs."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ketbids.cli.completion import add_completion
from ketbids.cli.exits import exit_code
from ketbids.cli.parser import installed_version
from ketbids.cli.values import count, number, path
from ketbids.errors import InputError, UsageError

__all__ = ['build_parser', 'main', 'parsers']

_FIRST_VOLUME = 8.0
_SHAPE = 0.6


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are the package's own."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f'{message}. See {self.prog} --help.')


def _seconds(text: str) -> float:
    value: float = number(text, float, float('-inf'), inclusive=False)
    return value


def _positive(text: str) -> float:
    value: float = number(text, float, 0, inclusive=False)
    return value


def build_parser() -> argparse.ArgumentParser:
    """Define the options of ``ketbids-events``."""
    parser = _Parser(
        prog='ketbids-events',
        description='Write the events file of a run, with its sidecar, from what a stimulus '
        'program or FSL has left of it.',
        epilog='Exit codes: 0 done; 1 the disk is full; 2 wrong usage; 3 invalid input; '
        '130/143 interrupted.',
        allow_abbrev=False,
    )
    parser.add_argument('--version', action='version', version=f'%(prog)s {installed_version()}')
    add_completion(parser)
    kinds = parser.add_subparsers(dest='kind', required=True, parser_class=_Parser)
    carit = kinds.add_parser(
        'carit',
        help='from the log of the CARIT task of HCP-Lifespan',
        description='Write events from the wide CSV file of the CARIT program (PsychoPy).',
        allow_abbrev=False,
    )
    carit.add_argument('source', metavar='CSV', type=path, help='..._wide.csv of one run')
    _add_common(carit, offset=_FIRST_VOLUME)
    carit.add_argument(
        '--duration',
        type=_positive,
        default=_SHAPE,
        metavar='S',
        help='duration of every event (default: %(default)s, as the shapes are shown)',
    )
    carit.add_argument(
        '--response-clock',
        choices=('auto', 'run', 'trial'),
        default='auto',
        help='what the times of presses count from: the start of the program (run) or of the '
        'shape (trial); auto: whichever all of them fit (default)',
    )
    fsl = kinds.add_parser(
        'fsl',
        help="from FSL's EVs in three columns",
        description="Write events from FSL's EVs: text files with onset, duration and weight.",
        allow_abbrev=False,
    )
    fsl.add_argument(
        'source',
        metavar='EV',
        nargs='+',
        help='text file, NAME=FILE, or a folder: all of its .txt files',
    )
    _add_common(fsl, offset=0.0)
    return parser


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Give the parser of each kind of source."""
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError('ketbids-events has no kinds of sources')


def _add_common(parser: argparse.ArgumentParser, *, offset: float) -> None:
    parser.add_argument(
        'target', metavar='EVENTS', type=path, help='file to write: ..._events.tsv'
    )
    parser.add_argument(
        '--offset',
        type=_seconds,
        default=offset,
        metavar='S',
        help='time of the first volume by the clock of the source, in seconds; onsets become '
        'earlier by it (default: %(default)g)',
    )
    parser.add_argument(
        '--dropped-volumes',
        type=count,
        default=0,
        metavar='N',
        help='volumes that are not in the images any more: onsets become earlier by N times the '
        'repetition time (default: 0)',
    )
    parser.add_argument(
        '--repetition-time', type=_positive, metavar='S', help='with --dropped-volumes: seconds'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace an events file and its sidecar'
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ketbids-events``.

    Returns
    -------
    int
        Exit code: 0 done; 1 the disk is full; 2 wrong usage; 3 invalid input; 130 or 143
        interrupted.
    """
    return exit_code('ketbids-events', lambda: _run(argv), 'nothing was written')


def _run(argv: Sequence[str] | None) -> int:
    options = build_parser().parse_args(argv)
    if options.dropped_volumes and options.repetition_time is None:
        raise UsageError('--dropped-volumes needs --repetition-time, in seconds.')
    if options.repetition_time is not None and not options.dropped_volumes:
        raise UsageError('--repetition-time is for --dropped-volumes, which is not given.')
    from ketbids.io.newevents import check_target, placed, write_events

    sources, notes = _sources(options)
    check_target(options.target, sources.values(), overwrite=options.overwrite)
    new = _read(options, sources)
    new = new._replace(notes=(*notes, *new.notes))
    try:
        new = placed(
            new,
            offset=options.offset,
            dropped_volumes=options.dropped_volumes,
            step=options.repetition_time or 0.0,
        )
    except InputError as error:
        source = options.source if options.kind == 'carit' else ', '.join(options.source)
        raise InputError(f'{source}: {error}') from error
    written = write_events(options.target, new)
    print(_summary(new.table))
    for note in new.notes:
        print(f'{note}.')
    print(f'Written: {", ".join(map(str, written))}')
    return 0


def _sources(options: argparse.Namespace) -> tuple[dict[str, Path], list[str]]:
    """Files that are read, by the names of EVs, and notes on others."""
    if options.kind == 'carit':
        return {'': options.source}, []
    return _evs(options.source)


def _read(options: argparse.Namespace, sources: Mapping[str, Path]) -> Any:
    from ketbids.io.carit import read_carit
    from ketbids.io.fslevents import read_evs

    if options.kind == 'carit':
        return read_carit(options.source, duration=options.duration, clock=options.response_clock)
    return read_evs(sources)


def _evs(words: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """Name the EVs: by what stands before ``=``, else by their files."""
    from ketbids.io.fslevents import find_evs

    found: dict[str, Path] = {}
    notes: list[str] = []
    for word in words:
        name, sign, rest = word.partition('=')
        named = bool(sign) and not Path(word).exists()
        file = Path(rest if named else word)
        if named and not name.strip():
            raise UsageError(f'{word}: there is no name before the =.')
        if file.is_dir():
            if named:
                raise UsageError(f'{word}: a folder has the names of its files; give it alone.')
            new, more = find_evs(file)
            notes += more
        else:
            new = {name.strip() if named else file.stem: file}
        for key, place in new.items():
            if key in found:
                raise UsageError(
                    f'{found[key]} and {place} have the same name, {key}: give NAME=FILE.'
                )
            found[key] = place
    return found, notes


def _summary(table: Any) -> str:
    """Say how many events there are of each kind, and when."""
    keys = [name for name in ('trial_type', 'outcome') if name in table.columns]
    counts = table.groupby(keys, sort=False, dropna=False).size()
    kinds = []
    for key, n in counts.items():
        parts = [str(k) for k in (key if isinstance(key, tuple) else (key,)) if k == k and k]
        kinds.append(f'{" ".join(parts)} {n}')
    first, last = table['onset'].iloc[0], table['onset'].iloc[-1]
    return f'{len(table)} events from {first:g} to {last:g} s: {", ".join(sorted(kinds))}.'


if __name__ == '__main__':
    sys.exit(main())
