"""What a model file means, as frozen typed values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from ketbids.errors import ModelError
from ketbids.io.filters import BidsFilter
from ketbids.stats import expressions
from ketbids.stats.checks import Check
from ketbids.stats.clinical.specs import Statistic
from ketbids.stats.clinical.uses import statistic_uses
from ketbids.stats.eventrules import EventRules
from ketbids.stats.formulas import formula_names
from ketbids.stats.groupdesign import Scheme

__all__ = ['Analysis', 'Contrast', 'RunContrast', 'RunModel', 'StudyModel']
__all__ += ['Variables']


@dataclass(frozen=True)
class Contrast:
    """Weighted sum of parameters of a group analysis, tested by t.

    Attributes
    ----------
    name : str
    weights : mapping of str to float
        By column of the group design (``Intercept``, ``group[TRD]``).
    description : str
    """

    name: str
    weights: Mapping[str, float]
    description: str = ''


@dataclass(frozen=True)
class RunContrast:
    """Weighted sums of the parameters of a run.

    Attributes
    ----------
    name : str
    rows : tuple of mapping of str to float
        Weights by condition: one row for t, one or more for F.
    test : {'t', 'F'}
        F: whether any of the rows is not 0. It has no effect map, so that no group analysis can
        take it.
    description : str
    """

    name: str
    rows: tuple[Mapping[str, float], ...]
    test: Literal['t', 'F'] = 't'
    description: str = ''


@dataclass(frozen=True)
class RunModel:
    """The first level.

    Attributes
    ----------
    name : str
        Name of its node.
    events : EventRules
        How rows of events become trials of conditions.
    hrf_model : str
        Nilearn's name of the haemodynamic response.
    high_pass : float or None
        Cut-off in Hz.
    contrasts : tuple of RunContrast
    t1w, t2w : BidsFilter
        Which anatomical image of a session is meant, where raw data have several.
    """

    name: str
    events: EventRules
    hrf_model: str
    high_pass: float | None
    contrasts: tuple[RunContrast, ...]
    # Not of the fit: what is finished must not look as if it were of another model.
    t1w: BidsFilter = field(default_factory=BidsFilter, repr=False)
    t2w: BidsFilter = field(default_factory=BidsFilter, repr=False)


@dataclass(frozen=True)
class Analysis:
    """A group analysis; the fields go to `ketbids.stats.groupdesign.build_group_design`.

    Attributes
    ----------
    name, description : str
    first_level : tuple of str
        First-level contrasts that it analyses, each apart.
    formula : str
    contrast : Contrast
    subset : str or None
        Expression that is true for whoever is in it.
    session : str or None
        None without a difference: each participant's only map.
    difference : tuple of str or None
        The map of the first session minus the map of the second.
    center : tuple of str or None
        Variables that are demeaned; None: all that are not tested.
    scheme : {'flips', 'permutations'} or None
        None: as the contrast needs it.
    variance_groups : str or None
        Factor of the formula whose levels may have errors of different variance.
    minimum_n : int or None
    roi_atlas : str
        Atlas whose labels cut significant clusters into regions.
    roi_minimum_size : float
        Smallest region that is kept, in mm2 on surfaces and mm3 in the volume.
    """

    name: str
    description: str
    first_level: tuple[str, ...]
    formula: str
    contrast: Contrast
    subset: str | None = None
    session: str | None = None
    difference: tuple[str, str] | None = None
    center: tuple[str, ...] | None = None
    scheme: Scheme | None = None
    variance_groups: str | None = None
    minimum_n: int | None = None
    roi_atlas: str = 'DesikanKilliany'
    roi_minimum_size: float = 0.0


class Variables(NamedTuple):
    """What a model file uses of the tables of people.

    Attributes
    ----------
    all : frozenset of str
        Every name, but those of derived variables.
    required : frozenset of str
        Those without which there is an analysis that cannot be made.
    numbers : frozenset of str
        Those that must be numbers for analyses, checks or derived variables; what a statistic
        alone needs as a number, it refuses by itself.
    """

    all: frozenset[str]
    required: frozenset[str]
    numbers: frozenset[str]


@dataclass(frozen=True)
class StudyModel:
    """A whole model file.

    Attributes
    ----------
    name, description : str
    tasks : tuple of str
    run : RunModel
    scores : tuple of str
        Columns of tables of visits that become one column per session (``hdrs_TP1``).
    derived : mapping of str to str
        Expressions of derived variables, in the order of evaluation.
    levels : mapping of str to tuple of str
        Values that a column of the table of participants may have, in order.
    checks : tuple of Check
        Ranges that values are expected in.
    analyses : tuple of Analysis
    regions : mapping of str to (str, tuple of str)
        Atlas and labels of each region that was chosen before the data were seen.
    statistics : tuple of Statistic
        What is computed of scores, behaviour and regions.
    source : str
        Text of the file.
    path : Path
    """

    name: str
    description: str
    tasks: tuple[str, ...]
    run: RunModel
    scores: tuple[str, ...]
    derived: Mapping[str, str]
    levels: Mapping[str, tuple[str, ...]]
    checks: tuple[Check, ...]
    analyses: tuple[Analysis, ...]
    regions: Mapping[str, tuple[str, tuple[str, ...]]]
    statistics: tuple[Statistic, ...]
    source: str
    path: Path

    def analysis(self, name: str) -> Analysis:
        """Return one analysis by name; ModelError with the names there are."""
        for analysis in self.analyses:
            if analysis.name == name:
                return analysis
        known = ', '.join(analysis.name for analysis in self.analyses)
        raise ModelError(f'{self.path} has no analysis {name}; it has {known}')

    def chosen(self, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """Tell which of the names are analyses and which are statistics; none: all there are.

        Raises
        ------
        ModelError
            A name is neither; with the names there are.
        """
        analyses = [analysis.name for analysis in self.analyses]
        statistics = [statistic.name for statistic in self.statistics]
        for name in names:
            if name not in (*analyses, *statistics):
                more = f', and the statistics {", ".join(statistics)}' if statistics else ''
                raise ModelError(
                    f'{self.path} has no analysis {name}; it has {", ".join(analyses)}{more}'
                )
        wanted = names or (*analyses, *statistics)
        return [n for n in analyses if n in wanted], [n for n in statistics if n in wanted]

    def variables(self) -> Variables:
        """Give the variables that the model uses."""
        required: set[str] = set()
        used = list(self.derived.values())
        for analysis in self.analyses:
            required.update(formula_names(analysis.formula))
            if analysis.subset is not None:
                used.append(analysis.subset)
                required.update(expressions.names(analysis.subset))
        checked = [check.value for check in self.checks]
        used += [*checked, *(check.subset for check in self.checks if check.subset is not None)]
        numbers = {name for expression in used for name in expressions.numbers(expression)}
        numbers |= {value.strip() for value in checked if value.strip().isidentifier()}
        plain: set[str] = set()
        for statistic in self.statistics:
            plain |= statistic_uses(statistic, self.scores).names
        for name in reversed(list(self.derived)):
            if name in required:
                required.update(expressions.names(self.derived[name]))
        everything = {name for expression in used for name in expressions.names(expression)}
        derived = set(self.derived)
        return Variables(
            frozenset((everything | required | plain) - derived),
            frozenset(required - derived),
            frozenset(numbers - derived),
        )
