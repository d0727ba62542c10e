"""Lines of the log that say how far a level is."""

import logging

import pytest

from ketbids.cli.progress import Progress, duration


@pytest.mark.parametrize(
    ('seconds', 'words'),
    [(0.2, '1 s'), (89, '89 s'), (90, '2 min'), (3600, '60 min'), (7800, '2 h 10 min')],
)
def test_duration(seconds, words):
    assert duration(seconds) == words


def test_parts_are_counted(caplog):
    with caplog.at_level(logging.INFO, 'ketbids'):
        progress = Progress({'a_wf': 'sub-01', 'b_wf': 'sub-02'})
        for part in ('a_wf', 'ds_wf', 'b_wf'):
            progress(part)
    first, second = caplog.messages
    assert first.startswith('sub-01: done (1 of 2, about ')
    assert first.endswith(' left).')
    assert second == 'sub-02: done (2 of 2).'
