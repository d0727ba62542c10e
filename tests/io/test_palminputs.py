"""Inputs and masks of ketbids-palm: what is read, and what is refused."""

import gzip
import tracemalloc

import nibabel as nb
import numpy as np
import pytest

from ketbids.errors import InputError, UsageError
from ketbids.io.cifti import write_maps
from ketbids.io.palminputs import read_input, read_inputs, volume_models
from ketbids.io.palmmasks import read_mask, read_masks
from ketbids.io.surfaces import write_surface
from ketbids.stats.graph import adjacency
from tests.io.palmfiles import (
    BRAIN,
    GRID,
    INPUTS,
    every_input,
    observations,
    save_csv,
    save_gifti,
    save_nifti,
)
from tests.stats.small_brain import LEFT, SmallBrain


@pytest.mark.parametrize('name', INPUTS)
def test_the_locations_that_can_be_tested_are_read(tmp_path, name):
    path, data = every_input(tmp_path)[name]
    found = read_input(path)
    good = np.ones(data.shape[1], bool)
    good[[3, 5, 7]] = False
    np.testing.assert_array_equal(found.mask, good)
    np.testing.assert_allclose(found.data, data[:, good], rtol=1e-7)
    assert found.usable[1:] == (1, 1, 1)
    assert (found.n_observations, found.n_locations) == data.shape
    assert found.data.dtype == (np.float64 if name in ('nifti2', 'csv') else np.float32)
    assert found.data.flags.c_contiguous
    whole = found.whole(found.data[0])
    np.testing.assert_allclose(whole, np.where(good, data[0], 0), rtol=1e-7)
    assert (found.models is not None) == name.startswith('d')
    assert found.structure == ('CortexLeft' if name.startswith('gifti') else '')
    assert found.grid == {'surface': (24, 1, 1)}.get(name, GRID if 'nifti' in name else None)


def test_volumes_are_in_c_order_and_find_their_neighbours(tmp_path):
    data = np.random.default_rng(0).normal(size=(3, *GRID))
    data[:, 1, 1, 1] = 0
    found = read_input(save_nifti(tmp_path / 'a.nii', data, dtype=np.float64))
    voxels = volume_models(found).voxel
    np.testing.assert_array_equal(found.data[2], data[2][tuple(voxels.T)])
    graph = adjacency(volume_models(found), {})
    rows = np.repeat(np.arange(len(voxels)), np.diff(graph.indptr))
    assert (np.abs(voxels[rows] - voxels[graph.indices]).sum(axis=1) == 1).all()
    assert len(rows) == 2 * (3 * 3 * 2 + 4 * 2 * 2 + 4 * 3 * 1 - 5)


@pytest.mark.parametrize('dtype', [np.int16, np.uint8, np.int32, '>f4'])
def test_stored_types(tmp_path, dtype):
    data = np.random.default_rng(0).integers(0, 99, (3, *GRID))
    found = read_input(save_nifti(tmp_path / 'a.nii', data, dtype=dtype))
    np.testing.assert_array_equal(found.data, data.reshape(3, -1))
    assert found.data.dtype == (np.float64 if dtype == np.int32 else np.float32)


def masks(folder):
    """A mask of every format that leaves out locations 0 and 5, with NaN for one."""
    values = np.ones(24, np.float32)
    values[0], values[1] = 0, np.nan
    values[2] = -3
    gray = np.ones(len(BRAIN.models), np.float32)
    gray[:2] = 0, np.nan
    return {
        'cifti': write_maps(folder / 'm.dscalar.nii', {'m': gray}, BRAIN.models),
        'gifti': save_gifti(folder / 'm.shape.gii', [values]),
        'nifti': save_nifti(folder / 'm.nii.gz', values.reshape(GRID)),
        'surface': save_nifti(folder / 'ms.nii', values.reshape(24, 1, 1)),
        'csv': save_csv(folder / 'm.csv', values.reshape(4, 6)),
    }


@pytest.mark.parametrize(
    ('name', 'mask'),
    [
        ('dscalar', 'cifti'),
        ('dtseries', 'cifti'),
        ('gifti', 'gifti'),
        ('gifti', 'csv'),
        ('nifti', 'nifti'),
        ('nifti.gz', 'nifti'),
        ('surface', 'surface'),
        ('surface', 'gifti'),
        ('csv', 'csv'),
    ],
)
def test_a_mask_and_the_rule_for_locations_hold_both(tmp_path, name, mask):
    path, data = every_input(tmp_path)[name]
    found = read_input(path, read_mask(masks(tmp_path)[mask]))
    good = np.ones(data.shape[1], bool)
    good[[0, 1, 3, 5, 7]] = False
    np.testing.assert_array_equal(found.mask, good)
    np.testing.assert_allclose(found.data, data[:, good], rtol=1e-7)
    assert len(found.usable.mask) == data.shape[1] - 2
    assert found.usable[1:] == (1, 1, 1)


