"""Names of noise models. Loads nothing, since options are read by it."""

import re

from ketbids.errors import InputError

__all__ = ['HIGHEST_ORDER', 'model_order']

#: Highest order of autoregressive noise; the lags of more are hardly estimable from one run.
HIGHEST_ORDER = 20


def model_order(noise_model: str) -> int:
    """Order of the noise model ``ols`` (0) or ``arN`` (N).

    Raises
    ------
    InputError
        It is another one.
    """
    if noise_model == 'ols':
        return 0
    found = re.fullmatch(r'ar([1-9][0-9]?)', noise_model)
    if not found or int(found[1]) > HIGHEST_ORDER:
        raise InputError(
            f'There is no noise model {noise_model!r} here; choose ols or one of ar1 to '
            f'ar{HIGHEST_ORDER}.'
        )
    return int(found[1])
