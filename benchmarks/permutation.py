"""Permutation inference of ketbids beside PALM, nilearn and wb_command, on the same files.

All get the same synthetic maps: 91,282 grayordinates, 37 maps, two covariates, smooth; sign
flips of one sample, TFCE of both tails. The cost of a shuffle is the difference of a long and a
short run over the difference of their numbers of shuffles; the fixed cost (starting, reading,
writing) is what is left. All of it happens on two processors. Octave's PALM and nilearn
(n_jobs=1) use one; wb_command is held to one.

    python benchmarks/permutation.py [--quick] [--no-palm] [--skip PART ...] [--like CIFTI]

PALM is KETBIDS_PALM or ``palm`` on PATH, wb_command that on PATH; what is missing is left out.
Tables in Markdown. "Others" is how many processors other programs kept busy meanwhile: much
above 0 makes seconds too long, and seconds of the processor hardly. Exits with 1 if 5000 shuffles
of 79 maps take more than 60 s or 1 GB. About 8 minutes; with ``--quick`` less than one.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from permutation_runs import Rate, Run, pin, rate, run, script

PARTS = ('palm', 'nilearn', 'wb_command', 'gate', 'profile', 'growth')

MAPS, GATE_MAPS = 37, 79
LONGEST, LARGEST = 60.0, 1e9
PER_CORE, ON_TWO, PER_MAP = 150, 280, 2

TEST = ['-d', 'design{n}.csv', '-t', 'contrast.csv', '-T', '-ise', '-twotail', '-seed', '1']
CIFTI = ['-i', 'maps{n}.dscalar.nii', '-s', 'L.surf.gii', '-s', 'R.surf.gii', *TEST]
EXACT = [*CIFTI, '-tfce_exact']
CALLS = {
    'L and R': [
        *('-i', 'L.nii', '-i', 'R.nii', '-s', 'L.srf', 'L_area.csv', '-s', 'R.srf', 'R_area.csv'),
        *(*TEST, '-tfce2D', '-corrmod', '-noniiclass'),
    ],
    'volume': ['-i', 'V.nii', *TEST, '-noniiclass'],
}

# Divisions of an icosahedron's edge and size of voxels; none for the standard brain.
STANDARD = {'frequency': None, 'voxel': None}
SMALL = {'frequency': 18, 'voxel': 4.0}


class Size(NamedTuple):
    """How much is done: few and many shuffles (or maps) of each program, and what grows."""

    brain: dict[str, Any]
    native: tuple[int, int]
    again: int
    palm: dict[str, tuple[int, int]]
    nilearn: tuple[int, int]
    maps: tuple[int, int]
    gate: int
    brains: dict[str, dict[str, Any]]
    rows: tuple[int, ...]
    shuffles: tuple[int, ...]


FULL = Size(
    brain=STANDARD,
    native=(100, 1100),
    again=2,
    palm={'L and R': (5, 30), 'volume': (5, 55)},
    nilearn=(1, 6),
    maps=(10, 60),
    gate=5000,
    brains={
        '10k': SMALL,
        '30k': {'frequency': 33, 'voxel': 2.9},
        '91k': STANDARD,
        '170k': {'frequency': 77, 'voxel': 1.6},
    },
    rows=(20, 40, 80, 160),
    shuffles=(100, 500, 1000, 2000),
)
QUICK = Size(
    brain=SMALL,
    native=(50, 1050),
    again=1,
    palm={'L and R': (2, 6), 'volume': (2, 6)},
    nilearn=(1, 2),
    maps=(5, 25),
    gate=500,
    brains={'10k': SMALL},
    rows=(40,),
    shuffles=(100,),
)
COST = ('', 'threads', 'ms per shuffle', 'of the processor', 'fixed s', 'peak MB', 'others')


class Bench:
    """A folder of files, what is measured on them, and the tables of that."""

    def __init__(self, size: Size, folder: Path, like: str | None) -> None:
        self.size, self.folder, self.like = size, folder, like
        self.cost: dict[str, Rate] = {}
        self.wb: dict[str, Rate] = {}

    def make_files(self, brain: dict[str, Any], rows: Sequence[int], peers: bool = False) -> int:
        """Write a study in place of the one before; the number of its grayordinates."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        wanted = {'like': None, **brain, 'rows': sorted({*rows}), 'z_maps': self.size.maps}
        wanted['peers'] = MAPS if peers else None
        if brain is STANDARD:
            wanted['like'] = self.like
        return script('permutation_files.py', str(self.folder), json.dumps(wanted))['n']

    def inside(self, task: str, *words: str) -> Any:
        """Measure in a process of Python."""
        return script('permutation_inside.py', task, str(self.folder), *words)

    def ketbids(self, words: Sequence[str], n: int, threads: int, maps: int = MAPS) -> Run:
        """Run ketbids-palm for `n` shuffles."""
        program = [sys.executable, '-m', 'ketbids.cli.palm', '-o', 'ketbids', '-quiet']
        program += ['-n', str(n), '-threads', str(threads)]
        return run([*program, *(word.format(n=maps) for word in words)], self.folder)

    def native(self, words: Sequence[str], threads: int, maps: int = MAPS, again: int = 1) -> Rate:
        """Cost of a shuffle of ketbids-palm."""
        return rate(lambda n: self.ketbids(words, n, threads, maps), *self.size.native, again)

    def show(self, what: str, threads: int, measured: Rate, digits: int = 2) -> None:
        """Keep a measurement and print its row."""
        self.cost[f'{what}, {threads}'] = measured
        row(
            what,
            threads,
            *(f'{1e3 * x:.{digits}f}' for x in (measured.seconds, measured.processor)),
            f'{measured.fixed:.1f}',
            f'{measured.memory / 1e6:.0f}',
            f'{measured.others:.2f}',
        )

    def side_by_side(self, palm: str | None, parts: set[str]) -> None:
        """One shuffle of each program."""
        heading(f'One shuffle of {MAPS} maps', *COST)
        for name, words in (('100 steps', CIFTI), ('exact', EXACT)):
            for threads in (1, 2):
                what = f'ketbids-palm, grayordinates, {name}'
                self.show(what, threads, self.native(words, threads, again=self.size.again))
        for name, words in CALLS.items():
            what = f"ketbids-palm, PALM's call, {name}"
            self.show(what, 1, self.native(words, 1, again=self.size.again))
            if palm is None:
                continue

            def play(n: int, words: Sequence[str] = words) -> Run:
                given = [word.format(n=MAPS) for word in words]
                return run([palm, *given, '-n', str(n), '-o', 'palm'], self.folder)

            self.show(f'PALM, {name}', 1, rate(play, *self.size.palm[name]), 0)
        if 'nilearn' in parts:
            task = [sys.executable, Path(__file__).parent / 'permutation_inside.py', 'nilearn']

            def permute(n: int) -> Run:
                return run([*task, self.folder, str(MAPS), str(n)], self.folder)

            self.show('nilearn permuted_ols, volume', 1, rate(permute, *self.size.nilearn), 0)
        if palm is not None:
            differences = ', '.join(f'{x:.0e}' for x in self.inside('agreement').values())
            print(f'\nTFCE of the data differs from that of PALM by at most {differences} of the')
            print('largest value (L, R, volume).')

    def one_map(self) -> None:
        """TFCE of one map of both signs, beside wb_command's."""
        few, many = self.size.maps
        columns = ('ketbids ms', 'wb_command ms', 'with its files', 'ratio', 'with its files')
        heading('TFCE of one map, exact, both signs', 'part', *columns, 'difference', 'others')
        for part in ('L', 'R', 'V'):
            kind, end = ('volume', 'nii') if part == 'V' else ('metric', 'func.gii')
            surface = [] if part == 'V' else [f'{part}.surf.gii']

            def enhance(n: int, part=part, kind=kind, end=end, surface=surface) -> Run:
                words = ['wb_command', f'-{kind}-tfce', *surface, f'{part}_z{n}.{end}']
                return run([*words, f'{part}_wb.{end}', '-roi', f'{part}_roi.{end}'], self.folder)

            def copy(n: int, part=part, kind=kind, end=end) -> Run:
                words = ['wb_command', f'-{kind}-math', 'x', f'copy.{end}', '-var', 'x']
                return run([*words, f'{part}_z{n}.{end}'], self.folder)

            self.wb[part] = rate(enhance, few, many, 3)
            self.wb[f'{part} files'] = rate(copy, few, many, 3)
        found = self.inside('kernel', str(MAPS))
        for part in ('L', 'R', 'V'):
            whole, files = self.wb[part].processor, self.wb[f'{part} files'].processor
            ours = found[part]['seconds']
            row(
                part,
                *(f'{1e3 * x:.2f}' for x in (ours, whole - files, whole)),
                *(f'{x / ours:.1f}' for x in (whole - files, whole)),
                f'{found[part]["difference"]:.0e}',
                f'{self.wb[part].others:.2f}',
            )
        self.per_map = {
            name: min(
                (self.wb[p].processor - taken * self.wb[f'{p} files'].processor)
                / found[p]['seconds']
                for p in ('L', 'R', 'V')
            )
            for name, taken in (('kernel', 1), ('with its files', 0))
        }
        row('all', f'{1e3 * found["all"]["seconds"]:.2f}', *[''] * 6)

    def gate(self) -> bool:
        """The run that must not take long; whether it does not."""
        n = self.size.gate
        heading(
            f'{n} shuffles of {GATE_MAPS} maps, exact',
            *('threads', 's', 'of the processor', 'peak MB', 'others'),
        )
        self.long = self.ketbids(EXACT, n, 2, GATE_MAPS)
        for threads, done in ((2, self.long), (1, self.ketbids(EXACT, n, 1, GATE_MAPS))):
            times = (f'{done.seconds:.1f}', f'{done.processor:.1f}')
            row(threads, *times, f'{done.memory / 1e6:.0f}', f'{done.others:.2f}')
        return self.long.seconds <= LONGEST and self.long.memory <= LARGEST

    def ratios(self) -> None:
        """How often faster, and whether that is enough."""
        heading('Ratios', 'what', 'measured', 'wanted', '')

        def judge(what: str, found: float, wanted: float) -> None:
            row(what, f'{found:.1f}', f'>= {wanted}', 'PASS' if found >= wanted else 'FAIL')

        palm = [self.cost.get(f'PALM, {name}, 1') for name in CALLS]
        for name in ('100 steps', 'exact'):
            one, two = (
                self.cost[f'ketbids-palm, grayordinates, {name}, {threads}'] for threads in (1, 2)
            )
            if all(palm):
                theirs = [sum(getattr(p, key) for p in palm) for key in ('processor', 'seconds')]
                judge(f'PALM / ketbids, per core, {name}', theirs[0] / one.processor, PER_CORE)
                judge(f'PALM / ketbids, on two, {name}', theirs[1] / two.seconds, ON_TWO)
            row(f'one thread / two, {name}', f'{one.seconds / two.seconds:.2f}', '', '')
        for name in CALLS:
            if f'PALM, {name}, 1' in self.cost:
                theirs = self.cost[f'PALM, {name}, 1'].processor
                ours = self.cost[f"ketbids-palm, PALM's call, {name}, 1"].processor
                row(f'PALM / ketbids, the same call, {name}', f'{theirs / ours:.1f}', '', '')
        if 'nilearn permuted_ols, volume, 1' in self.cost:
            theirs = self.cost['nilearn permuted_ols, volume, 1'].processor
            ours = self.cost["ketbids-palm, PALM's call, volume, 1"].processor
            row('nilearn / ketbids, volume', f'{theirs / ours:.1f}', '', '')
        if self.wb:
            for name, found in self.per_map.items():
                judge(f'wb_command / ketbids, one map, the lowest, {name}', found, PER_MAP)

    def profile(self) -> None:
        """Where the time of a shuffle goes."""
        heading(f'Parts of a shuffle of {GATE_MAPS} maps, one thread', 'part', 'ms', 'share')
        found = self.inside('parts', str(GATE_MAPS))
        for what, key in (
            ('all, exact', 'all'),
            ('z map', 'z'),
            ('TFCE, exact', 'tfce'),
            ('TFCE, 100 steps', 'steps'),
            ('interpreter, which threads share', 'python'),
            ('the shuffle itself, of that', 'shuffle'),
        ):
            row(what, f'{1e3 * found[key]:.3f}', f'{found[key] / found["all"]:.1%}')

    def growth(self) -> None:
        """How the time grows with the number of locations, of maps, and of shuffles."""
        heading(f'Growth with grayordinates, {MAPS} maps, exact', *COST)
        for name, brain in self.size.brains.items():
            n = self.make_files(brain, [MAPS])
            self.show(f'{n} ({name})', 2, self.native(EXACT, 2))
        n = self.make_files(self.size.brain, [*self.size.rows, GATE_MAPS])
        heading(f'Growth with maps, {n} grayordinates, exact', *COST)
        for maps in self.size.rows:
            self.show(f'{maps} maps', 2, self.native(EXACT, 2, maps))
        heading(
            f'Growth with shuffles, {GATE_MAPS} maps, exact',
            *('shuffles', 'threads', 's', 'ms for each more', 'others'),
        )
        before = None
        for n in self.size.shuffles:
            done = self.ketbids(EXACT, n, 2, GATE_MAPS)
            more = ''
            if before is not None:
                more = f'{1e3 * (done.seconds - before[1]) / (n - before[0]):.2f}'
            row(n, 2, f'{done.seconds:.2f}', more, f'{done.others:.2f}')
            before = n, done.seconds


