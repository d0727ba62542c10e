"""Commands of Connectome Workbench."""

from pathlib import Path

import numpy as np
import pytest

from ketbids.errors import InputError, KetbidsError, ToolError, UsageError
from ketbids.interfaces.smoothing import SmoothingWeights, SmoothSeries
from ketbids.interfaces.workbench import CiftiSmoothing, cifti_kind, smoothing_command
from ketbids.io.cifti import read_series
from ketbids.stats.firstlevel import has_data
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
    argv = CiftiSmoothing(**{**inputs, 'fwhm': 21**0.5}).argv
    assert argv[3:5] == ['4.582575695', '4.582575695']


def test_names_are_never_read_by_a_shell(brain, inputs):
    path = Path(inputs['in_file'])
    odd = path.rename(path.with_name('a b;$(touch x)&.dtseries.nii'))
    assert CiftiSmoothing(**{**inputs, 'in_file': str(odd)}).argv[2] == str(odd)


@pytest.mark.parametrize('fwhm', [0.0, -1.0])
def test_kernel_must_be_positive(inputs, fwhm):
    with pytest.raises(Exception, match='fwhm'):
        CiftiSmoothing(**{**inputs, 'fwhm': fwhm})


def by_wb_command(in_file, left_surface, right_surface, fwhm):
    node = CiftiSmoothing(
        in_file=in_file, left_surface=left_surface, right_surface=right_surface, fwhm=fwhm
    )
    return node.run().outputs.out_file


def natively(in_file, left_surface, right_surface, fwhm):
    weights = SmoothingWeights(
        series_file=in_file, left_surface=left_surface, right_surface=right_surface, fwhm=fwhm
    ).run()
    node = SmoothSeries(in_file=in_file, weights_file=weights.outputs.out_file)
    return node.run().outputs.out_file


SMOOTHERS = (by_wb_command, natively)


def test_smooths_as_the_native_smoother(wb_command, tmp_path, monkeypatch):
    brain = BrainFiles(tmp_path, level=3)
    left, right = brain.pair()
    data = brain.noise(3)
    files = {'in_file': brain.series('bold', data), 'left_surface': left, 'right_surface': right}
    found = {}
    for smooth in SMOOTHERS:
        folder = tmp_path / smooth.__name__
        folder.mkdir()
        monkeypatch.chdir(folder)
        assert Path(smooth(**files, fwhm=12.0)) == folder / 'smoothed.dtseries.nii'
        found[smooth] = read_series(folder / 'smoothed.dtseries.nii')
    ours, theirs = found[natively], found[by_wb_command]
    assert ours.models.same_as(theirs.models)
    assert ours.models.same_as(brain.models)
    assert ours.repetition_time == theirs.repetition_time == TR
    assert ours.data.shape == theirs.data.shape == data.shape
    for name in brain.models.names:
        here = brain.models.where(name)
        np.testing.assert_allclose(
            ours.data[:, here], theirs.data[:, here], rtol=1e-6, err_msg=name
        )
    assert ours.data.std() < 0.6 * data.std()


def test_empty_grayordinates_give_and_get_nothing(wb_command, tmp_path, monkeypatch):
    """As outside the field of view: their zeros must not pull their neighbours down.

    Nor must constants, what is not finite, or a number that only a damaged file has.
    """
    brain = BrainFiles(tmp_path, level=2)
    monkeypatch.chdir(tmp_path)
    left, right = brain.pair()
    data = np.full((3, len(brain.models)), 100.0) + np.array([[-1.0], [0.0], [1.0]])
    expected = np.delete(data, empty := [5, 60, 90, 130, 200, len(brain.models) - 4], axis=1)
    data[:, empty[0]], data[:, empty[1]], data[1, empty[2]] = 0, 5000, np.nan
    data[0, empty[3]], data[2, empty[4]], data[:, empty[5]] = np.inf, 3e38, np.nan
    inputs = {'in_file': brain.series('bold', data), 'left_surface': left, 'right_surface': right}
    for smooth in SMOOTHERS:
        found = read_series(Path(smooth(**inputs, fwhm=15.0))).data
        filled = np.delete(found, empty, axis=1)
        np.testing.assert_allclose(filled, expected, rtol=1e-5, err_msg=smooth.__name__)
        assert not has_data(found)[empty].any(), smooth.__name__


