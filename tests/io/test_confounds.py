"""Tables of confounds of both pipelines, synthetic and real."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.io.confounds import read_confounds, read_movement
from ketbids.stats.confounds import MOTION, choose_confounds
from ketbids.stats.firstlevel import fit_glm
from ketbids.stats.runcontrasts import contrast_weights
from ketbids.stats.rundesign import run_design
from tests.interfaces.files import write_movement


@pytest.mark.parametrize('columns', [6, 12])
def test_movement_of_the_hcp_pipelines(tmp_path, columns):
    path = Path(write_movement(tmp_path / 'm.txt', 9, columns))
    table = read_confounds(path, 9, 'hcp').table
    assert table.shape == (9, columns)
    assert list(table.columns)[:6] == list(MOTION)
    np.testing.assert_array_equal(read_movement(path, 9, 'hcp'), table.iloc[:, :6])


@pytest.mark.parametrize(
    ('rows', 'columns', 'message'),
    [(8, 6, '8 rows .* 9 volumes'), (9, 7, 'has 7 columns'), (9, 1, 'has 1 columns')],
)
def test_movement_must_fit_the_series(tmp_path, rows, columns, message):
    path = write_movement(tmp_path / 'm.txt', rows, columns)
    with pytest.raises(InputError, match=rf'm\.txt.*{message}'):
        read_movement(Path(path), 9, 'hcp')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('1 2 3 4 5 6\n1 2 x 4 5 6\n', r"m\.txt, line 2: 'x' is not a number"),
        ('1 2 3 4 5 nan\n', r"m\.txt, line 1: 'nan' is not a number"),
        ('1 2\n1 2 3\n', r'm\.txt, line 2: 3 values, but the line before has 2'),
        ('\n', r'm\.txt is empty'),
        (b'\xff\xfe', r'm\.txt cannot be read as a table of numbers: it is not text'),
        (None, r'm\.txt cannot be read as a table of numbers: No such file'),
    ],
)
def test_movement_must_be_numbers(tmp_path, content, message):
    path = tmp_path / 'm.txt'
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        read_movement(path, 9, 'hcp')


@pytest.fixture
def fmriprep(tmp_path):
    """A table and its JSON file."""
    names = [*MOTION, 'a_comp_cor_00', 'a_comp_cor_01']
    values = np.random.default_rng(0).standard_normal((5, len(names)))
    path = tmp_path / 'sub-01_desc-confounds_timeseries.tsv'
    pd.DataFrame(values, columns=names).to_csv(path, sep='\t', index=False)
    about = {
        'a_comp_cor_00': {'Mask': 'CSF', 'Method': 'aCompCor', 'Retained': True},
        'a_comp_cor_01': {'Mask': 'WM'},
        'dropped_0': {'Mask': 'combined', 'Retained': False},
        'trans_x': {'Description': 'x'},
        'Sources': ['x'],
    }
    path.with_suffix('.json').write_text(json.dumps(about))
    return path


def test_masks_are_in_the_json_file(fmriprep, tmp_path):
    masks = {'a_comp_cor_00': 'CSF', 'a_comp_cor_01': 'WM', 'dropped_0': 'combined'}
    assert read_confounds(fmriprep, 5, 'fmriprep').masks == masks
    elsewhere = fmriprep.with_suffix('.json').rename(tmp_path / 'other.json')
    assert read_confounds(fmriprep, 5, 'fmriprep').masks == {}
    assert read_confounds(fmriprep, 5, 'fmriprep', elsewhere).masks == masks
    elsewhere.write_text('{')
    with pytest.raises(InputError, match=r'other\.json is not valid JSON'):
        read_confounds(fmriprep, 5, 'fmriprep', elsewhere)


def test_movement_of_fmriprep_in_degrees(fmriprep):
    table = pd.read_csv(fmriprep, sep='\t')
    moved = read_movement(fmriprep, 5, 'fmriprep')
    np.testing.assert_allclose(moved.iloc[:, :3], table[list(MOTION[:3])])
    np.testing.assert_allclose(moved.iloc[:, 3:], np.degrees(table[list(MOTION[3:])]))


def test_errors_name_the_file(fmriprep):
    with pytest.raises(InputError, match=r'timeseries\.tsv: 5 rows of confounds.* 6 volumes'):
        read_confounds(fmriprep, 6, 'fmriprep')
    fmriprep.write_text('csf\n' + '1\n' * 5)
    with pytest.raises(InputError, match=r'timeseries\.tsv: .*no column trans_x'):
        read_movement(fmriprep, 5, 'fmriprep')
    fmriprep.write_text('')
    with pytest.raises(InputError, match=r'timeseries\.tsv is empty'):
        read_confounds(fmriprep, 5, 'fmriprep')


def real_tables(shared):
    folder = shared / 'data' / 'ds002790_piop2' / 'derivatives' / 'fmriprep'
    found = sorted(folder.glob('*/func/*_desc-confounds_regressors.tsv'))
    if not found:
        pytest.skip('the confounds of ds002790 are absent')
    return found


def test_real_confounds_of_fmriprep_14(shared):
    """24 movement terms are fMRIPrep's own; components: the first ten, as there is no JSON."""
    paths = real_tables(shared)[:4]
    for path in paths:
        raw = pd.read_csv(path, sep='\t')
        table, masks = read_confounds(path, len(raw), 'fmriprep')
        chosen = choose_confounds(table, ('24', 'acompcor'), len(raw), masks)
        assert chosen.matrix.shape == (len(raw), 34)
        assert masks == {}
        for name in chosen.matrix.columns:
            expected = raw[name].fillna(0)
            np.testing.assert_allclose(chosen.matrix[name], expected, rtol=1e-6, atol=1e-9)
        assert len(chosen.notes) == 2


