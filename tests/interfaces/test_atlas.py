"""Average surfaces, votes on labels, and networks."""

from pathlib import Path

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.interfaces.atlas import (
    GroupAtlas,
    mean_surface,
    place_labels,
    spread,
    vote_labels,
)
from ketbids.io.cifti import read_labels, read_maps
from ketbids.io.surfaces import read_surface
from ketbids.stats.brainmodels import BrainModels
from tests.interfaces.files import BrainFiles
from tests.stats.small_brain import LEFT, PALLIDUM, PUTAMEN, RIGHT, STEM, SmallBrain

NAMES = {0: '???', 1: 'L_a', 2: 'L_b', 3: 'R_a'}


@pytest.fixture
def inputs(brain):
    """Two participants whose surfaces differ in size."""
    pairs = {kind: [brain.pair(f'{kind}{n}', n) for n in (1, 2)] for kind in ('mid', 'inflated')}
    return {
        'map_file': brain.map('effect', 1.0),
        'left_midthickness': [left for left, _ in pairs['mid']],
        'right_midthickness': [right for _, right in pairs['mid']],
        'left_inflated': [left for left, _ in pairs['inflated']],
        'right_inflated': [right for _, right in pairs['inflated']],
    }


def cortex(brain, *values):
    """Keys of grayordinates: the first ones as given, 1 in the cortex else, 0 in voxels."""
    keys = np.where(brain.models.is_surface, 1, 0)
    keys[: len(values)] = values
    return keys


def test_labels_and_surfaces(brain, inputs):
    files = [
        brain.labels(f'dk{n}', cortex(brain, *votes), NAMES)
        for n, votes in enumerate([(1, 2, 2, 3), (1, 2, 1, 1), (1, 1, 3, 2)])
    ]
    found = GroupAtlas(**inputs, label_files=files).run().outputs
    labels = read_labels(Path(found.desikan_killiany))
    # Unanimous; two of three; and a draw of three, which the lowest key wins.
    assert labels.keys[:4].tolist() == [1, 2, 1, 1]
    assert labels.names == NAMES
    assert labels.models.same_as(brain.models)
    agreement, _ = read_maps(Path(found.agreement))
    np.testing.assert_allclose(agreement[0, :4], [1, 2 / 3, 1 / 3, 1 / 3], rtol=1e-6)
    assert np.isnan(agreement[0, ~brain.models.is_surface]).all()
    assert found.density == brain.models.density
    for path, name in zip(found.midthickness, (LEFT, RIGHT), strict=True):
        surface, structure = read_surface(Path(path))
        assert structure == name
        expected = brain.brain.surfaces[name].coordinates * 1.5
        np.testing.assert_allclose(surface.coordinates, expected, atol=1e-4)


def test_networks_of_a_coarse_mesh(brain, inputs):
    networks = read_labels(Path(GroupAtlas(**inputs).run().outputs.yeo7))
    text = np.array([networks.names[key] for key in networks.keys.tolist()])
    assert set(text[~brain.models.is_surface]) == {'???'}
    assert '???' not in text[brain.models.is_surface]
    assert len(set(text[brain.models.is_surface])) >= 3


def test_without_labels_there_is_no_vote(inputs):
    found = GroupAtlas(**inputs).run().outputs
    assert not isinstance(found.desikan_killiany, str)
    assert Path(found.yeo7).is_file()


def test_given_labels_stand_in_for_the_vote(brain, inputs):
    vote = brain.labels('vote', cortex(brain), NAMES)
    given = brain.labels('given', cortex(brain, 2, 2), NAMES)
    own = brain.labels('own', cortex(brain, 3), NAMES)
    found = GroupAtlas(
        **inputs,
        label_files=[vote],
        atlas_names=['own', 'DesikanKilliany'],
        atlas_files=[own, given],
    )
    outputs = found.run().outputs
    assert read_labels(Path(outputs.desikan_killiany)).keys[:3].tolist() == [2, 2, 1]
    assert not isinstance(outputs.agreement, str)
    (placed,) = outputs.given
    assert read_labels(Path(placed)).keys[:3].tolist() == [3, 1, 1]


