"""The pages of a participant and of the group: plain values in, one self-contained HTML out.

Sections of a page are frozen dataclasses. They name their pictures by relative path, so that a
process can save its section as JSON (`SessionSection.to_dict`) and another can assemble the page.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ketbids.errors import InputError
from ketbids.reports.behaviourgroup import BehaviourSection
from ketbids.reports.links import Link
from ketbids.reports.rendering import ImageLoader, render
from ketbids.reports.statisticspart import StatisticSection
from ketbids.reports.tables import Table

__all__ = [
    'AnalysisSection',
    'Direction',
    'GroupPage',
    'Part',
    'ParticipantPage',
    'Picture',
    'QualitySection',
    'RunSection',
    'SessionSection',
    'group_page',
    'participant_page',
]


@dataclass(frozen=True)
class Picture:
    """A figure of a page.

    Attributes
    ----------
    path : str
        What the image loader is asked for: a path relative to the section's file.
    title : str
        Heading for screen readers; the picture carries its own visible title.
    alt : str
        What the picture shows, in words, for who cannot see it; `title` by default.
    caption : str
        Shown beneath.
    """

    path: str
    title: str
    alt: str = ''
    caption: str = ''


@dataclass(frozen=True)
class Part:
    """A table or a figure under a heading, with what it says to whoever sees it first.

    Attributes
    ----------
    heading : str
    words : str
        What the numbers mean, and when to worry.
    table : Table, optional
    picture : Picture, optional
        It carries its own visible title.
    """

    heading: str
    words: str = ''
    table: Table | None = None
    picture: Picture | None = None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> 'Part':
        """Undo ``dataclasses.asdict`` after a round trip through JSON."""
        table, picture = content['table'], content['picture']
        return cls(
            heading=str(content['heading']),
            words=str(content['words']),
            table=None if table is None else Table.from_dict(table),
            picture=None if picture is None else Picture(**picture),
        )


@dataclass(frozen=True)
class RunSection:
    """One run on the participant's page.

    Attributes
    ----------
    title : str
        Heading, e.g. ``Task carit, run 1``.
    facts : tuple of (str, str)
        Names and values: repetition time, volumes, effective smoothing, noise model ...
    notes, warnings : tuple of str
        Repairs and exclusions; what a reader must know before trusting the run.
    parts : tuple of Part
        Trials, checks of the design and of the noise, head movement, in the order of the page.
    maps : tuple of Picture
        Contrast maps.
    span : mapping of str to float, optional
        Where the trials lie in the run (`ketbids.stats.eventtiming.EventSpan`); not shown.
    """

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    maps: tuple[Picture, ...] = ()
    span: Mapping[str, float] | None = None


@dataclass(frozen=True)
class SessionSection:
    """One session on the participant's page, written by the process that analysed it.

    Attributes
    ----------
    session_id : str
        Label without ``ses-``.
    runs : tuple of RunSection
        Its runs.
    maps : tuple of Picture
        Maps of the whole session, where runs were combined.
    messages : tuple of str
        What went wrong or was left out in this session.
    behaviour : Part, optional
        What the participant did.
    """

    session_id: str
    runs: tuple[RunSection, ...] = ()
    maps: tuple[Picture, ...] = ()
    messages: tuple[str, ...] = ()
    behaviour: Part | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and strings, for ``json.dump``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> 'SessionSection':
        """Undo `to_dict`, after a round trip through JSON.

        Raises
        ------
        InputError
            A key is missing, unknown or of the wrong kind.
        """
        try:
            behaviour = content['behaviour']
            return cls(
                session_id=str(content['session_id']),
                runs=tuple(_run_from_dict(run) for run in content['runs']),
                maps=tuple(Picture(**picture) for picture in content['maps']),
                messages=tuple(content['messages']),
                behaviour=None if behaviour is None else Part.from_dict(behaviour),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f'A saved session of a report cannot be read ({type(error).__name__}: {error}). '
                'It may come from another version: remove it and run the session again.'
            ) from error


def _run_from_dict(content: Mapping[str, Any]) -> RunSection:
    plain = dict(content)
    plain['parts'] = tuple(Part.from_dict(part) for part in plain['parts'])
    plain['maps'] = tuple(Picture(**picture) for picture in plain['maps'])
    plain['facts'] = tuple((str(name), str(value)) for name, value in plain['facts'])
    plain['notes'], plain['warnings'] = tuple(plain['notes']), tuple(plain['warnings'])
    return RunSection(**plain)


@dataclass(frozen=True)
class QualitySection:
    """How good the runs are that were preprocessed here.

    Attributes
    ----------
    table : Table
        One row per run.
    advice : tuple of str
        What the numbers are, and what can be done.
    components : Table, optional
        Where to look at the components of FIX, one row for the runs that it cleaned together.
    """

    table: Table
    advice: tuple[str, ...] = ()
    components: Table | None = None


@dataclass(frozen=True)
class ParticipantPage:
    """What a participant's page shows.

    Attributes
    ----------
    participant_id : str
        Label without ``sub-``.
    version : str
        Version of the software.
    sessions : tuple of SessionSection
        In the order of the page.
    messages : tuple of str
        About the participant as a whole.
    about : tuple of (str, str)
        Names and values that identify the participant (group, age ...).
    quality : QualitySection, optional
        Of the runs that were preprocessed here.
    """

    participant_id: str
    version: str
    sessions: tuple[SessionSection, ...]
    messages: tuple[str, ...] = ()
    about: tuple[tuple[str, str], ...] = ()
    quality: QualitySection | None = None


@dataclass(frozen=True)
class Direction:
    """One direction of a contrast.

    Attributes
    ----------
    heading : str
        The direction in plain English, e.g. ``Lower at TP3 than at TP1``.
    sentence : str
        What was found; see `ketbids.reports.sentences.survival_sentence`.
    clusters : Table, optional
        Significant clusters; None where nothing survives.
    """

    heading: str
    sentence: str
    clusters: Table | None = None


@dataclass(frozen=True)
class AnalysisSection:
    """One analysis on the group page.

    Attributes
    ----------
    title : str
        Heading: the analysis's name in the model file, and the contrast if it has several.
    design : str
        The design in a sentence.
    n : int
        Maps in the analysis.
    participants : tuple of str
        Who is in.
    excluded : Table, optional
        Rows left out, with reasons.
    settings : str
        One line: tails, total alpha, shuffles, lowest reachable p.
    warnings : tuple of str
        Skewness, unequal variances, too few shuffles ...
    figure : Picture, optional
        The map.
    directions : tuple of Direction
        What was found, per direction.
    regions : Table, optional
        Means of regions of interest.
    links : tuple of Link
        The analysis's files.
    """

    title: str
    design: str
    n: int
    participants: tuple[str, ...] = ()
    excluded: Table | None = None
    settings: str = ''
    warnings: tuple[str, ...] = ()
    figure: Picture | None = None
    directions: tuple[Direction, ...] = ()
    regions: Table | None = None
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class GroupPage:
    """What the group page shows.

    Attributes
    ----------
    title, version : str
        Heading; version of the software.
    methods : tuple of str
        Paragraphs of the methods.
    participants : Table, optional
        Participants by group and session.
    checks : Table, optional
        Ranges of the model file, and who is outside.
    behaviour : BehaviourSection, optional
        What participants did in the scanner.
    analyses : tuple of AnalysisSection
        In the order of the page.
    statistics : tuple of StatisticSection
        Declared statistics of scores, behaviour and regions.
    links : tuple of Link
        Files beside the page.
    messages : tuple of str
        Analyses that failed, sessions that are missing ...
    """

    title: str
    version: str
    methods: tuple[str, ...] = ()
    participants: Table | None = None
    checks: Table | None = None
    behaviour: BehaviourSection | None = None
    analyses: tuple[AnalysisSection, ...] = ()
    statistics: tuple[StatisticSection, ...] = ()
    links: tuple[Link, ...] = ()
    messages: tuple[str, ...] = ()


def participant_page(page: ParticipantPage, image_loader: ImageLoader) -> str:
    """Make a participant's page.

    Parameters
    ----------
    page : ParticipantPage
        What it shows. Every string is escaped: none can bring markup into the page.
    image_loader : callable
        From the path of a picture to its bytes, which are embedded.

    Returns
    -------
    str
        One HTML document without scripts and without requests to anywhere.

    Raises
    ------
    InputError
        A picture is neither PNG nor SVG.
    """
    return render('participant.html.jinja', page, image_loader)


def group_page(page: GroupPage, image_loader: ImageLoader) -> str:
    """Make the group page; see `participant_page`.

    Raises
    ------
    InputError
        A picture is neither PNG nor SVG, or a link leaves the folder of the page.
    """
    return render('group.html.jinja', page, image_loader)
