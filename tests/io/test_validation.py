"""What the validator says, and when it is asked."""

import json
import logging
import os
import time

import pytest

from ketbids.errors import InputError
from ketbids.io import validation
from ketbids.io.validation import check_dataset, find_validator, run_validator
from tests.io.test_bids import make_dataset


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(tmp_path / 'bids', 'sub-01_task-carit', 'sub-02_task-carit')


@pytest.fixture
def said(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger('ketbids'), 'propagate', True)
    caplog.set_level(logging.INFO, 'ketbids')
    return caplog


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A validator that says what it is told; gives how often it was asked."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    calls = tmp_path / 'calls'

    def install(*issues, text=None):
        content = {'issues': {'issues': [*issues]}}
        answer = tmp_path / 'answer'
        answer.write_text(json.dumps(content) if text is None else text)
        command = folder / 'bids-validator-deno'
        command.write_text(f'#!/bin/sh\necho "$@" >> {calls}\ncat {answer}\n')
        command.chmod(0o755)
        monkeypatch.setenv('PATH', f'{folder}:{os.environ["PATH"]}')
        return lambda: calls.read_text().splitlines() if calls.is_file() else []

    return install


def error(code, location):
    return {'code': code, 'severity': 'error', 'location': location}


WARNING = {'code': 'README_FILE_MISSING', 'severity': 'warning', 'location': '/x'}


def test_a_valid_dataset_is_asked_about_once(dataset, tmp_path, fake, said):
    calls = fake(WARNING)
    record = tmp_path / 'logs' / 'validation.json'
    for _ in range(2):
        check_dataset(dataset, ['01', '02'], record)
    assert calls() == [f'--json --ignoreNiftiHeaders {dataset}']
    assert '0 errors, 1 warnings.' in said.text


@pytest.mark.parametrize(
    ('changed', 'again'),
    [
        ('sub-01/func/sub-01_task-carit_events.tsv', True),
        ('sub-02/func/sub-02_task-carit_events.tsv', False),
        ('dataset_description.json', True),
        ('participants.tsv', True),
        ('derivatives/x/y.txt', True),
        ('sub-03/func/sub-03_task-carit_events.tsv', True),
    ],
)
def test_it_is_asked_again_when_something_that_concerns_has_changed(
    dataset, tmp_path, fake, changed, again
):
    calls = fake()
    record = tmp_path / 'validation.json'
    check_dataset(dataset, ['01'], record)
    path = dataset / changed
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('changed')
    check_dataset(dataset, ['01'], record)
    assert len(calls()) == 1 + again


def test_nothing_is_kept_in_a_dry_run(dataset, tmp_path, fake):
    fake()
    check_dataset(dataset, ['01'], tmp_path / 'validation.json', keep=False)
    assert not (tmp_path / 'validation.json').exists()


def test_errors_stop_those_whom_they_concern(dataset, tmp_path, fake):
    calls = fake(error('BAD_TSV', '/sub-02/func/x_events.tsv'), WARNING)
    record = tmp_path / 'validation.json'
    assert check_dataset(dataset, ['01'], record) == {}
    for _ in range(2):
        found = check_dataset(dataset, ['01', '02'], record)
        assert list(found) == ['02']
        assert f'{dataset} is not valid BIDS: BAD_TSV (/sub-02/func/x_events.tsv). ' in found['02']
        assert '--skip-bids-validation' in found['02']
    assert len(calls()) == 1


EVENTS = '/sub-02/func/sub-02_task-carit_events.tsv'


def test_values_of_events_only_warn(dataset, tmp_path, fake, said):
    """ketbids reads them itself, and the model file may put them right."""
    fake(
        {
            **error('TSV_VALUE_INCORRECT_TYPE', EVENTS),
            **{'subCode': 'onset', 'issueMessage': "'x'", 'line': 3},
        },
        error('INVALID_FILE_ENCODING', '/task-carit_events.tsv'),
    )
    record = tmp_path / 'validation.json'
    for _ in range(2):
        said.clear()
        assert check_dataset(dataset, ['02'], record) == {}
        assert f"TSV_VALUE_INCORRECT_TYPE ({EVENTS}, line 3: onset 'x')" in said.text
        assert 'INVALID_FILE_ENCODING (/task-carit_events.tsv)' in said.text
        assert 'ketbids reads events itself' in said.text
    said.clear()
    assert check_dataset(dataset, ['01'], record) == {}
    assert 'sub-02' not in said.text


