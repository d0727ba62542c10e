"""Programs that stand in for film_gls."""

import sys
from pathlib import Path

STUB = Path(__file__).with_name('film_stub.py').read_text()


def install_film(folder, text=STUB, version='6.0.7'):
    """Make a folder of FSL with film_gls in it; ``#!PYTHON`` is this Python."""
    path = folder / 'bin' / 'film_gls'
    path.parent.mkdir(parents=True)
    path.write_text(text.replace('#!PYTHON', f'#!{sys.executable}'))
    path.chmod(0o755)
    (folder / 'etc').mkdir()
    (folder / 'etc' / 'fslversion').write_text(f'{version}:abcdef\n')
    return folder
