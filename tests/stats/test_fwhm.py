"""Widths of smoothing kernels."""

import pytest

from ketbids.errors import InputError
from ketbids.stats.fwhm import INHERENT_FWHM, effective_fwhm, fwhm_to_sigma, kernel_fwhm


def test_standard_deviation():
    assert fwhm_to_sigma(5) == pytest.approx(2.12331, abs=1e-5)


@pytest.mark.parametrize(
    ('requested', 'mode', 'origin', 'kernel', 'effective'),
    [
        (5, 'added', 'hcp', 5, 5.385165),
        (5, 'total', 'hcp', 4.582576, 5),
        (2, 'total', 'hcp', 0, 2),
        (0, 'added', 'hcp', 0, 2),
        (1, 'added', 'hcp', 1, 2.236068),
        (5, 'added', 'fmriprep', 5, 5),
        (5, 'total', 'fmriprep', 5, 5),
        (0, 'total', 'fmriprep', 0, 0),
    ],
)
def test_added_and_total(requested, mode, origin, kernel, effective):
    inherent = INHERENT_FWHM[origin]
    found = kernel_fwhm(requested, mode, inherent)
    assert found == pytest.approx(kernel, abs=1e-6)
    assert effective_fwhm(found, inherent) == pytest.approx(effective, abs=1e-6)


@pytest.mark.parametrize('requested', [0, 1, 1.99])
def test_a_total_below_what_was_applied(requested):
    with pytest.raises(InputError, match=rf'total smoothing of {requested} mm .* by 2 mm\. Ask'):
        kernel_fwhm(requested, 'total', INHERENT_FWHM['hcp'])
