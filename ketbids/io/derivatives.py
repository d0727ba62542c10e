"""Find preprocessed runs in derivatives folders, whoever made them."""

from collections.abc import Sequence
from pathlib import Path

from ketbids.errors import InputError
from ketbids.io import fmriprep, hcp
from ketbids.io.bids import RunKey, sessions_with_events
from ketbids.io.filters import BidsFilter
from ketbids.io.folders import Folders
from ketbids.io.hcp import HcpPattern
from ketbids.io.preprocessed import PreprocessedRun

__all__ = ['Derivatives']


class Derivatives:
    """Folders with preprocessed data, and how runs are looked for in them.

    Parameters
    ----------
    roots : sequence of Path
    given : bool
        The folders were given in the order in which they count: the first that has a run wins.
        Otherwise two that have it are an error.
    pattern : HcpPattern, optional
        Names of folders in trees of the HCP pipelines.
    filters : BidsFilter, optional
    bids_dir : Path, optional
        The dataset, to see if a participant has several sessions that the pattern must tell
        apart.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        *,
        given: bool = True,
        pattern: HcpPattern | None = None,
        filters: BidsFilter | None = None,
        bids_dir: Path | None = None,
    ) -> None:
        self.roots = tuple(Path(root) for root in roots)
        self.given = given
        self.pattern = pattern
        self.filters = filters or BidsFilter()
        self._folders = Folders()
        self._bids_dir = bids_dir
        self._sessions: dict[str, list[str]] = {}

    def find(self, key: RunKey) -> PreprocessedRun:
        """Find one run.

        Raises
        ------
        InputError
            If there is none (the message says where it was looked for), or more than one.
        """
        found: list[PreprocessedRun] = []
        for root in self.roots:
            here = self._find_in(root, key)
            if here is not None and self.given:
                return here
            found += [here] if here is not None else []
        if len(found) > 1:
            raise InputError(
                f'Two candidates for {key}: {found[0].series} and {found[1].series}. Choose with '
                f'--derivatives {found[0].root} or --derivatives {found[1].root}.'
            )
        if not found:
            raise InputError(self._nothing(key))
        return found[0]

    def _find_in(self, root: Path, key: RunKey) -> PreprocessedRun | None:
        tree = hcp.find_run(
            root,
            key,
            pattern=self.pattern,
            filters=self.filters,
            folders=self._folders,
            sessions=self._sessions_of(key.participant),
        )
        outputs = fmriprep.find_run(root, key, filters=self.filters, folders=self._folders)
        if tree and outputs:
            raise InputError(
                f'Two candidates for {key}: {tree.series} and {outputs.series}. Keep derivatives '
                'of fMRIPrep and of the HCP pipelines in folders of their own.'
            )
        return tree or outputs

    def _sessions_of(self, participant: str) -> list[str]:
        """List all sessions with events, not only those that were chosen this time."""
        if self.pattern is None or self._bids_dir is None:
            return []
        if participant not in self._sessions:
            self._sessions[participant] = sessions_with_events(self._bids_dir, participant)
        return self._sessions[participant]

    def _nothing(self, key: RunKey) -> str:
        looked = [
            place
            for root in self.roots
            for place in (hcp.looked_for(root, key, self.pattern), fmriprep.looked_for(root, key))
        ]
        missing = [str(root) for root in self.roots if not root.is_dir()]
        return (
            f'{key}: no preprocessed time series.'
            + (f' There is no folder {", ".join(missing)}.' if missing else '')
            + (f' Looked for {"; ".join(looked)}.' if looked else ' No folder was given.')
            + (' Only what --bids-filter-file admits counts.' if self.filters.entities else '')
        )