def test_one_mask_for_all_or_one_for_each(tmp_path):
    path = str(masks(tmp_path)['csv'])
    assert read_masks([], 2) == [None, None]
    assert read_masks(['auto'], 2) == [None, None]
    one = read_masks([path], 3)
    assert len(one) == 3
    assert one[0] is one[2]
    assert [m is None for m in read_masks(['auto', path], 2)] == [True, False]
    with pytest.raises(UsageError, match='2 -m for 3 -i'):
        read_masks([path, path], 3)


def test_voxels_at_other_places_are_noted(tmp_path):
    data = save_nifti(tmp_path / 'a.nii', observations(24).reshape(5, *GRID))
    image = nb.Nifti1Image(np.ones(GRID, np.float32), np.diag([2.0, 2, 2, 1]))
    nb.save(image, tmp_path / 'm.nii')
    (note,) = read_input(data, read_mask(tmp_path / 'm.nii')).notes
    assert 'up to 7 mm apart' in note


def test_a_volume_is_never_held_whole(tmp_path):
    grid, n = (60, 60, 40), 12
    data = np.random.default_rng(0).normal(size=(n, *grid)).astype(np.float32)
    inside = np.zeros(grid, np.float32)
    inside[20:30, 20:30, 20:30] = 1
    path = save_nifti(tmp_path / 'a.nii.gz', data)
    mask = read_mask(save_nifti(tmp_path / 'm.nii', inside))
    del data
    tracemalloc.start()
    found = read_input(path, mask)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.data.shape == (n, 1000)
    # A few volumes at a time; all of them would be 6.9 MB as stored and 13.8 MB in double.
    assert peak < 4e6


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    return path


def bad_inputs(folder):
    """Files that cannot be tested: what is wrong with each -> path and message."""
    good = every_input(folder)
    data = observations(24)

    def text(name, content):
        (folder / name).write_text(content)
        return folder / name

    (folder / 'text.nii.gz').write_bytes(gzip.compress(b'x' * 400))
    labels = text('x.dlabel.nii', 'x')
    nb.save(nb.Nifti1Image(np.ones((*GRID, 3), np.complex64), np.eye(4)), folder / 'complex.nii')
    (folder / 'cifti.nii').write_bytes(good['dscalar'][0].read_bytes())
    write_surface(folder / 'x.surf.gii', BRAIN.surfaces[LEFT], LEFT)
    long = save_nifti(folder / 'l.nii.gz', np.random.default_rng(0).normal(size=(5, 20, 20, 10)))
    for path in (*(good[name][0] for name in ('dscalar', 'nifti', 'nifti.gz', 'gifti')), long):
        truncated(path)
    huge = bytearray(nb.Nifti1Image(np.zeros((1, 1, 1, 2)), np.eye(4)).to_bytes())
    huge[42:48] = b'\xff\x7f' * 3
    (folder / 'huge.nii.gz').write_bytes(gzip.compress(huge))
    outside = (
        (folder / 'b.shape.gii')
        .read_text()
        .replace('ExternalFileName=""', 'ExternalFileName="../secret.dat"')
    )
    return [
        (folder / 'no.nii', 'does not exist'),
        (folder / 'huge.nii.gz', 'is damaged: its header describes 5628'),
        (text('outside.gii', outside), 'keeps its data in a file elsewhere'),
        (folder, 'is a folder'),
        (text('e.nii', ''), 'is empty'),
        (text('a.txt', '1'), 'data must be .dscalar.nii'),
        (labels, 'CIFTI file of the kind dlabel'),
        (text('a.dscalar.nii.gz', 'x'), 'Run gunzip'),
        (good['dscalar'][0], 'it is truncated'),
        (good['nifti'][0], 'is truncated: 554 bytes instead of 832'),
        (good['nifti.gz'][0], 'cannot be read as a NIfTI file'),
        (long, 'damaged or truncated: volume 4 of 5'),
        (good['gifti'][0], 'cannot be read as a GIFTI file'),
        (text('junk.nii', 'x' * 400), 'cannot be read as a NIfTI file'),
        (folder / 'text.nii.gz', 'cannot be read as a NIfTI file'),
        (folder / 'complex.nii', 'not real numbers'),
        (folder / 'cifti.nii', 'its name must end in .dscalar.nii'),
        (folder / 'x.surf.gii', 'is a surface, not data on one'),
        (save_nifti(folder / '3d.nii', data[0].reshape(GRID)), r'has 3 dimensions \(4 x 3 x 2\)'),
        (save_gifti(folder / 'one.func.gii', data[:1]), 'has 1 observation:'),
        (save_csv(folder / 'one.csv', data[:1, :2]), 'has 1 observation:'),
        (save_gifti(folder / 'r.func.gii', [data[0], data[1][:9]]), r'have \(9,\), \(24,\)'),
        (save_gifti(folder / 'none.func.gii', []), 'holds no data'),
        (text('s.csv', '1,2\nx,4\n'), "line 2, column 1: 'x' is not a number"),
        (text('r.csv', '1,2\n3\n'), 'line 2: 1 values, but line 1 has 2'),
        (text('h.csv', 'thickness,area\n1,2\n2,1\n'), 'header line, remove it'),
        (
            save_csv(folder / 'const.csv', np.array([[1, 0, np.nan], [1, 0, 2]])),
            'no location can be tested: 1 have NaN or Inf, 1 are constant, 1 are zero',
        ),
    ]


