"""Events files, with the line of each row."""

from pathlib import Path

import pandas as pd

from ketbids.io.tables import read_texts

__all__ = ['read_events']


def read_events(path: Path) -> pd.DataFrame:
    """Read an events file as text; an index named ``line`` has the line of each row.

    Values stay as they are written, so that messages can quote them and no column changes its
    type by what another row holds.

    Raises
    ------
    InputError
        As `ketbids.io.tables.read_texts`, or ``onset`` or ``duration`` is missing.
    """
    events = read_texts(Path(path), ('onset', 'duration'))
    events.index.name = 'line'
    return events
