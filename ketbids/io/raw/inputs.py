"""From the raw images of one session to what the HCP pipelines are given."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

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
from ketbids.io.raw.images import RawImage, read_image, unusable_path
from ketbids.io.raw.intended import MapSet
from ketbids.io.raw.runs import RawRun, find_reference, only_series, read_run
from ketbids.io.raw.sidecars import Sidecars, suffix_of

__all__ = ['RawOptions', 'SessionReader']

_LEGACY = '--processing-mode legacy'


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
            with self._forgiven(key, excluded), self._noted():
                path = only_series(paths)
                reference = find_reference(path, self.paths, self.filters.sbref)
                runs.append((key, read_run(path, reference, self.sidecars)))
        used = [image for _, run in runs for image in (run.series, run.reference) if image]
        maps = self._maps(used, [image for images in (t1w, t2w) for image in images])
        anat = self._anat(t1w, t2w, maps)
        inputs = []
        for key, run in runs:
            with self._forgiven(key, excluded) as forgiven:
                found = self._run(key, run, maps)
            inputs += [found] if found is not None and not forgiven else []
        if anat is None or self.problems:
            return None
        session = HcpSession(
            self.key.participant,
            self.key.session,
            anat,
            tuple(inputs),
            tuple(dict.fromkeys(self.notes)),
        )
        self._check_paths(session.files)
        return None if self.problems else session

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
        before, forgiven = len(self.problems), list[str]()
        yield forgiven
        if key in excluded:
            forgiven += self.problems[before:]
            del self.problems[before:]
        if forgiven:
            self.notes.append(
                f'{key} is excluded ({excluded[key]}) and not preprocessed: {" ".join(forgiven)}'
            )

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
                self.notes.append(
                    f'{self.key}: no T2w image; surfaces and bias field are from T1w'
                )
            return read_volumes(paths)
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

    def _maps(self, used: Sequence[RawImage], anatomical: Sequence[RawImage]) -> list[MapSet]:
        """Find the field maps of the session, and contradictions among its images."""
        images = []
        for path in self.paths:
            labels = raw_labels(labels_of(path.name), suffix_of(path.name))
            wanted = path.parent.name == 'fmap' and not is_phase(path)
            if wanted and self.filters.fmap.admits(labels):
                with self._noted():
                    images.append(read_image(path))
        self.problems += contradictions([*images, *used], self.sidecars)
        maps = find_field_maps([*images, *used, *self._others(used), *anatomical], self.sidecars)
        for found in maps:
            self.problems += found.problems
            self.notes += found.notes
        return maps

    def _others(self, used: Collection[RawImage]) -> list[RawImage]:
        """Give images of other runs that may serve as field maps."""
        images, known = [], {image.path for image in used}
        for path in self.paths:
            if path in known or path.parent.name != 'func' or is_phase(path):
                continue
            try:
                if self.sidecars.value(path, 'B0FieldIdentifier'):
                    images.append(read_image(path))
            except InputError as error:
                self.notes.append(str(error))
        return images

    def _map(self, image: RawImage, maps: Sequence[MapSet]) -> FieldMap | None:
        """Choose the field map of an image."""
        choice = choose_field_map(image, maps, self.sidecars)
        self.notes += choice.notes
        self.problems += choice.problems
        if choice.lacking and self.options.processing_mode == 'legacy':
            self.notes.append(choice.lacking)
        elif choice.lacking:
            advice = '' if _LEGACY in choice.lacking else f' To go on without: {_LEGACY}.'
            self.problems.append(choice.lacking + advice)
        return choice.field_map

    def _anat(
        self, t1w: Sequence[RawImage], t2w: Sequence[RawImage], maps: Sequence[MapSet]
    ) -> AnatInputs | None:
        if not t1w:
            return None
        paths = (tuple(image.path for image in t1w), tuple(image.path for image in t2w))
        template = template_size(t1w[0].zooms)
        field_map = self._map(t1w[0], maps)
        if field_map is None:
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

    def _run(self, key: RunKey, run: RawRun, maps: Sequence[MapSet]) -> BoldInputs | None:
        image = run.series
        reference = run.reference.path if run.reference else None
        if reference is None:
            self.notes.append(f'{image.path.name}: no SBRef; its first volume is the reference')
        parts = (key, image.path, reference, image.n_volumes, run.repetition_time)
        field_map = self._map(image, maps)
        if field_map is None:
            return BoldInputs(*parts)
        with self._noted():
            spacing, note = effective_echo_spacing(image, self.sidecars)
            self.notes += [note] if note else []
            direction = as_axis(phase_encoding(image, self.sidecars))
            return BoldInputs(*parts, spacing, direction, field_map)
        return None

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
