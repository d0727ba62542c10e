"""Filter files, in the format of fMRIPrep."""

import json
import logging
import re

import pytest

from ketbids.errors import InputError
from ketbids.io.filters import BidsFilter, RawFilters, raw_labels, read_filter, read_filters
from ketbids.io.folders import labels_of


def write(tmp_path, content):
    path = tmp_path / 'filter.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_no_file():
    assert read_filter(None) == BidsFilter()
    assert BidsFilter().admits({'run': '1'})


@pytest.mark.parametrize(
    ('value', 'admitted', 'refused'),
    [
        ('seq', ['seq'], ['', 'Seq', 'sequence']),
        ('acq-seq', ['seq'], ['']),
        (['a', 'b'], ['a', 'b'], ['', 'c']),
        (2, ['2', '02'], ['', '12', 'two']),
        (None, [''], ['seq']),
        ('Query.NONE', [''], ['seq']),
        ('*', ['seq', '1'], ['']),
        ('Query.ANY', ['seq'], ['']),
        (['a', None], ['a', ''], ['b']),
        ('Query.OPTIONAL', ['', 'a'], []),
        ('01', ['01'], ['1', '']),
    ],
)
def test_values(tmp_path, value, admitted, refused):
    found = read_filter(write(tmp_path, {'bold': {'acquisition': value}}))
    assert [label for label in admitted if not found.admits({'acquisition': label})] == []
    assert [label for label in refused if found.admits({'acquisition': label})] == []


def test_runs_are_numbers_as_in_pybids(tmp_path):
    found = read_filter(write(tmp_path, {'bold': {'run': '1'}}))
    assert found.admits({'run': '01'})
    assert not found.admits({'run': '2'})


def test_all_entities_must_fit_but_only_those_that_are_asked_for(tmp_path):
    found = read_filter(write(tmp_path, {'bold': {'session': 'TP1', 'density': '91k'}}))
    assert found.admits({'session': 'TP1', 'run': '1'})
    assert found.admits({'density': '91k'})
    assert not found.admits({'session': 'TP1', 'density': '170k'})


