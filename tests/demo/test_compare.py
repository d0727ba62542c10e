import json

import numpy as np
import pandas as pd
import pytest

from ketbids.demo.compare import compare, render
from ketbids.demo.document import decode, truth_document
from ketbids.demo.found import dice
from ketbids.errors import InputError
from ketbids.io.cifti import write_maps


@pytest.fixture(scope='module')
def truth(planted, sample):
    return json.loads(json.dumps(truth_document(planted, sample, {'seed': 5})))


def region(truth, names):
    n = truth['geometry']['n_grayordinates']
    masks = [decode(truth['regions'][name]['grayordinates'], n) for name in names]
    return np.logical_or.reduce([np.zeros(n, bool), *masks])


class Results:
    """Made-up results of the group level, by default as planted."""

    def __init__(self, folder, truth, models):
        self.group, self.truth, self.models = folder / 'group', truth, models
        for name in ('pairedTP1TP2', 'pairedTP1TP3', 'remitterChange'):
            planted = truth['analyses'][name]
            self.write(name, {s: region(truth, planted[s]) for s in ('pos', 'neg')})
        self.correlate()

    def write(self, name, found, z=None):
        if z is None:
            z = 5.0 * found['pos'] - 5.0 * found['neg']
        start = self.group / f'node-{name}' / f'node-{name}_contrast-nogoVsGo'
        density = self.truth['geometry']['density']
        end = f'space-fsLR_den-{density}_stat'
        write_maps(f'{start}_{end}-z_statmap.dscalar.nii', {'z': z}, self.models)
        for sign, mask in found.items():
            p = np.where(mask, 0.01, 0.6)
            p[-1] = np.nan  # outside of the mask
            write_maps(
                f'{start}_desc-{sign}_{end}-pfwe_statmap.dscalar.nii', {'p': p}, self.models
            )

    def correlate(self, **changes):
        rows = [
            (roi, selection, values, 12, changes.get(f'{roi}_{values}', -0.6), 0.04)
            for roi in ('L_precentralGyrus', 'R_precentralGyrus')
            for selection in ('independent', 'direct')
            for values in ('baseline', 'acute', 'serial')
        ]
        table = pd.DataFrame(rows, columns=['outcome', 'selection', 'values', 'n', 'r', 'p'])
        table.loc[table['selection'] == 'direct', 'r'] = 0.9
        folder = self.group / 'statistics'
        folder.mkdir(exist_ok=True)
        table.to_csv(folder / 'hdrsChange_correlations.tsv', sep='\t', index=False)


@pytest.fixture
def results(tmp_path, truth, brain):
    return Results(tmp_path, truth, brain.models)


def outcome(results):
    return compare(results.truth, results.group.parent)


def test_as_planted(results):
    found = outcome(results)
    assert found.failures == ()
    assert found.as_planted
    rows = found.maps.set_index(['analysis', 'direction'])
    assert rows.loc[('pairedTP1TP3', 'pos'), 'dice'] > 0.99
    assert rows.loc[('remitterChange', 'neg'), 'peak_inside']
    assert rows['required'].sum() == 4
    assert (found.correlations['r'] == -0.6).all()
    text = render(found)
    assert text.splitlines()[-1] == 'All that is required was found as planted.'
    assert max(map(len, text.splitlines())) <= 100


def test_a_false_positive_is_a_failure(results):
    n = len(results.models)
    found = {'pos': np.zeros(n, bool), 'neg': np.arange(n) < 3}
    results.write('pairedTP1TP2', found)
    assert outcome(results).failures == (
        'pairedTP1TP2, neg: 3 grayordinates found, none planted.',
    )
    assert 'Not as planted: pairedTP1TP2' in render(outcome(results))


def test_nothing_found_is_a_failure(results):
    n = len(results.models)
    results.write('pairedTP1TP3', {s: np.zeros(n, bool) for s in ('pos', 'neg')})
    (failure,) = outcome(results).failures
    assert failure.startswith('pairedTP1TP3, pos: nothing found (lowest p 0.6)')


def test_the_wrong_direction_is_a_failure(results):
    mask = region(results.truth, ['leftPrecentral', 'rightPrecentral'])
    results.write('remitterChange', {'pos': mask, 'neg': np.zeros_like(mask)})
    (failure,) = outcome(results).failures
    assert failure.startswith('remitterChange, neg: nothing found')


def test_a_peak_elsewhere_is_a_failure(results):
    mask = region(results.truth, results.truth['analyses']['pairedTP1TP3']['pos'])
    elsewhere = np.flatnonzero(~mask)[0]
    found = mask.copy()
    found[elsewhere] = True
    z = 5.0 * mask
    z[elsewhere] = 9.0
    results.write('pairedTP1TP3', {'pos': found, 'neg': np.zeros_like(mask)}, z)
    assert outcome(results).failures == (
        'pairedTP1TP3, pos: the peak lies outside of the planted region.',
    )


def test_too_little_overlap_is_a_failure(results):
    mask = region(results.truth, results.truth['analyses']['pairedTP1TP3']['pos'])
    few = np.zeros_like(mask)
    few[np.flatnonzero(mask)[:20]] = True
    results.write('pairedTP1TP3', {'pos': few, 'neg': np.zeros_like(mask)})
    (failure,) = outcome(results).failures
    assert 'Dice 0.0' in failure


@pytest.mark.parametrize('wrong', [0.3, 0.0, np.nan])
def test_a_correlation_of_the_wrong_sign_is_a_failure(results, wrong):
    results.correlate(R_precentralGyrus_acute=wrong)
    (failure,) = outcome(results).failures
    assert failure.startswith('R_precentralGyrus, acute')


def test_absent_results_are_failures(results):
    for folder in ('node-remitterChange', 'statistics'):
        for path in (results.group / folder).iterdir():
            path.unlink()
    failures = outcome(results).failures
    assert sum('no correlation' in failure for failure in failures) == 6
    assert any('remitterChange has no results' in failure for failure in failures)


def test_results_of_another_study_are_refused(results):
    truth = results.truth | {'geometry': results.truth['geometry'] | {'n_grayordinates': 7}}
    with pytest.raises(InputError, match='not the result of this study'):
        compare(truth, results.group.parent)


def test_no_group_level_is_refused(truth, tmp_path):
    with pytest.raises(InputError, match='run the group level first'):
        compare(truth, tmp_path)
    with pytest.raises(InputError, match='not written by ketbids-demo'):
        compare({}, tmp_path)


def test_dice():
    one, two = np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 1], bool)
    assert dice(one, two) == pytest.approx(2 / 5)
    assert np.isnan(dice(one & two & ~two, np.zeros(4, bool)))
