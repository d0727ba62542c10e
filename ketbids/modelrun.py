"""What the model file says of a run: regressors, contrasts, and which images are meant."""

from collections.abc import Sequence

import numpy as np

from ketbids import bsm
from ketbids.errors import InputError, ModelError
from ketbids.io.filters import BidsFilter, parse_query
from ketbids.modelblocks import PreprocessingBlock
from ketbids.modelevents import read_event_rules
from ketbids.modelnames import need_label, refuse_repeats, same_names
from ketbids.stats.formulas import column_name
from ketbids.studymodel import RunContrast, RunModel

__all__ = ['contrast_rows', 'read_run_node']


def read_run_node(node: bsm.RunNode) -> RunModel:
    """Read how runs are modelled.

    Raises
    ------
    ModelError
        Names the node and the key.
    """
    where = f'node {node.Name}'
    if sorted(node.GroupBy) not in (['run', 'subject'], ['run', 'session', 'subject']):
        raise ModelError(f'{where}, GroupBy: a run node needs ["run", "session", "subject"]')
    block, key = node.Model.Software.ketbids, f'{where}, Model.Software.ketbids'
    rules = read_event_rules(block, key)
    names = [condition.name for condition in rules.conditions]
    regressors = [name for name in node.Model.X if name != '1']
    refuse_repeats(regressors, f'{where}, Model.X', 'name')
    same_names(regressors, names, f'{where}, Model.X', 'Conditions')
    same_names(node.Model.HRF.Variables, names, f'{where}, Model.HRF.Variables', 'Conditions')
    options = node.Model.Options
    high_pass = None if options is None else options.HighPassFilterCutoffHz
    if high_pass is not None and not 0 < high_pass < 1:
        raise ModelError(
            f'{where}, Model.Options.HighPassFilterCutoffHz: {high_pass:g} is not between 0 and '
            '1 Hz'
        )
    return RunModel(
        name=node.Name,
        events=rules,
        hrf_model=node.Model.HRF.Model,
        high_pass=high_pass,
        contrasts=_contrasts(node.Contrasts, names, where),
        **_images(block.Preprocessing, f'{key}.Preprocessing'),
    )


def contrast_rows(
    contrast: bsm.Contrast | bsm.RunContrast, rows: Sequence[Sequence[float]], where: str
) -> tuple[dict[str, float], ...]:
    """Pair each row of weights with the terms of a contrast.

    Raises
    ------
    ModelError
        A name that cannot be in file names, a term that stands twice, a row that is too short,
        too long or 0 throughout.
    """
    need_label(contrast.Name, where, 'contrast name')
    where = f'{where}, contrast {contrast.Name}'
    terms = [column_name(term) for term in contrast.ConditionList]
    refuse_repeats(terms, f'{where}, ConditionList', 'name')
    for number, row in enumerate(rows):
        which = f'Weights[{number}]' if len(rows) > 1 else 'Weights'
        if len(row) != len(terms):
            raise ModelError(f'{where}, {which}: {len(row)} weights for {len(terms)} conditions')
        if not any(row):
            raise ModelError(f'{where}, {which}: all are 0')
    return tuple(dict(zip(terms, row, strict=True)) for row in rows)


def _contrasts(
    contrasts: Sequence[bsm.RunContrast], conditions: Sequence[str], where: str
) -> tuple[RunContrast, ...]:
    found = tuple(_contrast(contrast, where) for contrast in contrasts)
    names = [contrast.name for contrast in found]
    refuse_repeats(names, f'{where}, Contrasts', 'name', fold=True)
    for contrast in found:
        for name in contrast.rows[0]:
            if name not in conditions:
                raise ModelError(
                    f'{where}, contrast {contrast.name}, ConditionList: {name} is not a '
                    f'condition; there are {", ".join(conditions)}'
                )
    return found


def _contrast(contrast: bsm.RunContrast, where: str) -> RunContrast:
    key = f'{where}, contrast {contrast.Name}, Weights'
    flat = [weight for weight in contrast.Weights if isinstance(weight, float)]
    rows = [weight for weight in contrast.Weights if isinstance(weight, list)]
    if flat and rows:
        raise ModelError(f'{key}: numbers and lists of numbers stand side by side')
    if rows and contrast.Test == 't':
        raise ModelError(
            f'{key}: a t contrast has one list of numbers; several are for "Test": "F"'
        )
    weights = contrast_rows(contrast, rows or [flat], where)
    if np.linalg.matrix_rank([list(row.values()) for row in weights]) < len(weights):
        raise ModelError(
            f'{key}: a row follows from the others (its effect is a sum of theirs): take it out'
        )
    return RunContrast(contrast.Name, weights, contrast.Test, contrast.Description or '')


def _images(block: PreprocessingBlock | None, key: str) -> dict[str, BidsFilter]:
    """Which T1w and T2w images are meant."""
    given = {} if block is None else {'T1w': block.T1w, 'T2w': block.T2w}
    try:
        return {
            name.lower(): parse_query(f'{key}.{name}', name.lower(), content)
            for name, content in given.items()
        }
    except InputError as error:
        raise ModelError(str(error)) from None
