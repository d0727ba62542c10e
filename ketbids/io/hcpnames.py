"""Names in a study folder of the HCP pipelines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ['STAGES', 'FixGroup', 'SessionFolders', 'fix_groups', 'series_name', 'study_folder']

#: In the order in which they run; the last one is no script of the HCP pipelines.
STAGES = (
    *('PreFreeSurfer', 'FreeSurfer', 'PostFreeSurfer', 'fMRIVolume', 'fMRISurface'),
    *('ICAFIX', 'PostFix', 'ReApplyFix', 'MSMAll', 'DeDriftAndResample', 'FirstLevel'),
)

#: What HCP advises: of the older, single-run FIX, and of FIX over several runs.
_HIGH_PASS = {'single': '2000', 'multi': '0'}


@dataclass(frozen=True)
class SessionFolders:
    """Folders of one session.

    Attributes
    ----------
    study : Path
        The study folder.
    session : str
        E.g. ``sub-01_ses-TP1``.
    """

    study: Path
    session: str

    @property
    def top(self) -> Path:
        """Everything of the session."""
        return self.study / self.session

    @property
    def t1w(self) -> Path:
        """Native space."""
        return self.top / 'T1w'

    @property
    def atlas(self) -> Path:
        """MNI space, and surfaces."""
        return self.top / 'MNINonLinear'

    @property
    def freesurfer(self) -> Path:
        """What FreeSurfer makes."""
        return self.t1w / self.session

    @property
    def mesh32(self) -> Path:
        """Surfaces on the 32k mesh."""
        return self.atlas / 'fsaverage_LR32k'

    @property
    def stages(self) -> Path:
        """Records and logs of the stages."""
        return self.top / 'ketbids'

    def results(self, run: str) -> Path:
        """Give the results of a run."""
        return self.atlas / 'Results' / run

    def intermediate(self, run: str) -> Path:
        """Give the intermediate files of a run."""
        return self.top / run


@dataclass(frozen=True)
class FixGroup:
    """Runs that FIX cleans together.

    Attributes
    ----------
    runs : tuple of str
        Names of the runs.
    name : str
        Name of what is concatenated; for the older script of single runs, the run's own.
    high_pass : str
        As the scripts and the names of files have it, e.g. ``2000``, ``0``, ``pd2``.
    kind : {'pyfix', 'legacy'}
    concatenates : bool
        True for ``hcp_fix_multi_run``, which pyfix needs also for single runs; False for
        ``hcp_fix``.
    """

    runs: tuple[str, ...]
    name: str
    high_pass: str
    kind: str
    concatenates: bool

    def ica(self, folders: SessionFolders) -> Path:
        """Give the folder with the components and their classes."""
        return folders.results(self.name) / f'{self.name}_hp{self.high_pass}.ica'

    def cleaned(self, run: str) -> str:
        """Give the name of the cleaned dense series of a run."""
        return f'{run}_Atlas_hp{self.high_pass}_clean.dtseries.nii'


def study_folder(output_dir: Path) -> Path:
    """Give the study folder, which the HCP pipelines fill, in the folder of results."""
    return Path(output_dir) / 'sourcedata' / 'hcp'


def fix_groups(
    runs: Sequence[str], *, fix: str, grouping: str, high_pass: str | None
) -> tuple[FixGroup, ...]:
    """Decide which runs FIX cleans together.

    Parameters
    ----------
    runs : sequence of str
        Names of the runs of a session.
    fix : {'pyfix', 'legacy', 'none'}
    grouping : {'auto', 'single', 'multi'}
    high_pass : str or None
        None: as the HCP does it.

    Returns
    -------
    tuple of FixGroup
        Empty without FIX. Names of concatenated runs hold no BIDS label, so that they are not
        taken for runs.
    """
    if fix == 'none' or not runs:
        return ()
    together = grouping == 'multi' or (grouping == 'auto' and len(runs) > 1)
    if together:
        return (FixGroup(tuple(runs), 'ICAFIX_ALL', high_pass or _HIGH_PASS['multi'], fix, True),)
    if fix == 'legacy':
        chosen = high_pass or _HIGH_PASS['single']
        return tuple(FixGroup((run,), run, chosen, fix, False) for run in runs)
    chosen = high_pass or _HIGH_PASS['multi']
    return tuple(
        FixGroup((run,), 'ICAFIX_' + re.sub('-', '', run), chosen, fix, True) for run in runs
    )


def series_name(run: str, group: FixGroup | None, *, msmall: bool) -> str:
    """Give the name of the dense series of a run that was processed furthest."""
    name = f'{run}_Atlas.dtseries.nii' if group is None else group.cleaned(run)
    return name.replace('_Atlas', '_Atlas_MSMAll') if msmall else name
