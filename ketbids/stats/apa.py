"""Results of tests as sentences have them, in the style of the APA, in ASCII.

Two decimals (p: three), no zero before the point of what cannot exceed 1, degrees of freedom with
two decimals unless they are whole (Publication Manual of the American Psychological Association,
7th ed., 6.36 and 6.43-6.46).
"""

import math

__all__ = ['chi2_text', 'decimals', 'df_text', 'f_text', 'interval_text', 'p_text', 'r_text']
__all__ += ['share_text', 't_text']

_MISSING = 'n/a'
#: Satterthwaite's degrees of freedom of balanced data are whole but for rounding.
_WHOLE = 5e-6


def decimals(value: float, digits: int = 2) -> str:
    """Format a number; ``-0.00`` is ``0.00``, and what is not finite ``n/a``."""
    if not math.isfinite(value):
        return _MISSING
    text = f'{value:.{digits}f}'
    return text.removeprefix('-') if not float(text) else text


def share_text(value: float, digits: int = 2) -> str:
    """Format a number that cannot exceed 1 in size: ``.70``, ``-.42``, ``1.00``."""
    text = decimals(value, digits)
    return text.replace('0.', '.', 1) if text.lstrip('-').startswith('0.') else text


def df_text(df: float) -> str:
    """Format degrees of freedom: ``65.70``, ``46``."""
    if math.isfinite(df) and abs(df - round(df)) < _WHOLE:
        return str(round(df))
    return decimals(df)


def p_text(p: float, name: str = 'p') -> str:
    """Format a p value: ``p = .010``, ``p < .001``, ``p > .999``."""
    if not math.isfinite(p):
        return f'{name} {_MISSING}'
    if p < 0.001:
        return f'{name} < .001'
    if p >= 0.9995:
        return f'{name} > .999'
    return f'{name} = {share_text(p, 3)}'


def interval_text(low: float, high: float, percent: int, *, share: bool = False) -> str:
    """Format a confidence interval: ``90% CI [.60, .77]``."""
    form = share_text if share else decimals
    return f'{percent}% CI [{form(low)}, {form(high)}]'


def f_text(
    f: float,
    num_df: float,
    den_df: float,
    p: float,
    eta2: float | None = None,
    low: float = math.nan,
    high: float = math.nan,
) -> str:
    """Format an F test: ``F(2, 65.70) = 77.48, p < .001, partial eta2 = .70, 90% CI [.60, .77]``.

    Parameters
    ----------
    f, num_df, den_df, p : float
    eta2 : float, optional
        Partial eta squared; left out if it is not finite.
    low, high : float
        Limits of its 90 % confidence interval; left out if they are not finite.
    """
    text = f'F({df_text(num_df)}, {df_text(den_df)}) = {decimals(f)}, {p_text(p)}'
    return text + _effect('partial eta2', eta2, low, high, 90, share=True)


def t_text(
    t: float,
    df: float,
    p: float,
    d: float | None = None,
    low: float = math.nan,
    high: float = math.nan,
    *,
    effect: str = 'd',
) -> str:
    """Format a t test: ``t(33.10) = -2.10, p = .043, d = -0.69, 95% CI [-1.36, -0.02]``.

    Parameters
    ----------
    t, df, p : float
    d : float, optional
        Effect size; left out if it is not finite.
    low, high : float
        Limits of its 95 % confidence interval; left out if they are not finite.
    effect : str
        What the effect size is called.
    """
    text = f't({df_text(df)}) = {decimals(t)}, {p_text(p)}'
    return text + _effect(effect, d, low, high, 95, share=False)


def r_text(
    r: float,
    df: float | None,
    p: float,
    low: float = math.nan,
    high: float = math.nan,
    *,
    symbol: str = 'r',
) -> str:
    """Format a correlation: ``r(35) = .42, p = .010, 95% CI [.11, .65]``.

    Parameters
    ----------
    r : float
    df : float or None
        n - 2, less the covariates of a partial correlation; None (Kendall's tau) leaves it out.
    p : float
    low, high : float
        Limits of the 95 % confidence interval; left out if they are not finite.
    symbol : str
        ``r``, ``r_s`` (Spearman), ``tau``.
    """
    of = '' if df is None else f'({df_text(df)})'
    text = f'{symbol}{of} = {share_text(r)}, {p_text(p)}'
    known = math.isfinite(low) and math.isfinite(high)
    return f'{text}, {interval_text(low, high, 95, share=True)}' if known else text


def chi2_text(chi2: float, df: float, n: int, p: float) -> str:
    """Format a chi-square test: ``chi2(1, N = 37) = 4.20, p = .040``."""
    return f'chi2({df_text(df)}, N = {n}) = {decimals(chi2)}, {p_text(p)}'


def _effect(
    name: str, value: float | None, low: float, high: float, percent: int, *, share: bool
) -> str:
    if value is None or not math.isfinite(value):
        return ''
    text = f', {name} = {share_text(value) if share else decimals(value)}'
    known = math.isfinite(low) and math.isfinite(high)
    return f'{text}, {interval_text(low, high, percent, share=share)}' if known else text
