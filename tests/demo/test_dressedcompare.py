import json

import numpy as np
import pytest

from ketbids.demo.document import encode
from ketbids.demo.dressedcompare import GroupContrast, compare_dressed, render_dressed
from ketbids.demo.trialtypes import plant_trial_types
from ketbids.errors import InputError
from ketbids.io.cifti import write_maps

TYPES = {'go': ('go',), 'stop': ('good_stop', 'bad_stop')}
MEAN = GroupContrast('mean', 'stopVsGo', {'stop': 1.0, 'go': -1.0}, TYPES, 1.0)
SLOPE = GroupContrast('slope', 'stopVsGo', {'stop': 1.0, 'go': -1.0}, TYPES, 0.0)


class Results:
    """Made-up results of the group level, by default as planted."""

    def __init__(self, folder, brain):
        self.out, self.truth_maps = folder / 'out', folder / 'truth.dscalar.nii'
        self.brain = brain
        counts = {'go': 60, 'good_stop': 30, 'bad_stop': 10}
        effects = plant_trial_types(brain, counts, 7)
        self.truth = {
            'geometry': {'n_grayordinates': len(brain.models), 'density': brain.models.density},
            'trialTypes': {
                name: {'trials': counts[name], 'amplitudes': amplitudes}
                for name, amplitudes in effects.amplitudes.items()
            },
            'regions': {
                name: {'grayordinates': encode(region.mask)}
                for name, region in effects.regions.items()
            },
        }
        names = list(effects.amplitudes)
        write_maps(self.truth_maps, dict(zip(names, effects.maps, strict=True)), brain.models)
        weights = {'go': -1.0, 'good_stop': 0.75, 'bad_stop': 0.25}
        self.planted = sum(weights[n] * m for n, m in zip(names, effects.maps, strict=True))
        hard = np.zeros(len(brain.models))
        for name, weight in weights.items():
            for region, amplitude in effects.amplitudes[name].items():
                hard += weight * amplitude * effects.regions[region].mask
        self.hard = np.where(abs(hard) > 1e-9, hard, 0)

    def write(self, test, found, effect):
        start = self.out / 'group' / f'node-{test.analysis}'
        start /= f'node-{test.analysis}_contrast-{test.contrast}'
        end = f'space-fsLR_den-{self.brain.models.density}_stat'
        models = self.brain.models
        z = 5.0 * found['pos'] - 5.0 * found['neg']
        write_maps(f'{start}_{end}-z_statmap.dscalar.nii', {'z': z}, models)
        write_maps(f'{start}_{end}-effect_statmap.dscalar.nii', {'effect': effect}, models)
        sources = [f'bids::sub-{i}/func/sub-{i}_effect.dscalar.nii' for i in (1, 2)]
        path = self.out / 'group' / f'node-{test.analysis}'
        path /= f'{start.name}_{end}-effect_statmap.json'
        path.write_text(json.dumps({'Sources': sources}))
        for i in (1, 2):
            sidecar = self.out / f'sub-{i}' / 'func' / f'sub-{i}_effect.json'
            sidecar.parent.mkdir(parents=True, exist_ok=True)
            content = {'RegressorPeaks': {'stop': 0.1, 'go': 0.1}, 'MeanSignal': 10000.0}
            sidecar.write_text(json.dumps(content))
        for sign, mask in found.items():
            p = np.where(mask, 0.01, 0.7)
            name = f'{start}_desc-{sign}_{end}-pfwe_statmap.dscalar.nii'
            write_maps(name, {'p': p}, models)

    def as_planted(self):
        found = {'pos': self.hard > 0, 'neg': self.hard < 0}
        self.write(MEAN, found, 900 * self.planted)
        self.write(SLOPE, {s: np.zeros_like(m) for s, m in found.items()}, 0 * self.planted)

    def compare(self, *tested):
        return compare_dressed(self.truth, self.truth_maps, self.out, tested or (MEAN, SLOPE))


