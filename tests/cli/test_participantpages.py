"""Pages of those who were chosen, whether or not something was done for them."""

from ketbids.cli.participantpages import write_pages
from tests.cli.test_eventshifts import save
from tests.workflows.studies import settings


def test_a_shift_is_said_when_the_others_are_there(dataset):
    """Participants run one by one: the page of the first knows nothing of the others yet."""
    made, out = settings(dataset), dataset / 'out'
    save(out, '01', shift=-8.0)
    write_pages(made, ['01'], {})
    page = out / 'sub-01.html'
    assert 'earlier than in the other runs' not in page.read_text()
    for number in range(2, 7):
        save(out, f'0{number}')
    write_pages(made, ['01'], {})
    assert 'starts 8.0 s earlier than in the other runs' in page.read_text()


def test_the_same_page_is_not_written_again(dataset):
    made, out = settings(dataset), dataset / 'out'
    save(out, '01')
    write_pages(made, ['01'], {})
    before = (out / 'sub-01.html').stat().st_mtime_ns
    write_pages(made, ['01'], {})
    assert (out / 'sub-01.html').stat().st_mtime_ns == before


def test_what_failed_is_on_the_page(dataset):
    write_pages(settings(dataset), [], {'sub-01_task-carit': 'no series'})
    page = dataset / 'out' / 'sub-01.html'
    assert 'sub-01_task-carit failed: no series' in page.read_text()
