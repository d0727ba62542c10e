"""The command line of ketbids-demo: write a synthetic study, compare results with its truth."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ketbids.cli.completion import add_completion
from ketbids.cli.exits import exit_code
from ketbids.cli.values import path
from ketbids.errors import UsageError

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


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number') from error
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text} must be more than 0')
    return value


def build_parser() -> argparse.ArgumentParser:
    """Define the options of ``ketbids-demo``."""
    parser = _Parser(
        prog='ketbids-demo',
        description='Write a synthetic longitudinal Go/NoGo study with a known truth, or '
        'synthetic images for the events and confounds of a real study; or compare the results '
        'of an analysis with the truth.',
        epilog='Exit codes: 0 done (with --compare: as planted); 1 failed (not as planted); '
        '2 wrong usage; 3 invalid input; 130/143 interrupted.',
        allow_abbrev=False,
    )
    parser.add_argument(
        'folder',
        metavar='DIR',
        type=path,
        help='folder of the study: DIR/bids, DIR/derivatives and DIR/truth.json are written',
    )
    parser.add_argument(
        '--from-bids',
        type=path,
        metavar='SRC_DIR',
        help='BIDS dataset with events, and the confounds of fMRIPrep in its derivatives: its '
        'tables are copied, and images made for its events and confounds',
    )
    parser.add_argument(
        '--repetition-time',
        type=_seconds,
        metavar='S',
        help='seconds from one volume to the next, with --from-bids',
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
        help='a third are controls, the others patients (default: 24); with --from-bids the '
        'first N (default: all)',
    )
    parser.add_argument('--seed', type=_seed, metavar='S', help='default: 42')
    parser.add_argument(
        '--like',
        type=path,
        metavar='FILE',
        help='take the grayordinates of a CIFTI file on the fs_LR 32k mesh (without --from-bids: '
        'with 300 volumes)',
    )
    parser.add_argument(
        '--nprocs',
        type=_count,
        metavar='N',
        help='processes (default: all processors; each needs about 1 GB at the full scale)',
    )
    parser.add_argument(
        '--compare',
        type=path,
        metavar='OUT',
        help='write no study: print what the group level found in OUT against what is planted',
    )
    add_completion(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ketbids-demo``; return the exit code."""
    return exit_code('ketbids-demo', lambda: _run(argv), 'repeat the command to go on')


def _run(argv: Sequence[str] | None) -> int:
    arguments = build_parser().parse_args(argv)
    if arguments.compare is not None:
        return _compare(arguments)
    return _dress(arguments) if arguments.from_bids is not None else _write(arguments)


def _processes(arguments: argparse.Namespace) -> int:
    return arguments.nprocs or len(os.sched_getaffinity(0))


def _say(message: str) -> None:
    print(message, flush=True)


def _write(arguments: argparse.Namespace) -> int:
    from ketbids.demo.study import StudyOptions, write_study

    if arguments.repetition_time is not None:
        raise UsageError('--repetition-time goes with --from-bids.')
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
        _processes(arguments),
        _say,
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


def _dress(arguments: argparse.Namespace) -> int:
    from ketbids.demo.dressed import DressOptions, dress

    if arguments.repetition_time is None:
        raise UsageError('--from-bids needs --repetition-time: the images give the TR no more.')
    if arguments.scale is not None:
        raise UsageError('--scale does not go with --from-bids; --like FILE is the full scale.')
    given = {
        name: getattr(arguments, name)
        for name in ('participants', 'seed', 'like')
        if getattr(arguments, name) is not None
    }
    started = time.monotonic()
    written = dress(
        arguments.folder,
        DressOptions(arguments.from_bids, arguments.repetition_time, **given),
        _processes(arguments),
        _say,
    )
    tree, source = written.tree, written.source
    if written.new_runs:
        print(f'Wrote {written.new_runs} runs in {time.monotonic() - started:.0f} s.')
    else:
        print(f'{tree.root} is complete: nothing to write.')
    trials = ', '.join(f'{count} {name}' for name, count in source.trials.items())
    print(
        f'{len(source.participants)} participants, {len(source.runs)} runs; trials: {trials}\n'
        f'  BIDS dataset  {tree.bids}\n  derivatives   {tree.fmriprep}\n'
        f'  truth         {tree.truth}'
    )
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    for name in (*('from_bids', 'repetition_time', 'scale'), *('participants', 'seed', 'like')):
        if getattr(arguments, name) is not None:
            raise UsageError(
                f'--{name.replace("_", "-")} is for writing a study; leave it out with --compare.'
            )
    from ketbids.io.files import read_json

    truth = read_json(arguments.folder / 'truth.json')
    if 'trialTypes' in truth:
        text, as_planted = _compare_dressed(truth, arguments.folder, arguments.compare)
    else:
        from ketbids.demo.compare import compare, render

        comparison = compare(truth, arguments.compare)
        text, as_planted = render(comparison), comparison.as_planted
    print(text)
    print(f'Group page: {arguments.compare / "group.html"}')
    return 0 if as_planted else 1


def _compare_dressed(truth: dict[str, Any], folder: Path, output: Path) -> tuple[str, bool]:
    from ketbids.demo.dressedcompare import GroupContrast, compare_dressed, render_dressed
    from ketbids.demo.found import group_folder
    from ketbids.model import load_model

    group_folder(output)  # without a group level, there need not be a model either
    model = load_model(output / 'logs' / 'model.json')
    trial_types = {c.name: c.where.get('trial_type') for c in model.run.events.conditions}
    contrasts = {contrast.name: contrast.rows[0] for contrast in model.run.contrasts}
    tested = [
        GroupContrast(
            analysis.name,
            contrast,
            contrasts[contrast],
            trial_types,
            analysis.contrast.weights['Intercept']
            if set(analysis.contrast.weights) == {'Intercept'} and analysis.difference is None
            else 0.0,
        )
        for analysis in model.analyses
        for contrast in analysis.first_level
    ]
    comparison = compare_dressed(truth, folder / 'truth.dscalar.nii', output, tested)
    return render_dressed(comparison), comparison.as_planted


if __name__ == '__main__':
    sys.exit(main())
