import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.stats.circularity import DataUse
from ketbids.stats.clinical.outcomes import Measure
from ketbids.stats.clinical.selection import qualify, selection_of, stars
from tests.stats.clinical.study import PATIENTS, study

TESTED = DataUse(({'TP1': 1.0, 'TP3': -1.0},), frozenset({'hdrs'}), frozenset(PATIENTS))


def test_only_regions_that_maps_chose_can_be_circular() -> None:
    data = study()
    region = Measure('r', 'region', 'significant', 'remitterChange')
    assert selection_of(region, data, TESTED) == 'direct'
    assert selection_of(Measure('r', 'region', 'parcel'), data, TESTED) == 'independent'
    assert selection_of(Measure('hdrs', 'score'), data, TESTED) is None


def test_what_selected_must_be_known() -> None:
    region = Measure('r', 'region', 'significant', 'other')
    with pytest.raises(InputError, match='r was selected by other'):
        selection_of(region, study(), TESTED)


def test_circular_rows_lose_every_p() -> None:
    table = pd.DataFrame({'f': [1.0, 2, 3], 'p': [0.1, 0.2, 0.3], 'p_holm': [0.3, 0.4, 0.5]})
    table['partial_eta2'] = [0.1, 0.2, 0.3]
    found = qualify(table, ['direct', 'independent', 'shared-data'])
    assert list(found) == ['f', 'selection', 'p', 'p_circular', 'p_holm', 'partial_eta2']
    np.testing.assert_array_equal(found['p'], [np.nan, 0.2, np.nan])
    np.testing.assert_array_equal(found['p_holm'], [np.nan, 0.4, np.nan])
    np.testing.assert_array_equal(found['p_circular'], [0.1, np.nan, 0.3])
    np.testing.assert_array_equal(found['partial_eta2'], [0.1, 0.2, 0.3])
    pd.testing.assert_frame_equal(qualify(table, [None] * 3), table)


def test_stars() -> None:
    p = pd.Series([0.05, 0.049, 0.0099, 0.0009, np.nan])
    assert stars(p).tolist() == [None, '*', '**', '***', None]
