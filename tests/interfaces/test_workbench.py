"""Commands of Connectome Workbench."""

from pathlib import Path

import numpy as np
import pytest

from ketbids.errors import KetbidsError
from ketbids.interfaces.firstlevel import SmoothSeries
from ketbids.interfaces.workbench import CiftiSmoothing
from ketbids.io.cifti import read_series
from tests.interfaces.files import TR, BrainFiles


@pytest.fixture
def inputs(brain):
    left, right = brain.pair()
    return {
        'in_file': brain.series('bold', brain.noise(5)),
        'left_surface': left,
        'right_surface': right,
        'fwhm': 5.0,
    }


def test_arguments(inputs):
    assert CiftiSmoothing(**inputs).argv == [
        'wb_command',
        '-cifti-smoothing',
        inputs['in_file'],
        '5',
        '5',
        'COLUMN',
        'smoothed.dtseries.nii',
        '-fwhm',
        '-left-surface',
        inputs['left_surface'],
        '-right-surface',
        inputs['right_surface'],
    ]


def test_fractions_of_millimetres(inputs):
    argv = CiftiSmoothing(**{**inputs, 'fwhm': 4.582575}).argv
    assert argv[3:5] == ['4.58258', '4.58258']


def test_names_are_never_read_by_a_shell(brain, inputs):
    path = Path(inputs['in_file'])
    odd = path.rename(path.with_name('a b;$(touch x)&.dtseries.nii'))
    assert CiftiSmoothing(**{**inputs, 'in_file': str(odd)}).argv[2] == str(odd)


@pytest.mark.parametrize('fwhm', [0.0, -1.0])
@pytest.mark.parametrize('interface', [CiftiSmoothing, SmoothSeries])
def test_kernel_must_be_positive(inputs, interface, fwhm):
    with pytest.raises(Exception, match='fwhm'):
        interface(**{**inputs, 'fwhm': fwhm})


def test_smooths_as_the_native_smoother(wb_command, tmp_path, monkeypatch):
    brain = BrainFiles(tmp_path, level=3)
    left, right = brain.pair()
    data = brain.noise(3)
    files = {'in_file': brain.series('bold', data), 'left_surface': left, 'right_surface': right}
    found = {}
    for interface in (CiftiSmoothing, SmoothSeries):
        folder = tmp_path / interface.__name__
        folder.mkdir()
        monkeypatch.chdir(folder)
        result = interface(**files, fwhm=12.0).run()
        assert Path(result.outputs.out_file) == folder / 'smoothed.dtseries.nii'
        found[interface] = read_series(folder / 'smoothed.dtseries.nii')
    ours, theirs = found[SmoothSeries], found[CiftiSmoothing]
    assert ours.models.same_as(theirs.models)
    assert ours.models.same_as(brain.models)
    assert ours.repetition_time == theirs.repetition_time == TR
    assert ours.data.shape == theirs.data.shape == data.shape
    for name in brain.models.names:
        here = brain.models.where(name)
        r = np.corrcoef(ours.data[:, here].ravel(), theirs.data[:, here].ravel())[0, 1]
        assert r > 0.999, name
    assert ours.data.std() < 0.6 * data.std()


def test_empty_grayordinates_give_and_get_nothing(wb_command, tmp_path, monkeypatch):
    """As outside the field of view: their zeros must not pull their neighbours down."""
    brain = BrainFiles(tmp_path, level=2)
    monkeypatch.chdir(tmp_path)
    left, right = brain.pair()
    data = np.full((3, len(brain.models)), 100.0)
    empty = [5, 60, len(brain.models) - 4]
    data[:, empty] = 0
    inputs = {'in_file': brain.series('bold', data), 'left_surface': left, 'right_surface': right}
    for interface in (CiftiSmoothing, SmoothSeries):
        found = read_series(Path(interface(**inputs, fwhm=15.0).run().outputs.out_file)).data
        filled = np.delete(found, empty, axis=1)
        np.testing.assert_allclose(filled, 100, rtol=1e-5, err_msg=interface.__name__)
        assert not np.nan_to_num(found[:, empty]).any(), interface.__name__


def test_a_truncated_series_is_named(wb_command, brain, inputs):
    path = Path(inputs['in_file'])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(KetbidsError, match='truncated') as caught:
        CiftiSmoothing(**inputs).run()
    assert str(path) in str(caught.value)


def test_failure_names_command_and_reason(wb_command, inputs):
    Path(inputs['left_surface']).write_text('not a surface')
    with pytest.raises(KetbidsError, match=r'-cifti-smoothing ended with code \d+: .') as caught:
        CiftiSmoothing(**inputs).run()
    assert 'mid_L.surf.gii' in str(caught.value)
