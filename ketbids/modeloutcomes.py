"""What statistics of a model file are about: scores, regions and measures of behaviour."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ketbids.errors import ModelError
from ketbids.modelnames import need_label, need_variable, refuse_repeats, session_label
from ketbids.modelpeopleblocks import RegionBlock
from ketbids.modelstatisticblocks import BehaviourBlock, RegionChoiceBlock, RegionsBlock
from ketbids.stats.clinical.specs import Outcome, RegionChoice
from ketbids.stats.eventrules import StimulusRules
from ketbids.studymodel import Analysis

__all__ = ['TIME', 'Known', 'need_single', 'read_families', 'read_outcome', 'read_regions']
__all__ += ['read_sessions']

#: The factor of sessions in the formula of a mixed model.
TIME = 'time'


@dataclass(frozen=True)
class Known:
    """What the rest of the model file says, which statistics may name.

    Attributes
    ----------
    scores : tuple of str
    levels : mapping of str to tuple of str
    derived : collection of str
        Names of derived variables.
    analyses : mapping of str to Analysis
    regions : collection of str
        Names of the regions that the file defines.
    stimuli : StimulusRules or None
        None: there is no table of behaviour.
    with_sessions : bool
        Whether names of files have sessions.
    """

    scores: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    derived: Collection[str]
    analyses: Mapping[str, Analysis]
    regions: Collection[str]
    stimuli: StimulusRules | None
    with_sessions: bool

    def contrasts(self) -> tuple[str, ...]:
        """First-level contrasts that analyses take, so that there are regional values of them."""
        taken = (name for analysis in self.analyses.values() for name in analysis.first_level)
        return tuple(dict.fromkeys(taken))

    def sessions(self) -> tuple[str, ...]:
        """Sessions that analyses name."""
        labels: list[str] = []
        for analysis in self.analyses.values():
            labels += [
                label for label in (analysis.session, *(analysis.difference or ())) if label
            ]
        return tuple(dict.fromkeys(labels))


def read_regions(
    blocks: Mapping[str, RegionBlock], where: str
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Give the atlas and the labels of each region that the file defines.

    Raises
    ------
    ModelError
        Names the node and the key.
    """
    refuse_repeats(blocks, where, 'region', fold=True)
    regions = {}
    for name, block in blocks.items():
        need_variable(name, f'{where}.{name}')
        if name in {label for other in blocks.values() for label in other.Labels}:
            raise ModelError(
                f'{where}.{name}: this is the name of a whole parcel already; take another'
            )
        need_label(block.Atlas, f'{where}.{name}.Atlas', 'name of an atlas')
        refuse_repeats(block.Labels, f'{where}.{name}.Labels', 'label')
        regions[name] = (block.Atlas, tuple(block.Labels))
    return regions


def read_outcome(
    block: str | RegionsBlock | BehaviourBlock, known: Known, where: str, *, visits: bool
) -> Outcome:
    """Read a score, a choice of regions, or measures of behaviour.

    Parameters
    ----------
    block : str or block
    known : Known
    where : str
        Node and key, for messages.
    visits : bool
        Whether its values of sessions are taken: a score must have such.

    Raises
    ------
    ModelError
        Names the node, the key, and what there is instead of a name that is not known.
    """
    if isinstance(block, str):
        need_variable(block, where)
        if visits and block not in known.scores:
            raise ModelError(
                f'{where}: {block} has no value per session, for it is not among Scores '
                f'({", ".join(known.scores) or "none"})'
            )
        return Outcome(score=block)
    if isinstance(block, RegionsBlock):
        return Outcome(regions=_region_choice(block.Regions, known, f'{where}.Regions'))
    key = f'{where}.Behaviour'
    if known.stimuli is None:
        raise ModelError(
            f'{key}: there is no table of behaviour, because the run node has no Stimuli'
        )
    from ketbids.stats.behaviour import COUNTS, MEASURES

    refuse_repeats(block.Behaviour, key, 'measure')
    for name in block.Behaviour:
        _need_one_of(name, (*MEASURES, *COUNTS), key, 'measure of behaviour')
    return Outcome(behaviour=tuple(block.Behaviour))


