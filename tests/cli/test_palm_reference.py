"""ketbids-palm against PALM's own results: every command of the reference cases."""

import json
import re
import shlex

import nibabel as nb
import numpy as np
import pytest

from ketbids.cli.palm import main
from ketbids.stats.fdr import adjusted_p

CASES = (
    'eb_within_paired_exact',
    'onesample_cov',
    'paired_signflip_exact',
    'twosample_cov',
    'twosample_exact',
)
RUNS = (
    *('uni_onetail', 'uni_twotail', 'tfceLR_onetail', 'tfceLR_twotail'),
    *('tfceV_onetail', 'tfceV_twotail', 'tfceJOINT_twotail'),
)
#: Variants that PALM completed and ketbids-palm has.
OPTIONS = {
    'twosample_cov': ('opt_V_fdrBKY', 'opt_V_tail', 'opt_V_tail_nouncorr'),
    'twosample_exact': (
        *('opt_V_T_logp', 'opt_V_T_save1-p', 'opt_V_T_C26', 'opt_V_T_C18', 'opt_V_T_tfce2D'),
        *('opt_V_T_H2.5_E0.75', 'opt_V_T_dh0.1', 'opt_V_T_corrcon', 'opt_V_zstat'),
        *('opt_V_C2.3_extent', 'opt_V_C2.3_mass', 'opt_L_T_area1', 'opt_L_T_ownarea'),
        *('opt_L_T_E0.5', 'opt_L_C2.3_extent', 'opt_V_vg_vstat'),
    ),
}
#: Joint runs were made for the exact cases only.
MISSING = {('onesample_cov', 'tfceJOINT_twotail'), ('twosample_cov', 'tfceJOINT_twotail')}
ALL = [
    (case, run)
    for case in CASES
    for run in (*RUNS, *OPTIONS.get(case, ()))
    if (case, run) not in MISSING
]
P = re.compile(r'_(uncp|fwep|mfwep|cfwep|mcfwep)[_.]')
FDR = re.compile(r'_m?c?fdrp[_.]')


def values_of(path):
    if path.suffix == '.csv' or path.suffix == '.txt':
        return np.loadtxt(path, delimiter=',', ndmin=1)
    return np.asarray(nb.load(path).dataobj, float).ravel()


def p_of(path, words):
    """Probabilities as shares, whatever they were saved as."""
    values = values_of(path)
    if '-logp' in words:
        return 10**-values
    return 1 - values if '-save1-p' in words else values


def given_shuffles(folder, words):
    """PALM's own, where its set is a sample."""
    n = int(words[words.index('-n') + 1])
    if n == 0:
        return []
    if words[words.index('-t') + 1].endswith('con_pos.csv'):
        return ['-permidx', str(folder / 'out/permidx/single_permidx.csv')]
    names = ('onetail_c1_permidx.csv', 'onetail_c2_permidx.csv')
    return [w for name in names for w in ('-permidx', str(folder / 'out/permidx' / name))]


@pytest.fixture
def run_case(shared, tmp_path, monkeypatch):
    def run(case, name, *more):
        folder = shared / 'reference' / 'palm' / case
        runs = json.loads((folder / 'case.json').read_text())
        key, of = ('opt_runs', name[4:]) if name.startswith('opt_') else ('runs', name)
        command = runs[key][of]['cmd']
        words = shlex.split(command)[1:]
        words[words.index('-o') + 1] = str(tmp_path / 'palm')
        monkeypatch.chdir(folder)
        assert main([*words, *given_shuffles(folder, words), *more]) == 0
        return words, folder / 'out' / name, tmp_path

    return run


@pytest.mark.parametrize(('case', 'run'), ALL)
def test_agrees_with_palm(run_case, case, run):
    words, theirs, ours = run_case(case, run)
    assert sorted(p.name for p in ours.iterdir()) == sorted(
        {p.name for p in theirs.iterdir()} | {'palm_elapsed.csv'}
    )
    n_shuffles = None
    for path in theirs.glob('*_max*.csv'):
        n_shuffles = len(values_of(path))
    for path in sorted(theirs.glob('palm_*')):
        name, mine = path.name, ours / path.name
        if name in ('palm_elapsed.csv', 'palm_palmconfig.txt'):
            continue
        if P.search(name) and 'tail' not in words:
            counts = np.rint(p_of(path, words) * n_shuffles)
            own = p_of(mine, words) * n_shuffles
            # Outside the mask PALM has 0, which is saved as it is.
            outside = (values_of(path) == 0) & (values_of(mine) == 0)
            difference = np.where(outside, 0, own - counts)
            # Of mirrored shuffles PALM may lose one to rounding.
            lost = 1 if '-twotail' in words else 0
            assert (np.abs(difference - np.rint(difference)) < 1e-6).all(), name
            assert (np.rint(difference) >= 0).all(), name
            assert (np.rint(difference) <= lost).all(), name
        elif FDR.search(name):
            pass  # of uncorrected p: see below
        else:
            expected, found = values_of(path), values_of(mine)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('run', ['uni_onetail', 'uni_twotail'])
def test_false_discovery_rate_agrees_where_uncorrected_p_do(run_case, case, run):
    _, theirs, ours = run_case(case, run)
    for path in sorted(theirs.glob('*_fdrp_*')):
        uncorrected = path.name.replace('fdrp', 'uncp')
        mine = values_of(ours / uncorrected)
        if np.allclose(mine, values_of(theirs / uncorrected), atol=1e-9):
            np.testing.assert_allclose(values_of(ours / path.name), values_of(path), atol=1e-9)
        inside = mine > 0
        np.testing.assert_allclose(
            values_of(ours / path.name)[inside], adjusted_p(mine[inside], 'BH'), atol=1e-12
        )


@pytest.mark.parametrize('case', CASES)
def test_threads_change_no_byte(run_case, case):
    _, _, ours = run_case(case, 'tfceLR_twotail')
    before = {p.name: p.read_bytes() for p in ours.iterdir()}
    run_case(case, 'tfceLR_twotail', '-threads', '3')
    for name, content in before.items():
        if name not in ('palm_elapsed.csv', 'palm_palmconfig.txt'):
            assert (ours / name).read_bytes() == content, name
