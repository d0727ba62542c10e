"""What one run of ketbids was asked to do, as frozen values."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

__all__ = [
    'FirstLevelSettings',
    'GroupSettings',
    'HcpSettings',
    'InputSettings',
    'PathSettings',
    'ResourceSettings',
    'SelectionSettings',
    'Settings',
    'as_toml',
]


@dataclass(frozen=True)
class PathSettings:
    """Folders and files; all absolute.

    Attributes
    ----------
    bids_dir, output_dir, work_dir : Path
    derivatives : tuple of Path
        Preprocessed data, searched in this order.
    model : Path
        The model file.
    exclusions : Path or None
        Table of runs that are left out.
    bids_filter_file : Path or None
        JSON with entities that runs must have.
    bids_database_dir : Path or None
        Index of the BIDS dataset, made once and then read.
    """

    bids_dir: Path
    output_dir: Path
    work_dir: Path
    model: Path
    derivatives: tuple[Path, ...] = ()
    exclusions: Path | None = None
    bids_filter_file: Path | None = None
    bids_database_dir: Path | None = None


@dataclass(frozen=True)
class InputSettings:
    """How input is found and checked.

    Attributes
    ----------
    preproc : {'auto', 'existing', 'hcp'}
        ``auto``: preprocessed data come from the derivatives folders that are given, or else from
        those in the dataset; ``existing``: from those that are given only; ``hcp``: they are made
        from the raw data by the HCP pipelines.
    hcp_pattern : str or None
        Names of session and run folders in a study folder of the HCP pipelines; None: after
        their BIDS entities.
    skip_bids_validation : bool
    """

    preproc: str = 'auto'
    hcp_pattern: str | None = None
    skip_bids_validation: bool = False


@dataclass(frozen=True)
class HcpSettings:
    """Choices of the preprocessing by the HCP pipelines.

    Attributes
    ----------
    hcp_dir : Path
        Where the HCP pipelines are.
    fs_license_file : Path or None
        Licence of FreeSurfer.
    stages : tuple of str
        Stages that may run, of `ketbids.io.hcpnames.STAGES`; empty means all.
    processing_mode : {'hcp', 'legacy'}
        ``legacy``: data without T2w images or field maps are accepted.
    gdcoeffs : Path or None
        Gradient coefficients of the scanner.
    anat_unwarpdir : str or None
        Readout direction of the anatomical images; None: from the images.
    fix : {'pyfix', 'legacy', 'none'}
    fix_training : str or None
        Training set; None: that of the HCP for this kind of FIX.
    fix_threshold : int
    fix_runs : {'auto', 'single', 'multi'}
        Each run for itself, or those of a session together; ``auto``: together, if there are
        several.
    fix_high_pass : str or None
        Seconds, 0 (linear trend), or pd0 to pd5 (polynomial); None: as HCP does it for this kind.
    fix_motion_regression : bool
    msmall : bool
        Align the surfaces by all features, too.
    clean_workdir : bool
        Remove what only the stages needed, once a session is done.
    session_disk_gb : float
        Room that one session needs, GB.
    """

    hcp_dir: Path = Path('/opt/HCPpipelines')
    fs_license_file: Path | None = None
    stages: tuple[str, ...] = ()
    processing_mode: str = 'hcp'
    gdcoeffs: Path | None = None
    anat_unwarpdir: str | None = None
    fix: str = 'pyfix'
    fix_training: str | None = None
    fix_threshold: int = 10
    fix_runs: str = 'auto'
    fix_high_pass: str | None = None
    fix_motion_regression: bool = False
    msmall: bool = False
    clean_workdir: bool = False
    session_disk_gb: float = 35.0


@dataclass(frozen=True)
class SelectionSettings:
    """Which data: empty means all. Labels without their ``sub-``, ``ses-`` prefix."""

    participants: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class FirstLevelSettings:
    """Choices of the participant level.

    Attributes
    ----------
    drop_volumes : int
        Volumes that were removed from the start of each run: events are shifted by as many TR.
    smoothing_fwhm : float
        Smoothing, mm.
    smoothing_mode : {'added', 'total'}
        ``added``: to what the preprocessing did; ``total``: together with it.
    smoother : {'auto', 'wb_command', 'native'}
        ``auto``: wb_command where it is on the PATH.
    noise_model : str
        ``ols``, ``arN`` (autoregressive of order N) or ``film`` (FSL's film_gls).
    hrf_model : str
        Name of nilearn's haemodynamic model.
    high_pass : float
        Cut-off of the cosine high-pass, Hz.
    confounds : tuple of str
        Sets of nuisance regressors; ``auto``: as the preprocessing needs them.
    """

    drop_volumes: int
    smoothing_fwhm: float
    hrf_model: str
    high_pass: float
    confounds: tuple[str, ...] = ('auto',)
    smoothing_mode: str = 'added'
    smoother: str = 'auto'
    noise_model: str = 'ar6'


@dataclass(frozen=True)
class GroupSettings:
    """Choices of the group level.

    Attributes
    ----------
    analyses : tuple of str
        Names of group nodes; empty means all.
    permutations : int
    seed : int
    tails : {'two', 'each', 'positive'}
    min_coverage : float
        Share of an analysis' maps that must have a value where it tests.
    engine : {'native', 'palm'}
        Who does the shuffles: ketbids, or PALM.
    tfce : {'exact', '100'}
        The integral, or PALM's sum over 100 heights.
    joint : {'minp', 'bonferroni', 'sidak'}
        How p is corrected over cortex and subcortex.
    connectivity : {6, 18, 26}
        Neighbours of a voxel.
    within_structure : bool
        Voxels of different structures are no neighbours.
    leave_one_out : bool
        Find the significant regions once more without each participant.
    atlases : tuple of (str, Path)
        Name and label file of further atlases; ``DesikanKilliany`` instead of the labels of the
        participants.
    """

    analyses: tuple[str, ...] = ()
    permutations: int = 5000
    seed: int = 0
    tails: str = 'two'
    min_coverage: float = 1.0
    engine: str = 'native'
    tfce: str = 'exact'
    joint: str = 'minp'
    connectivity: int = 6
    within_structure: bool = False
    leave_one_out: bool = False
    atlases: tuple[tuple[str, Path], ...] = ()


@dataclass(frozen=True)
class ResourceSettings:
    """What the run may use.

    Attributes
    ----------
    nprocs : int
        Processes at once.
    omp_nthreads : int
        Threads of one process.
    mem_mb : int
        Memory that the scheduler may plan with, MB.
    """

    nprocs: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    omp_nthreads: int = 1
    mem_mb: int = 4000
    stop_on_first_crash: bool = False


@dataclass(frozen=True)
class Settings:
    """One run of ketbids.

    With `dry_run`, what would be done is listed and nothing is written.
    """

    level: str
    paths: PathSettings
    inputs: InputSettings
    hcp: HcpSettings
    selection: SelectionSettings
    first_level: FirstLevelSettings
    group: GroupSettings
    resources: ResourceSettings
    dry_run: bool = False


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return '[' + ', '.join(_toml_value(item) for item in value) + ']'
    text = str(value).replace('\\', '\\\\').replace('"', '\\"')
    text = ''.join(c if c.isprintable() else f'\\u{ord(c):04x}' for c in text)
    return f'"{text}"'


def as_toml(settings: Settings, extra: Mapping[str, str]) -> str:
    """Write resolved settings as TOML text.

    Parameters
    ----------
    settings : Settings
    extra : mapping of str to str
        Further top-level keys, e.g. the version.
    """
    lines = [f'{key} = {_toml_value(value)}' for key, value in extra.items()]
    tables = []
    for item in fields(settings):
        value = getattr(settings, item.name)
        if is_dataclass(value) and not isinstance(value, type):
            rows = [f'{k} = {_toml_value(v)}' for k, v in asdict(value).items() if v is not None]
            tables.append('\n'.join([f'[{item.name}]', *rows]))
        else:
            lines.append(f'{item.name} = {_toml_value(value)}')
    return '\n\n'.join(['\n'.join(lines), *tables]) + '\n'