def test_what_has_no_use_is_said(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger('ketbids'), 'propagate', True)
    content = {
        'bold': {'datatype': 'func', 'suffix': 'bold', 'echo': 1, 'session': 'TP1'},
        't1w': {'acquisition': None},
        'fmap': {},
    }
    with caplog.at_level(logging.INFO, 'ketbids'):
        found = read_filter(write(tmp_path, content))
    assert found == BidsFilter({'session': ('TP1',)})
    assert 'only the query bold has a use here, not fmap, t1w.' in caplog.text
    assert 'bold: echo has no use here' in caplog.text


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', 'is not valid JSON'),
        ([1], 'must hold a JSON object'),
        ({'BOLD': {}}, "unknown query 'BOLD'; known are bold"),
        ({'bold': []}, 'bold must be an object of entities, not []'),
        ({'bold': {'acq': 'seq'}}, 'bold: acq is called acquisition in filter files'),
        ({'bold': {'bogus': 'x'}}, 'bold: bogus is not an entity that is known here: subject'),
        ({'bold': {'session': True}}, 'bold: session is true; it must be a label'),
        ({'bold': {'session': 1.5}}, 'bold: session is 1.5; it must be a label'),
        ({'bold': {'session': {'a': 1}}}, 'bold: session is {"a": 1}; it must be a label'),
        ({'bold': {'session': ['a', ['b']]}}, 'bold: session is ["b"]; it must be a label'),
        ({'bold': {'session': '../x'}}, 'bold: session is "../x"; it must be a label'),
        ({'bold': {'session': []}}, 'bold: session is an empty list'),
        ({'bold': {'suffix': 'cbv'}}, 'bold: suffix is "cbv", but only bold can be used'),
    ],
)
def test_files_that_cannot_be(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_filter(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match='Cannot read'):
        read_filter(tmp_path / 'absent.json')


class TestRawData:
    """Queries that concern raw images."""

    def test_each_kind_has_its_query(self, tmp_path):
        content = {
            'bold': {'datatype': 'func', 'suffix': 'bold', 'task': 'carit', 'desc': 'x'},
            'sbref': {'suffix': 'sbref', 'acquisition': None},
            't1w': {'datatype': 'anat', 'suffix': 'T1w', 'run': [1, 2]},
            't2w': {'reconstruction': 'norm'},
            'fmap': {'datatype': 'fmap', 'suffix': ['epi', 'phasediff']},
            'flair': {'anything': 1},
        }
        assert read_filters(write(tmp_path, content)) == RawFilters(
            bold=BidsFilter({'task': ('carit',)}),
            sbref=BidsFilter({'acquisition': (None,)}),
            t1w=BidsFilter({'run': (1, 2)}),
            t2w=BidsFilter({'reconstruction': ('norm',)}),
            fmap=BidsFilter({'suffix': ('epi', 'phasediff')}),
        )
        assert read_filters(None) == RawFilters()

    @pytest.mark.parametrize(
        ('query', 'entities', 'name', 'admitted'),
        [
            ('t1w', {'acquisition': 'MPR'}, 'sub-01_acq-MPR_T1w.nii.gz', True),
            ('t1w', {'acquisition': None}, 'sub-01_acq-MPR_T1w.nii.gz', False),
            ('t1w', {'ceagent': None, 'run': 1}, 'sub-01_run-01_T1w.nii.gz', True),
            ('t1w', {'ceagent': None}, 'sub-01_ce-gd_T1w.nii.gz', False),
            ('fmap', {'suffix': 'epi'}, 'sub-01_dir-AP_epi.nii.gz', True),
            ('fmap', {'suffix': 'epi'}, 'sub-01_phasediff.nii.gz', False),
            ('bold', {'density': '91k'}, 'sub-01_task-x_bold.nii.gz', True),
            ('bold', {'direction': 'PA'}, 'sub-01_task-x_dir-AP_bold.nii.gz', False),
        ],
    )
    def test_labels_of_names(self, tmp_path, query, entities, name, admitted):
        found = getattr(read_filters(write(tmp_path, {query: entities})), query)
        suffix = name.partition('.')[0].rpartition('_')[2]
        assert found.admits(raw_labels(labels_of(name), suffix)) == admitted

    def test_what_has_no_use_is_said(self, tmp_path, caplog, monkeypatch):
        monkeypatch.setattr(logging.getLogger('ketbids'), 'propagate', True)
        content = {'flair': {}, 'bold': {'echo': 2}, 't1w': {'part': 'mag', 'desc': 'x'}}
        with caplog.at_level(logging.INFO, 'ketbids'):
            assert read_filters(write(tmp_path, content)) == RawFilters()
        assert 'the queries flair have no use here' in caplog.text
        for key in ('bold: echo', 't1w: part', 't1w: desc'):
            assert f'{key} has no use here: raw images are not chosen by it.' in caplog.text

    @pytest.mark.parametrize(
        ('content', 'message'),
        [
            ({'t1w': 'MPR'}, 't1w must be an object of entities, not "MPR"'),
            ({'t1w': {'acq': 'MPR'}}, 't1w: acq is called acquisition in filter files'),
            ({'t1w': {'suffix': 'T2w'}}, 't1w: suffix is "T2w", but only T1w can be used'),
            ({'t2w': {'datatype': 'func'}}, 't2w: datatype is "func", but only anat can be used'),
            ({'fmap': {'suffix': 1.5}}, 'fmap: suffix is 1.5; it must be a label'),
            ({'sbref': {'bogus': 1}}, 'sbref: bogus is not an entity that is known here: subject'),
            ({'T1w': {}}, "unknown query 'T1w'; known are bold"),
        ],
    )
    def test_queries_that_cannot_be(self, tmp_path, content, message):
        path = write(tmp_path, content)
        with pytest.raises(InputError, match=re.escape(message)) as caught:
            read_filters(path)
        assert str(path) in str(caught.value)
