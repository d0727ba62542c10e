"""What a statistic is computed from comes back from files as it was."""

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.io.clinicaldata import read_clinical_data, write_clinical_data
from ketbids.stats.circularity import DataUse
from ketbids.stats.clinical.data import ClinicalData
from tests.stats.clinical.patients import study as patients
from tests.stats.clinical.study import study


def through_files(folder, data):
    written = write_clinical_data(folder, data)
    assert all(path.is_file() and path.parent == folder for path in written)
    return read_clinical_data(folder)


def same(found, data):
    """Compare all fields; missing values are alike, whatever stands for them."""
    for field in fields(ClinicalData):
        one, other = getattr(found, field.name), getattr(data, field.name)
        if isinstance(other, pd.DataFrame):
            assert list(one.columns) == list(other.columns), field.name
            for name in other.columns:
                pairs = zip(one[name], other[name], strict=True)
                assert all((pd.isna(a) and pd.isna(b)) or a == b for a, b in pairs), name
        else:
            assert one == other, field.name
    assert list(found.people.index) == list(data.people.index)


@pytest.mark.parametrize('made', [study, patients])
def test_all_of_it_comes_back(tmp_path, made):
    data = made()
    same(through_files(tmp_path, data), data)


def test_numbers_keep_all_digits_and_labels_their_zeros(tmp_path):
    people = pd.DataFrame(
        {'age': [1 / 3, 2e-17, np.nan], 'visits': [1, 2, 3], 'hours': [1e300, -np.inf, 0.1 + 0.2]},
        index=['01', '1', '003'],
    )
    outcomes = pd.DataFrame(
        [('003', '', '1', 2 / 3), ('01', '01', '1', np.nan)],
        columns=['participant_id', 'session_id', 'outcome', 'value'],
    )
    found = through_files(tmp_path, ClinicalData(people=people, outcomes=outcomes))
    assert list(found.people.index) == ['01', '1', '003']
    for name in people:
        np.testing.assert_array_equal(found.people[name], people[name])
    assert found.people['visits'].dtype == int
    assert list(found.outcomes['participant_id']) == ['003', '01']
    assert list(found.outcomes['session_id']) == ['', '01']  # no session is the empty text
    assert list(found.outcomes['outcome']) == ['1', '1']
    np.testing.assert_array_equal(found.outcomes['value'], [2 / 3, np.nan])


def test_texts_that_look_like_numbers_or_truth_stay_texts(tmp_path):
    """As where the only text of a column was of somebody who is not chosen."""
    people = pd.DataFrame(
        {
            'site': ['1', '2', '1'],
            'arm': pd.Categorical(['10', None, '9']),
            'consent': ['True', 'False', 'True'],
            'remitter': pd.array([True, None, False], dtype='boolean'),
            'quoted': ['a "b"', 'tab\there', 'é, ü'],
        },
        index=['01', '02', '03'],
    )
    found = through_files(tmp_path, ClinicalData(people=people)).people
    assert list(found['site']) == ['1', '2', '1']
    assert [found['arm'].iloc[0], found['arm'].iloc[2]] == ['10', '9']
    assert pd.isna(found['arm'].iloc[1])
    assert list(found['consent']) == ['True', 'False', 'True']
    assert list(found['quoted']) == list(people['quoted'])
    truth = found['remitter']
    assert (truth.iloc[0], truth.iloc[2]) == (True, False)
    assert pd.isna(truth.iloc[1])


def test_nothing_but_people(tmp_path):
    found = through_files(tmp_path, ClinicalData(people=pd.DataFrame(index=['01', '02'])))
    assert list(found.people.index) == ['01', '02']
    assert len(found.outcomes) == len(found.regions) == len(found.visits) == 0
    assert found.outcomes['value'].dtype == float
    assert (dict(found.selecting), found.sessions, dict(found.levels)) == ({}, (), {})


def test_uses_come_back(tmp_path):
    use = DataUse(
        ({'TP1': 1.0, 'TP3': -1.0}, {'': 0.5}), frozenset({'hdrs', 'age'}), frozenset({'01', '2'})
    )
    data = replace(
        study(),
        selecting={'remitterChange': use, 'meanAll': DataUse((), frozenset(), frozenset())},
    )
    assert through_files(tmp_path, data).selecting == data.selecting


def test_the_same_data_make_the_same_files(tmp_path):
    """Files are hashed to tell whether anything has changed."""
    texts = []
    for name in ('a', 'b'):
        files = write_clinical_data(tmp_path / name, study())
        texts.append([(path.name, path.read_bytes()) for path in files])
    assert texts[0] == texts[1]


def test_a_file_that_is_gone(tmp_path):
    write_clinical_data(tmp_path, study())
    (tmp_path / 'people.tsv').unlink()
    with pytest.raises(InputError, match=r'people\.tsv does not exist'):
        read_clinical_data(tmp_path)
