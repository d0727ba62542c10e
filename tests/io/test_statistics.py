"""Which files belong to a statistic."""

import pytest

from ketbids.io.statistics import (
    remove_statistic,
    statistic_files,
    statistic_names,
    statistic_path,
)

FILES = (
    'hdrs.json',
    'hdrs_terms.tsv',
    'hdrs_terms.json',
    'hdrs2.json',
    'hdrs2_terms.tsv',
    'x.txt',
)


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / 'group' / 'statistics'
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).touch()
    return tmp_path


def test_paths(tmp_path):
    folder = tmp_path / 'group' / 'statistics'
    assert statistic_path(tmp_path, 'hdrs') == folder / 'hdrs.json'
    assert statistic_path(tmp_path, 'hdrs', 'terms') == folder / 'hdrs_terms.tsv'


def test_files_of_one_are_not_those_of_another(out):
    names = [path.name for path in statistic_files(out, 'hdrs')]
    assert names == ['hdrs_terms.json', 'hdrs_terms.tsv', 'hdrs.json']
    assert statistic_files(out, 'none') == []
    assert statistic_names(out) == ['hdrs', 'hdrs2']
    assert statistic_names(out / 'group') == []


def test_removal_leaves_the_others(out):
    remove_statistic(out, 'hdrs')
    remove_statistic(out, 'none')
    left = sorted(path.name for path in (out / 'group' / 'statistics').iterdir())
    assert left == ['hdrs2.json', 'hdrs2_terms.tsv', 'x.txt']
