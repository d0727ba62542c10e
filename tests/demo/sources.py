"""Small made-up BIDS datasets with events and confounds but no images."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

NEW, OLD, OLDEST = (
    '_desc-confounds_timeseries.tsv',
    '_desc-confounds_regressors.tsv',
    '_bold_confounds.tsv',
)
MOTION = ('trans_x', 'trans_y', 'trans_z', 'rot_x', 'rot_y', 'rot_z')
OLD_MOTION = ('X', 'Y', 'Z', 'RotX', 'RotY', 'RotZ')


def events(seed: int, n_trials: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    kinds = ['go', 'stop', 'go', 'go']
    return pd.DataFrame(
        {
            'onset': (3 + np.cumsum(rng.uniform(2, 6, n_trials))).round(3),
            'duration': 0.5,
            'trial_type': [kinds[i % 4] for i in range(n_trials)],
        }
    )


def confounds(seed: int, n_volumes: int = 100, old: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    motion = np.cumsum(rng.normal(0, 0.01, (n_volumes, 6)), axis=0)
    table = pd.DataFrame(motion, columns=list(OLD_MOTION if old else MOTION))
    table['CSF' if old else 'csf'] = rng.normal(500, 3, n_volumes)
    table['WhiteMatter' if old else 'white_matter'] = rng.normal(600, 3, n_volumes)
    for number in range(8):
        name = f'aCompCor{number:02d}' if old else f'a_comp_cor_{number:02d}'
        table[name] = rng.normal(0, 0.1, n_volumes)
    table['FramewiseDisplacement' if old else 'framewise_displacement'] = rng.normal(
        0, 1, n_volumes
    )
    table.iloc[0, -1] = np.nan
    return table


def write(path: Path, table: pd.DataFrame) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, sep='\t', index=False, na_rep='n/a')
    return path


def add_run(root: Path, name: str, seed: int, ending: str = NEW, pipeline: str = 'fmriprep'):
    """Add events and confounds of a run such as ``sub-01_ses-a_task-stop_run-1``."""
    parts = [part for part in name.split('_') if part[:4] in ('sub-', 'ses-')]
    func = Path(*parts, 'func')
    write(root / func / f'{name}_events.tsv', events(seed))
    table = confounds(seed, old=ending == OLDEST)
    return write(root / 'derivatives' / pipeline / func / f'{name}{ending}', table)


def make_source(root: Path) -> Path:
    """Make 3 participants: one without sessions, one with two, one with one and two runs."""
    root.mkdir(parents=True)
    (root / 'dataset_description.json').write_text('{"Name": "made up", "BIDSVersion": "1.9.0"}')
    (root / 'README').write_text('Made up.\n')
    (root / 'task-stop_bold.json').write_text(json.dumps({'RepetitionTime': 2.0}))
    people = pd.DataFrame({'participant_id': ['sub-01', 'sub-02', 'sub-03'], 'age': [20, 30, 40]})
    write(root / 'participants.tsv', people)
    add_run(root, 'sub-01_task-stop_acq-seq', 1, OLD)
    add_run(root, 'sub-02_ses-a_task-stop', 2)
    add_run(root, 'sub-02_ses-b_task-stop', 3)
    add_run(root, 'sub-03_ses-a_task-stop_dir-AP_run-01', 4, OLDEST)
    add_run(root, 'sub-03_ses-a_task-stop_dir-AP_run-02', 5, OLDEST)
    write(
        root / 'sub-02' / 'sub-02_sessions.tsv', pd.DataFrame({'session_id': ['ses-a', 'ses-b']})
    )
    (root / 'sub-02' / 'ses-a' / 'func' / 'sub-02_ses-a_task-stop_bold.nii.gz').write_bytes(b'x')
    return root
