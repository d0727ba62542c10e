"""What benchmarks/firstlevel.py measures inside a process of Python of its own.

    python benchmarks/firstlevel_inside.py files FOLDER VOLUMES COLUMNS
    python benchmarks/firstlevel_inside.py load FOLDER ketbids|nilearn
    python benchmarks/firstlevel_inside.py fit FOLDER ketbids|nilearn MODEL THREADS
    python benchmarks/firstlevel_inside.py node FOLDER MODEL THREADS
    python benchmarks/firstlevel_inside.py agreement FOLDER

Prints JSON. Each fit leaves its effects and t in FOLDER, for ``agreement``.
"""

import json
import os
import shutil
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ketbids.io.weights import read_weights, write_weights
from ketbids.stats.autoregression import NOISE_FWHM

SEED = 20200401
SERIES, DESIGN, CONTRASTS, WEIGHTS = (
    'bold.dtseries.nii', 'design.tsv', 'contrasts.json', 'weights.npz',
)  # fmt: skip


def files(folder: Path, n_volumes: int, n_columns: int) -> dict[str, Any]:
    """Write a run of the standard grayordinates, its design, and the weights for the noise."""
    from glm_data import CONTRASTS as WANTED
    from glm_data import REPETITION_TIME

    from ketbids.demo.brain import full_brain
    from ketbids.demo.task import CONDITIONS, condition_of, draw_events
    from ketbids.io.cifti import write_series
    from ketbids.io.files import write_json
    from ketbids.io.tables import write_table
    from ketbids.stats.rundesign import run_design
    from ketbids.stats.smoothing import smoothing_matrix

    rng = np.random.default_rng(SEED)
    brain = full_brain()
    # Coefficients from .1 to .7 in patches; noise smooth in space; white noise besides.
    field = brain.diffusion @ rng.standard_normal((len(brain.models), 1)).astype(np.float32)
    for _ in range(40):
        field = brain.diffusion @ field
    memory = 0.4 + 0.1 * np.clip(field[:, 0] / field.std(), -3, 3)
    fresh = rng.standard_normal((len(brain.models), n_volumes + 50), np.float32)
    for _ in range(3):
        fresh = brain.diffusion @ fresh
    series = fresh / fresh.std()
    for volume in range(1, series.shape[1]):
        series[:, volume] += memory * series[:, volume - 1]
    data = 10_000 + 100 * series[:, 50:].T
    data += 40 * rng.standard_normal(data.shape, np.float32)
    write_series(folder / SERIES, data, brain.models, REPETITION_TIME)
    np.save(folder / 'data.npy', np.ascontiguousarray(data, np.float32))
    events = draw_events(SEED, 'benchmark', '', n_volumes)
    coded = events.assign(condition=condition_of(events))
    plain = run_design(coded, CONDITIONS, n_volumes, REPETITION_TIME)
    walks = rng.standard_normal((n_volumes, n_columns - plain.matrix.shape[1])).cumsum(axis=0)
    confounds = pd.DataFrame(walks, columns=[f'confound{k + 1}' for k in range(walks.shape[1])])
    design = run_design(coded, CONDITIONS, n_volumes, REPETITION_TIME, confounds=confounds)
    matrix = design.matrix
    write_table(folder / DESIGN, matrix)
    weights = {
        name: [[terms.get(column, 0.0) for column in matrix]] for name, terms in WANTED.items()
    }
    plan = {
        'weights': weights, 'tests': dict.fromkeys(weights, 't'), 'not_estimable': {}, 'few': {},
        'dropped': [], 'peaks': design.peaks, 'confounds': list(design.confounds), 'notes': [],
        'repetition_time': REPETITION_TIME, 'slice_time_ref': 0.5, 'checks': {},
    }  # fmt: skip
    write_json(folder / CONTRASTS, plan)
    kernel = smoothing_matrix(brain.models, brain.midthickness, NOISE_FWHM)
    write_weights(folder / WEIGHTS, kernel, brain.models, NOISE_FWHM)
    return {'shape': [len(brain.models), *matrix.shape], 'fwhm': NOISE_FWHM}


def problem(folder: Path) -> tuple[Any, Any, Any]:
    """Data, design and weights of the contrasts."""
    design = pd.read_csv(folder / DESIGN, sep='\t').to_numpy(np.float64)
    plan = json.loads((folder / CONTRASTS).read_text())
    weights = np.concatenate([np.array(rows) for rows in plan['weights'].values()])
    return np.load(folder / 'data.npy'), design, weights


