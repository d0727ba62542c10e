"""CIFTI files taken apart and put together by Connectome Workbench."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ketbids.errors import KetbidsError, UsageError
from ketbids.interfaces.ciftifiles import (
    CiftiCreateDenseScalar,
    CiftiCreateDenseTimeseries,
    CiftiCreateLabel,
    CiftiSeparate,
)
from ketbids.io.cifti import brain_model_axis, read_labels, read_maps, read_series
from tests.stats.small_brain import LEFT, PUTAMEN, RIGHT

CREATED = {
    CiftiCreateDenseTimeseries: '-cifti-create-dense-timeseries dense.dtseries.nii',
    CiftiCreateDenseScalar: '-cifti-create-dense-scalar dense.dscalar.nii',
    CiftiCreateLabel: '-cifti-create-label dense.dlabel.nii',
}


@pytest.fixture
def series(brain):
    return brain.series('bold', brain.noise(3))


def test_arguments_of_separate(series):
    node = CiftiSeparate(
        in_file=series,
        metric=['CORTEX_LEFT'],
        label=['CORTEX_RIGHT'],
        volume=['PUTAMEN_RIGHT'],
        volume_all=True,
        volume_label=True,
        roi=True,
        crop=True,
    )
    assert node.argv == [
        *('wb_command', '-cifti-separate', series, 'COLUMN'),
        *('-label', 'CORTEX_RIGHT', 'CORTEX_RIGHT.label.gii'),
        *('-roi', 'CORTEX_RIGHT_label_roi.shape.gii'),
        *('-metric', 'CORTEX_LEFT', 'CORTEX_LEFT.func.gii'),
        *('-roi', 'CORTEX_LEFT_metric_roi.shape.gii'),
        *('-volume', 'PUTAMEN_RIGHT', 'PUTAMEN_RIGHT.nii.gz'),
        *('-roi', 'PUTAMEN_RIGHT_roi.nii.gz', '-crop'),
        *('-volume-all', 'volume_all.nii.gz', '-roi', 'volume_all_roi.nii.gz'),
        *('-label', 'volume_all_label.nii.gz', '-crop'),
    ]
    rows = CiftiSeparate(in_file=series, direction='ROW', metric=['CORTEX_LEFT'])
    assert rows.argv[3:] == ['ROW', '-metric', 'CORTEX_LEFT', 'CORTEX_LEFT.func.gii']


@pytest.mark.parametrize(
    ('inputs', 'message'),
    [
        ({}, 'nothing to separate'),
        ({'volume_all': False}, 'nothing to separate'),
        ({'metric': []}, 'nothing to separate'),
        ({'volume_label': True}, "requires a value for input 'volume_all'"),
        ({'metric': ['CORTEX_LEFT'], 'crop': True}, 'surfaces cannot be cropped'),
    ],
)
def test_what_separate_refuses(series, inputs, message):
    with pytest.raises(UsageError, match=message):
        _ = CiftiSeparate(in_file=series, **inputs).argv


def test_unknown_structures_are_refused(series):
    with pytest.raises(Exception, match='metric'):
        CiftiSeparate(in_file=series, metric=['PUTAMEN_LEFT'])


def test_series_apart_and_together(wb_command, brain, series):
    parts = (
        CiftiSeparate(
            in_file=series,
            metric=['CORTEX_LEFT', 'CORTEX_RIGHT'],
            volume=['PUTAMEN_RIGHT'],
            volume_all=True,
            volume_label=True,
            roi=True,
        )
        .run()
        .outputs
    )
    data, models = read_series(Path(series)).data, brain.models
    left = np.array(nib.load(parts.metric_files['CORTEX_LEFT']).agg_data())
    assert left.shape == (3, models.n_vertices[LEFT])
    here = models.where(LEFT)
    np.testing.assert_array_equal(left[:, models.vertex[here]], data[:, here])
    roi = nib.load(parts.metric_rois['CORTEX_LEFT']).agg_data()
    assert set(np.flatnonzero(roi)) == set(models.vertex[here])
    here = models.where(PUTAMEN)
    volume = nib.load(parts.volume_files['PUTAMEN_RIGHT']).get_fdata()
    np.testing.assert_allclose(volume[tuple(models.voxel[here].T)].T, data[:, here])
    assert nib.load(parts.volume_rois['PUTAMEN_RIGHT']).get_fdata().sum() == 18
    made = CiftiCreateDenseTimeseries(
        volume=parts.volume_file,
        structures=parts.volume_label_file,
        left_metric=parts.metric_files['CORTEX_LEFT'],
        left_roi=parts.metric_rois['CORTEX_LEFT'],
        right_metric=parts.metric_files['CORTEX_RIGHT'],
        right_roi=parts.metric_rois['CORTEX_RIGHT'],
        timestep=0.7200001,
        timestart=1.5,
    ).run()
    again = read_series(Path(made.outputs.out_file))
    assert (again.models.n_vertices, len(again.models)) == (models.n_vertices, len(models))
    for name in models.names:
        mine, theirs = again.models.where(name), models.where(name)
        # Workbench sorts voxels by x first.
        order = [np.lexsort(m.voxel[w].T) for m, w in ((again.models, mine), (models, theirs))]
        if name in models.n_vertices:
            order = [slice(None), slice(None)]
        np.testing.assert_array_equal(
            again.data[:, mine][:, order[0]], data[:, theirs][:, order[1]]
        )
    assert again.repetition_time == pytest.approx(0.7200001, abs=1e-9)
    axis = nib.load(made.outputs.out_file).header.get_axis(0)
    assert (axis.start, axis.unit) == (1.5, 'SECOND')


def test_cropped_volume(wb_command, brain, series):
    parts = CiftiSeparate(in_file=series, volume=['PUTAMEN_RIGHT'], crop=True).run().outputs
    image = nib.load(parts.volume_files['PUTAMEN_RIGHT'])
    assert image.shape[:3] == (3, 3, 2)
    np.testing.assert_allclose(image.affine[:3, 3], [2, 2, 2])


def test_rows_of_connections(wb_command, brain, tmp_path):
    """Both dimensions of a dense connectome are brain models."""
    axis = brain_model_axis(brain.models)
    n = len(brain.models)
    values = np.arange(n)[:, None] + 1000.0 * np.arange(n)
    path = tmp_path / 'all.dconn.nii'
    nib.Cifti2Image(values.astype(np.float32), (axis, axis)).to_filename(path)
    here = brain.models.where(RIGHT)
    for direction, expected in (('ROW', values[here]), ('COLUMN', values[:, here].T)):
        node = CiftiSeparate(in_file=path, direction=direction, metric=['CORTEX_RIGHT'])
        metric = np.array(nib.load(node.run().outputs.metric_files['CORTEX_RIGHT']).agg_data())
        np.testing.assert_array_equal(metric[:, brain.models.vertex[here]].T, expected)


def test_failures_say_why(wb_command, series):
    with pytest.raises(
        KetbidsError,
        match=r"-cifti-separate ended with code 255: ERROR: .* surface structure 'CEREBELLUM'",
    ):
        CiftiSeparate(in_file=series, metric=['CEREBELLUM']).run()
    with pytest.raises(KetbidsError, match='does not contain brain models'):
        CiftiSeparate(in_file=series, direction='ROW', metric=['CORTEX_LEFT']).run()


@pytest.mark.parametrize('interface', CREATED)
def test_arguments_of_create(brain, series, interface):
    kind = 'label' if interface is CiftiCreateLabel else 'metric'
    given = {
        name: series
        for side in ('left', 'right', 'cerebellum')
        for name in (f'{side}_{kind}', f'{side}_roi')
    }
    node = interface(**given, volume=series, structures=series)
    assert node.argv == [
        *('wb_command', *CREATED[interface].split(), '-volume', series, series),
        *(f'-left-{kind}', series, '-roi-left', series),
        *(f'-right-{kind}', series, '-roi-right', series),
        *(f'-cerebellum-{kind}', series, '-roi-cerebellum', series),
    ]


def test_times_keep_their_digits(series):
    node = CiftiCreateDenseTimeseries(
        left_metric=series, timestep=0.7200001, timestart=0.36, unit='HERTZ'
    )
    assert node.argv[5:] == [
        *('-timestep', '0.7200001', '-timestart', '0.36', '-unit', 'HERTZ'),
    ]
    with pytest.raises(Exception, match='timestep'):
        CiftiCreateDenseTimeseries(timestep=0.0)


@pytest.mark.parametrize('interface', CREATED)
def test_what_create_refuses(series, interface):
    with pytest.raises(UsageError, match='no surface and no volume'):
        _ = interface().argv
    with pytest.raises(UsageError, match="'structures'"):
        _ = interface(volume=series).argv
    part = 'label' if interface is CiftiCreateLabel else 'metric'
    with pytest.raises(UsageError, match=f"'left_{part}'"):
        _ = interface(left_roi=series).argv


def test_maps_with_names(wb_command, brain, tmp_path):
    maps = brain.map('effect', np.arange(len(brain.models)))
    parts = CiftiSeparate(in_file=maps, metric=['CORTEX_LEFT'], roi=True).run().outputs
    names = tmp_path / 'names.txt'
    names.write_text('first map\n')
    node = CiftiCreateDenseScalar(
        left_metric=parts.metric_files['CORTEX_LEFT'],
        left_roi=parts.metric_rois['CORTEX_LEFT'],
        name_file=names,
    )
    assert node.argv[-2:] == ['-name-file', str(names)]
    path = Path(node.run().outputs.out_file)
    data, models = read_maps(path)
    assert models.names == (LEFT,)
    np.testing.assert_array_equal(data[0], np.arange(len(models)))
    assert nib.load(path).header.get_axis(0).name.tolist() == ['first map']


def test_labels_apart_and_together(wb_command, brain):
    keys = np.arange(len(brain.models)) % 3
    labels = brain.labels('labels', keys, {0: '???', 1: 'one part', 2: 'another'})
    parts = (
        CiftiSeparate(
            in_file=labels,
            label=['CORTEX_LEFT', 'CORTEX_RIGHT'],
            volume_all=True,
            volume_label=True,
            roi=True,
        )
        .run()
        .outputs
    )
    table = nib.load(parts.label_files['CORTEX_LEFT']).labeltable.get_labels_as_dict()
    assert table == {0: '???', 1: 'one part', 2: 'another'}
    made = CiftiCreateLabel(
        volume=parts.volume_file,
        structures=parts.volume_label_file,
        left_label=parts.label_files['CORTEX_LEFT'],
        left_roi=parts.label_rois['CORTEX_LEFT'],
        right_label=parts.label_files['CORTEX_RIGHT'],
        right_roi=parts.label_rois['CORTEX_RIGHT'],
    ).run()
    again = read_labels(Path(made.outputs.out_file))
    assert again.names == {0: '???', 1: 'one part', 2: 'another'}
    surface = brain.models.is_surface
    np.testing.assert_array_equal(again.keys[again.models.is_surface], keys[surface])
    assert sorted(again.keys) == sorted(keys)
