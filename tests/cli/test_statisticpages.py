"""What all statistics share: a table of what was missing, and the methods as one text."""

from types import SimpleNamespace

import pandas as pd
import pytest

from ketbids.cli.statisticpages import statistic_sections, write_methods, write_missing
from ketbids.io.files import read_json, write_json
from ketbids.io.statistics import statistic_path
from ketbids.io.tables import read_table, write_table
from ketbids.reports.statisticspart import StatisticSection
from ketbids.stats.clinical.missing import MISSING_COLUMNS


def analysis(name, contrast, *lost):
    columns = ['participant_id', 'session_id', 'reason']
    design = SimpleNamespace(exclusions=pd.DataFrame(lost, columns=columns))
    return SimpleNamespace(analysis=SimpleNamespace(name=name), contrast=contrast, design=design)


ANALYSES = (
    analysis('meanHC', 'go'),
    analysis(
        'paired',
        'go',
        ('sub-01', 'ses-TP3', 'no map'),
        ('sub-02', 'ses-TP3', 'no map'),
        ('sub-02', None, 'age is missing'),
    ),
    analysis(
        'paired',
        'nogo',
        ('sub-03', 'ses-TP1', 'excluded: motion'),
        ('sub-04', None, 'excluded: withdrew'),
    ),
)


@pytest.fixture
def out(tmp_path):
    """Files of one statistic, and of another that lost nothing."""
    lost = pd.DataFrame(
        [('sub-04', 'hdrs', 'score', 'ses-TP2', 'no value', 'the visit is left out')],
        columns=['participant_id', 'outcome', 'missing', 'session_id', 'reason', 'consequence'],
    )
    terms = pd.DataFrame({'outcome': ['hdrs'], 'term': ['time'], 'f': [2.5], 'p': [0.02]})
    for name, table in (('missing', lost), ('terms', terms)):
        write_table(statistic_path(tmp_path, 'hdrs', name), table, dict.fromkeys(table, 'Words.'))
    write_json(statistic_path(tmp_path, 'hdrs'), {'Methods': 'A model.', 'Sentences': ['F.']})
    write_json(statistic_path(tmp_path, 'hdrs2'), {'Methods': ''})
    return tmp_path


def test_losses_of_analyses_and_statistics(out):
    write_missing(out, ANALYSES, ['hdrs', 'hdrs2', 'gone'])
    path = out / 'group' / 'group_missing.tsv'
    table = read_table(path)
    assert tuple(table.columns) == MISSING_COLUMNS
    kept = ['statistic', 'outcome', 'missing', 'session_id', 'reason', 'n', 'participants']
    rows = table[kept].astype(object).where(table[kept].notna(), None).values.tolist()
    assert rows == [
        ['paired', 'go', 'map', 'ses-TP3', 'no map', 2, 'sub-01, sub-02'],
        ['paired', 'go', 'variable', None, 'age is missing', 1, 'sub-02'],
        ['paired', 'nogo', 'excluded', 'ses-TP1', 'excluded: motion', 1, 'sub-03'],
        ['paired', 'nogo', 'excluded', None, 'excluded: withdrew', 1, 'sub-04'],
        ['hdrs', 'hdrs', 'score', 'ses-TP2', 'no value', 1, 'sub-04'],
    ]
    assert set(table['consequence'][:3]) == {'the participant is not in the test'}
    words = read_json(path.with_suffix('.json'))
    assert list(words) == list(MISSING_COLUMNS)


def test_nothing_is_missing(tmp_path):
    write_missing(tmp_path, [analysis('meanHC', 'go')], [])
    path = tmp_path / 'group' / 'group_missing.tsv'
    assert path.read_text() == '\t'.join(MISSING_COLUMNS) + '\n'


def test_what_is_the_same_is_not_written_again(out):
    sections = statistic_sections(out, ['hdrs'])

    def write():
        write_missing(out, ANALYSES, ['hdrs'])
        write_methods(out, ('Study.',), sections)
        files = sorted((out / 'group').glob('group_m*'))
        return {path.name: path.stat().st_mtime_ns for path in files}

    before = write()
    assert list(before) == ['group_methods.md', 'group_missing.json', 'group_missing.tsv']
    assert write() == before


def test_methods_are_one_text(tmp_path):
    sections = [
        StatisticSection('hdrs', methods='A model.'),
        StatisticSection('none'),
        StatisticSection('flow', methods='Counts.'),
    ]
    write_methods(tmp_path, ('The study.', '', 'First level.'), sections)
    text = (tmp_path / 'group' / 'group_methods.md').read_text()
    assert text == (
        '# Methods\n\nThe study.\n\nFirst level.\n\n## hdrs\n\nA model.\n\n## flow\n\nCounts.\n'
    )
    write_methods(tmp_path, ('Another study.',), [])
    text = (tmp_path / 'group' / 'group_methods.md').read_text()
    assert text == '# Methods\n\nAnother study.\n'


def test_sections_are_of_what_is_there_in_the_order_of_the_model(out):
    sections = statistic_sections(out, ['hdrs2', 'gone', 'hdrs'])
    assert [section.title for section in sections] == ['hdrs2', 'hdrs']
    made = sections[1]
    assert (made.methods, made.sentences) == ('A model.', ('F.',))
    assert [link.path for link in made.links] == [
        f'group/statistics/{name}' for name in ('hdrs_missing.tsv', 'hdrs_terms.tsv', 'hdrs.json')
    ]
    (table,) = made.tables
    assert table.rows == (('hdrs', 'time', '2.50', '.020'),)
    assert [table.caption for table in made.details] == ['What was missing, and what followed']
    assert [link.path for link in sections[0].links] == ['group/statistics/hdrs2.json']