def test_a_name_that_is_not_of_events_stops(dataset, tmp_path, fake):
    fake(error('NOT_INCLUDED', '/sub-02/func/sub-02_task-carit_wrong_events.tsv'))
    assert list(check_dataset(dataset, ['01', '02'], tmp_path / 'validation.json')) == ['02']


def test_messages_name_line_and_column(dataset, tmp_path, fake):
    fake(
        {
            **error('TSV_VALUE_INCORRECT_TYPE', '/participants.tsv'),
            **{'subCode': 'age', 'issueMessage': "'x'\n", 'line': 7},
        }
    )
    with pytest.raises(InputError, match=r"\(/participants.tsv, line 7: age 'x'\)\. Correct it"):
        check_dataset(dataset, ['01'], tmp_path / 'validation.json')


def test_people_whom_the_table_lacks_stop_nobody(dataset, tmp_path, fake, said):
    fake(error('PARTICIPANT_ID_MISMATCH', '/participants.tsv'))
    assert check_dataset(dataset, ['01'], tmp_path / 'validation.json') == {}
    assert 'Whoever is not in participants.tsv can be fitted' in said.text


def test_errors_of_the_dataset_concern_everybody(dataset, tmp_path, fake):
    issues = [error(f'CODE{n}', '/participants.tsv') for n in range(7)]
    fake(*issues, error('NO_PLACE', None))
    with pytest.raises(InputError, match=r'CODE4 \(/participants.tsv\) and 3 more'):
        check_dataset(dataset, ['01'], tmp_path / 'validation.json')


def test_raw_images_are_not_read(dataset, tmp_path, fake):
    fake(error('EMPTY_FILE', '/sub-01/func/sub-01_task-carit_bold.nii.gz'))
    check_dataset(dataset, ['01'], tmp_path / 'validation.json')


@pytest.mark.parametrize('text', ['', 'not JSON', '[]', '{"issues": {}}', '{"issues": []}'])
def test_what_cannot_be_understood_stops_nobody(dataset, tmp_path, fake, said, text):
    fake(text=text)
    check_dataset(dataset, ['01'], tmp_path / 'validation.json')
    assert 'said nothing that can be understood: not validated' in said.text
    assert not (tmp_path / 'validation.json').exists()


def test_a_damaged_record_is_no_record(dataset, tmp_path, fake):
    calls = fake()
    record = tmp_path / 'validation.json'
    for text in ('{', '{"Stamps": 1}', '{"Dataset": "x", "Stamps": {}, "Errors": 3}'):
        record.write_text(text)
        check_dataset(dataset, ['01'], record)
    assert len(calls()) == 3


def test_a_validator_that_does_not_end(dataset, tmp_path, said):
    command = tmp_path / 'slow'
    command.write_text('#!/bin/sh\nsleep 30 &\nsleep 30\n')
    command.chmod(0o755)
    started = time.monotonic()
    assert run_validator(str(command), dataset, time_limit=0.3) is None
    assert time.monotonic() - started < 5
    assert 'took longer than' in said.text


def test_not_installed(dataset, tmp_path, monkeypatch, said):
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setattr(validation.sys, 'executable', str(tmp_path / 'python'))
    check_dataset(dataset, ['01'], tmp_path / 'validation.json')
    assert 'bids-validator-deno is not installed' in said.text


def test_the_validator_itself(dataset, tmp_path):
    """The real one, where it is installed: its answer is understood."""
    command = find_validator()
    if command is None:
        pytest.skip('bids-validator-deno is absent')
    findings = run_validator(command, dataset)
    assert findings.errors == []
    assert findings.n_warnings > 0
    events = dataset / 'sub-01' / 'func' / 'sub-01_task-carit_events.tsv'
    events.write_text('onset\tduration\nx\t1\n')
    (found,) = run_validator(command, dataset).errors
    assert found.of_events
    assert str(found).endswith("_events.tsv, line 2: onset 'x')")
    events.write_text('onset\tduration\n1\t1\n')
    (dataset / 'sub-02' / 'func' / 'sub-02_task-carit_wrong_events.tsv').write_text('x\n')
    (dataset / 'sub-01' / 'func' / 'sub-01_task-carit_bold.nii.gz').touch()
    findings = run_validator(command, dataset)
    assert {found.participant for found in findings.errors} == {'02'}
