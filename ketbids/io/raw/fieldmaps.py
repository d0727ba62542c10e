"""Which field map corrects the distortion of an image."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ketbids.errors import InputError
from ketbids.io.hcpinputs import FieldMap
from ketbids.io.raw.acquisition import manufacturer, phase_encoding
from ketbids.io.raw.fieldmappairs import (
    Pair,
    misfit,
    phase_differences,
    spin_echoes,
)
from ketbids.io.raw.images import RawImage
from ketbids.io.raw.intended import MapSet, field_sources, find_field_maps, relative_path
from ketbids.io.raw.nearness import Ranking, odd_values, rank
from ketbids.io.raw.orientation import patient_direction, unsupported_orientation, voxel_axes
from ketbids.io.raw.sidecars import Sidecars, sidecar_path

__all__ = ['Choice', 'MapSet', 'choose_field_map', 'contradictions', 'find_field_maps']

#: Images of echo-planar imaging that may be of a pair.
_ECHO_PLANAR = ('epi', 'bold', 'sbref')
#: Those of fmap that have the field, and what belongs to them.
_FIELDS = ('epi', 'phasediff', 'phase1', 'fieldmap')
_MAPS = (*_FIELDS, 'phase2', 'magnitude', 'magnitude1', 'magnitude2')

#: Why a field map is taken that nothing says is for the image.
_FREE = 'which no key says is for it'


class Choice(NamedTuple):
    """A field map for an image.

    Attributes
    ----------
    field_map : SpinEcho, GradientEcho or None
    notes : tuple of str
        What was chosen, and why.
    problems : tuple of str
        Why there is none, though there should be. Not empty: `field_map` is None.
    lacking : tuple of str
        Why there is none for this image, which the HCP's way of processing needs; its legacy
        mode does without. Not empty: `field_map` is None and there are no problems.
    candidates : tuple of RawImage
        Images that some key says are for this one, and those of `field_map`.
    """

    field_map: FieldMap | None
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    candidates: tuple[RawImage, ...] = ()


class _Wanted(NamedTuple):
    """Field maps that may be taken, in groups that belong together, and why these."""

    groups: tuple[tuple[RawImage, ...], ...]
    why: str


def choose_field_map(
    target: RawImage,
    sets: Sequence[MapSet],
    sidecars: Sidecars,
    reference: RawImage | None = None,
) -> Choice:
    """Choose the field map of an image.

    Those that ``B0FieldSource`` of the image names, else those whose ``IntendedFor`` names the
    image, else those that are so for the single-band reference of the series; for a T1w or T2w
    image that has none, any of the session. Spin echoes go before gradient echoes; of several,
    those with the shim settings of the image, then the nearest in time, then the earlier.

    Parameters
    ----------
    target : RawImage
        BOLD, T1w or T2w.
    sets : sequence of MapSet
        Field maps of the session, of `find_field_maps`.
    sidecars : Sidecars
    reference : RawImage, optional
        Single-band reference image of the series.

    Returns
    -------
    Choice
        Nothing is raised: what is wrong with the data is in its `problems`.
    """
    try:
        wanted = _wanted(target, sets, sidecars, reference)
    except InputError as error:
        return Choice(None, problems=(str(error),))
    if isinstance(wanted, Choice):
        return wanted
    everything = tuple(image for images in sets for image in images.images)
    named = [image for group in wanted.groups for image in group if wanted.why != _FREE]
    try:
        choice = _choose(target, wanted, everything, sidecars)
    except InputError as error:
        choice = Choice(None, problems=(str(error),))
    taken = choice.field_map.files if choice.field_map else ()
    named += [image for image in everything if image.path in taken]
    return choice._replace(candidates=tuple(dict.fromkeys(named)))


def _wanted(
    target: RawImage, sets: Sequence[MapSet], sidecars: Sidecars, reference: RawImage | None
) -> _Wanted | Choice:
    everything = next((images for images in sets if not images.identifier), None)
    for image in (target, reference):
        if image is None:
            continue
        of = '' if image is target else f' of its SBRef {image.path.name} only'
        found = _sources(image, sets, sidecars, of)
        if found is not None:
            return found
        intended = everything.intended_for(image, sidecars) if everything else ()
        if intended:
            only = of and f', which names{of.removeprefix(" of")}'
            return _Wanted((intended,), f'by IntendedFor{only}')
    maps = [image for image in everything.images if image.suffix in _MAPS] if everything else []
    if target.datatype == 'anat' and (maps or len(sets) > 1):
        assert everything is not None
        free = tuple(image for image in maps if image.path not in everything.identified)
        groups = (*([free] if free else []), *(s.images for s in sets if s.identifier))
        return _Wanted(groups, _FREE)
    if not maps:
        none = 'there is no field map (sub-*/[ses-*/]fmap) to correct its distortion.'
        return Choice(None, lacking=(none,))
    assert everything is not None
    main = [image for image in maps if image.suffix in _FIELDS] or maps
    return Choice(
        None, lacking=(' '.join((_not_intended(target, main, sidecars), *everything.notes)),)
    )


def _sources(
    image: RawImage, sets: Sequence[MapSet], sidecars: Sidecars, of: str
) -> _Wanted | Choice | None:
    """What B0FieldSource of an image says, if anything."""
    sources = field_sources(image, sidecars)
    if sources:
        found = sidecars.value(image.path, 'B0FieldSource')
        assert found is not None
        groups = tuple(images.images for images in sets if images.identifier in sources)
        if groups:
            return _Wanted(groups, f'by B0FieldSource ({", ".join(sources)}){of}')
        return Choice(
            None,
            problems=(
                f'{found[1]}: B0FieldSource is {", ".join(sources)}, and no image of the session '
                'says so in B0FieldIdentifier. Write it into the sidecars of the field maps.',
            ),
        )
    return None


def _not_intended(target: RawImage, maps: Sequence[RawImage], sidecars: Sidecars) -> str:
    files = ', '.join(str(sidecar_path(image.path)) for image in maps)
    return (
        'no field map is intended for it. Write IntendedFor '
        f'("bids::{relative_path(target.path, sidecars)}") into those of {files} that are; or '
        f'B0FieldIdentifier there, and the same as B0FieldSource into {sidecar_path(target.path)}.'
    )


def _choose(
    target: RawImage, wanted: _Wanted, everything: Sequence[RawImage], sidecars: Sidecars
) -> Choice:
    pairs: list[Pair] = []
    problems: list[str] = []
    lonely: list[str] = []
    notes: list[str] = []
    images = list(dict.fromkeys(image for group in wanted.groups for image in group))
    for group in wanted.groups:
        planar = [image for image in group if image.suffix in _ECHO_PLANAR]
        if planar:
            found = spin_echoes(planar, sidecars)
            pairs += [pair for pair in found.pairs if pair not in pairs]
            problems += found.problems
            lonely += [found.lonely] if found.lonely else []
            notes += found.notes
    # Of those that are meant for a series, none is passed over in silence.
    free = wanted.why == _FREE
    anatomical = target.datatype == 'anat'
    unread = [image.broken for image in images if image.broken]
    if pairs and (anatomical or not (problems or lonely)):
        doubts = [f'{text} It is not used.' for text in unread]
        doubts += odd_values([target, *images], sidecars) if len(images) > 2 else []
        choice = _spin_echo(target, pairs, wanted.why, notes, sidecars)
        return choice._replace(notes=(*choice.notes, *doubts)) if choice.field_map else choice
    maps, wrong = phase_differences(images, everything, sidecars)
    if maps and (anatomical or not (problems or lonely)):
        if not anatomical and (wrong := [*wrong, *_unsupported([target])]):
            return Choice(None, problems=tuple(wrong))
        ranked = sorted((rank([phase], target, sidecars), i) for i, (phase, _) in enumerate(maps))
        best, index = ranked[0]
        phase, field_map = maps[index]
        said = [_said(target, best.names, wanted.why, best, len(maps))]
        if not manufacturer(phase, sidecars):
            said.append(
                f'{phase.path.name}: Manufacturer is missing; it is taken as one of Siemens'
            )
        said += odd_values([target, *images], sidecars) if len(maps) > 1 else []
        return Choice(field_map, (*said, *(f'{text} It is not used.' for text in unread)))
    problems += wrong
    if lonely and (problems or maps):
        problems += [text if free else f'{target.path}: {text}' for text in lonely]
    elif lonely:
        return Choice(None, lacking=tuple(dict.fromkeys(lonely)))
    if not problems:
        names = ', '.join(str(image.path) for image in images)
        problems = [
            f'{target.path}: its field map ({names}) lacks the image of the field, such as a '
            'phasediff or a pair of epi. Add it.'
        ]
    return _none(problems, free and not unread)


def _none(problems: Sequence[str], free: bool) -> Choice:
    """Give no field map; one that is for nothing in particular need not be mended."""
    problems = tuple(dict.fromkeys(problems))
    return Choice(None, lacking=problems) if free else Choice(None, problems=problems)


def _spin_echo(
    target: RawImage,
    pairs: Sequence[Pair],
    why: str,
    notes: Sequence[str],
    sidecars: Sidecars,
) -> Choice:
    """Choose a pair."""
    ranked = sorted((rank(pair.images, target, sidecars), i) for i, pair in enumerate(pairs))
    wrong: list[str] = []
    for place, (ranking, index) in enumerate(ranked):
        pair = pairs[index]
        reason = _unusable(pair, target, sidecars)
        if reason:
            wrong.append(reason)
            continue
        names = [item.image.path.name for item in pair]
        said = [_said(target, names, why, ranking, len(ranked) - place)]
        said += [f'{item} It is not used.' for item in wrong]
        said += [note for note in notes if note.startswith(tuple(names))]
        said += [
            f'{item.image.path.name} is no spin echo: the bias field of the receive coil is '
            f'estimated less well with it ({target.path.name}).'
            for item in pair
            if item.image.suffix != 'epi'
        ]
        return Choice(pair.field_map, tuple(said))
    return _none(wrong, why == _FREE)


def _unusable(pair: Pair, target: RawImage, sidecars: Sidecars) -> str | None:
    """Why a pair cannot correct an image."""
    if pair.negative.direction[0] == 'k':
        return (
            f'{pair.negative.image.path} and {pair.positive.image.path} are encoded along k, and '
            'topup takes field maps along i and j only. Check PhaseEncodingDirection.'
        )
    if target.datatype != 'anat':
        return misfit(pair, target, sidecars)
    return next(iter(_unsupported(pair.images)), None)


def _unsupported(images: Sequence[RawImage]) -> list[str]:
    reasons = (unsupported_orientation(image) for image in images)
    return [reason for reason in reasons if reason]


def _said(target: RawImage, names: Sequence[str], why: str, ranking: Ranking, several: int) -> str:
    """Say what was chosen."""
    files = ' and '.join(names)
    chosen = ''
    if several > 1:
        chosen = f'; of {several}, the one {ranking.reason}'
    elif ranking.shims == 2:
        chosen = f', {ranking.shimmed} than the image'
    return f'{target.path.name}: field map {files}, {why}{chosen}.'


def contradictions(images: Sequence[RawImage], sidecars: Sidecars) -> list[str]:
    """Say where the phase-encoding directions of a session contradict each other.

    A series and its single-band reference; images with the same ``dir`` label and different
    directions; images whose labels say opposite directions (such as AP and PA), and that have
    the same.

    Parameters
    ----------
    images : sequence of RawImage
        Images that are used.
    sidecars : Sidecars

    Returns
    -------
    list of str
        Problems. A direction that is missing or unreadable is none here.
    """
    directions: dict[RawImage, str] = {}
    for image in images:
        if (
            not image.broken
            and image.suffix in _ECHO_PLANAR
            and image.datatype in ('func', 'fmap')
        ):
            try:
                directions[image] = phase_encoding(image, sidecars)
            except InputError:
                continue
    problems, settled = [], set()
    for series, reference in _with_reference(list(directions)):
        settled.add(reference)
        same_axes = voxel_axes(series) == voxel_axes(reference)
        if same_axes and directions[series] != directions[reference]:
            problems.append(
                f'PhaseEncodingDirection is {directions[series]} in '
                f'{_said_in(series, sidecars)}, but {directions[reference]} in '
                f'{_said_in(reference, sidecars)}, of the same run. Correct the one that is wrong.'
            )
    labelled: dict[str, dict[str, RawImage]] = {}
    for image, direction in directions.items():
        if 'dir' in image.labels and image not in settled:
            ways = labelled.setdefault(image.labels['dir'], {})
            ways.setdefault(patient_direction(image, direction), image)
    for label, ways in sorted(labelled.items()):
        if len(ways) > 1:
            one, other = list(ways.values())[:2]
            problems.append(
                f'dir-{label} has opposite or different directions in one session: '
                f'PhaseEncodingDirection is {directions[one]} in {_said_in(one, sidecars)}, but '
                f'{directions[other]} in {_said_in(other, sidecars)}. Correct the one that is '
                'wrong, or the names.'
            )
        opposite = labelled.get(label[::-1], {}) if label < label[::-1] else {}
        # Where one label contradicts itself, this has been said.
        alone = len(ways) == len(opposite) == 1
        for way in ways.keys() & opposite.keys() if alone else ():
            one, other = ways[way], opposite[way]
            problems.append(
                f'dir-{label} and dir-{label[::-1]} have the same direction: '
                f'PhaseEncodingDirection is {directions[one]} in {_said_in(one, sidecars)}, and '
                f'{directions[other]} in {_said_in(other, sidecars)}. Correct the one that is '
                'wrong.'
            )
    return problems


def _with_reference(images: Sequence[RawImage]) -> Iterator[tuple[RawImage, RawImage]]:
    """Series with their single-band references."""
    for series in images:
        for reference in images if series.suffix == 'bold' else ():
            if reference.suffix == 'sbref' and reference.labels == series.labels:
                yield series, reference


def _said_in(image: RawImage, sidecars: Sidecars) -> str:
    found = sidecars.value(image.path, 'PhaseEncodingDirection')
    assert found is not None
    return str(found[1])
