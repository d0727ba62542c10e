"""What is known of people: from which tables, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.io.people import read_people

PEOPLE = 'participant_id\tgroup\tage\nsub-01\tHC\t30\nsub-02\tTRD\tn/a\n'
SESSIONS = 'session_id\thdrs\tinfusion_time\n'


@pytest.fixture
def study(tmp_path: Path):
    """Write tables into a dataset and read what is known of people."""

    def read(tables: dict[str, str], **options):
        for name, text in {'participants.tsv': PEOPLE, **tables}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text:
                path.write_text(text)
            elif not path.suffix:
                path.mkdir()
        return read_people(tmp_path, **{'tasks': ('carit',), **options})

    return read


def refusal(study, tables: dict[str, str], **options) -> str:
    with pytest.raises(InputError) as error:
        study(tables, **options)
    return str(error.value)


def test_every_table_gives_what_it_has(study):
    people, notes = study(
        {
            'sub-01/sub-01_sessions.tsv': SESSIONS + 'ses-A\t20\t1901-01-01T10:30:00\n',
            'sub-02/sub-02_sessions.tsv': SESSIONS + 'ses-A\tn/a\tn/a\nses-B\t8\tn/a\n',
            'phenotype/iq.tsv': 'participant_id\tiq\tother\nsub-02\t101\tx\n',
            'phenotype/long.tsv': 'participant_id\tsession_id\tmood\nsub-01\tses-A\t3\n',
            'phenotype/unread.tsv': 'participant_id\tfoo\nsub-02\t1\nsub-02\t2\n',
            'sub-01/ses-A/sub-01_ses-A_scans.tsv': 'filename\tacq_time\n'
            'anat/sub-01_ses-A_T1w.nii.gz\t1901-01-02T08:00:00\n'
            'func/sub-01_ses-A_task-rest_bold.nii.gz\t1901-01-02T09:00:00\n'
            'func/sub-01_ses-A_task-carit_run-10_bold.nii.gz\t1901-01-02T12:00:00\n'
            'func/sub-01_ses-A_task-carit_run-2_bold.nii.gz\t1901-01-02T11:30:00.5\n'
            'func/sub-01_ses-A_task-carit_run-1_sbref.nii.gz\t1901-01-02T10:00:00\n',
            'sub-02/ses-B/func': '',
        },
        variables={'iq', 'age', 'group'},
        numbers={'acq_time_A', 'hdrs_A', 'iq'},
        scores=('hdrs', 'infusion_time', 'mood', 'acq_time', 'absent'),
    )
    assert list(people.columns) == [
        *('group', 'age', 'iq', 'hdrs_A', 'hdrs_B', 'infusion_time_A', 'infusion_time_B'),
        *('mood_A', 'mood_B', 'acq_time_A', 'acq_time_B'),
    ]
    assert people.index.tolist() == ['01', '02']
    np.testing.assert_array_equal(people['iq'].astype(float), [np.nan, 101])
    np.testing.assert_array_equal(people['hdrs_A'].astype(float), [20, np.nan])
    np.testing.assert_array_equal(people['hdrs_B'].astype(float), [np.nan, 8])
    hours = people['acq_time_A'] - people['infusion_time_A']
    assert hours['01'] == pytest.approx(25 + 0.5 / 3600)
    assert notes == ()


def test_acquisition_of_the_visit(study):
    rows = ''.join(
        f'func/sub-01_ses-A_task-carit_acq-{acq}_bold.nii.gz\t{dose}\n'
        for acq, dose in (('mb', 1), ('sb', 2))
    )
    tables = {'sub-01/ses-A/sub-01_ses-A_scans.tsv': f'filename\tdose\n{rows}'}
    chosen = {('01', 'A'): 'sb'}
    assert study(tables, scores=('dose',)).table.loc['01', 'dose_A'] == 1
    assert study(tables, scores=('dose',), acquisitions=chosen).table.loc['01', 'dose_A'] == 2


def test_a_study_without_sessions(study):
    people, _ = study(
        {
            'sub-01/sub-01_scans.tsv': 'filename\tacq_time\tdose\n'
            'func/sub-01_task-carit_bold.nii.gz\t2019-03-01T00:00:00Z\t5\n',
            'phenotype/mood.tsv': 'participant_id\tmood\nsub-01\t7\n',
        },
        variables={'dose', 'mood'},
        scores=('acq_time',),
    )
    assert people.loc['01', ['dose', 'mood']].tolist() == [5, 7]
    hours = people.loc['01', 'acq_time']
    later, _ = study(
        {
            'sub-01/sub-01_scans.tsv': 'filename\tacq_time\n'
            'func/sub-01_task-carit_bold.nii.gz\t2019-03-02T02:00:00+01:00\n'
        },
        scores=('acq_time',),
    )
    assert later.loc['01', 'acq_time'] - hours == pytest.approx(25)


def test_two_tables_that_say_the_same(study):
    people, _ = study(
        {
            'sub-01/sub-01_sessions.tsv': 'session_id\thdrs\nses-A\t20\n',
            'phenotype/wide.tsv': 'participant_id\thdrs_A\tage\nsub-01\t20.0\t30\nsub-02\t9\t41\n',
        },
        variables={'hdrs_A', 'age'},
        scores=('hdrs',),
    )
    assert people['hdrs_A'].tolist() == [20, 9]
    assert people['age'].tolist() == [30, 41]  # n/a in one table, known in the other


def test_two_tables_that_differ(study):
    words = refusal(
        study,
        {
            'sub-01/sub-01_sessions.tsv': 'session_id\thdrs\nses-A\t20\n',
            'phenotype/long.tsv': 'participant_id\tsession_id\thdrs\nsub-01\tses-A\t21\n',
        },
        scores=('hdrs',),
    )
    assert 'hdrs of sub-01 ses-A is 20 in ' in words
    assert 'sub-01_sessions.tsv, line 2, but 21 in ' in words
    assert 'long.tsv, line 2. Correct one of them.' in words
    words = refusal(
        study, {'phenotype/age.tsv': 'participant_id\tage\nsub-01\t31\n'}, variables={'age'}
    )
    assert 'age of sub-01 is 30 in ' in words
    assert 'age.tsv, line 2' in words


@pytest.mark.parametrize(
    ('name', 'text', 'words'),
    [
        ('sub-01/sub-01_sessions.tsv', 'session_id\thdrs\nses-A\t17 points\n', "is '17 points'"),
        ('sub-01/sub-01_sessions.tsv', 'session_id\thdrs\nses-A\t07\n', "hdrs is '07', where a"),
        (
            'sub-01/sub-01_sessions.tsv',
            'session_id\thdrs\nses-A\tinf\n',
            'sub-01_sessions.tsv, line 2: hdrs is inf, which is not a finite number',
        ),
        (
            'sub-01/sub-01_sessions.tsv',
            'session_id\thdrs\nses-A\t1e999\n',
            'hdrs is 1e999, which is not a finite number',
        ),
        (
            'sub-01/sub-01_sessions.tsv',
            'session_id\thdrs\nses-A\t1\nA\t2\n',
            'sub-01_sessions.tsv, lines 2 and 3: more than one row of ses-A',
        ),
        (
            'sub-01/sub-01_sessions.tsv',
            'session_id\thdrs\n\t1\n',
            'sub-01_sessions.tsv, line 2: session_id is missing',
        ),
        (
            'sub-01/sub-01_sessions.tsv',
            'session\thdrs\nses-A\t1\n',
            'sub-01_sessions.tsv lacks the column session_id',
        ),
        (
            'phenotype/p.tsv',
            'participant_id\tage\nsub-02\t1\n02\t2\n',
            'p.tsv, lines 2 and 3: more than one row of sub-02',
        ),
        ('phenotype/p.tsv', 'who\tage\n02\t2\n', 'p.tsv lacks the column participant_id'),
        (
            'sub-01/ses-A/sub-01_ses-A_scans.tsv',
            'hdrs\n1\n',
            'sub-01_ses-A_scans.tsv lacks the column filename',
        ),
        ('participants.tsv', PEOPLE + '\tHC\t3\n', 'line 4: participant_id is missing'),
        ('participants.tsv', PEOPLE + 'sub-03\tHC\tforty\n', "line 4: age is 'forty', where a n"),
        (
            'participants.tsv',
            PEOPLE + 'sub-03\tHC\t-Infinity\n',
            'participants.tsv, line 4: age is -Infinity',
        ),
    ],
)
def test_refusals_name_file_and_line(study, name, text, words):
    found = refusal(
        study, {name: text}, variables={'age'}, numbers={'hdrs_A', 'age'}, scores=('hdrs',)
    )
    assert name.rsplit('/', 1)[-1] in found
    assert words in found


def test_times_with_and_without_zone(study):
    rows = 'session_id\tt\nses-A\t2019-03-01T10:00:00Z\nses-B\t2019-03-01T10:00:00\n'
    words = refusal(study, {'sub-01/sub-01_sessions.tsv': rows}, scores=('t',))
    assert 'Some times have a time zone' in words
    assert 'line 2) and some have none' in words
    assert 'line 3)' in words


def test_a_number_among_times(study):
    rows = 'session_id\tt\nses-A\t2019-03-01T10:00\nses-B\t2019-03-02T10:00\nses-C\t10:30\n'
    words = refusal(study, {'sub-01/sub-01_sessions.tsv': rows}, scores=('t',), numbers={'t_A'})
    assert "line 4: t is '10:30', where a time such as 2019-03-01T10:30:00 is needed" in words


def test_texts_are_welcome_where_nothing_is_computed(study):
    tables = {
        'participants.tsv': 'participant_id\tsite\tnote\nsub-01\t01\tinf\nsub-02\tB\t17 points\n',
        'sub-01/sub-01_sessions.tsv': 'session_id\tdrug\nses-A\tyes\n',
    }
    people, _ = study(tables, variables={'site'}, scores=('drug',))
    assert people['site'].tolist() == ['01', 'B']
    assert people.loc['01', 'drug_A'] == 'yes'


def test_types_are_those_of_the_study(study):
    """A code in one table makes text of all."""
    tables = {
        f'sub-{who}/sub-{who}_sessions.tsv': f'session_id\tsite\nses-A\t{site}\n'
        for who, site in (('01', '01'), ('02', '10'))
    }
    assert study(tables, scores=('site',)).table['site_A'].tolist() == ['01', '10']


def test_what_is_repaired_or_left_aside_is_said(study):
    _, notes = study(
        {
            'participants.tsv': 'participant_id\tage\n01\t30\nsub-02\t31\n',
            'phenotype/iq.tsv': 'participant_id\tiq\nsub-09\t1\nsub-02\t2\n',
            'phenotype/long.tsv': 'participant_id\tsession_id\tweight\nsub-01\tses-A\t3\n',
        },
        variables={'iq', 'weight'},
    )
    assert len(notes) == 3
    assert 'participant_id without sub- in 1 rows; line 2 (01) is read as sub-01' in notes[0]
    assert '1 people are not in participants.tsv and are left aside (sub-09)' in notes[1]
    assert 'weight is a column per session of long.tsv' in notes[2]


def test_without_participants_table(study, tmp_path):
    tables = {'participants.tsv': '', 'phenotype/iq.tsv': 'participant_id\tiq\nsub-02\t101\n'}
    people, _ = study(tables, participants=['02', '01'])
    assert (people.index.tolist(), list(people.columns)) == (['01', '02'], [])
    people, _ = study(tables, participants=['02', '01'], variables={'iq'}, required={'iq'})
    assert people['iq'].tolist()[1] == 101
    words = refusal(study, tables, participants=['01'], variables={'age'}, required={'age', 'iq'})
    assert f'{tmp_path / "participants.tsv"} does not exist, and no other table has age' in words


def test_header_alone(study):
    people, _ = study({'participants.tsv': 'participant_id\tage\n'}, variables={'age'})
    assert (len(people), list(people.columns)) == (0, ['age'])


def test_order_of_rows_and_windows_line_ends(study, tmp_path):
    (tmp_path / 'participants.tsv').write_bytes(
        b'\xef\xbb\xbfparticipant_id\tage\r\nsub-02\t1\r\nsub-01\tn/a\r\n'
    )
    people = read_people(tmp_path, variables={'age'}, numbers={'age'}).table
    assert people.index.tolist() == ['02', '01']
    np.testing.assert_array_equal(people['age'].astype(float), [1, np.nan])


def test_a_date_among_times_or_alone(study):
    words = "line 2: t is '2019-03-01', a date without a time, where a time such as 2019-03-01T10"
    for other in ('2019-03-02', '2019-03-02T10:00', 'n/a'):
        rows = f'session_id\tt\nses-A\t2019-03-01\nses-B\t{other}\n'
        tables = {'sub-01/sub-01_sessions.tsv': rows}
        assert words in refusal(study, tables, scores=('t',), numbers={'t_A'})


def test_sessions_that_nobody_has(study, tmp_path):
    tables = {
        'sub-01/ses-TP1': '',
        'sub-01/sub-01_sessions.tsv': 'session_id\thdrs\nses-tp1\t20\n',
        'phenotype/p.tsv': 'participant_id\tsession_id\thdrs\nsub-02\ttp1\t2\nsub-01\tTP1\t3\n',
    }
    (note,) = study(tables, scores=('hdrs',)).notes
    place = tmp_path / 'sub-01' / 'sub-01_sessions.tsv'
    assert f'No participant has a folder of the session tp1 ({place}, line 2)' in note
    assert 'there are TP1. Labels are compared letter by letter.' in note
