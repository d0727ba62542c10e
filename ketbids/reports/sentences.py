"""Results in plain words."""

import math

__all__ = ['JOINT_NAMES', 'TFCE_NAMES', 'format_p', 'p_equals', 'survival_sentence']

#: Kinds of threshold-free cluster enhancement, by their option.
TFCE_NAMES = {'exact': 'exact integral', '100': 'sum over 100 heights'}
#: How p is corrected over cortex and subcortical structures, by the option.
JOINT_NAMES = {
    'minp': 'by the smallest p',
    'bonferroni': 'after Bonferroni',
    'sidak': 'after Sidak',
}


def format_p(p: float, *, least: float = 0.001, alpha: float = 0.05) -> str:
    """Write a probability without its leading zero.

    Parameters
    ----------
    p : float
        From 0 to 1; nan becomes ``n/a``.
    least : float
        Smaller values are written as ``< least``.
    alpha : float
        Threshold that the reader compares with.

    Returns
    -------
    str
        Two significant digits below .1 and two decimals above; values that this would round to
        `alpha` or to 1 get more digits, so that no text contradicts a comparison.

    Examples
    --------
    >>> format_p(0.21), format_p(0.0123), format_p(0.0502), format_p(0.00002)
    ('.21', '.012', '.0502', '< .001')
    """
    if math.isnan(p):
        return 'n/a'
    if p < least:
        return f'< {_level(least)}'
    if p >= 1:
        return '1'
    digits = 2 if p >= 0.1 else 1 - math.floor(math.log10(p))
    while digits < 12 and any(p != mark and round(p, digits) == mark for mark in (alpha, 1.0)):
        digits += 1
    return _bare(p, digits)


def _bare(p: float, digits: int) -> str:
    return f'{p:.{digits}f}'.removeprefix('0')


def p_equals(p: float, *, alpha: float = 0.05) -> str:
    """``= .21`` or ``< .001``, to follow a letter; see `format_p`."""
    text = format_p(p, alpha=alpha)
    return text if text.startswith('<') else f'= {text}'


def survival_sentence(
    smallest_p: float,
    alpha: float = 0.05,
    *,
    n_surviving: int = 0,
    n_clusters: int | None = None,
    lowest_p: float | None = None,
) -> str:
    """Say what survived correction for the family-wise error (FWE).

    Parameters
    ----------
    smallest_p : float
        Smallest corrected p of the map; nan if nothing was tested.
    alpha : float
        Threshold for this direction.
    n_surviving : int
        Grayordinates that survive.
    n_clusters : int, optional
        Clusters they form.
    lowest_p : float, optional
        Lowest corrected p that an effect is sure to reach. If that is not below `alpha`, no claim
        is made either way, and the sentence says so.

    Examples
    --------
    >>> survival_sentence(0.21)
    'No grayordinate survived FWE correction at p < .05 (smallest corrected p = .21).'
    """
    level = f'p < {_level(alpha)}'
    if lowest_p is not None and lowest_p >= alpha:
        return (
            f'No statement about FWE at {level} is made: with so few distinct shuffles the lowest '
            'corrected p that an effect in one part of the brain is sure to reach is '
            f'{format_p(lowest_p, alpha=alpha)}.'
        )
    if math.isnan(smallest_p):
        return 'No grayordinate could be tested.'
    smallest = f'smallest corrected p {p_equals(smallest_p, alpha=alpha)}'
    if n_surviving == 0:
        return f'No grayordinate survived FWE correction at {level} ({smallest}).'
    what = f'{n_surviving:,} grayordinate{"" if n_surviving == 1 else "s"}'
    if n_clusters is not None:
        what += f' in {n_clusters} cluster{"" if n_clusters == 1 else "s"}'
    return f'{what} survived FWE correction at {level} ({smallest}).'


def _level(alpha: float) -> str:
    return f'{alpha:g}'.removeprefix('0')