def test_bad_inputs_are_named(tmp_path):
    cases = bad_inputs(tmp_path)
    assert len(cases) >= 20
    for path, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            read_input(path)
        assert str(path) in str(caught.value)


def test_inputs_differ_in_their_observations(tmp_path):
    a = save_csv(tmp_path / 'a.csv', observations(24)[:, :3])
    b = save_csv(tmp_path / 'b.csv', observations(24)[:4, :3])
    assert len(read_inputs([a, a], [None, None])) == 2
    with pytest.raises(InputError, match=r'b.csv has 4 observations, but .*a.csv has 5'):
        read_inputs([a, b], [None, None])


def test_masks_that_do_not_fit(tmp_path):
    inputs, found = every_input(tmp_path), masks(tmp_path)
    turned = save_nifti(tmp_path / 't.nii', np.ones(GRID[::-1]))
    other = SmallBrain()
    moved = other.models.voxel.copy()
    moved[other.models.vertex < 0] += 1
    object.__setattr__(other.models, 'voxel', moved)
    wrong = write_maps(tmp_path / 'w.dscalar.nii', {'m': np.ones(len(moved))}, other.models)
    nothing = save_csv(tmp_path / 'z.csv', np.zeros((1, 24)))
    for name, mask, message in (
        ('nifti', turned, r't.nii has 2 x 3 x 4 voxels, but .*a.nii has 4 x 3 x 2 voxels'),
        ('nifti', found['csv'], 'm.csv has 24 locations, but'),
        ('csv', found['nifti'], 'm.nii.gz has 4 x 3 x 2 voxels, but'),
        ('csv', found['cifti'], f'has {len(BRAIN.models)} locations, but .*a.csv has 24'),
        ('dscalar', wrong, 'do not have the same brain models'),
        ('csv', nothing, 'z.csv is empty: no location'),
        ('nifti', inputs['nifti'][0], 'must be one volume; its data are 4 x 3 x 2 x 5'),
        ('csv', inputs['gifti'][0], 'must hold one map, but has 5'),
    ):
        with pytest.raises(InputError, match=message):
            read_input(inputs[name][0], read_mask(mask))


def test_outputs_of_palm_are_masks(shared):
    for name in ('tfceV_twotail/palm_vox_tstat.nii.gz', 'uni_onetail/palm_vox_tstat_m1_c1.nii.gz'):
        path = shared / 'reference/palm/twosample_exact/out' / name
        mask = read_mask(path)
        whole = np.asarray(nb.load(path).dataobj).reshape(-1)
        np.testing.assert_array_equal(mask.inside, whole != 0)
        data = path.parents[2] / 'inputs' / ('L.nii' if '_m1' in name else 'V.nii')
        np.testing.assert_array_equal(read_input(data, mask).mask, mask.inside)


def test_a_mask_without_a_usable_location(tmp_path):
    data = observations(24)
    only = np.zeros((1, 24))
    only[0, [3, 7]] = 1
    mask = read_mask(save_csv(tmp_path / 'm.csv', only))
    with pytest.raises(InputError, match=r'no location within .*m.csv can be tested: 1 have NaN'):
        read_input(save_csv(tmp_path / 'a.csv', data), mask)


def test_labels_are_no_mask(tmp_path):
    (tmp_path / 'm.dlabel.nii').write_bytes(b'x')
    with pytest.raises(InputError, match='of the kind dlabel'):
        read_mask(tmp_path / 'm.dlabel.nii')


def test_reference_inputs_are_those_of_nibabel(shared):
    reference = shared / 'reference/palm'
    cases = [path.parent for path in sorted(reference.glob('*/case.json'))]
    assert len(cases) >= 5
    for case in cases:
        found = {
            name: read_input(case / 'inputs' / name)
            for name in ('L.func.gii', 'L.nii', 'R.nii', 'V.nii', 'LRV.nii', 'probe.csv')
        }
        for name, read in found.items():
            if name.endswith('.csv'):
                whole = np.loadtxt(case / 'inputs' / name, delimiter=',')
            elif name.endswith('.gii'):
                whole = np.stack(nb.load(case / 'inputs' / name).agg_data())
            else:
                image = np.asarray(nb.load(case / 'inputs' / name).dataobj)
                whole = np.moveaxis(image, -1, 0).reshape(image.shape[-1], -1)
            np.testing.assert_array_equal(read.data, whole[:, read.mask])
            outside = whole[:, ~read.mask]
            assert (np.ptp(outside, axis=0) == 0).all()
        np.testing.assert_array_equal(found['L.func.gii'].data, found['L.nii'].data)
        joint = np.concatenate([found[f'{part}.nii'].data for part in 'LRV'], axis=1)
        np.testing.assert_array_equal(found['LRV.nii'].data, joint)
    voxels = read_input(cases[0] / 'inputs/V.nii', read_mask(reference / 'common/V.mask.nii'))
    assert voxels.data.shape[1] == 1100