def _region_choice(block: RegionChoiceBlock, known: Known, where: str) -> RegionChoice:
    contrasts = known.contrasts()
    if block.Contrast not in contrasts:
        raise ModelError(
            f'{where}.Contrast: no analysis takes a contrast {block.Contrast}, so there are no '
            f'regional values of it; they take {", ".join(contrasts)}'
        )
    for name in block.SelectedBy or ():
        key = f'{where}.SelectedBy'
        _need_one_of(name, list(known.analyses), key, 'analysis')
        if block.Contrast not in known.analyses[name].first_level:
            raise ModelError(f'{key}: {name} does not take the contrast {block.Contrast}')
    for name in block.APriori or ():
        _need_one_of(name, list(known.regions), f'{where}.APriori', 'region of Regions')
    for part in ('SelectedBy', 'APriori', 'Labels'):
        refuse_repeats(getattr(block, part) or (), f'{where}.{part}', 'name')
    if block.Atlas is not None:
        need_label(block.Atlas, f'{where}.Atlas', 'name of an atlas')
    elif block.Labels is not None:
        raise ModelError(f'{where}.Labels: name the Atlas that they are of')
    elif block.SelectedBy is None and block.APriori is None:
        raise ModelError(f'{where}: which regions? Give SelectedBy, APriori or Atlas')
    return RegionChoice(
        contrast=block.Contrast,
        selected_by=tuple(block.SelectedBy or ()),
        apriori=tuple(block.APriori or ()),
        atlas=block.Atlas,
        labels=tuple(block.Labels or ()),
        area_weighted=block.AreaWeighted,
    )


def read_families(
    families: Mapping[str, Sequence[str]], outcome: Outcome, where: str
) -> dict[str, tuple[str, ...]]:
    """Read the families of outcomes over which p are corrected.

    Raises
    ------
    ModelError
        A family of one score, or an outcome that is not there as far as the file can tell.
    """
    if families and outcome.score:
        raise ModelError(f'{where}: there is one outcome, {outcome.score}, so nothing to correct')
    for family, names in families.items():
        key = f'{where}.{family}'
        need_label(family, where, 'name of a family')
        if family.lower() == 'all':
            raise ModelError(
                f'{key}: this is the name of the family of all outcomes; give another'
            )
        refuse_repeats(names, key, 'outcome')
        if (there := _outcomes(outcome)) is not None:
            for name in names:
                _need_one_of(name, there, key, 'outcome')
    return {family: tuple(names) for family, names in families.items()}


def _outcomes(outcome: Outcome) -> tuple[str, ...] | None:
    """Names of outcomes, None where only the data can tell."""
    regions = outcome.regions
    if regions is None:
        return outcome.behaviour
    if regions.selected_by or (regions.atlas is not None and not regions.labels):
        return None
    return (*regions.apriori, *regions.labels)


def read_sessions(
    labels: Sequence[str], outcome: Outcome | None, known: Known, where: str
) -> tuple[str, ...]:
    """Read sessions at which an outcome (or a score) has values.

    Raises
    ------
    ModelError
        Not a label, twice the same, another case than in the analyses, or none are possible.
    """
    refuse_repeats(labels, where, 'session')
    for label in labels:
        session_label(label, where)
        for other in known.sessions():
            if label != other and label.lower() == other.lower():
                raise ModelError(f'{where}: {label} is written {other} in the analyses')
    if outcome is not None and not outcome.score and not known.with_sessions:
        raise ModelError(
            f'{where}: the files of this study have no sessions (GroupBy of the session node)'
        )
    return tuple(labels)


def need_single(name: str, known: Known, where: str) -> None:
    """Refuse what is no variable of people: the factor of sessions, a score of several visits."""
    need_variable(name, where)
    if name == TIME:
        raise ModelError(f'{where}: {TIME} is the factor of sessions in mixed models only')
    if known.with_sessions and name in known.scores:
        raise ModelError(
            f'{where}: {name} has a value per session; name one of them, such as '
            f'{name}_{(*known.sessions(), "1")[0]}'
        )


def _need_one_of(name: str, there: Sequence[str], where: str, what: str) -> None:
    if name not in there:
        raise ModelError(
            f'{where}: there is no {what} {name}; there are {", ".join(there) or "none"}'
        )
