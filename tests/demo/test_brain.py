import nibabel as nb
import numpy as np
import pytest

from ketbids.demo.brain import HEMISPHERES, brain_like, full_brain, small_brain
from ketbids.demo.subcortex import subcortex
from ketbids.errors import InputError
from ketbids.io.cifti import brain_model_axis, write_maps

STANDARD = {
    'ACCUMBENS': (135, 140),
    'AMYGDALA': (315, 332),
    'CAUDATE': (728, 755),
    'CEREBELLUM': (8709, 9144),
    'DIENCEPHALON_VENTRAL': (706, 712),
    'HIPPOCAMPUS': (764, 795),
    'PALLIDUM': (297, 260),
    'PUTAMEN': (1060, 1010),
    'THALAMUS': (1288, 1248),
}


@pytest.fixture(scope='module')
def full():
    return full_brain()


def test_small_brain(brain):
    assert 9500 < len(brain.models) < 10500
    assert brain.models.density == '10k'
    assert len(brain.models.names) == 21
    for name in HEMISPHERES.values():
        left_out = brain.models.n_vertices[name] - len(brain.area[brain.models.where(name)])
        assert 0.05 < left_out / brain.models.n_vertices[name] < 0.12  # the medial wall
    surface = brain.models.is_surface
    assert (brain.area[surface] != '').all()
    assert (brain.area[~surface] == '').all()
    assert len(set(brain.area[surface])) > 355  # of 360 areas


def test_small_brain_is_the_same_every_time(brain):
    assert brain.models.same_as(small_brain().models)


def test_full_brain_has_the_standard_numbers(full):
    models = full.models
    assert len(models) == 91282
    assert models.is_surface.sum() == 59412
    assert models.volume_shape == (91, 109, 91)
    sizes = {
        name.removeprefix('CIFTI_STRUCTURE_'): int((models.structure == code).sum())
        for code, name in enumerate(models.names)
    }
    assert sizes['BRAIN_STEM'] == 3472
    for name, both in STANDARD.items():
        assert (sizes[f'{name}_LEFT'], sizes[f'{name}_RIGHT']) == both


def test_full_brain_has_the_layout_of_the_real_template(full, shared):
    template = shared / 'data' / 'hcp_templates' / '91282_Greyordinates.dscalar.nii'
    real = brain_like(template).models
    assert real.names == full.models.names
    assert (real.structure == full.models.structure).all()
    assert (real.vertex == full.models.vertex).all()
    assert np.allclose(real.affine, full.models.affine)
    voxels = ~real.is_surface
    for name in real.names[2:]:
        part = real.where(name)
        apart = real.voxel[part].mean(axis=0) - full.models.voxel[part].mean(axis=0)
        assert np.linalg.norm(apart) * 2 < 4, name  # mm
    assert voxels.sum() == 31870


def test_subcortical_structures_are_disjoint_and_on_their_side():
    grid = subcortex(4.0)
    everything = np.concatenate(list(grid.voxels.values()))
    assert len(np.unique(everything, axis=0)) == len(everything)
    for name, voxels in grid.voxels.items():
        x = voxels @ grid.affine[0, :3] + grid.affine[0, 3]
        assert len(voxels) >= 15
        if name.endswith('LEFT'):
            assert x.max() < 0
        if name.endswith('RIGHT'):
            assert x.min() > 0


def test_diffusion_averages(brain):
    constant = brain.diffusion @ np.ones(len(brain.models), np.float32)
    assert constant == pytest.approx(1, abs=1e-6)
    assert brain.steps(20) > brain.steps(5) >= 1


def test_like_takes_the_brain_models_of_a_file(full, tmp_path):
    target = tmp_path / 'some.dscalar.nii'
    write_maps(target, {'a': np.zeros(len(full.models))}, full.models)
    assert brain_like(target).models.same_as(full.models)


def test_like_refuses_other_meshes_and_files(brain, tmp_path):
    coarse = tmp_path / 'coarse.dscalar.nii'
    write_maps(coarse, {'a': np.zeros(len(brain.models))}, brain.models)
    with pytest.raises(InputError, match=r'3242 vertices.*32k'):
        brain_like(coarse)
    with pytest.raises(InputError, match='does not exist'):
        brain_like(tmp_path / 'absent.dscalar.nii')
    text = tmp_path / 'text.nii'
    text.write_text('no')
    with pytest.raises(InputError, match='cannot be read as a CIFTI-2 file'):
        brain_like(text)


def test_like_refuses_a_file_without_grayordinates(tmp_path):
    axes = [nb.cifti2.ScalarAxis(['a']), nb.cifti2.SeriesAxis(0, 1, 5)]
    image = nb.cifti2.Cifti2Image(np.zeros((1, 5), np.float32), header=axes)
    target = tmp_path / 'x.dscalar.nii'
    image.to_filename(target)
    with pytest.raises(InputError, match='no grayordinates'):
        brain_like(target)


def test_axis_round_trip(brain):
    from ketbids.io.cifti import brain_models

    assert brain_models(brain_model_axis(brain.models)).same_as(brain.models)
