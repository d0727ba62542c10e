"""Maps of one group must have been made alike."""

import dataclasses
from types import SimpleNamespace

import pandas as pd
import pytest

from ketbids.cli.mapsettings import common_settings
from ketbids.cli.planning import variance_columns
from ketbids.errors import InputError
from ketbids.io.files import write_json
from ketbids.io.preprocessed import AVERAGE_SURFACES
from ketbids.model import load_model

MADE = {
    'SmoothingAddedFWHM': 5.0,
    'SmoothingTotalFWHM': 5.3852,
    'HRFModel': 'spm',
    'HighPassCutoffHz': 0.005,
    'DroppedVolumes': 0,
    'Preprocessing': 'fMRIPrep',
    'Confounds': [],
    'NoiseModel': 'AR(6)',
    'NoiseSmoothingFWHM': 5.0,
    'ConditionWeights': {'correctGo': -1.0, 'correctNogo': 1.0},
}


@pytest.fixture
def group(tmp_path):
    """Sidecars of two maps, and what `common_settings` says of them."""

    def run(first=MADE, second=MADE):
        paths = ['a.dscalar.nii', 'b.dscalar.nii']
        for path, content in zip(paths, (first, second), strict=True):
            write_json(tmp_path / path.replace('.dscalar.nii', '.json'), content)
        maps = pd.DataFrame({'contrast': 'nogoVsGo', 'path': paths})
        return common_settings(tmp_path, maps, load_model().run.contrasts)

    return run


def test_maps_that_were_made_alike(group):
    same = {key: value for key, value in MADE.items() if key != 'ConditionWeights'}
    assert group() == {**same, 'AverageSurfaces': 0, 'UnevenPeaks': {}}


def test_maps_without_surfaces_of_their_own_are_counted(group):
    found = group(second={**MADE, 'Surfaces': AVERAGE_SURFACES})
    assert found['AverageSurfaces'] == 1


def test_events_of_other_durations_are_noticed(group):
    first, second, near = (
        {**MADE, 'RegressorPeaks': {'correctGo': peak, 'correctNogo': 0.1, 'other': peak}}
        for peak in (0.1, [0.1, 0.4], 0.11)
    )
    assert group(first, near)['UnevenPeaks'] == {}
    assert group(first, second)['UnevenPeaks'] == {'correctGo': (0.1, 0.4)}


def test_effects_in_percent_and_others_do_not_go_together(group):
    with pytest.raises(InputError, match=r"MeanSignal is 'known' and 'unknown'"):
        group({**MADE, 'MeanSignal': 10000.0}, {**MADE, 'MeanSignal': None})


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('SmoothingAddedFWHM', 0.0),
        ('HRFModel', 'glover'),
        ('HighPassCutoffHz', 0.01),
        ('DroppedVolumes', 2),
        ('Preprocessing', 'HCP pipelines'),
        ('Confounds', ['24', 'acompcor']),
        ('ConditionWeights', {'correctGo': 1.0, 'correctNogo': -1.0}),
    ],
)
def test_maps_that_were_made_differently(group, key, value):
    with pytest.raises(InputError, match=f'a.dscalar.nii and b.dscalar.nii.*{key}'):
        group(second={**MADE, key: value})


def test_maps_of_another_model(group):
    turned = {**MADE, 'ConditionWeights': {'correctGo': 1.0, 'correctNogo': -1.0}}
    with pytest.raises(InputError, match=r'contrast nogoVsGo is .* but the model file says'):
        group(turned, turned)


def design_of(groups):
    names = ('group[HC]', 'group[TRD]', 'age')
    columns = {name: [float(name == f'group[{g}]') for g in groups] for name in names[:2]}
    rows = pd.DataFrame(columns | {'age': [float(n) for n in range(len(groups))]})
    return SimpleNamespace(names=names, rows=rows)


def test_variance_groups_are_rows_that_are_equal_in_the_columns_of_a_factor():
    analysis = load_model().analysis('hcVsTrd')
    design = design_of(['HC'] * 3 + ['TRD'] * 4)
    assert variance_columns(analysis, design) == ()
    analysis = dataclasses.replace(analysis, variance_groups='group')
    assert variance_columns(analysis, design) == ('group[HC]', 'group[TRD]')


@pytest.mark.parametrize('factor', ['group', 'age', 'sex'])
def test_variance_groups_have_enough_maps(factor):
    """Two of one group; a number that makes a group of everybody; one that was left out."""
    analysis = dataclasses.replace(load_model().analysis('hcVsTrd'), variance_groups=factor)
    with pytest.raises(InputError, match=f'{factor} does not make two or more groups of at least'):
        variance_columns(analysis, design_of(['HC'] * 2 + ['TRD'] * 5))
