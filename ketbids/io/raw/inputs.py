"""From the raw images of one session to what the HCP pipelines are given."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ketbids.errors import InputError
from ketbids.io.bids import RunKey
from ketbids.io.filters import BidsFilter, RawFilters, raw_labels
from ketbids.io.folders import labels_of
from ketbids.io.hcpinputs import AnatInputs, BoldInputs, FieldMap, HcpSession
from ketbids.io.raw.acquisition import (
    as_axis,
    effective_echo_spacing,
    phase_encoding,
    readout_direction,
    same_spacing,
    sample_spacing,
    template_size,
)
from ketbids.io.raw.anat import choose_images, is_phase, read_volumes
from ketbids.io.raw.fieldmaps import choose_field_map, contradictions, find_field_maps
from ketbids.io.raw.images import RawImage, try_image, unusable_path
from ketbids.io.raw.intended import MapSet, is_intended
from ketbids.io.raw.runs import RawRun, find_reference, only_series, read_run
from ketbids.io.raw.sidecars import Sidecars, suffix_of

__all__ = ['RawOptions', 'SessionReader']

_LEGACY = '--processing-mode legacy'

_T = TypeVar('_T')


@dataclass(frozen=True)
class RawOptions:
    """How raw data are taken.

    Attributes
    ----------
    processing_mode : {'hcp', 'legacy'}
        ``legacy``: sessions without T2w images or field maps are accepted.
    anat_unwarpdir : str or None
        Readout direction of the anatomical images; None: from the images.
    t1w, t2w : BidsFilter
        Which images are meant (of the model file); a query of the filter file overrules it.
    """

    processing_mode: str = 'hcp'
    anat_unwarpdir: str | None = None
    t1w: BidsFilter = field(default_factory=BidsFilter)
    t2w: BidsFilter = field(default_factory=BidsFilter)


def _images_of(run: RawRun) -> list[RawImage]:
    return [run.series, *([run.reference] if run.reference else [])]


class SessionReader:
    """Reads one session; what is wrong is collected.

    Parameters
    ----------
    key : RunKey
        Participant and session.
    folder : Path
        Of the session.
    paths : sequence of Path
        All images of the session.
    sidecars : Sidecars
    filters : RawFilters
    options : RawOptions

    Attributes
    ----------
    notes, problems : list of str
    """

    def __init__(
        self,
        key: RunKey,
        folder: Path,
        paths: Sequence[Path],
        *,
        sidecars: Sidecars,
        filters: RawFilters,
        options: RawOptions,
    ) -> None:
        self.key, self.folder, self.paths = key, folder, paths
        self.sidecars, self.filters, self.options = sidecars, filters, options
        self.notes: list[str] = []
        self.problems: list[str] = []
        # Why images have no field map, of those that can do without in legacy mode.
        self._lacks: list[tuple[str, Path]] = []
        self._candidates: list[RawImage] = []

    def read(
        self,
        series: Sequence[tuple[RunKey, Sequence[Path]]],
        excluded: Mapping[RunKey, str] | None = None,
    ) -> HcpSession | None:
        """Read the session; None if there are problems.

        Parameters
        ----------
        series : sequence of tuple of RunKey and sequence of Path
            The runs to read, and the series of each, of which there should be one.
        excluded : mapping of RunKey to str
            Why runs are excluded; what is wrong with those is a note, and leaves them out.
        """
        excluded = excluded or {}
        t1w = self._volumes('T1w', self.filters.t1w, self.options.t1w)
        t2w = self._volumes('T2w', self.filters.t2w, self.options.t2w)
        runs: list[tuple[RunKey, RawRun]] = []
        for key, paths in series:
            run = None
            with self._forgiven(key, excluded) as forgiven, self._noted():
                path = only_series(paths)
                reference = find_reference(path, self.paths, self.filters.sbref)
                run, problems = read_run(path, reference, self.sidecars)
                self.problems += problems
                self.notes += run.notes
            runs += [(key, run)] if run and not forgiven else []
        used = [image for _, run in runs for image in _images_of(run)]
        images = self._images(used)
        maps = find_field_maps([*images, *used, *t1w, *t2w], self.sidecars)
        for found in maps:
            self.problems += found.problems
            self.notes += found.notes
        anat = self._anat(t1w, t2w, maps)
        inputs = []
        for key, run in runs:
            with self._forgiven(key, excluded) as forgiven:
                bold = self._run(key, run, maps)
            inputs += [bold] if not forgiven else []
        wanted = [image for key, run in runs if key not in excluded for image in _images_of(run)]
        wanted += self._candidates
        self._check_directions(wanted, [*images, *used])
        for key, run in runs:
            with self._forgiven(key, excluded) as forgiven:
                if key in excluded and not contradictions(wanted, self.sidecars):
                    self.problems += contradictions([*wanted, *_images_of(run)], self.sidecars)
            if forgiven:
                inputs = [one for one in inputs if one.key != key]
        self._say_lacks()
        self._say_unread(images)
        files = [*(anat.files if anat else ()), *(path for run in inputs for path in run.files)]
        self._check_paths(files)
        if anat is None or self.problems:
            return None
        return HcpSession(
            self.key.participant,
            self.key.session,
            anat,
            tuple(inputs),
            tuple(dict.fromkeys(self.notes)),
        )

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Collect what is wrong, and go on."""
        try:
            yield
        except InputError as error:
            self.problems.append(str(error))

    @contextmanager
    def _forgiven(self, key: RunKey, excluded: Mapping[RunKey, str]) -> Iterator[list[str]]:
        """Turn the problems of an excluded run into notes; give them after the block."""
        before, lacks = len(self.problems), len(self._lacks)
        forgiven = list[str]()
        yield forgiven
        if key in excluded:
            forgiven += self.problems[before:]
            del self.problems[before:]
            if self.options.processing_mode != 'legacy':
                forgiven += [f'{path}: {cause}' for cause, path in self._lacks[lacks:]]
                del self._lacks[lacks:]
        if forgiven:
            name = str(key).removeprefix(f'{self.key}_')
            said = ' '.join(dict.fromkeys(forgiven))
            self.notes.append(f'{name} is excluded ({excluded[key]}) and not preprocessed: {said}')

    def _value(self, read: Callable[[RawImage, Sidecars], _T], image: RawImage) -> _T | None:
        """Read something of an image; None with a problem if that cannot be."""
        with self._noted():
            return read(image, self.sidecars)
        return None

    def _volumes(self, suffix: str, by_file: BidsFilter, by_model: BidsFilter) -> list[RawImage]:
        """Read the anatomical images of one kind."""
        legacy = self.options.processing_mode == 'legacy'
        with self._noted():
            paths, note = choose_images(
                self.paths,
                suffix,
                by_file if by_file.entities else by_model,
                str(self.key),
                optional=legacy and suffix == 'T2w',
            )
            if note:
                self.notes.append(note)
            elif not paths and suffix == 'T1w':
                raise InputError(self._without_t1w())
            elif not paths and not legacy:
                raise InputError(
                    f'{self.key}: there is no T2w image in {self.folder / "anat"}. Add it, or do '
                    f'without: {_LEGACY}.'
                )
            elif not paths:
                self.notes.append('no T2w image; surfaces and bias field are from T1w')
            images, problems = read_volumes(paths)
            self.problems += problems
            return images
        return []

    def _without_t1w(self) -> str:
        others = ''
        if self.key.session:
            found = sorted(
                path.parents[1].name for path in self.folder.parent.glob('ses-*/anat/*_T1w.nii*')
            )
            if found:
                others = (
                    f' That of {", ".join(dict.fromkeys(found))} is not used for it: each session '
                    'is processed with its own.'
                )
        return (
            f'{self.key}: there is no T1w image in {self.folder / "anat"}.{others} Add it, or '
            'leave the session out (--session-label, --exclusions).'
        )

    def _images(self, used: Collection[RawImage]) -> list[RawImage]:
        """Read images that may serve as field maps, but for those that are used anyway."""
        images, known = [], {image.path for image in used}
        for path in self.paths:
            labels = raw_labels(labels_of(path.name), suffix_of(path.name))
            if path in known or is_phase(path):
                continue
            if path.parent.name == 'fmap' and self.filters.fmap.admits(labels):
                images.append(try_image(path))
            elif path.parent.name == 'func':
                try:
                    if self.sidecars.value(path, 'B0FieldIdentifier'):
                        images.append(try_image(path))
                except InputError as error:
                    self.notes.append(str(error))
        return images

    def _map(
        self, image: RawImage, maps: Sequence[MapSet], reference: RawImage | None = None
    ) -> tuple[FieldMap | None, bool]:
        """Choose the field map of an image; tell if it matters how the image was distorted."""
        choice = choose_field_map(image, maps, self.sidecars, reference)
        self.notes += choice.notes
        self.problems += choice.problems
        self._candidates += choice.candidates
        causes = choice.lacking
        if causes and not choice.candidates:
            causes = self._elsewhere(image, reference) or causes
        self._lacks += [(cause, image.path) for cause in causes]
        legacy = self.options.processing_mode == 'legacy'
        return choice.field_map, bool(maps) and not (causes and legacy)

    def _elsewhere(self, image: RawImage, reference: RawImage | None) -> tuple[str, ...]:
        """Say that a field map of another session is intended for an image."""
        if not self.key.session:
            return ()
        for path in sorted(self.folder.parent.glob('ses-*/fmap/*.nii*')):
            if path.parents[1] == self.folder:
                continue
            for target in (image, reference):
                if target and is_intended(path, target.path, self.sidecars):
                    return (
                        f'the field map that is intended for it, {path}, is one of another '
                        'session, and each session is corrected with its own field maps only.',
                    )
        return ()

    def _say_lacks(self) -> None:
        """Say, once for each cause, which images have no field map."""
        targets: dict[str, list[Path]] = {}
        for cause, path in self._lacks:
            # What has to be corrected anyway is said already.
            if cause not in self.problems and not self._contradicted(cause):
                targets.setdefault(cause, []).append(path)
        for cause, paths in targets.items():
            if self.options.processing_mode == 'legacy':
                names = ', '.join(path.name for path in paths)
                self.notes.append(f'{names}: processed without a field map: {cause}')
            else:
                names = ', '.join(map(str, paths))
                self.problems.append(f'{names}: {cause} To go on without: {_LEGACY}.')

    def _contradicted(self, cause: str) -> bool:
        """Tell if two images are of one polarity since their directions contradict their names."""
        images = [image for image in self._candidates if str(image.path) in cause]
        files = {str(file) for image in images for file in self.sidecars.files(image.path)}
        said = [text for text in self.problems if 'have the same direction' in text]
        return len(set(images)) > 1 and any(file in text for file in files for text in said)

    def _say_unread(self, images: Sequence[RawImage]) -> None:
        said = '\n'.join((*self.problems, *self.notes))
        self.notes += [
            f'{image.broken} It is not needed here.'
            for image in images
            if image.broken and image.broken not in said
        ]

    def _check_directions(self, used: Sequence[RawImage], others: Sequence[RawImage]) -> None:
        """Refuse contradicting directions of images that are used; note those of others."""
        used = list(dict.fromkeys(used))
        problems = contradictions(used, self.sidecars)
        self.problems += problems
        if not problems:
            every = contradictions(list(dict.fromkeys([*used, *others])), self.sidecars)
            self.notes += [f'{text} One of them is not used here.' for text in every]

    def _anat(
        self, t1w: Sequence[RawImage], t2w: Sequence[RawImage], maps: Sequence[MapSet]
    ) -> AnatInputs | None:
        if not t1w:
            return None
        paths = (tuple(image.path for image in t1w), tuple(image.path for image in t2w))
        template = template_size(t1w[0].zooms)
        field_map, matters = self._map(t1w[0], maps)
        if not matters:
            return AnatInputs(*paths, template)
        spacings = (self._sample_spacing(t1w), self._sample_spacing(t2w))
        unwarp = None
        for image in (*t1w, *t2w):
            with self._noted():
                unwarp = readout_direction(image, self.sidecars, self.options.anat_unwarpdir)
        return AnatInputs(*paths, template, *spacings, unwarp, field_map)

    def _sample_spacing(self, images: Sequence[RawImage]) -> float | None:
        """Give the sample spacing of images that are averaged."""
        first = None
        for image in images:
            with self._noted():
                value, note = sample_spacing(image, self.sidecars)
                self.notes += [note] if note else []
                first = value if first is None else first
                if not same_spacing(value, first):
                    raise InputError(
                        f'{images[0].path} and {image.path.name} are to be averaged, but their '
                        f'times between samples (DwellTime) are {first:.4g} and {value:.4g} s. '
                        'Choose one of them.'
                    )
        return first

    def _run(self, key: RunKey, run: RawRun, maps: Sequence[MapSet]) -> BoldInputs:
        image = run.series
        reference = run.reference.path if run.reference else None
        if reference is None:
            self.notes.append(f'{image.path.name}: no SBRef; its first volume is the reference')
        parts = (key, image.path, reference, image.n_volumes, run.repetition_time)
        field_map, matters = self._map(image, maps, run.reference)
        if not matters:
            return BoldInputs(*parts)
        direction = self._value(phase_encoding, image)
        spacing = self._value(effective_echo_spacing, image)
        if direction is None or spacing is None:
            return BoldInputs(*parts)
        self.notes += [spacing.note] if spacing.note else []
        return BoldInputs(*parts, spacing.value, as_axis(direction), field_map)

    def _check_paths(self, files: Sequence[Path]) -> None:
        """Refuse files that the scripts cannot take by their path."""
        for path in dict.fromkeys(files):
            wrong = unusable_path(path.relative_to(self.sidecars.bids_dir))
            if wrong:
                self.problems.append(wrong)
            twin = Path(str(path)[:-3] if path.suffix == '.gz' else f'{path}.gz')
            if twin in self.paths:
                self.problems.append(
                    f'{path} and {twin.name} are one image for the HCP pipelines. Remove one.'
                )
