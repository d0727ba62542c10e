"""Group designs: which maps enter an analysis, and the model matrix that goes with them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats import expressions
from ketbids.stats.formulas import (
    column_name,
    column_variables,
    formula_names,
    model_columns,
    prepare,
)
from ketbids.stats.people import build_people, labels, listing, refuse_repeats, select_maps

__all__ = ['GroupDesign', 'Scheme', 'build_group_design', 'build_people', 'describe']
__all__ += ['directions', 'formula_names']

Scheme = Literal['flips', 'permutations']


class GroupDesign(NamedTuple):
    """The rows of one analysis and its model.

    Attributes
    ----------
    rows : DataFrame, N rows
        ``participant_id`` (``sub-..``), ``session_id`` (``ses-..`` or NA) and ``path`` of the map;
        in a difference also ``minus_session_id`` and ``minus_path``, the map that is subtracted;
        then the columns of the matrix. Sorted by participant.
    matrix : DataFrame of float, shape (N, P)
        Model matrix, its rows in the order of ``rows``.
    contrast : ndarray of float, shape (P,)
        Weight of each column.
    exclusions : DataFrame
        ``participant_id``, ``session_id`` (NA where the reason concerns the participant),
        ``reason``. A participant may have several rows.
    names : tuple of str
        Columns of the matrix.
    notes : tuple of str
        Sentences for the report: what was dropped, what the effect is conditional on.
    scheme : 'flips' or 'permutations'
        Shuffling that can test the contrast.
    sessions : tuple of str
        Labels: none, one, or the two of a difference (first minus second).
    tested, nuisance : tuple of str
        Variables with and without weight in the contrast.
    counts : dict of str to int
        Participants per level of the tested factor (empty if there is none).
    """

    rows: pd.DataFrame
    matrix: pd.DataFrame
    contrast: npt.NDArray[np.float64]
    exclusions: pd.DataFrame
    names: tuple[str, ...]
    notes: tuple[str, ...]
    scheme: Scheme
    sessions: tuple[str, ...]
    tested: tuple[str, ...]
    nuisance: tuple[str, ...]
    counts: dict[str, int]


def build_group_design(
    maps: pd.DataFrame,
    people: pd.DataFrame,
    *,
    formula: str,
    contrast: Mapping[str, float],
    session: str | None = None,
    difference: tuple[str, str] | None = None,
    subset: str | None = None,
    center: Collection[str] | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
    derived: Mapping[str, str] | None = None,
    excluded: pd.DataFrame | None = None,
    scheme: Scheme | None = None,
    minimum_n: int | None = None,
) -> GroupDesign:
    """Rows, model matrix and contrast of one analysis.

    Maps and rows are paired by key. Rows come out sorted by participant, so that the order of the
    tables never matters.

    Parameters
    ----------
    maps : DataFrame
        ``participant_id``, ``session_id`` (missing in a study without sessions), ``path``: the
        maps of one first-level contrast.
    people : DataFrame
        One row per participant, indexed by participant (see `build_people`).
    formula : str
        See `formula_names`.
    contrast : mapping of str to float
        Weight of each tested column (``group[TRD]``; ``Intercept`` or ``1``); the others are 0.
    session : str, optional
        Label of the session that is analysed. Without it and without ``difference``, each
        participant must have exactly one map.
    difference : pair of str, optional
        Labels: the map at the first minus the map at the second.
    subset : str, optional
        Expression (see `ketbids.stats.expressions`) that is true for whoever is in the analysis.
    center : collection of str, optional
        Variables that are demeaned over the rows of this analysis: numbers before products are
        made, factors as columns. By default every variable that is not tested.
    levels : mapping of str to sequence of str, optional
        Order of a factor's levels; a column named here is a factor even if it holds numbers.
    derived : mapping of str to str, optional
        Derived variables; those that the analysis needs are evaluated.
    excluded : DataFrame, optional
        Exclusion list: ``participant_id``, ``session_id`` (missing = all), ``reason``, and maybe
        ``run``; a line with a run concerns the first level and only explains an absent map.
    scheme : {'flips', 'permutations'}, optional
        By default flips if the contrast responds to a shift of all data, else permutations.
    minimum_n : int, optional
        Fewest rows to go on with.

    Returns
    -------
    GroupDesign

    Raises
    ------
    InputError
        An unknown variable, term or level; nobody or too few left; a tested variable that does
        not vary; collinear columns; a contrast that permutations cannot test.
    """
    variables = formula_names(formula)
    derived = derived or {}
    people = people.set_axis(labels(people.index, 'sub-'), axis='index')
    refuse_repeats(people.index, 'The participants table has more than one row of')
    needed = (*variables, *(expressions.names(subset) if subset else ()))
    people = expressions.derive(people, derived, needed=needed)
    weights = {column_name(term): float(weight) for term, weight in contrast.items() if weight}
    tested = {name for term in weights for name in column_variables(term)}
    _check_names(formula, variables, people, weights, tested, center)
    if difference is not None:
        wanted: tuple[str, ...] | None = tuple(difference)
    else:
        wanted = None if session is None else (session,)
    if wanted is not None:
        wanted = tuple(label.removeprefix('ses-') for label in wanted)
    rows, exclusions = select_maps(
        maps,
        people,
        sessions=wanted,
        subset=subset,
        variables=variables,
        derived=derived,
        excluded=excluded,
    )
    fewest = max(minimum_n or 0, 1)
    if len(rows) < fewest:
        raise InputError(
            f'{len(rows)} participants are left, at least {fewest} are needed '
            f'({_excluded_text(exclusions)})'
        )
    covariates = prepare(people.loc[rows.index, list(variables)], formula, levels or {})
    matrix, centred, constant = model_columns(formula, covariates, tested, center)
    vector = np.array([weights.get(name, 0.0) for name in matrix.columns])
    for term in weights:
        if term not in matrix.columns:
            raise InputError(
                f'The contrast needs {term}, which is not a column of the design; '
                f'columns: {", ".join(matrix.columns)}'
            )
    _check_estimable(matrix, vector, exclusions)
    is_mean = _responds_to_shift(matrix, vector)
    if scheme == 'permutations' and is_mean:
        raise InputError(
            'The contrast tests a mean, which permutations leave as it is: use flips for it'
        )
    in_matrix = {name for column in matrix.columns for name in column_variables(column)}
    nuisance = tuple(name for name in variables if name in in_matrix - tested)
    counts = _counts(covariates, tested)
    rows, matrix = rows.reset_index(drop=True), matrix.reset_index(drop=True)
    return GroupDesign(
        rows=pd.concat([rows, matrix], axis='columns'),
        matrix=matrix,
        contrast=vector,
        exclusions=exclusions,
        names=tuple(matrix.columns),
        notes=_notes(covariates, constant, centred, nuisance, counts, is_mean),
        scheme=scheme or ('flips' if is_mean else 'permutations'),
        sessions=wanted or (),
        tested=tuple(name for name in variables if name in tested),
        nuisance=nuisance,
        counts=counts,
    )


def describe(design: GroupDesign, what: str) -> str:
    """One plain sentence that says what an analysis does.

    Parameters
    ----------
    design : GroupDesign
    what : str
        Name of the first-level contrast.

    Returns
    -------
    str
        For example ``'One-sample t-test on 14 participants: mean of nogoVsGo at TP1, adjusted for
        age and sex.'``
    """
    n = len(design.rows)
    change = len(design.sessions) == 2
    when = f' at {" minus ".join(design.sessions)}' if design.sessions else ''
    weights = _weights(design)
    groups = _two_levels(weights, design)
    tested = design.tested[0] if design.tested else ''
    if set(weights) == {'Intercept'} and weights['Intercept'] > 0:
        test = 'Paired t-test' if change else 'One-sample t-test'
        effect = f'{what}{when}' if change else f'mean of {what}{when}'
    elif groups:
        test = 'Two-sample t-test'
        effect = f'{what}{when}, {tested} {groups[0]} minus {groups[1]}'
    elif list(weights) == [tested] and weights[tested] > 0:
        test, effect = 'Linear regression', f'slope of {what}{when} on {tested}'
    else:
        test = 'General linear model'
        terms = ' '.join(f'{weight:+g} {name}' for name, weight in weights.items())
        effect = f'{what}{when}, contrast {terms}'
    parts = [f'{count} with {tested} {level}' for level, count in design.counts.items()]
    who = f' ({", ".join(parts)})' if groups else ''
    adjusted = f', adjusted for {listing(design.nuisance)}' if design.nuisance else ''
    return f'{test} on {n} participants{who}: {effect}{adjusted}.'


def _weights(design: GroupDesign) -> dict[str, float]:
    """Columns that are tested, and how."""
    pairs = zip(design.names, design.contrast, strict=True)
    return {name: float(weight) for name, weight in pairs if weight}


def _two_levels(weights: Mapping[str, float], design: GroupDesign) -> tuple[str, str] | None:
    """Level that counts positive and level that counts negative in a two-group contrast."""
    if len(design.tested) != 1 or len(design.counts) != 2:
        return None
    name, levels = design.tested[0], list(design.counts)
    if set(weights) == {f'{name}[{level}]' for level in levels}:
        first, second = (weights[f'{name}[{level}]'] for level in levels)
        if first != -second:
            return None
    elif set(weights) == {f'{name}[T.{levels[1]}]'}:
        first = -weights[f'{name}[T.{levels[1]}]']
    else:
        return None
    return (levels[0], levels[1]) if first > 0 else (levels[1], levels[0])


def _check_names(
    formula: str,
    variables: Sequence[str],
    people: pd.DataFrame,
    weights: Mapping[str, float],
    tested: Collection[str],
    center: Collection[str] | None,
) -> None:
    """Refuse names that are no column, and weights that say nothing."""
    for name in variables:
        if name not in people.columns:
            raise InputError(
                f"Formula '{formula}': there is no column {name}; columns at hand: "
                f'{", ".join(map(str, people.columns)) or "none"}'
            )
    if not weights or not np.isfinite(list(weights.values())).all():
        raise InputError('The contrast needs finite weights that are not all 0')
    if unknown := set(tested).difference(variables):
        raise InputError(f"The contrast tests {min(unknown)}, which is not in '{formula}'")
    if unknown := set(center or ()).difference(variables):
        raise InputError(f"Center has {min(unknown)}, which is not in the formula '{formula}'")


def _counts(covariates: pd.DataFrame, tested: Collection[str]) -> dict[str, int]:
    """Participants per level of the tested factor; empty if there is none, or more than one."""
    factors = [
        name
        for name in covariates
        if name in tested and isinstance(covariates[name].dtype, pd.CategoricalDtype)
    ]
    if len(factors) != 1:
        return {}
    column = covariates[factors[0]]
    return {str(level): int((column == level).sum()) for level in column.cat.categories}


def _notes(
    covariates: pd.DataFrame,
    constant: Sequence[str],
    centred: Sequence[str],
    nuisance: Sequence[str],
    counts: Mapping[str, int],
    is_mean: bool,
) -> tuple[str, ...]:
    """Sentences for the report."""
    n = len(covariates)
    notes = [
        f'{name} is {covariates[name].iloc[0]} for all {n} participants and was left out.'
        for name in constant
    ]
    if centred:
        estimand = ': the mean is that of a participant with their average' if is_mean else ''
        are = 'is' if len(centred) == 1 else 'are'
        notes.append(
            f'{listing(centred)} {are} demeaned over the {n} participants of this analysis'
            f'{estimand}.'
        )
    if is_mean and (free := [name for name in nuisance if name not in centred]):
        notes.append(
            f'{listing(free)} not demeaned: the mean is that of a participant for whom their '
            'columns are 0.'
        )
    notes += [
        f'Only one participant has {level}.' for level, count in counts.items() if count == 1
    ]
    return tuple(notes)


def _excluded_text(exclusions: pd.DataFrame) -> str:
    if not len(exclusions):
        return 'nobody of the subset was excluded'
    reasons = exclusions['reason'].value_counts().head(5)
    shown = ', '.join(f'{count} x {reason}' for reason, count in reasons.items())
    return f'excluded: {exclusions["participant_id"].nunique()} ({shown})'


def _check_estimable(matrix: pd.DataFrame, contrast: np.ndarray, exclusions: pd.DataFrame) -> None:
    """Refuse too few rows and a design that cannot tell its columns apart."""
    n, p = matrix.shape
    if n <= p + 1:
        raise InputError(
            f'{n} participants are too few for a design of {p} columns, at least {p + 2} are '
            f'needed ({_excluded_text(exclusions)})'
        )
    values = matrix.to_numpy()
    norms = np.linalg.norm(values, axis=0)
    scaled = values / np.where(norms > 0, norms, 1)
    _, singular, right = np.linalg.svd(scaled, full_matrices=False)
    null = right[singular < 1e-8 * singular[0]] if singular[0] > 0 else right
    if len(null):
        involved = np.abs(null).max(axis=0) > 1e-6
        collinear = [name for name, hit in zip(matrix.columns, involved, strict=True) if hit]
        scaled_contrast = contrast / np.where(norms > 0, norms, 1)
        lost = np.abs(null @ scaled_contrast).max() > 1e-8 * np.linalg.norm(scaled_contrast)
        raise InputError(
            f'The columns {", ".join(collinear)} of the design are collinear'
            f'{", so that the contrast cannot be estimated" if lost else ""}: '
            'take out what the others say already'
        )


def _responds_to_shift(matrix: pd.DataFrame, contrast: np.ndarray) -> bool:
    """True if adding a constant to all data changes the contrast (permutations keep it)."""
    coefficients, *_ = np.linalg.lstsq(matrix.to_numpy(), np.ones(len(matrix)), rcond=None)
    return abs(float(contrast @ coefficients)) > 1e-8 * float(np.abs(contrast).max())


def directions(design: GroupDesign, what: str) -> tuple[str, str]:
    """Headings of the positive and the negative direction of an analysis.

    Parameters
    ----------
    design : GroupDesign
    what : str
        Name of the first-level contrast.

    Returns
    -------
    positive, negative : str
        For example ``'nogoVsGo higher at TP1 than at TP3'`` and ``'nogoVsGo lower at ...'``.
    """
    weights = _weights(design)
    change = f' ({" minus ".join(design.sessions)})' if len(design.sessions) == 2 else ''
    groups = _two_levels(weights, design)
    if set(weights) == {'Intercept'}:
        if change:
            first, second = design.sessions
            ends = (f'higher at {first} than at {second}', f'lower at {first} than at {second}')
        else:
            ends = ('above 0', 'below 0')
        if weights['Intercept'] < 0:
            ends = ends[::-1]
        return f'{what} {ends[0]}', f'{what} {ends[1]}'
    if groups:
        versus = f'where {design.tested[0]} is {groups[0]} than where it is {groups[1]}'
        return f'{what}{change} higher {versus}', f'{what}{change} lower {versus}'
    terms = ' '.join(f'{weight:+g} {name}' for name, weight in weights.items())
    return f'{what}{change}: {terms} above 0', f'{what}{change}: {terms} below 0'