def load(folder: Path, program: str) -> dict[str, float]:
    """Load the data and the program, and fit nothing: what memory that takes."""
    import_module(f'{program}.{"stats.firstlevel" if program == "ketbids" else "glm"}')
    return {'bytes': float(problem(folder)[0].nbytes)}


def fit(folder: Path, program: str, model: str, threads: int) -> dict[str, float]:
    """Fit and time; contrasts included, loading and importing not."""
    data, design, weights = problem(folder)
    if program == 'ketbids':
        from ketbids.stats.firstlevel import fit_glm
        from ketbids.stats.noisemodels import model_order

        models = standard_models(folder)
        order = model_order(model)
        kernel = read_weights(folder / WEIGHTS, models, folder / SERIES).matrix if order else None
        warm = np.ascontiguousarray(data[:, :64])
        fit_glm(warm, design, weights, order, threads=threads)  # loads what is compiled
        started, used = time.perf_counter(), time.process_time()
        fitted = fit_glm(data, design, weights, order, smoother=kernel, threads=threads)
        seconds, processor = time.perf_counter() - started, time.process_time() - used
        effect, t = fitted.effect, fitted.t
    else:
        from nilearn.glm.contrasts import compute_contrast
        from nilearn.glm.first_level import run_glm

        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            started, used = time.perf_counter(), time.process_time()
            labels, results = run_glm(
                data, design, noise_model=model, n_jobs=threads, random_state=0
            )
            fits = [compute_contrast(labels, results, row, 't') for row in weights]
            effect = np.array([np.ravel(one.effect_size()) for one in fits])
            t = np.array([np.ravel(one.stat()) for one in fits])
            seconds, processor = time.perf_counter() - started, time.process_time() - used
    np.savez(folder / f'{program}_{model}.npz', effect=effect, t=t)
    return {'seconds': seconds, 'processor': processor}


def standard_models(folder: Path) -> Any:
    from ketbids.io.cifti import series_models

    return series_models(folder / SERIES)


def node(folder: Path, model: str, threads: int) -> dict[str, float]:
    """Run the node of the workflow: read, fit, write."""
    from ketbids.interfaces.firstlevel import FitGLM

    there = folder / f'node_{model}'
    shutil.rmtree(there, ignore_errors=True)
    there.mkdir()
    os.chdir(there)
    interface = FitGLM(
        series_file=str(folder / SERIES),
        design_file=str(folder / DESIGN),
        contrasts_file=str(folder / CONTRASTS),
        smoothing_file=str(folder / WEIGHTS),
        noise_model=model,
        origin='hcp',
        num_threads=threads,
    )
    started, used = time.perf_counter(), time.process_time()
    interface.run()
    return {'seconds': time.perf_counter() - started, 'processor': time.process_time() - used}


def agreement(folder: Path) -> dict[str, dict[str, float]]:
    """Compare ketbids and nilearn, model by model, over contrasts and grayordinates."""
    found = {}
    for ours in sorted(folder.glob('ketbids_*.npz')):
        model = ours.stem.removeprefix('ketbids_')
        theirs = folder / f'nilearn_{model}.npz'
        if not theirs.exists():
            continue
        with np.load(ours) as a, np.load(theirs) as b:
            t, other = a['t'].ravel(), b['t'].ravel()
            off = np.abs(a['effect'] - b['effect']) * np.abs(a['t'] / a['effect'])
            found[model] = {
                'effect': float(np.quantile(off, 0.99)),
                't': float(np.quantile(np.abs(t - other), 0.99)),
                'largest': float(np.abs(t - other).max()),
                'r': float(np.corrcoef(t, other)[0, 1]),
                'ratio': float(t @ other / (t @ t)),
            }
    return found


def main() -> int:
    task, folder, *words = sys.argv[1:]
    place = Path(folder).resolve()
    numbers = [int(word) if word.isdigit() else word for word in words]
    tasks: dict[str, Any] = {
        'files': files, 'load': load, 'fit': fit, 'node': node, 'agreement': agreement,
    }  # fmt: skip
    print(json.dumps(tasks[task](place, *numbers)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
