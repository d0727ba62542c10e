import numpy as np
import pytest

from ketbids.demo.trialtypes import person_effects, plant_trial_types

TRIALS = {'stop': 50, 'go': 150, 'failed': 20}


@pytest.fixture(scope='module')
def effects(brain):
    return plant_trial_types(brain, TRIALS, 3)


def test_the_most_frequent_type_has_the_network_alone(effects):
    assert list(effects.amplitudes) == ['failed', 'go', 'stop']
    network = effects.amplitudes['go']
    assert set(network) == {'visualNetwork', 'motorNetwork', 'attentionNetwork'}
    for name in ('failed', 'stop'):
        own = {k: v for k, v in effects.amplitudes[name].items() if k not in network}
        assert sorted(own.values()) == [-0.5, -0.4, 0.4, 0.5, 0.6, 0.6]
        assert network.items() <= effects.amplitudes[name].items()


def test_regions_do_not_overlap(effects):
    masks = np.array([region.mask for region in effects.regions.values()])
    assert len(masks) == 3 + 2 * 6
    assert masks.sum(axis=0).max() == 1
    assert masks.sum(axis=1).min() > 5


def test_maps_are_the_amplitudes_with_soft_edges(effects):
    contrast = effects.maps[2] - effects.maps[1]
    for name, amplitude in effects.amplitudes['stop'].items():
        if name not in effects.amplitudes['go']:
            inside = contrast[effects.regions[name].mask]
            assert np.median(inside) == pytest.approx(amplitude, abs=0.25)
    own = [r.mask for n, r in effects.regions.items() if n not in effects.amplitudes['go']]
    assert abs(contrast[~np.any(own, axis=0)].mean()) < 0.02


def test_the_rule_knows_names_and_seed_only(brain, effects):
    shuffled = dict(reversed(TRIALS.items()))
    again = plant_trial_types(brain, shuffled, 3)
    assert again.amplitudes == effects.amplitudes
    assert (again.maps == effects.maps).all()
    assert plant_trial_types(brain, TRIALS, 4).amplitudes != effects.amplitudes


def test_equally_frequent_types_and_one_alone(brain):
    assert len(plant_trial_types(brain, {'b': 5, 'a': 5}, 1).amplitudes['a']) == 3
    assert list(plant_trial_types(brain, {'only': 5}, 1).amplitudes) == ['only']


def test_many_trial_types_share_regions(brain):
    many = plant_trial_types(brain, {f't{i:02d}': 1 for i in range(30)}, 1)
    assert all(len(own) >= 8 for name, own in many.amplitudes.items() if name != 't00')
    assert np.isfinite(many.maps).all()


def test_people_differ_around_the_planted_maps(effects):
    people = np.array([person_effects(effects, f'sub-{i:02d}') for i in range(30)])
    assert (people[0] == person_effects(effects, 'sub-00')).all()
    gap = people.mean(axis=0) - effects.maps
    assert np.sqrt((gap**2).mean()) < 0.06
    contrast = people[:, 2] - people[:, 1]
    assert 0.08 < contrast.std(axis=0).mean() < 0.2
