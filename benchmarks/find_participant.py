"""How long it takes to find one participant of many, against indexing the whole dataset.

A tree of empty files is made: every participant has three sessions with events and a series. The
time of one participant includes importing pybids, in a fresh process each time.

    python benchmarks/find_participant.py [--participants 1000] [--repeats 5]

Exits with 1 if one participant takes more than a second, or more than a third of the whole.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SESSIONS = ('TP1', 'TP2', 'TP3')
LONGEST, LARGEST_RATIO = 1.0, 1 / 3

FIND = """
import sys, time
started = time.perf_counter()
from pathlib import Path
from ketbids.io.bids import find_events, participant_labels
root, chosen = Path(sys.argv[1]), sys.argv[2:]
found = find_events(root, chosen or participant_labels(root))
print(len(found), time.perf_counter() - started)
"""


def make_tree(root: Path, n_participants: int) -> list[str]:
    labels = [f'{number:04d}' for number in range(n_participants)]
    (root / 'dataset_description.json').write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    for label in labels:
        for session in SESSIONS:
            folder = root / f'sub-{label}' / f'ses-{session}' / 'func'
            folder.mkdir(parents=True)
            for ending in ('events.tsv', 'bold.nii.gz', 'bold.json'):
                (folder / f'sub-{label}_ses-{session}_task-carit_{ending}').touch()
    return labels


def find(root: Path, *labels: str, expected: int) -> tuple[float, float]:
    """Seconds of finding, and of the whole process."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, '-c', FIND, str(root), *labels],
        capture_output=True,
        text=True,
        check=True,
    )
    count, seconds = done.stdout.split()
    if int(count) != expected:
        raise SystemExit(f'{count} runs were found instead of {expected}.')
    return float(seconds), time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--participants', type=int, default=1000)
    parser.add_argument('--repeats', type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        labels = make_tree(root, options.participants)
        one, whole, processes = [], [], []
        for number in range(options.repeats):  # interleaved: both see the same load
            label = labels[number * len(labels) // options.repeats]
            seconds, process = find(root, label, expected=len(SESSIONS))
            one.append(seconds)
            processes.append(process)
            whole.append(find(root, expected=len(SESSIONS) * len(labels))[0])
    ratio = statistics.median(a / b for a, b in zip(one, whole, strict=True))
    print(
        f'{options.participants} participants, median of {options.repeats}: '
        f'one {statistics.median(one):.2f} s (process {statistics.median(processes):.2f} s), '
        f'all {statistics.median(whole):.2f} s, ratio {ratio:.3f}'
    )
    return int(statistics.median(one) > LONGEST or ratio > LARGEST_RATIO)


if __name__ == '__main__':
    sys.exit(main())
