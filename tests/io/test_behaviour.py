"""Tables of performance are found by name and read by their row of the session."""

import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.io.behaviour import find_performance, read_performance
from ketbids.io.tables import write_table

NAMES = (
    'sub-02/beh/sub-02_task-carit_desc-performance_beh.tsv',
    'sub-01/ses-TP2/beh/sub-01_ses-TP2_task-carit_acq-mb3_desc-performance_beh.tsv',
    'sub-01/ses-TP1/beh/sub-01_ses-TP1_task-carit_desc-performance_beh.tsv',
)
OTHERS = (
    'sub-01/ses-TP1/beh/sub-01_ses-TP1_task-rest_desc-performance_beh.tsv',
    'sub-01/ses-TP1/beh/sub-01_ses-TP1_task-carit_run-1_desc-performance_beh.tsv',
    'sub-01/ses-TP1/func/sub-01_ses-TP1_task-carit_desc-performance_beh.tsv',
)


@pytest.fixture
def out(tmp_path):
    for number, name in enumerate((*NAMES, *OTHERS)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(path, pd.DataFrame({'run': ['1', 'all'], 'dprime': [0.5, number]}))
    return tmp_path


def test_found(out):
    found = find_performance(out, ('carit',))
    assert found['path'].tolist() == [NAMES[2], NAMES[1], NAMES[0]]
    assert found[['participant_id', 'session_id', 'acquisition']].to_numpy().tolist() == [
        ['01', 'TP1', ''],
        ['01', 'TP2', 'mb3'],
        ['02', '', ''],
    ]


def test_none(tmp_path):
    assert list(find_performance(tmp_path, ('carit',)).columns) == [
        *('participant_id', 'session_id', 'task', 'acquisition', 'path')
    ]


def test_row_of_the_session(out):
    found = find_performance(out, ('carit',))
    assert read_performance(out, found, ['dprime'], 'all')['dprime'].tolist() == [2, 1, 0]


def test_table_without_it(out):
    found = find_performance(out, ('carit',))
    with pytest.raises(InputError, match=r'sub-01_ses-TP1.*has 0 rows for the whole session'):
        read_performance(out, found, ['dprime'], 'session')
    with pytest.raises(InputError, match='lacks the column rt'):
        read_performance(out, found, ['rt'], 'all')
