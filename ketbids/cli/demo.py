"""The command line of ketbids-demo: write a synthetic study, compare results with its truth."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ketbids.errors import KetbidsError, UsageError

__all__ = ['build_parser', 'main']


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are the package's own."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f'{message}. See {self.prog} --help.')


def _number(lowest: int, text: str) -> int:
    try:
        value = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number') from error
    if value < lowest:
        raise argparse.ArgumentTypeError(f'{text} must be at least {lowest}')
    return value


def _seed(text: str) -> int:
    return _number(0, text)


def _count(text: str) -> int:
    return _number(1, text)


def build_parser() -> argparse.ArgumentParser:
    """Define the options of ``ketbids-demo``."""
    parser = _Parser(
        prog='ketbids-demo',
        description='Write a synthetic longitudinal Go/NoGo study with a known truth, or compare '
        'the results of its analysis with that truth.',
        epilog='Exit codes: 0 done (with --compare: as planted); 1 failed (not as planted); '
        '2 wrong usage; 3 invalid input; 130 interrupted.',
        allow_abbrev=False,
    )
    parser.add_argument(
        'folder',
        metavar='DIR',
        type=Path,
        help='folder of the study: DIR/bids, DIR/derivatives/hcp, DIR/exclusions.tsv and '
        'DIR/truth.json are written',
    )
    parser.add_argument(
        '--scale',
        choices=('small', 'full'),
        help='small: about 10,000 grayordinates and 200 volumes (default); full: 91,282 '
        'grayordinates and 300 volumes, 6 GB in all',
    )
    parser.add_argument(
        '--participants',
        type=_count,
        metavar='N',
        help='a third are controls, the others patients (default: 24)',
    )
    parser.add_argument('--seed', type=_seed, metavar='S', help='default: 42')
    parser.add_argument(
        '--like',
        type=Path,
        metavar='FILE',
        help='take the grayordinates of a CIFTI file on the fs_LR 32k mesh, with 300 volumes',
    )
    parser.add_argument(
        '--nprocs',
        type=_count,
        metavar='N',
        help='processes (default: all processors; each needs about 1 GB at the full scale)',
    )
    parser.add_argument(
        '--compare',
        type=Path,
        metavar='OUT',
        help='write no study: print what the group level found in OUT against what is planted',
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ketbids-demo``; return the exit code."""
    try:
        arguments = build_parser().parse_args(argv)
        return _compare(arguments) if arguments.compare is not None else _write(arguments)
    except KetbidsError as error:
        print(f'ketbids-demo: {error}', file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print('ketbids-demo: interrupted; repeat the command to go on.', file=sys.stderr)
        return 130


def _write(arguments: argparse.Namespace) -> int:
    from ketbids.demo.study import StudyOptions, write_study

    if arguments.like is not None and arguments.scale == 'small':
        raise UsageError('--like is at the full scale; leave --scale small out.')
    given = {
        name: getattr(arguments, name)
        for name in ('scale', 'participants', 'seed', 'like')
        if getattr(arguments, name) is not None
    }
    if arguments.like is not None:
        given['scale'] = 'full'
    started = time.monotonic()
    written = write_study(
        arguments.folder,
        StudyOptions(**given),
        arguments.nprocs or len(os.sched_getaffinity(0)),
        lambda message: print(message, flush=True),
    )
    tree, sample = written.tree, written.sample
    if written.new_runs:
        print(f'Wrote {written.new_runs} runs in {time.monotonic() - started:.0f} s.')
    else:
        print(f'{tree.root} is complete: nothing to write.')
    print(
        f'{len(sample.participants)} participants ({len(sample.patients)} patients), '
        f'{len(sample.runs)} runs\n  BIDS dataset  {tree.bids}\n  derivatives   {tree.hcp}\n'
        f'  exclusions    {tree.exclusions}\n  truth         {tree.truth}'
    )
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    for name in ('scale', 'participants', 'seed', 'like', 'nprocs'):
        if getattr(arguments, name) is not None:
            raise UsageError(f'--{name} is for writing a study; leave it out with --compare.')
    from ketbids.demo.compare import compare, render
    from ketbids.io.files import read_json

    comparison = compare(read_json(arguments.folder / 'truth.json'), arguments.compare)
    print(render(comparison))
    print(f'Group page: {arguments.compare / "group.html"}')
    return 0 if comparison.as_planted else 1
