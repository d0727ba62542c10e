"""Where everything of the synthetic study is written."""

from dataclasses import dataclass
from pathlib import Path

from ketbids.demo.sample import Sample

__all__ = ['TASK', 'StudyTree', 'Tree']

TASK = 'carit'


@dataclass(frozen=True)
class StudyTree:
    """Paths that every synthetic study has.

    Attributes
    ----------
    root : Path
        The folder of the study.
    mesh : str
        ``3k`` or ``32k``.
    """

    root: Path
    mesh: str

    @property
    def bids(self) -> Path:
        """The BIDS dataset."""
        return self.root / 'bids'

    @property
    def truth(self) -> Path:
        """What is planted."""
        return self.root / 'truth.json'

    @property
    def truth_maps(self) -> Path:
        """What is planted, as maps to look at."""
        return self.root / 'truth.dscalar.nii'


@dataclass(frozen=True)
class Tree(StudyTree):
    """Paths of the Go/NoGo study."""

    @property
    def hcp(self) -> Path:
        """The tree of derivatives, as the HCP pipelines leave it."""
        return self.root / 'derivatives' / 'hcp'

    @property
    def exclusions(self) -> Path:
        """Whom to leave out."""
        return self.root / 'exclusions.tsv'

    def events(self, label: str, session: str) -> Path:
        """Trials of a run."""
        folder = self.bids / f'sub-{label}' / f'ses-{session}' / 'func'
        return folder / f'sub-{label}_ses-{session}_task-{TASK}_events.tsv'

    def sessions(self, label: str) -> Path:
        """Scores of a participant."""
        return self.bids / f'sub-{label}' / f'sub-{label}_sessions.tsv'

    def surface(self, label: str, session: str, side: str, kind: str) -> Path:
        """A surface of a session."""
        return self._mesh_file(label, session, f'{side}.{kind}', 'surf.gii')

    def labels(self, label: str, session: str) -> Path:
        """Desikan-Killiany labels of a session."""
        return self._mesh_file(label, session, 'aparc', 'dlabel.nii')

    def series(self, label: str, session: str) -> Path:
        """Cleaned time series of a run."""
        name = f'ses-{session}_task-{TASK}_bold'
        return (
            self._space(label, session)
            / 'Results'
            / name
            / (f'{name}_Atlas_hp2000_clean.dtseries.nii')
        )

    def movement(self, label: str, session: str) -> Path:
        """Head movement of a run."""
        return self.series(label, session).with_name('Movement_Regressors.txt')

    def run_files(self, label: str, session: str) -> list[Path]:
        """All derivatives of a participant-session."""
        surfaces = [
            self.surface(label, session, side, kind)
            for kind in ('midthickness', 'inflated')
            for side in 'LR'
        ]
        return [
            *surfaces,
            self.labels(label, session),
            self.movement(label, session),
            self.series(label, session),
        ]

    def table_files(self, sample: Sample) -> list[Path]:
        """The BIDS dataset and all other small files."""
        tables = [
            *(self.sessions(person.label) for person in sample.participants),
            *(self.events(person.label, session) for person, session in sample.runs),
        ]
        names = ('dataset_description.json', 'README', 'participants.tsv', 'participants.json')
        return [
            *(self.bids / name for name in names),
            self.bids / f'task-{TASK}_events.json',
            *tables,
            *(self.sessions(p.label).with_suffix('.json') for p in sample.participants),
            self.hcp / 'dataset_description.json',
            self.exclusions,
            self.truth_maps,
        ]

    def _space(self, label: str, session: str) -> Path:
        return self.hcp / f'sub-{label}_ses-{session}' / 'MNINonLinear'

    def _mesh_file(self, label: str, session: str, what: str, suffix: str) -> Path:
        folder = self._space(label, session) / f'fsaverage_LR{self.mesh}'
        return folder / f'sub-{label}_ses-{session}.{what}.{self.mesh}_fs_LR.{suffix}'
