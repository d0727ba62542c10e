"""Runs whose events lie elsewhere than those of the others."""

import pytest

from ketbids.cli.eventshifts import known_spans, shifted_runs, with_event_shifts
from ketbids.io.files import write_json
from ketbids.reports.page import Part, RunSection, SessionSection
from ketbids.reports.tables import Table

SPAN = {'first': 8.0, 'last': 225.0, 'end': 225.6, 'length': 240.0, 'step': 0.8}


def save(folder, participant, task='carit', shift=0.0):
    span = SPAN | {name: SPAN[name] + shift for name in ('first', 'last', 'end')}
    rows = (('not checked', 'Removed volumes'), ('fine', f'The first trial starts at {shift} s;'))
    times = Part('Times', 'words', Table(('judgement', 'what'), rows, (False, False)))
    runs = (RunSection('Task, run 1', span=span, parts=(times,)), RunSection('bare'))
    section = SessionSection('TP1', runs)
    path = folder / f'sub-{participant}' / 'figures'
    path.mkdir(parents=True, exist_ok=True)
    path = path / f'sub-{participant}_ses-TP1_task-{task}_section.json'
    write_json(path, section.to_dict())
    return {path: section}


@pytest.fixture
def study(tmp_path):
    for number in range(5):
        save(tmp_path, f'0{number}')
    return tmp_path


def test_a_shifted_run_is_warned_of(study):
    (found,) = with_event_shifts(study, save(study, '09', shift=-8.0))
    (warning,) = found.runs[0].warnings
    assert 'starts 8.0 s earlier than in the other runs' in warning
    assert '10.0 volumes' in warning
    assert found.runs[1].warnings == ()
    # In the table of times it takes the place of what says that all is well.
    (part,) = found.runs[0].parts
    assert part.table.rows == (('not checked', 'Removed volumes'), ('doubtful', warning))


def test_others_are_left_as_they_are(study):
    mine = save(study, '08')
    save(study, '09', shift=-8.0)
    ((run, bare),) = (section.runs for section in with_event_shifts(study, mine))
    assert run.warnings == ()
    assert run.parts[0].table.rows[1:] == (
        ('fine', 'The first trial starts at 0.0 s;'),
        ('fine', 'Other runs: the first trial starts at 8.0 s, in all 7 runs at 8.0 s (median).'),
    )
    assert bare == RunSection('bare')


def test_runs_that_stand_out_are_listed(study):
    """For the page of the group."""
    assert shifted_runs(study) == []
    save(study, '09', shift=-8.0)
    (said,) = shifted_runs(study)
    assert said.startswith(
        'sub-09_ses-TP1_task-carit, run 1: The first trial starts 8.0 s earlier'
    )
    assert shifted_runs(study / 'none') == []


def test_another_task_is_no_comparison(study):
    mine = save(study, '09', task='rest', shift=-8.0)
    ((run, _),) = (section.runs for section in with_event_shifts(study, mine))
    assert run.warnings == ()
    assert run.parts[0].table.rows[-1] == (
        'not checked',
        'Other runs: not compared (this is the only run; 4 are needed).',
    )


def test_a_damaged_section_of_somebody_else_does_not_matter(study):
    (path,) = save(study, '07')
    path.write_text('{"runs": 3}')
    (found,) = with_event_shifts(study, save(study, '09', shift=-8.0))
    assert found.runs[0].warnings


def test_spans_of_runs_that_were_analysed_before(study):
    """A visit that is looked at anew is not compared with what it was."""
    save(study, '00', task='other')
    assert len(known_spans(study, 'carit', [])) == 5
    (name, *rest) = known_spans(study, 'carit', ['sub-00_ses-TP1_task-carit'])
    assert 'sub-01' in name
    assert len(rest) == 3
    assert known_spans(study, 'none', []) == {}
