"""``ketbids-mixed``: mixed models of a table, with the degrees of freedom of SPSS and lmerTest."""

import argparse
import csv
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ketbids.cli.completion import add_completion
from ketbids.cli.environment import limit_threads
from ketbids.cli.exits import exit_code
from ketbids.cli.parser import installed_version
from ketbids.cli.values import path
from ketbids.errors import UsageError

__all__ = ['build_parser', 'main']

_COVARIANCES = ('ri', 'cs', 'csh', 'un', 'ar1', 'arh1', 'toep', 'diag')
#: What nlme, mmrm and others call them.
_ALIASES = {'us': 'un', 'ar1h': 'arh1'}
_ADJUST = ('none', 'bonferroni', 'holm', 'sidak', 'tukey')


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are the package's own."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f'{message}. See {self.prog} --help.')


def _covariance(text: str) -> str:
    return _ALIASES.get(text, text)


def _levels(text: str) -> tuple[str, tuple[str, ...]]:
    """Take ``time=TP1,TP2``; a level that holds a comma stands in quotation marks."""
    name, sign, rest = text.partition('=')
    name = name.strip()
    if not sign or not name:
        raise argparse.ArgumentTypeError(f'{text!r} is not NAME=LEVEL,LEVEL,...')
    levels = [level.strip() for level in next(csv.reader([rest], skipinitialspace=True), [])]
    twice = sorted({level for level in levels if levels.count(level) > 1})
    if twice:
        raise argparse.ArgumentTypeError(f'{text!r} has the level {twice[0]} twice')
    if len(levels) < 2 or not all(levels):
        raise argparse.ArgumentTypeError(f'{text!r} needs at least two levels, none of them empty')
    return name, tuple(levels)


def build_parser() -> argparse.ArgumentParser:
    """Define the options of ``ketbids-mixed``."""
    parser = _Parser(
        prog='ketbids-mixed',
        description='Fit a linear mixed model to a table with one row per subject and visit, by '
        'REML; test its terms (type III) with the degrees of freedom of Satterthwaite or of '
        'Kenward and Roger; compare marginal means.',
        epilog='Exit codes: 0 done; 1 failed; 2 wrong usage; 3 invalid or insufficient input; '
        '130/143 interrupted.',
        allow_abbrev=False,
    )
    parser.add_argument('data', metavar='DATA', type=path, help='CSV or TSV file with a header')
    parser.add_argument(
        '--formula',
        required=True,
        metavar='FORMULA',
        help="'y ~ time * group + age': columns of the table with + : * between them; the "
        'intercept is understood',
    )
    parser.add_argument(
        '--subject', required=True, metavar='COLUMN', help='column that says who was measured'
    )
    parser.add_argument(
        '--visit',
        metavar='COLUMN',
        help='column that says when; needed for every covariance but ri',
    )
    parser.add_argument(
        '--covariance',
        type=_covariance,
        choices=_COVARIANCES,
        default='ri',
        help='ri: random intercept (default); the others: covariance of the residuals of the '
        'visits of a subject',
    )
    parser.add_argument(
        '--ddf',
        choices=('satterthwaite', 'kenward-roger'),
        default='satterthwaite',
        help='denominator degrees of freedom (default: %(default)s)',
    )
    parser.add_argument(
        '--basis',
        choices=('spss', 'lmertest'),
        default='spss',
        help='whose degrees of freedom terms with several numerator degrees of freedom have '
        'under satterthwaite (default: %(default)s)',
    )
    parser.add_argument(
        '--levels',
        action='append',
        type=_levels,
        default=[],
        metavar='NAME=A,B,...',
        help='levels of a factor in their order; also makes a factor of a column of numbers; '
        'repeatable',
    )
    parser.add_argument(
        '--center',
        action='append',
        default=[],
        metavar='NAME',
        help='subtract the mean of a column of numbers over the rows of the model; repeatable',
    )
    parser.add_argument(
        '--emm',
        action='append',
        default=[],
        metavar='TERM',
        help='marginal means and their pairs: time, time:group (all cells) or time|group (pairs '
        'of time at each level of group); repeatable',
    )
    parser.add_argument(
        '--adjust',
        choices=_ADJUST,
        default='holm',
        help='correction of the pairs on the screen; the JSON file has all (default: %(default)s)',
    )
    parser.add_argument(
        '--compare',
        action='append',
        type=_covariance,
        choices=_COVARIANCES,
        default=[],
        help='another covariance, whose criteria and terms are shown beside; repeatable',
    )
    parser.add_argument('--json', metavar='OUT', type=path, help='write all results to a file')
    parser.add_argument('--version', action='version', version=f'%(prog)s {installed_version()}')
    add_completion(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ketbids-mixed``.

    Returns
    -------
    int
        Exit code: 0 done; 1 failed; 2 wrong usage; 3 invalid or insufficient input; 130 or 143
        interrupted.
    """
    return exit_code('ketbids-mixed', lambda: _run(argv), 'nothing was written')


def _run(argv: Sequence[str] | None) -> int:
    options = build_parser().parse_args(argv)
    _check(options)
    # The matrices are small: threads would only wait for each other.
    limit_threads(1)
    from ketbids.cli.mixedtext import screen_text

    results = _results(options)
    for warning in results['warnings']:
        print(f'ketbids-mixed: warning: {warning.rstrip(".")}.', file=sys.stderr)
    if options.json is not None:
        from ketbids.io.files import write_json

        write_json(options.json, results)
    print(screen_text(results, options.adjust))
    if options.json is not None:
        print(f'\nWritten: {options.json}')
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse what cannot be, before any slow import."""
    structures = (options.covariance, *options.compare)
    needy = [name for name in structures if name != 'ri']
    if options.visit is None and needy:
        raise UsageError(f'Covariance {needy[0]} is over visits: name their column with --visit.')
    for option, values in (
        ('--levels', [name for name, _ in options.levels]),
        ('--emm', options.emm),
        ('--center', options.center),
        ('--compare', structures),
    ):
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            hint = ' (or is that of --covariance)' if option == '--compare' else ''
            raise UsageError(f'{option} {twice[0]} stands twice{hint}.')
    target = options.json
    if target is None:
        return
    if str(target) == '-':
        raise UsageError('--json - is no file: the results are on the screen; name a file.')
    if not target.parent.is_dir():
        raise UsageError(f'--json {target}: there is no folder {target.parent}: make it first.')
    if target.is_dir():
        raise UsageError(f'--json {target} is a folder: name a file.')
    if target.exists() and options.data.exists() and target.samefile(options.data):
        raise UsageError(f'--json {target} is the table itself: name another file.')


def _results(options: argparse.Namespace) -> dict[str, Any]:
    from ketbids.cli.mixedresults import Request, mixed_results

    request = Request(
        formula=options.formula,
        subject=options.subject,
        visit=options.visit,
        covariance=options.covariance,
        ddf=options.ddf,
        basis=options.basis,
        levels=dict(options.levels),
        center=tuple(options.center),
        means=tuple(options.emm),
        compare=tuple(options.compare),
        diagnostics=options.json is not None,
    )
    results = mixed_results(options.data, request)
    return {'software': f'ketbids {installed_version()}', **results}


if __name__ == '__main__':
    sys.exit(main())
