"""Preprocessed runs, whoever made them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ['AVERAGE_SURFACES', 'Anatomy', 'PreprocessedRun']

#: What the sidecar of a map says if its participant has no surfaces.
AVERAGE_SURFACES = 'average (S1200)'


@dataclass(frozen=True)
class Anatomy:
    """Surfaces and labels of a session on the mesh of its time series.

    Attributes
    ----------
    midthickness, inflated : tuple of Path
        Left, right.
    labels : Path or None
        Desikan-Killiany labels (``aparc``).
    mesh : str
        BIDS den label of the surfaces, e.g. ``32k``.
    template : tuple of str
        Which of ``midthickness`` and ``inflated`` are average surfaces, because there are none of
        the participant.
    """

    midthickness: tuple[Path, Path]
    inflated: tuple[Path, Path]
    labels: Path | None
    mesh: str
    template: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files."""
        return (*self.midthickness, *self.inflated, *([self.labels] if self.labels else []))


@dataclass(frozen=True)
class PreprocessedRun:
    """A preprocessed run and what belongs to it.

    Attributes
    ----------
    series : Path
        Dense time series.
    confounds : Path or None
        HCP: ``Movement_Regressors.txt`` (translations in mm, rotations in degrees, derivatives);
        fMRIPrep: the table of confounds (mm, radians). None: there is no such file.
    anatomy : Anatomy
    origin : {'hcp', 'fmriprep'}
        Who made it.
    denoised : bool
        True after FIX: no confounds are needed.
    root : Path
        The derivatives folder it was found in.
    sidecars : tuple of Path
        JSON files that describe the series, the most specific first.
    confounds_sidecar : Path or None
        JSON file that describes the columns of the confounds.
    removed_components : int or None
        Components that FIX removed from the run; None: nobody did, or it is not known.
    """

    series: Path
    confounds: Path | None
    anatomy: Anatomy
    origin: Literal['hcp', 'fmriprep']
    denoised: bool
    root: Path
    sidecars: tuple[Path, ...] = ()
    confounds_sidecar: Path | None = None
    removed_components: int | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files."""
        optional = (self.confounds, self.confounds_sidecar)
        found = tuple(path for path in optional if path is not None)
        return (self.series, *found, *self.sidecars, *self.anatomy.files)