def row(*cells: object) -> None:
    print('| ' + ' | '.join(map(str, cells)) + ' |', flush=True)


def heading(text: str, *columns: str) -> None:
    load = ' '.join(f'{x:.2f}' for x in os.getloadavg())
    print(f'\n### {text} (load average {load})\n')
    row(*columns)
    row(*['---'] * len(columns))


def versions(palm: str | None, workbench: bool) -> str:
    """What was compared."""
    known = {'Python': platform.python_version()}
    known |= {name: version(name) for name in ('ketbids', 'numpy', 'numba', 'nilearn')}
    if workbench:
        lines = run(['wb_command', '-version'], Path()).said.splitlines()
        known['wb_command'] = next(
            (line.split()[-1] for line in lines if line.startswith('Version')), '?'
        )
    if palm is not None:
        stored = Path(palm).resolve().parent / 'palm_version.txt'
        known['PALM'] = stored.read_text().strip() if stored.exists() else '?'
        if shutil.which('octave-cli'):
            said = run(['octave-cli', '--version'], Path()).said
            known['Octave'] = said.splitlines()[0].split()[-1]
    return ', '.join(f'{name} {number}' for name, number in known.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='a small brain, few shuffles')
    parser.add_argument('--no-palm', action='store_true', help='the same as --skip palm')
    parser.add_argument('--skip', nargs='+', choices=PARTS, default=[])
    parser.add_argument('--like', help='take the grayordinates of this CIFTI file for the 91k')
    options = parser.parse_args()
    parts = set(PARTS) - {*options.skip} - ({'palm'} if options.no_palm else set())
    palm = os.environ.get('KETBIDS_PALM') or shutil.which('palm') if 'palm' in parts else None
    if not shutil.which('wb_command'):
        parts -= {'wb_command'}
    like = str(Path(options.like).resolve()) if options.like else None
    processors = pin(2)
    size = QUICK if options.quick else FULL
    print(f'{versions(palm, "wb_command" in parts)}; processors {processors}.')
    if palm is None:
        print('Without PALM: neither KETBIDS_PALM nor palm on PATH, or it is not wanted.')
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(size, Path(folder) / 'study', like)
        n = bench.make_files(size.brain, [MAPS, GATE_MAPS], peers=True)
        for words in (CIFTI, EXACT, *CALLS.values()):  # compiles what is not compiled yet
            bench.ketbids(words, 12, 2)
        print(f'{n} grayordinates.')
        bench.side_by_side(palm, parts)
        if 'wb_command' in parts:
            bench.one_map()
        good = bench.gate() if 'gate' in parts else True
        bench.ratios()
        if 'gate' in parts:
            row(
                f'{size.gate} shuffles, {GATE_MAPS} maps, two threads',
                f'{bench.long.seconds:.1f} s, {bench.long.memory / 1e6:.0f} MB',
                f'<= {LONGEST:.0f} s, {LARGEST / 1e6:.0f} MB',
                'PASS' if good else 'FAIL',
            )
        if 'profile' in parts:
            bench.profile()
        if 'growth' in parts:
            bench.growth()
    return int(not good)


if __name__ == '__main__':
    sys.exit(main())
