"""What goes into the design of a run: confounds, times, and what is said of them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.io.tables import read_table
from ketbids.stats.confounds import MOTION
from tests.interfaces.files import TR, code, write_events, write_movement
from tests.interfaces.test_firstlevel import N_VOLUMES, NAMES, build


@pytest.fixture
def series(brain):
    return brain.series('bold', brain.noise(N_VOLUMES))


@pytest.fixture
def trials(tmp_path, series):
    return code(write_events(tmp_path / 'events.tsv'), series)


@pytest.fixture
def table(tmp_path):
    """Confounds of fMRIPrep, with the masks of its components."""
    names = [*MOTION, *(f'a_comp_cor_{n:02d}' for n in range(14)), 'white_matter', 'csf']
    values = np.random.default_rng(0).standard_normal((N_VOLUMES, len(names)))
    path = tmp_path / 'sub-01_desc-confounds_timeseries.tsv'
    pd.DataFrame(values, columns=names).to_csv(path, sep='\t', index=False)
    masks = ['CSF'] * 6 + ['WM'] * 8
    about = {f'a_comp_cor_{n:02d}': {'Mask': mask} for n, mask in enumerate(masks)}
    sidecar = tmp_path / 'masks.json'
    sidecar.write_text(json.dumps(about))
    return {'confounds_file': str(path), 'confounds_sidecar': str(sidecar), 'origin': 'fmriprep'}


def columns(found):
    return list(read_table(Path(found.design_file)).columns)


def plan(found):
    return json.loads(Path(found.contrasts_file).read_text())


def test_sets_enter_between_task_and_drifts(series, trials, table):
    found = build(trials, series, sets=['6', 'acompcor', 'wmcsf'], **table)
    expected = [*MOTION, *(f'a_comp_cor_{n:02d}' for n in (*range(6, 11), *range(5)))]
    expected += ['white_matter', 'csf']
    assert columns(found)[len(NAMES) : len(NAMES) + len(expected)] == expected
    assert plan(found)['confounds'] == expected
    assert plan(found)['notes'] == []


def test_no_sets(series, trials, table):
    assert plan(build(trials, series, sets=[], **table))['confounds'] == []


def test_errors_name_the_table(series, trials, table):
    path = table['confounds_file']
    with pytest.raises(InputError, match='no column global_signal, which the set global') as e:
        build(trials, series, sets=['global'], **table)
    assert str(e.value).startswith(f'{path}: ')
    short = pd.read_csv(path, sep='\t').iloc[:-2]
    short.to_csv(path, sep='\t', index=False)
    with pytest.raises(InputError, match=r'168 rows of confounds.* 170 volumes') as e:
        build(trials, series, sets=['6'], **table)
    assert str(e.value).startswith(f'{path}: ')


def test_no_table(series, trials):
    with pytest.raises(InputError, match='no file of confounds for the sets 24, acompcor') as e:
        build(trials, series, sets=['24', 'acompcor'], origin='fmriprep')
    assert series in str(e.value)
    assert '--confounds none' in str(e.value)


def test_more_confounds_than_volumes(brain, tmp_path):
    short = brain.series('short', brain.noise(24))
    movement = write_movement(tmp_path / 'movement.txt', 24, 6)
    events = tmp_path / 'events.tsv'
    events.write_text('onset\tduration\ttrial_type\tresponse_time\n1\t0.6\tgo\t0.4\n')
    with pytest.raises(InputError, match=r'26 regressors .*24 confounds.* for 24 volumes') as e:
        build(code(str(events), short), short, confounds_file=movement, sets=['24'])
    assert short in str(e.value)


def test_time_of_a_volume(brain, tmp_path, series, trials):
    """A volume that stands for its start sees each response 0.4 s earlier than one at its middle.

    So it is the middle's design with all events 0.4 s later.
    """
    sidecar = tmp_path / 'bold.json'
    said = {'RepetitionTime': TR, 'SliceTimingCorrected': True, 'StartTime': 0.0}
    sidecar.write_text(json.dumps(said))
    found = build(trials, series, sidecars=[str(sidecar)])
    assert plan(found)['slice_time_ref'] == 0
    assert plan(found)['repetition_time'] == TR
    later = read_table(Path(trials))
    later['onset'] += TR / 2
    shifted = tmp_path / 'later.tsv'
    later.to_csv(shifted, sep='\t', index=False, na_rep='n/a')
    middle = build(str(shifted), series)
    assert plan(middle)['slice_time_ref'] == 0.5
    one, two = (read_table(Path(f))[NAMES] for f in (found.design_file, middle.design_file))
    np.testing.assert_allclose(one, two, atol=0.005)
