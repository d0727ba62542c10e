"""The model file: read, checked, and turned into frozen typed values."""

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from ketbids import bsm
from ketbids.errors import ModelError
from ketbids.modelblocks import DatasetBlock, RoisBlock
from ketbids.modelnames import (
    as_model_error,
    need_label,
    need_task,
    read_expression,
    refuse_repeats,
    same_names,
    session_label,
    session_pair,
)
from ketbids.modeloutcomes import Known, read_regions
from ketbids.modelpeople import SessionNode, read_session_node
from ketbids.modelrun import contrast_rows, read_run_node
from ketbids.modelstatistics import read_statistics
from ketbids.stats.clinical.specs import Statistic
from ketbids.stats.formulas import column_variables, formula_names
from ketbids.studymodel import (
    Analysis,
    Contrast,
    RunContrast,
    RunModel,
    StudyModel,
)

__all__ = ['Analysis', 'Contrast', 'RunContrast', 'RunModel', 'StudyModel']
__all__ += ['default_model_path', 'load_model']

_Node = TypeVar('_Node')

#: Why a group analysis cannot take an F contrast.
_NO_EFFECT = 'have no sign and no effect that could be averaged over people'


def default_model_path() -> Path:
    """Path of the packaged model: the study of Sahib et al. 2020."""
    return Path(str(files('ketbids.data') / 'models' / 'default.json'))


def load_model(path: Path | None = None) -> StudyModel:
    """Read and check a model file.

    Parameters
    ----------
    path : Path, optional
        JSON in the shape of BIDS Stats Models; by default the packaged one.

    Returns
    -------
    StudyModel

    Raises
    ------
    ModelError
        Names the file, the node and the key. Nothing in the file is ever executed.
    """
    path = default_model_path() if path is None else Path(path)
    try:
        source, content = bsm.read_json(path)
        return _study(bsm.validate(content), source, path)
    except ModelError as error:
        raise ModelError(f'Model file {path}: {error}') from None


def _study(model: bsm.BIDSStatsModel, source: str, path: Path) -> StudyModel:
    refuse_repeats((node.Name for node in model.Nodes), 'Nodes', 'name', fold=True)
    for node in model.Nodes:
        need_label(node.Name, 'Nodes', 'node name')
    run_node = _only([n for n in model.Nodes if isinstance(n, bsm.RunNode)], 'Run')
    session_node = _only([n for n in model.Nodes if isinstance(n, bsm.SessionNode)], 'Session')
    datasets = [n for n in model.Nodes if isinstance(n, bsm.DatasetNode)]
    if not datasets:
        raise ModelError('Nodes: there is no node of level Dataset, so nothing to analyse')
    for task in model.Input.task:
        need_task(task, 'Input.task')
    run = read_run_node(run_node)
    known = read_session_node(session_node)
    passed = _edges(model, run, session_node.Name)
    analyses = tuple(_analysis(node, passed[node.Name], known.levels) for node in datasets)
    regions, statistics = _statistics(session_node, run, known, analyses)
    return StudyModel(
        name=model.Name,
        description=model.Description or '',
        tasks=tuple(model.Input.task),
        run=run,
        scores=known.scores,
        derived=known.derived,
        levels=known.levels,
        checks=known.checks,
        analyses=analyses,
        regions=regions,
        statistics=statistics,
        source=source,
        path=path,
    )


def _statistics(
    node: bsm.SessionNode, run: RunModel, people: SessionNode, analyses: tuple[Analysis, ...]
) -> tuple[dict[str, tuple[str, tuple[str, ...]]], tuple[Statistic, ...]]:
    """Regions and statistics of the session node."""
    if node.Model.Software is None:
        return {}, ()
    block, key = node.Model.Software.ketbids, f'node {node.Name}, Model.Software.ketbids'
    regions = read_regions(block.Regions, f'{key}.Regions')
    known = Known(
        scores=people.scores,
        levels=people.levels,
        derived=people.derived,
        analyses={analysis.name: analysis for analysis in analyses},
        regions=regions,
        stimuli=run.events.stimuli,
        with_sessions='session' in node.GroupBy,
    )
    return regions, read_statistics(block.Statistics, known, f'{key}.Statistics')


def _edges(
    model: bsm.BIDSStatsModel, first_level: RunModel, session: str
) -> dict[str, tuple[str, ...]]:
    """First-level contrasts that reach each dataset node.

    Only run -> session and session -> dataset are edges, so that there is no cycle.
    """
    names, run = [node.Name for node in model.Nodes], first_level.name
    if model.Edges is None:
        pairs: list[tuple[str, str, bsm.EdgeFilter | None]] = [
            (a, b, None) for a, b in pairwise(names)
        ]
    else:
        pairs = [(e.Source, e.Destination, e.Filter) for e in model.Edges]
    refuse_repeats((f'{a} to {b}' for a, b, _ in pairs), 'Edges', 'edge')
    passed: dict[str, tuple[str, ...]] = {}
    joined = False
    for source, destination, only in pairs:
        where = f'edge {source} to {destination}'
        for end in (source, destination):
            if end not in names:
                raise ModelError(f'{where}: there is no node {end}; there are {", ".join(names)}')
        if (source, destination) == (run, session):
            joined = True
            if only is not None:
                raise ModelError(f'{where}, Filter: put it on the edges to the analyses')
        elif source == session and destination not in {run, session}:
            passed[destination] = _passed(
                first_level, None if only is None else only.contrast, where
            )
        else:
            raise ModelError(
                f'{where}: edges go from {run} (Run) to {session} (Session), and from there to '
                'Dataset nodes; any other could make a cycle'
            )
    if not joined:
        raise ModelError(f'Edges: there is none from {run} to {session}')
    for name in names:
        if name not in {run, session, *passed}:
            raise ModelError(f'Edges: none reaches node {name}')
    return passed


