"""What the sidecars of maps say of how they were made."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ketbids.io.inventory import RunFiles, bids_uri
from ketbids.io.preprocessed import AVERAGE_SURFACES
from ketbids.settings import FirstLevelSettings, Settings
from ketbids.stats.confounds import resolve_sets
from ketbids.stats.fwhm import INHERENT_FWHM, effective_fwhm, kernel_fwhm

__all__ = ['confound_sets', 'kernel_of', 'map_metadata', 'smoothing_text']

_AFTER_FIX = (
    'The degrees of freedom that FIX removed are not counted: t and z of single runs are '
    'optimistic. Group inference uses effects only.'
)


def kernel_of(first: FirstLevelSettings, run: RunFiles) -> float:
    """Width of the kernel that smooths a run, mm FWHM; 0 is none."""
    inherent = INHERENT_FWHM[run.preprocessed.origin]
    return kernel_fwhm(first.smoothing_fwhm, first.smoothing_mode, inherent)


def smoothing_text(first: FirstLevelSettings, run: RunFiles) -> str:
    """Say how a run is smoothed."""
    kernel, inherent = kernel_of(first, run), INHERENT_FWHM[run.preprocessed.origin]
    added = f'{kernel:.3g} mm FWHM added' if kernel else 'none added'
    if not inherent:
        return added
    return (
        f'{added}; {effective_fwhm(kernel, inherent):.2f} mm with the {inherent:g} mm of the HCP '
        'pipelines'
    )


def confound_sets(settings: Settings, run: RunFiles) -> tuple[str, ...]:
    """Sets of confounds in the model of a run."""
    found = run.preprocessed
    return resolve_sets(
        settings.first_level.confounds, origin=found.origin, denoised=found.denoised
    )


def map_metadata(settings: Settings, run: RunFiles, uris: Mapping[str, Path]) -> dict[str, Any]:
    """Say what the maps of a run are made of, and how.

    Parameters
    ----------
    settings : Settings
    run : RunFiles
    uris : mapping of str to Path
        Folder of each dataset name (see `ketbids.io.inventory.bids_uri`).
    """
    first, found = settings.first_level, run.preprocessed
    kernel = kernel_of(first, run)
    total = effective_fwhm(kernel, INHERENT_FWHM[found.origin])
    metadata: dict[str, Any] = {
        'Sources': [bids_uri(path, uris) for path in (found.series, run.events)],
        'SoftwareVersion': version('ketbids'),
        'Smoother': first.smoother if kernel else 'none',
        'SmoothingMode': first.smoothing_mode,
        'SmoothingAddedFWHM': round(kernel, 4),
        'SmoothingTotalFWHM': round(total, 4),
        'HRFModel': first.hrf_model,
        'HighPassCutoffHz': first.high_pass,
        'DroppedVolumes': first.drop_volumes,
        'Preprocessing': _origin(run),
        'Confounds': list(confound_sets(settings, run)),
        'Surfaces': AVERAGE_SURFACES
        if 'midthickness' in found.anatomy.template
        else "participant's own",
    }
    if found.denoised:
        metadata['Caveat'] = _AFTER_FIX
    return metadata


def _origin(run: RunFiles) -> str:
    if run.preprocessed.origin == 'fmriprep':
        return 'fMRIPrep'
    return 'HCP pipelines with FIX' if run.preprocessed.denoised else 'HCP pipelines'
