"""The examples of the documentation in Python run, and give what other ways give."""

import re
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / 'docs'


def example(page: str) -> dict:
    """Run the only example of a page and return its variables."""
    (code,) = re.findall(r'```python\n(.*?)```', (DOCS / page).read_text('utf-8'), re.DOTALL)
    found: dict = {}
    exec(compile(code, page, 'exec'), found)
    return found


def test_functions_of_the_page_on_mixed_models() -> None:
    found = example('mixed.md')
    before, after, fit = found['before'], found['after'], found['fit']
    terms = fit.terms().set_index('term')
    assert list(terms.index) == ['time', 'group', 'time:group']
    assert (fit.n_subjects, fit.n_obs) == (8, 15)
    assert list(fit.pairs('time|group')['contrast']) == ['pre - post'] * 2
    test = found['paired_t_test'](before, after)
    change = (before - after)[:-1]
    assert test.t == pytest.approx(change.mean() / change.std(ddof=1) * np.sqrt(7))
    assert (test.n_1, test.df) == (7, 6)
    # Every patient is better: 2 of 2^7 orders of signs are as extreme.
    assert found['wilcoxon'](before, after).p == pytest.approx(2 / 2**7)
    ranks = found['correlate'](before, after, 'spearman')
    assert ranks.estimate == pytest.approx(
        np.corrcoef(np.argsort(np.argsort(before[:-1])), np.argsort(np.argsort(after[:-1])))[0, 1]
    )
    one, other = found['dunnett']({'x': after[::2], 'y': after[1::2]}, control=before)
    assert one.p_uncorrected < one.p < 2 * one.p_uncorrected
    assert (one.n, other.n, one.n_control) == (4, 3, 8)
    table = found['table']
    ancova = found['fit_ancova'](
        table[table['time'] == 'post'].assign(pre=before), 'hdrs ~ group + pre'
    )
    known = ~np.isnan(after)
    matrix = np.column_stack([np.ones(8), np.tile([1, -1], 4), before])[known]
    estimates, (rss,), *_ = np.linalg.lstsq(matrix, after[known], rcond=None)
    variance = rss / (7 - 3) * np.linalg.inv(matrix.T @ matrix)
    f = ancova.terms().set_index('term')['f']
    np.testing.assert_allclose(f, (estimates**2 / np.diag(variance))[1:], rtol=1e-9)


def test_functions_of_the_page_on_circularity() -> None:
    found = example('circularity.md')
    classify, uses = found['classify'], found['uses_of_analysis']
    patients, roots, visits = found['patients'], found['roots'], found['visits']
    tested = uses(['TP2'], ['hdrs_change'], patients, roots)
    assert classify(found['selecting'], tested, visits) == 'independent'