def _passed(first_level: RunModel, chosen: Sequence[str] | None, where: str) -> tuple[str, ...]:
    """First-level contrasts that an edge passes on: those of t, or those that are chosen."""
    tests = {contrast.name: contrast.test for contrast in first_level.contrasts}
    if chosen is None:
        passed = tuple(name for name, test in tests.items() if test == 't')
        if not passed:
            raise ModelError(
                f'{where}: all contrasts of node {first_level.name} are F contrasts '
                f'({", ".join(tests)}), which {_NO_EFFECT}; add a t contrast'
            )
        return passed
    refuse_repeats(chosen, f'{where}, Filter.contrast', 'name')
    for name in chosen:
        if name not in tests:
            raise ModelError(
                f'{where}, Filter.contrast: there is no contrast {name}; '
                f'node {first_level.name} has {", ".join(tests)}'
            )
        if tests[name] == 'F':
            raise ModelError(
                f'{where}, Filter.contrast: {name} is an F contrast; these {_NO_EFFECT}; take '
                'it out, or write a t contrast for each of its rows'
            )
    return tuple(chosen)


def _analysis(
    node: bsm.DatasetNode, first_level: tuple[str, ...], levels: Mapping[str, Sequence[str]]
) -> Analysis:
    where = f'node {node.Name}'
    software, key = node.Model.Software, f'{where}, Model.Software.ketbids'
    block = DatasetBlock() if software is None else software.ketbids
    if node.GroupBy != ['contrast']:
        raise ModelError(f'{where}, GroupBy: a dataset node needs ["contrast"]')
    if len(node.Contrasts) != 1:
        raise ModelError(
            f'{where}, Contrasts: there are {len(node.Contrasts)}; an analysis is one test, so '
            'write a node for each'
        )
    formula = node.Model.Formula
    with as_model_error(f'{where}, Model.Formula'):
        variables = formula_names(formula)
    refuse_repeats(node.Model.X, f'{where}, Model.X', 'name')
    same_names(
        [name for name in node.Model.X if name != '1'], variables, f'{where}, Model.X', 'Formula'
    )
    contrast = _contrast(node.Contrasts[0], where)
    for term in contrast.weights:
        _check_term(term, formula, variables, levels, f'{where}, contrast {contrast.name}')
    if block.Subset is not None:
        read_expression(block.Subset, levels, f'{key}.Subset')
    if block.Session is not None and block.Difference is not None:
        raise ModelError(f'{key}: give Session or Difference, not both')
    for name in block.Center or ():
        if name not in variables:
            raise ModelError(f"{key}.Center: {name} is not in the formula '{formula}'")
    if block.VarianceGroups not in (None, *variables):
        raise ModelError(
            f"{key}.VarianceGroups: {block.VarianceGroups} is not in the formula '{formula}'"
        )
    rois = RoisBlock() if block.Rois is None else block.Rois
    need_label(rois.Atlas, f'{key}.Rois.Atlas', 'name of an atlas')
    return Analysis(
        name=node.Name,
        description=node.Description or '',
        first_level=first_level,
        formula=formula,
        contrast=contrast,
        subset=block.Subset,
        session=None if block.Session is None else session_label(block.Session, f'{key}.Session'),
        difference=None
        if block.Difference is None
        else session_pair(block.Difference, f'{key}.Difference'),
        center=None if block.Center is None else tuple(block.Center),
        scheme=None if block.Permutation is None else block.Permutation.Scheme,
        variance_groups=block.VarianceGroups,
        minimum_n=block.MinimumN,
        roi_atlas=rois.Atlas,
        roi_minimum_size=rois.MinimumSize,
    )


def _check_term(
    term: str,
    formula: str,
    variables: Sequence[str],
    levels: Mapping[str, Sequence[str]],
    where: str,
) -> None:
    """Refuse a contrast term that the formula cannot make (which levels occur, the data say)."""
    if term == 'Intercept' and not formula.lstrip('~ ').startswith('1'):
        raise ModelError(f"{where}, ConditionList: 1 needs an intercept in '{formula}'")
    for name in column_variables(term):
        if name not in variables:
            raise ModelError(f"{where}, ConditionList: {term} is not in the formula '{formula}'")
    for name, level in re.findall(r'(\w+)\[(?:[TS]\.)?([^]]*)\]', term):
        if name in levels and level not in levels[name]:
            raise ModelError(
                f'{where}, ConditionList: {term}: Levels of {name} are {", ".join(levels[name])}'
            )


def _contrast(contrast: bsm.Contrast, where: str) -> Contrast:
    weights = contrast_rows(contrast, [contrast.Weights], where)[0]
    return Contrast(contrast.Name, weights, contrast.Description or '')


def _only(nodes: list[_Node], level: str) -> _Node:
    if len(nodes) != 1:
        raise ModelError(f'Nodes: one node of level {level} is needed, there are {len(nodes)}')
    return nodes[0]
