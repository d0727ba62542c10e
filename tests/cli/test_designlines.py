"""The design of a run as text."""

from types import SimpleNamespace

import numpy as np
import pytest

from ketbids.cli import designlines
from ketbids.cli.designlines import design_picture, movement_line
from ketbids.io.timing import RunTiming

TIMING = RunTiming(200, 0.8, 0.5, ())


def test_a_picture_of_regressors():
    block = np.zeros(240)
    block[120:] = 2.0
    head, one, nothing = design_picture({'block': block, 'nothing': np.zeros(240)})
    assert 'its own maximum' in head
    name, line, _ = one.split('|')
    assert name.strip() == 'block'
    assert line == ' ' * 30 + line[-1] * 30
    assert line[-1] != ' '
    assert nothing.split('|')[1] == ' ' * 60
    (_, few) = design_picture({'a': [0.0, -1.0, 3.0]})
    assert len(few.split('|')[1]) == 3
    assert design_picture({}) == []


@pytest.mark.parametrize(('encoding', 'highest'), [('utf-8', '\N{FULL BLOCK}'), ('ascii', '@')])
def test_what_the_terminal_cannot_write_is_not_drawn(monkeypatch, encoding, highest):
    stream = SimpleNamespace(encoding=encoding)
    monkeypatch.setattr(designlines, 'sys', SimpleNamespace(stdout=stream, stderr=stream))
    (_, line) = design_picture({'a': np.arange(9)})
    drawn = line.split('|')[1]
    assert drawn[0] == ' '
    assert drawn[-1] == highest
    assert len(set(drawn)) == 9


def test_movement(tmp_path):
    """A step of 1 mm in one of 199 changes."""
    values = np.zeros((200, 6))
    values[100:, 0] = 1.0
    path = tmp_path / 'Movement_Regressors.txt'
    np.savetxt(path, values)
    line = movement_line(path, TIMING, 'hcp')
    assert line.startswith('movement: mean FD 0.005 mm, filtered 0.0')
    assert line.endswith(' mm, 0.5 % above 0.5 mm')
    slow = movement_line(path, TIMING._replace(repetition_time=3.0), 'hcp')
    assert 'mean FD 0.005 mm, filtered n/a (' in slow


def test_no_movement(tmp_path):
    assert movement_line(None, TIMING, 'hcp') == (
        'movement: FD and filtered FD n/a (There is no table of the head movement)'
    )
    path = tmp_path / 'Movement_Regressors.txt'
    path.write_text('1 2 3 4 5 6\n')
    assert '1 rows of confounds' in movement_line(path, TIMING, 'hcp')
