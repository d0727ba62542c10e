"""The participant level's choices, before any workflow is built."""

import json
import shutil

import pytest

from ketbids.cli.main import main
from ketbids.cli.selection import chosen_participants, read_exclusion_list
from ketbids.errors import InputError
from ketbids.io.bids import Exclusion
from ketbids.io.inventory import link_name
from tests.io.test_hcp import make_run, make_surfaces
from tests.workflows.studies import settings


@pytest.fixture
def three(dataset):
    for label in ('02', '03'):
        shutil.copytree(dataset / 'bids' / 'sub-01', dataset / 'bids' / f'sub-{label}')
        folder = dataset / 'bids' / f'sub-{label}' / 'func'
        (events,) = folder.glob('*_events.tsv')
        events.rename(folder / f'sub-{label}_task-carit_events.tsv')
    return dataset


def select(root, *labels):
    from dataclasses import replace

    made = settings(root)
    return replace(made, selection=replace(made.selection, participants=labels))


def test_everybody_or_who_was_chosen(three):
    assert chosen_participants(settings(three)) == ['01', '02', '03']
    assert chosen_participants(select(three, '03', '01')) == ['03', '01']
    with pytest.raises(InputError, match='no participant 7, 9; it has 01, 02, 03'):
        chosen_participants(select(three, '9', '01', '7'))


def test_exclusion_list(three):
    from dataclasses import replace

    made = settings(three)
    assert read_exclusion_list(made, ['01']) == []
    path = three / 'x.tsv'
    path.write_text('participant_id\tsession_id\trun\treason\nsub-02\tn/a\tn/a\tmotion\n')
    made = replace(made, paths=replace(made.paths, exclusions=path))
    assert read_exclusion_list(made, ['01', '02']) == [Exclusion('02', '', '', 'motion')]
    with pytest.raises(InputError, match='no participant sub-02'):
        read_exclusion_list(made, ['01', '03'])


def run(root, *arguments):
    given = ['participant', '--derivatives', str(root / 'hcp'), '--nprocs', '1', *arguments]
    return main([str(root / 'bids'), str(root / 'out'), *given])


def prepare(root, *labels):
    """Preprocessed runs whose files are empty."""
    for label in labels:
        make_surfaces(root / 'hcp', f'sub-{label}')
        make_run(root / 'hcp', 'task-carit', session=f'sub-{label}')


def test_every_visit_gets_its_reason(three, capsys):
    """Files that cannot be read, a visit without data, an exclusion: each is said."""
    prepare(three, '01')
    path = three / 'x.tsv'
    path.write_text('participant_id\tsession_id\trun\treason\nsub-03\tn/a\tn/a\tmotion\n')
    assert run(three, '--exclusions', str(path)) == 1
    text = capsys.readouterr().out
    assert 'sub-01_task-carit failed: ' in text
    assert 'sub-02_task-carit: no preprocessed time series' in text
    assert 'sub-03_task-carit is excluded: motion' in text
    assert '0 visits done, 2 failed' in text
    out = three / 'out'
    assert not list(out.glob('sub-*/func/*statmap*'))
    assert not list(out.glob('logs/records/*'))
    assert 'sub-01_task-carit failed' in (out / 'sub-01.html').read_text()
    assert list(out.glob('logs/crash-*.txt'))
    description = json.loads((out / 'dataset_description.json').read_text())
    assert description['DatasetType'] == 'derivative'
    assert description['DatasetLinks']['raw'] == (three / 'bids').as_uri()
    assert description['DatasetLinks'][link_name(three / 'hcp')] == (three / 'hcp').as_uri()
    assert (out / 'logs' / 'settings_participant.toml').is_file()
    assert 'ketbids' in (out / 'README.md').read_text()


def test_a_readme_is_left_as_it_is(three):
    prepare(three, '01')
    (three / 'out').mkdir()
    (three / 'out' / 'README').write_text('Mine.')
    assert run(three) == 1
    assert [path.read_text() for path in (three / 'out').glob('README*')] == ['Mine.']


def test_derivatives_inside_the_dataset_are_found(dataset, capsys):
    prepare(dataset, '01')
    (dataset / 'bids' / 'derivatives').mkdir()
    (dataset / 'hcp').rename(dataset / 'bids' / 'derivatives' / 'hcp')
    given = [str(dataset / 'bids'), str(dataset / 'out'), 'participant', '--nprocs', '1']
    assert main(given) == 1
    assert '1 visits, 1 of them to do' in capsys.readouterr().out
