"""``ketbids-palm``: the native engine behind PALM's command line."""

import sys
import time
from collections.abc import Sequence

from ketbids.cli.environment import limit_threads, numba_cache
from ketbids.cli.exits import exit_code
from ketbids.cli.palmoptions import PalmOptions
from ketbids.cli.palmparser import help_text, parse_options
from ketbids.cli.parser import installed_version
from ketbids.cli.progress import duration

__all__ = ['main']


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ketbids-palm``.

    Returns
    -------
    int
        Exit code: 0 done; 1 failed; 2 wrong usage; 3 invalid or insufficient input; 130 or 143
        interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (['-version'], ['--version']):
        print(f'ketbids-palm {installed_version()}')
        return 0
    if not words or words in (['-help'], ['--help'], ['-h'], ['-?']):
        print(help_text())
        return 0 if words else 2
    kept = 'results appear all together or not at all'
    return exit_code('ketbids-palm', lambda: _run(words), kept)


def _run(words: Sequence[str]) -> int:
    options = parse_options(words)
    limit_threads(1)
    with numba_cache():
        _test(options)
    return 0


def _test(options: PalmOptions) -> None:
    """Read, shuffle, correct, write."""
    from ketbids.cli.palmdata import read_data
    from ketbids.cli.palmresults import write_results
    from ketbids.stats.palmtest import measure_map
    from ketbids.stats.statistic import make_statistic

    times = [time.monotonic()]
    data = read_data(options)
    options = data.options
    for note in data.notes:
        print(note)
    times.append(time.monotonic())
    line = _Line(sum(test.shuffles.n for test in data.tests) * len(data.inputs), options.quiet)
    outcomes = [
        [
            measure_map(
                make_statistic(source.data, test.parts, data.groups),
                test.shuffles,
                data.measurements[number],
                absolute=options.two_tailed and test.parts.rank == 1,
                tail=options.tail,
                uncorrected=options.save_uncorrected,
                threads=options.threads,
                progress=line.of(test.shuffles.n),
            )
            for test in data.tests
        ]
        for number, source in enumerate(data.inputs)
    ]
    line.end()
    times.append(time.monotonic())
    write_results(data, outcomes, options, times)


class _Line:
    """One line that says how many shuffles are done, and how long the rest takes.

    Parameters
    ----------
    n : int
        Shuffles of all tests.
    quiet : bool
        Say nothing.
    """

    def __init__(self, n: int, quiet: bool) -> None:
        self._n, self._quiet = n, quiet
        self._before = 0
        self._began = time.monotonic()
        self._terminal = sys.stderr.isatty()
        # On a terminal the line is written anew; elsewhere lines add up.
        self._pause = 0.2 if self._terminal else 30.0
        self._said = self._began

    def of(self, n: int) -> '_Part':
        """Make the progress of the next test, of `n` shuffles."""
        part = _Part(self, self._before)
        self._before += n
        return part

    def say(self, done: int) -> None:
        """Say how far it is, unless that was said just before."""
        now = time.monotonic()
        if self._quiet or now - self._said < self._pause or done == 0:
            return
        self._said = now
        left = duration((now - self._began) / done * (self._n - done))
        text = f'{done / self._n:.0%} of {self._n} shuffles, about {left} left'
        ending = '\r' if self._terminal else '\n'
        print(f'{text:<60}' if self._terminal else text, end=ending, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Say how long it took."""
        if not self._quiet:
            took = duration(time.monotonic() - self._began)
            print(f'{f"{self._n} shuffles in {took}.":<60}'.rstrip(), file=sys.stderr)


class _Part:
    """Progress of one test."""

    def __init__(self, line: _Line, before: int) -> None:
        self._line, self._before = line, before

    def __call__(self, done: int, n: int) -> None:
        self._line.say(self._before + done)


if __name__ == '__main__':
    sys.exit(main())
