"""Widths of smoothing kernels."""

from collections.abc import Mapping
from math import hypot, log, sqrt
from types import MappingProxyType

from ketbids.errors import InputError

__all__ = ['INHERENT_FWHM', 'effective_fwhm', 'fwhm_to_sigma', 'kernel_fwhm']

#: Smoothing that the preprocessing of each origin has applied to every dense series, mm FWHM:
#: the HCP pipelines 2 mm on the surfaces and within subcortical structures, fMRIPrep none.
INHERENT_FWHM: Mapping[str, float] = MappingProxyType({'hcp': 2.0, 'fmriprep': 0.0})


def fwhm_to_sigma(fwhm: float) -> float:
    """Standard deviation of a Gaussian from its full width at half maximum (same unit)."""
    return fwhm / sqrt(8 * log(2))


def kernel_fwhm(requested: float, mode: str, inherent: float) -> float:
    """Width of the kernel to apply, in mm FWHM; 0 is none.

    Variances of Gaussians add up, so that squares of widths do.

    Parameters
    ----------
    requested : float
        The width that was asked for, mm.
    mode : {'added', 'total'}
        Whether `requested` is that of the kernel, or of the kernel and what the data have been
        smoothed with before together.
    inherent : float
        Smoothing that the preprocessing has applied, mm (`INHERENT_FWHM`).

    Raises
    ------
    InputError
        The total is below what has been applied already.
    """
    if mode not in ('added', 'total'):
        raise ValueError(f'the smoothing mode is {mode!r}')
    if mode == 'added':
        return requested
    if requested < inherent:
        raise InputError(
            f'A total smoothing of {requested:g} mm FWHM cannot be reached: the preprocessing has '
            f'smoothed the data by {inherent:g} mm. Ask for at least {inherent:g} mm with '
            '--smoothing-fwhm, or choose --smoothing-mode added (with --smoothing-fwhm 0 for no '
            'more smoothing).'
        )
    return sqrt(requested**2 - inherent**2)


def effective_fwhm(kernel: float, inherent: float) -> float:
    """Width of a kernel and of earlier smoothing together, in mm FWHM."""
    return hypot(kernel, inherent)
