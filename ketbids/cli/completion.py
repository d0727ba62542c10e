"""Completion of options in the shell."""

import argparse
from collections.abc import Sequence
from typing import Any

__all__ = ['PrintCompletion', 'add_completion']

SHELLS = ('bash', 'zsh', 'tcsh')


class PrintCompletion(argparse.Action):
    """Print what a shell needs to complete the options of the parser, and exit."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Print the script of the shell `values`."""
        import shtab

        for action in parser._actions:
            if getattr(action.type, '__name__', '') in ('path', 'Path'):
                metavar = action.metavar if isinstance(action.metavar, str) else ''
                kind = shtab.DIRECTORY if metavar.endswith('DIR') else shtab.FILE
                action.complete = kind  # type: ignore[attr-defined]
        print(shtab.complete(parser, str(values)), flush=True)
        parser.exit()


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--print-completion``."""
    parser.add_argument(
        '--print-completion',
        choices=SHELLS,
        action=PrintCompletion,
        metavar='SHELL',
        help='print the script that completes options in bash, zsh or tcsh, and exit',
    )