def test_a_truncated_series_is_named(wb_command, brain, inputs):
    path = Path(inputs['in_file'])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(KetbidsError, match='truncated') as caught:
        CiftiSmoothing(**inputs).run()
    assert str(path) in str(caught.value)


def test_surfaces_are_checked_first(wb_command, inputs):
    Path(inputs['left_surface']).write_text('not a surface')
    with pytest.raises(KetbidsError, match='cannot be read as a GIFTI surface') as caught:
        CiftiSmoothing(**inputs).run()
    assert inputs['left_surface'] in str(caught.value)


@pytest.mark.parametrize('smooth', SMOOTHERS)
def test_a_series_without_data(wb_command, brain, inputs, smooth):
    data = np.full((4, len(brain.models)), 7.0)
    data[:, 0] = np.nan
    path = brain.series('flat', data)
    with pytest.raises(KetbidsError, match='every grayordinate is constant or not finite') as e:
        smooth(**{**inputs, 'in_file': path})
    assert path in str(e.value)


def test_failure_names_command_and_reason(inputs, tmp_path, monkeypatch):
    tool = tmp_path / 'bin' / 'wb_command'
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "ERROR: out of paper" >&2\nexit 7\n')
    tool.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tool.parent}:/usr/bin:/bin')
    with pytest.raises(KetbidsError, match=r'-cifti-smoothing ended with code 7: ERROR: out of'):
        CiftiSmoothing(**inputs).run()


def test_command_before_its_files_are_made(tmp_path):
    """As a list of what would run shows it."""
    paths = [tmp_path / name for name in ('run.dtseries.nii', 'L.surf.gii', 'R.surf.gii')]
    command = smoothing_command(*paths, 21**0.5, out_file='out.dtseries.nii')
    assert command == [
        *('wb_command', '-cifti-smoothing', str(paths[0]), '4.582575695', '4.582575695', 'COLUMN'),
        *('out.dtseries.nii', '-fwhm', '-left-surface', str(paths[1])),
        *('-right-surface', str(paths[2])),
    ]
    assert smoothing_command(*paths, 5, roi='roi.dscalar.nii')[-2:] == [
        '-cifti-roi',
        'roi.dscalar.nii',
    ]
    names = ('in_file', 'left_surface', 'right_surface')
    node = CiftiSmoothing(**dict(zip(names, map(str, paths), strict=True)), fwhm=5.0)
    assert node.argv == smoothing_command(*paths, 5.0)
    with pytest.raises(InputError, match=r'run\.dtseries\.nii does not exist'):
        node.run()


def test_what_is_missing_is_named():
    with pytest.raises(UsageError, match="CiftiSmoothing requires a value for input 'fwhm'"):
        _ = CiftiSmoothing(in_file='a', left_surface='b', right_surface='c').argv


def test_without_workbench(inputs, monkeypatch):
    monkeypatch.setenv('PATH', '/nonexistent')
    with pytest.raises(ToolError, match='-cifti-smoothing needs it: install Connectome Workbench'):
        CiftiSmoothing(**inputs).run()


def test_what_ends_well_without_its_file(inputs, tmp_path, monkeypatch):
    program = tmp_path / 'bin' / 'wb_command'
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nexit 0\n')
    program.chmod(0o755)
    monkeypatch.setenv('PATH', f'{program.parent}:/usr/bin:/bin')
    with pytest.raises(KetbidsError, match=r'without an error, but without .*smoothed'):
        CiftiSmoothing(**inputs).run()


def test_kinds_of_files():
    assert cifti_kind('/a/b.c.dlabel.nii') == 'dlabel'
    with pytest.raises(UsageError, match=r'must end in one of \.dtseries\.nii'):
        cifti_kind('bold.nii.gz')