@pytest.fixture
def results(tmp_path, brain):
    made = Results(tmp_path, brain)
    made.as_planted()
    return made


def test_as_planted(results):
    found = results.compare()
    assert found.failures == ()
    rows = found.maps.set_index(['analysis', 'direction'])
    assert rows.loc[('mean', 'pos'), 'planted'] == (results.hard > 0).sum()
    assert (rows.loc['mean', 'dice'] == 1).all()
    assert rows['required'].tolist() == [True, True, False, False]
    (effect,) = found.effects.to_dict('records')
    assert effect['n'] == 2
    assert effect['correlation'] == pytest.approx(1)
    # 100 x effect x peak / mean, of an effect that is 900 x the planted percent
    assert effect['ratio'] == pytest.approx(0.9, rel=1e-3)
    text = render_dressed(found)
    assert text.splitlines()[-1] == 'All that is required was found as planted.'
    assert 'stopVsGo      2         1.00          0.90' in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_condition_of_several_trial_types_is_their_mean_by_frequency(results):
    found = results.compare()
    assert (
        found.maps['planted'][:2] == [(results.hard > 0).sum(), (results.hard < 0).sum()]
    ).all()
    assert np.unique(np.abs(results.hard[results.hard != 0]).round(4)).tolist() == sorted(
        round(share * size, 4) for share in (0.25, 0.75) for size in (0.4, 0.5, 0.6)
    )


def test_the_network_cancels_in_a_difference_and_not_in_a_sum(results):
    sum_of_both = GroupContrast('mean', 'stopVsGo', {'stop': 1.0, 'go': 1.0}, TYPES, 1.0)
    rows = results.compare(sum_of_both).maps
    assert rows['planted'][0] > (results.hard > 0).sum()


def test_nothing_found_and_absent_results_are_failures(results):
    nothing = np.zeros(len(results.hard), bool)
    results.write(MEAN, {'pos': nothing, 'neg': results.hard < 0}, results.planted)
    other = GroupContrast('other', 'stopVsGo', MEAN.weights, TYPES, 1.0)
    failures = results.compare(MEAN, other).failures
    assert failures[0] == 'mean, stopVsGo, pos: nothing found (lowest p 0.7).'
    assert failures[1].startswith('other, stopVsGo has no results in')
    assert 'Not as planted: mean, stopVsGo, pos' in render_dressed(results.compare(MEAN))


def test_a_peak_elsewhere_is_a_failure(results):
    found = {'pos': results.hard == 0, 'neg': results.hard < 0}
    results.write(MEAN, found, results.planted)
    assert results.compare().failures == (
        'mean, stopVsGo, pos: the peak lies outside of the planted region.',
    )


def test_a_false_positive_without_planted_effect_is_shown_not_required(results):
    few = np.arange(len(results.hard)) < 3
    results.write(SLOPE, {'pos': few, 'neg': few & ~few}, results.planted)
    found = results.compare()
    assert found.as_planted
    rows = found.maps.set_index(['analysis', 'direction'])
    assert not rows.loc[('slope', 'pos'), 'as_planted']


def test_without_sidecars_there_is_no_ratio(results):
    for path in results.out.rglob('sub-*_effect.json'):
        path.unlink()
    (effect,) = results.compare().effects.to_dict('records')
    assert np.isnan(effect['ratio'])
    assert effect['correlation'] == pytest.approx(1)


def test_results_of_another_study_are_refused(results):
    other = GroupContrast('mean', 'stopVsGo', {'x': 1.0}, {'x': ('left',)}, 1.0)
    with pytest.raises(InputError, match=r'Condition x has the trial types left, the study'):
        results.compare(other)
    with pytest.raises(InputError, match='run the group level first'):
        compare_dressed(results.truth, results.truth_maps, results.out / 'none', [MEAN])
    with pytest.raises(InputError, match='not written by ketbids-demo'):
        compare_dressed({}, results.truth_maps, results.out, [MEAN])
