"""What the HCP pipelines need of a session of raw data."""

from dataclasses import dataclass
from pathlib import Path

from ketbids.io.bids import RunKey

__all__ = ['AnatInputs', 'BoldInputs', 'FieldMap', 'GradientEcho', 'HcpSession', 'SpinEcho']


@dataclass(frozen=True)
class SpinEcho:
    """A pair of spin-echo field maps.

    Attributes
    ----------
    negative, positive : Path
        Image whose phase-encoding direction is negative (such as ``j-``), and positive.
    echo_spacing : float
        Effective echo spacing, s.
    axis : {'x', 'y', 'z'}
        Phase-encoding axis of the voxel grid.
    """

    negative: Path
    positive: Path
    echo_spacing: float
    axis: str

    @property
    def files(self) -> tuple[Path, ...]:
        """All images."""
        return (self.negative, self.positive)


@dataclass(frozen=True)
class GradientEcho:
    """A gradient-echo field map of Siemens.

    Attributes
    ----------
    magnitude, phase : Path
        Magnitude image, and difference of the phases.
    echo_difference : float
        Difference of the echo times, ms.
    """

    magnitude: Path
    phase: Path
    echo_difference: float

    @property
    def files(self) -> tuple[Path, ...]:
        """All images."""
        return (self.magnitude, self.phase)


FieldMap = SpinEcho | GradientEcho


@dataclass(frozen=True)
class AnatInputs:
    """Anatomical images of a session.

    Attributes
    ----------
    t1w, t2w : tuple of Path
        Several of one kind are averaged. `t2w` may be empty.
    template : {'0.7', '0.8', '1'}
        Voxel size of the template, mm.
    t1w_spacing, t2w_spacing : float or None
        Time between samples of the readout, s; None without a field map.
    unwarp : str or None
        Readout direction, such as ``z``; None without a field map.
    field_map : SpinEcho, GradientEcho or None
    """

    t1w: tuple[Path, ...]
    t2w: tuple[Path, ...]
    template: str
    t1w_spacing: float | None = None
    t2w_spacing: float | None = None
    unwarp: str | None = None
    field_map: FieldMap | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All images."""
        return (*self.t1w, *self.t2w, *(self.field_map.files if self.field_map else ()))


@dataclass(frozen=True)
class BoldInputs:
    """A run.

    Attributes
    ----------
    key : RunKey
    series : Path
    reference : Path or None
        Single-band reference image.
    n_volumes : int
    repetition_time : float
        Seconds.
    echo_spacing : float or None
        Effective echo spacing, s; None without a field map.
    direction : str or None
        Phase-encoding direction, such as ``y-``; None without a field map.
    field_map : SpinEcho, GradientEcho or None
    """

    key: RunKey
    series: Path
    reference: Path | None
    n_volumes: int
    repetition_time: float
    echo_spacing: float | None = None
    direction: str | None = None
    field_map: FieldMap | None = None

    @property
    def name(self) -> str:
        """Name of the run's folders in the study folder, e.g. ``task-carit_dir-PA_run-1``."""
        text = str(self.key)
        return text[text.index('task-') :]

    @property
    def files(self) -> tuple[Path, ...]:
        """All images."""
        reference = (self.reference,) if self.reference else ()
        return (self.series, *reference, *(self.field_map.files if self.field_map else ()))


@dataclass(frozen=True)
class HcpSession:
    """A session of a participant, as the HCP pipelines take it.

    Attributes
    ----------
    participant, session : str
        Labels; the session's may be empty.
    anat : AnatInputs
    runs : tuple of BoldInputs
    notes : tuple of str
        Choices that were made, with the names of the files.
    """

    participant: str
    session: str
    anat: AnatInputs
    runs: tuple[BoldInputs, ...]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the session's folder in the study folder, e.g. ``sub-01_ses-TP1``."""
        return str(RunKey(self.participant, self.session, ''))

    @property
    def files(self) -> tuple[Path, ...]:
        """All images."""
        return (*self.anat.files, *(path for run in self.runs for path in run.files))
