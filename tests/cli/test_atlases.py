"""Atlases that are given, and those that a model file needs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ketbids.cli.atlases import atlas_stamps, check_atlases
from ketbids.errors import InputError
from ketbids.model import load_model
from tests.interfaces.files import BrainFiles
from tests.workflows.studies import settings


@pytest.fixture
def brain(tmp_path):
    return BrainFiles(tmp_path)


@pytest.fixture
def check(brain, tmp_path):
    def run(asked=('remitterChange',), model=None, **files):
        atlases = tuple((name, Path(path)) for name, path in files.items())
        made = settings(tmp_path, 'group', atlases=atlases)
        map_file = Path(brain.map('effect', 1.0))
        check_atlases(made, model or load_model(), asked, map_file)
        return atlas_stamps(made)

    return run


def with_atlas(atlas):
    """The packaged model, one analysis of which is cut by another atlas."""
    model = load_model()
    analyses = [
        replace(item, roi_atlas=atlas) if item.name == 'remitterChange' else item
        for item in model.analyses
    ]
    return replace(model, analyses=tuple(analyses))


def test_the_packaged_model_needs_no_files(check):
    assert check() == {}


def test_an_atlas_that_is_not_given(brain, check):
    with pytest.raises(
        InputError,
        match=r'node remitterChange, Rois.Atlas: there is no atlas own. .* --atlas own=FILE',
    ):
        check(model=with_atlas('own'))
    check(asked=['meanHC'], model=with_atlas('own'))
    path = brain.labels('own', np.ones(len(brain.models)), {0: '???', 1: 'L_a'})
    (stamp,) = check(model=with_atlas('own'), own=path).values()
    assert stamp[0] == path


def test_a_declared_region_needs_its_atlas(check):
    model = replace(load_model(), regions={'front': ('own', ('L_a',))})
    with pytest.raises(InputError, match=r'Regions\.front: there is no atlas own'):
        check(model=model)


def test_a_file_that_does_not_fit(brain, check, tmp_path):
    (tmp_path / 'fine').mkdir()
    fine = BrainFiles(tmp_path / 'fine', level=2)
    path = fine.labels('own', np.ones(len(fine.models)), {0: '???', 1: 'L_a'})
    with pytest.raises(InputError, match=r'own\.dlabel\.nii is on another mesh than the maps'):
        check(own=path)
    with pytest.raises(InputError, match=r'absent\.dlabel\.nii does not exist'):
        check(own=tmp_path / 'absent.dlabel.nii')
