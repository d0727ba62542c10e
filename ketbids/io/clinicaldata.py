"""What a declared statistic is computed from, as a folder of plain files."""

import json
from pathlib import Path

import pandas as pd

from ketbids.io.files import read_json, write_text
from ketbids.io.tables import read_texts, table_text, typed_column
from ketbids.stats.circularity import DataUse
from ketbids.stats.clinical.data import ClinicalData

__all__ = ['clinical_texts', 'read_clinical_data', 'write_clinical_data']

_PEOPLE, _USES = 'people.tsv', 'uses.json'
#: Tables beside that of people; labels in them stay text.
_TABLES = ('outcomes', 'regions', 'excluded', 'visits')
_LABELS = ('participant_id', 'session_id')


def write_clinical_data(folder: Path, data: ClinicalData) -> list[Path]:
    """Write the data into a folder; `read_clinical_data` gives them back.

    Returns
    -------
    list of Path
        The files.
    """
    return [write_text(folder / name, text) for name, text in clinical_texts(data).items()]


def clinical_texts(data: ClinicalData) -> dict[str, str]:
    """Texts of the files that `write_clinical_data` writes, by name."""
    people = data.people.rename_axis('participant_id').reset_index()
    texts = {_PEOPLE: table_text(people)}
    texts |= {f'{name}.tsv': table_text(getattr(data, name)) for name in _TABLES}
    uses = {
        'selecting': {
            name: {
                'combinations': [dict(weights) for weights in use.combinations],
                'variables': sorted(use.variables),
                'participants': sorted(use.participants),
            }
            for name, use in data.selecting.items()
        },
        'texts': [name for name, column in data.people.items() if _is_text(column)],
        'sessions': list(data.sessions),
        'levels': {name: list(levels) for name, levels in data.levels.items()},
        'roots': {name: sorted(roots) for name, roots in data.roots.items()},
        'inputs': {name: sorted(inputs) for name, inputs in data.inputs.items()},
    }
    return texts | {_USES: json.dumps(uses, indent=2) + '\n'}


def read_clinical_data(folder: Path) -> ClinicalData:
    """Read what `write_clinical_data` wrote.

    Raises
    ------
    InputError
        A file is missing or was not written by it.
    """
    uses = read_json(folder / _USES)
    people = read_texts(folder / _PEOPLE, ('participant_id',)).set_index('participant_id')
    people = pd.DataFrame(
        {
            # Codes 1 and 2 of a column that had other values stay what they were: text.
            name: column if name in uses['texts'] else typed_column(column)
            for name, column in people.items()
        },
        index=people.index,
    )
    tables = {name: _labelled(folder / f'{name}.tsv') for name in _TABLES}
    tables['outcomes']['value'] = tables['outcomes']['value'].astype(float)
    selecting = {
        name: DataUse(
            tuple(use['combinations']),
            frozenset(use['variables']),
            frozenset(use['participants']),
        )
        for name, use in uses['selecting'].items()
    }
    return ClinicalData(
        people=people,
        **tables,
        selecting=selecting,
        sessions=tuple(uses['sessions']),
        levels={name: tuple(levels) for name, levels in uses['levels'].items()},
        roots={name: frozenset(roots) for name, roots in uses['roots'].items()},
        inputs={name: frozenset(inputs) for name, inputs in uses['inputs'].items()},
    )


def _is_text(column: pd.Series) -> bool:
    return any(isinstance(value, str) for value in column)


def _labelled(path: Path) -> pd.DataFrame:
    """Read a table whose cells are labels; the only session of a study is the empty text."""
    table = read_texts(path).reset_index(drop=True).astype(object)
    for name in _LABELS:
        if name in table:
            table[name] = table[name].fillna('')
    return table.where(table.notna(), None)