def test_real_confounds_make_a_design_fast(shared):
    path = real_tables(shared)[0]
    n = len(path.read_text().splitlines()) - 1
    coded = pd.DataFrame({'onset': np.arange(10, n * 1.8, 6.0), 'duration': 1.0})
    coded['condition'] = np.where(np.arange(len(coded)) % 3, 'go', 'stop')
    run_design(coded, ['go', 'stop'], n, 2.0)  # imports
    started = time.perf_counter()
    table, masks = read_confounds(path, n, 'fmriprep')
    sets = ('24', 'acompcor', 'wmcsf', 'global', 'outliers')
    confounds, _ = choose_confounds(table, sets, n, masks)
    design = run_design(coded, ['go', 'stop'], n, 2.0, confounds=confounds)
    assert time.perf_counter() - started < 1
    weights = contrast_weights(design.matrix, {'c': [{'stop': 1, 'go': -1}]}).weights['c']
    data = np.random.default_rng(0).standard_normal((n, 3)) + 1e4
    fit = fit_glm(data, design.matrix.to_numpy(), weights, names=list(design.matrix.columns))
    assert fit.df_nominal == n - design.matrix.shape[1]
    assert np.isfinite(fit.t).all()


def test_real_confounds_of_fmriprep_10(shared):
    path = shared / 'data' / 'cnp_sub-50005' / 'sub-50005_task-rest_bold_confounds.tsv'
    if not path.is_file():
        pytest.skip('the confounds of sub-50005 are absent')
    table, masks = read_confounds(path, 152, 'fmriprep')
    chosen = choose_confounds(table, ('24', 'acompcor'), 152, masks)
    assert chosen.matrix.shape == (152, 30)
    np.testing.assert_array_equal(chosen.matrix['a_comp_cor_05'], table['aCompCor05'])
    np.testing.assert_allclose(chosen.matrix['rot_y_power2'], table['RotY'] ** 2)
    assert chosen.notes == (
        'aCompCor: no file says which component is of which mask; the first 6 are in the model',
    )
    with pytest.raises(InputError, match='no column csf, which the set wmcsf needs'):
        choose_confounds(table, ('wmcsf',), 152, masks)