def voxels_only(brain, shift=0):
    """The structures of the voxels in another order, maybe on a grid that is moved by mm."""
    models, names = brain.models, (STEM, PALLIDUM, PUTAMEN)
    order = np.concatenate([np.arange(len(models))[models.where(name)] for name in names])
    affine = models.affine.copy()
    affine[0, 3] += shift
    moved = BrainModels(
        names,
        np.repeat([0, 1, 2], len(order) // 3).astype(np.int16),
        models.vertex[order],
        models.voxel[order],
        {},
        affine,
        models.volume_shape,
    )
    return moved, order


def test_voxels_of_an_atlas_are_placed_by_their_index(brain):
    models, order = voxels_only(brain)
    keys = np.arange(len(brain.models)) % 3 + 1
    path = brain.labels('voxels', keys[order], NAMES, models)
    placed = place_labels(path, brain.models)
    voxels = ~brain.models.is_surface
    np.testing.assert_array_equal(placed.keys[voxels], keys[voxels])
    assert not placed.keys[~voxels].any()
    moved, _ = voxels_only(brain, shift=1)
    path = brain.labels('moved', keys[order], NAMES, moved)
    with pytest.raises(InputError, match=r'moved\.dlabel\.nii has voxels of another grid'):
        place_labels(path, brain.models)


def test_labels_that_cannot_be_used_are_refused(brain):
    path = brain.labels('keys', cortex(brain, 9), NAMES)
    with pytest.raises(InputError, match=r'keys\.dlabel\.nii has the label keys 9, to which'):
        place_labels(path, brain.models)
    path = brain.labels('none', 0 * cortex(brain), NAMES)
    with pytest.raises(InputError, match=r'none\.dlabel\.nii has no label on the grayordinates'):
        place_labels(path, brain.models)
    with pytest.raises(InputError, match=r'effect\.dscalar\.nii is not a dense label'):
        place_labels(brain.map('effect', 1.0), brain.models)


def test_a_surface_of_another_mesh_is_named(brain, tmp_path):
    (tmp_path / 'fine').mkdir()
    coarse, _ = brain.pair()
    fine, _ = BrainFiles(tmp_path / 'fine', level=2).pair()
    with pytest.raises(InputError, match=r'162 vertices.* 42') as caught:
        mean_surface([coarse, fine])
    assert fine in str(caught.value)
    assert coarse in str(caught.value)


def test_label_tables_must_agree(brain):
    one = brain.labels('one', cortex(brain), NAMES)
    two = brain.labels('two', cortex(brain), {**NAMES, 1: 'L_other'})
    with pytest.raises(InputError, match=r'two\.dlabel\.nii and .*one\.dlabel\.nii'):
        vote_labels([one, two], brain.models)


def test_labels_of_another_mesh_are_refused(brain):
    fine = SmallBrain(level=2).models
    path = brain.labels('fine', np.zeros(len(fine)), NAMES, fine)
    with pytest.raises(InputError, match=r'fine\.dlabel\.nii is on another mesh'):
        vote_labels([path], brain.models)


def test_labels_are_placed_by_vertex_not_by_column(brain):
    """Label files of the HCP hold the whole mesh or another medial wall."""
    models = SmallBrain(volume=False).models
    keys = np.where(models.structure == 0, models.vertex + 1, 1000 + models.vertex)
    order = np.r_[models.where(RIGHT), models.where(LEFT)]
    shuffled = type(models)(
        (RIGHT, LEFT),
        np.sort(models.structure)[::1],
        models.vertex[order],
        models.voxel[order],
        models.n_vertices,
    )
    names = {int(key): str(key) for key in keys} | {0: '???'}
    path = brain.labels('shuffled', keys[order], names, shuffled)
    placed = spread(read_labels(Path(path)), brain.models, path)
    for name, first in ((LEFT, 1), (RIGHT, 1000)):
        here = brain.models.where(name)
        np.testing.assert_array_equal(placed[here], brain.models.vertex[here] + first)
    assert not placed[~brain.models.is_surface].any()
