"""Programs that stand in for PALM."""

import stat
import sys


def program(folder, text):
    """Write an executable ``palm`` in a folder of its own; ``#!PYTHON`` is this Python."""
    folder.mkdir(parents=True)
    path = folder / 'palm'
    path.write_text(text.replace('#!PYTHON', f'#!{sys.executable}'))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
