"""ketbids-mixed as a command: the screen, the JSON file, and everything that it refuses."""

import json
import math
import resource
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ketbids.cli.mixed import build_parser, main
from ketbids.stats.mixed import inference
from tests.stats.mixed.simulated import trial

FORMULA = 'y ~ time * group + age + sex'


@pytest.fixture
def write(tmp_path):
    def make(table, name='data.csv'):
        path = tmp_path / name
        if isinstance(table, str):
            path.write_text(table, encoding='utf-8')
        else:
            table.to_csv(path, index=False, na_rep='n/a')
        return path

    return make


@pytest.fixture
def data(write):
    return write(trial(7))


def call(path, *words, formula=FORMULA, subject='subject', visit='time'):
    options = ['--formula', formula, '--subject', subject]
    options += ['--visit', visit] if visit else []
    return main([str(path), *options, *map(str, words)])


def found(path, *words, **options):
    out = path.with_name('out.json')
    assert call(path, '--json', out, *words, **options) == 0
    return json.loads(out.read_text(encoding='utf-8'))


def paired(n=6):
    """Two visits of each of six people: differences 1, 3, 2, 4, 0, 2."""
    first, change = [10, 12, 9, 14, 11, 13], [1, 3, 2, 4, 0, 2]
    rows = [(f's{i}', 'a', first[i]) for i in range(n)]
    rows += [(f's{i}', 'b', first[i] - change[i]) for i in range(n)]
    return pd.DataFrame(rows, columns=['subject', 'time', 'y'])


GOLDEN = """\
y ~ time
12 rows of 6 subjects; REML; random intercept of subject
factor time: a, b

Fixed effects, type III (degrees of freedom: Satterthwaite, SPSS's basis)
time  F(1, 5) = 12.00, p = .018, partial eta2 = .71, 90% CI [.15, .87]

Estimates (factors against their first level)
             estimate       SE    df      t       p               95% CI
(Intercept)    11.500  0.69522  7.00  16.54  < .001     [9.8559, 13.144]
timeb         -2.0000  0.57735  5.00  -3.46    .018  [-3.4841, -0.51587]

Covariance parameters
                estimate       SE  Wald Z
var(intercept)    1.9000   1.5505    1.23
var(residual)     1.0000  0.63246    1.58

-2 restricted log-likelihood = 39.81, AIC = 43.81, BIC = 44.41
(AIC and BIC count the 2 covariance parameters, as in SPSS and SAS)

Marginal means: time
time  n    mean      SD     EMM       SE    df            95% CI
a     6  11.500  1.8708  11.500  0.69522  7.00  [9.8559, 13.144]
b     6  9.5000  1.5166  9.5000  0.69522  7.00  [7.8559, 11.144]

Pairs: time (p corrected by Holm; d in units of sqrt(var(intercept) + var(residual)))
       difference       SE     t    df     p             95% CI     d   95% CI of d
a - b      2.0000  0.57735  3.46  5.00  .018  [0.51587, 3.4841]  1.17  [0.18, 2.12]
"""


def test_the_screen(write, capsys):
    """A paired t test: mean difference 2, SD sqrt(2): t = 2 / sqrt(2 / 6) = 3.4641, 5 df."""
    assert call(write(paired()), '--emm', 'time', formula='y ~ time') == 0
    output = capsys.readouterr()
    assert output.out == GOLDEN
    assert output.err == (
        'ketbids-mixed: warning: Only 6 participants: results depend much on the assumptions.\n'
    )


def test_the_json_file(data):
    results = found(data, '--emm', 'time:group', '--emm', 'time|group')
    assert results['n_subjects'] == 36
    assert results['n_obs'] == len(trial(7))
    assert list(results['terms']) == ['time', 'group', 'age', 'sex', 'time:group']
    for row in results['terms'].values():
        assert {'F', 'num_df', 'den_df', 'p', 'log10p', 'partial_eta2'} <= set(row)
        assert 10 ** row['log10p'] == pytest.approx(row['p'])
    assert results['loglik'] == -results['criteria']['minus2_restricted_loglik'] / 2
    assert set(results['fixed']['timeTP2']) >= {'estimate', 'se', 'df', 't', 'p', 'ci95_low'}
    assert list(results['covariance']) == ['var(intercept)', 'var(residual)']
    assert len(results['emmeans']['time:group']) == 6
    assert len(results['pairs']['time:group']) == 15
    assert len(results['pairs']['time|group']) == 6
    row = results['pairs']['time|group'][0]
    assert row['group'] == 'nonremitter'
    assert row['contrast'] == 'TP1 - TP2'
    assert {'p', 'p_holm', 'p_bonferroni', 'p_sidak', 'p_tukey', 'd', 'g'} <= set(row)
    assert results['software'].startswith('ketbids ')
    assert 0.5 < results['normality']['w'] <= 1
    assert len(results['influence']) == 36


def test_numbers_are_exact_and_nothing_is_missing_silently(data):
    text = data.with_name('out.json')
    found(data)
    content = text.read_text(encoding='utf-8')
    assert 'NaN' not in content
    assert 'Infinity' not in content
    assert repr(json.loads(content)['loglik']) in content


def test_a_complete_two_by_two_is_the_t_test_of_differences(write):
    table = trial(5, missing=0).query("time != 'TP2'")
    results = found(write(table), formula='y ~ time * group')
    wide = table.pivot_table(index=['subject', 'group'], columns='time', values='y')
    change = (wide['TP3'] - wide['TP1']).groupby('group')
    n, mean, variance = change.size(), change.mean(), change.var()
    df = n.sum() - 2
    pooled = ((n - 1) * variance).sum() / df
    t = (mean.iloc[0] - mean.iloc[1]) / np.sqrt(pooled * (1 / n).sum())
    assert results['terms']['time:group']['F'] == pytest.approx(t**2, rel=1e-8)
    assert results['terms']['time:group']['den_df'] == pytest.approx(df, rel=1e-6)


def test_rows_with_missing_values_are_counted(write, capsys):
    table = trial(7).astype({'y': object})
    lines = table.index[table['time'] == 'TP3'][:3]
    table.loc[lines[0], 'y'] = 'NA'
    table.loc[lines[1], 'y'] = ''
    table.loc[lines[2], 'age'] = np.nan
    results = found(write(table))
    assert results['n_dropped'] == 3
    assert sorted(row['row'] for row in results['dropped']) == sorted(int(i) + 2 for i in lines)
    assert {row['reason'] for row in results['dropped']} == {'y missing', 'age missing'}
    assert '3 rows left out (' in capsys.readouterr().out


def test_levels_decide_what_is_compared_with_what(data):
    one = found(data, '--levels', 'time=TP1,TP2,TP3')
    other = found(data, '--levels', 'time=TP3, TP2, TP1')
    assert other['factors']['time'] == ['TP3', 'TP2', 'TP1']
    assert 'timeTP1' in other['fixed']
    assert other['terms']['time']['F'] == pytest.approx(one['terms']['time']['F'])


def test_levels_are_in_their_natural_order(write):
    table = trial(7).replace({'time': {'TP1': 'week 2', 'TP2': 'week 10', 'TP3': 'week 30'}})
    assert found(write(table))['factors']['time'] == ['week 2', 'week 10', 'week 30']


@pytest.mark.parametrize('options', [('--levels', 'dose=0,1.0,2'), ()])
def test_numbers_become_factors_where_that_is_asked(write, options):
    table = trial(7)
    table['dose'] = table.pop('time').map({'TP1': 0.0, 'TP2': 1.0, 'TP3': 2.0})
    formula = 'y ~ dose' if options else 'y ~ C(dose)'
    results = found(write(table), *options, formula=formula, visit=None)
    assert results['factors']['dose'] == ['0', '1', '2']
    assert results['terms']['dose']['num_df'] == 2
    assert found(write(table), formula='y ~ dose', visit=None)['terms']['dose']['num_df'] == 1


def test_centring_moves_the_test_of_a_factor(data, capsys):
    formula = 'y ~ time * age'
    plain = found(data, formula=formula)
    assert 'whose own test is at age = 0' in capsys.readouterr().err
    centred = found(data, '--center', 'age', formula=formula)
    output = capsys.readouterr()
    assert output.err == ''
    assert 'centred' in output.out
    assert plain['covariates'] == pytest.approx(centred['covariates'])
    assert plain['terms']['time:age']['F'] == pytest.approx(centred['terms']['time:age']['F'])
    assert plain['terms']['time']['F'] != pytest.approx(centred['terms']['time']['F'], rel=0.01)


def test_structures_beside_each_other(data, capsys):
    results = found(data, '--covariance', 'ar1h', '--compare', 'us', '--compare', 'diag')
    assert results['covariance_structure'] == 'arh1'
    assert list(results['comparison']) == ['un', 'diag']
    alone = found(data, '--covariance', 'un')
    assert results['comparison']['un']['aic'] == alone['criteria']['aic']
    assert results['comparison']['un']['terms'] == alone['terms']
    assert 'un    -2RLL' in capsys.readouterr().out


def test_a_structure_that_cannot_be_compared_says_why(write, capsys):
    path = write(without_pair())
    results = found(path, '--compare', 'un', formula='y ~ time')
    assert 'No participant has both TP2 and TP3' in results['comparison']['un']['not_available']
    assert 'un  n/a: No participant has both' in capsys.readouterr().out


def test_diagonal_covariances_are_warned_of(data, capsys):
    assert call(data, '--covariance', 'diag') == 0
    assert 'diag takes the visits of a participant as independent' in capsys.readouterr().err


def test_degrees_of_freedom_are_named(data, capsys):
    call(data, '--covariance', 'csh', '--basis', 'lmertest')
    assert "(degrees of freedom: Satterthwaite, lmerTest's basis)" in capsys.readouterr().out
    results = found(data, '--ddf', 'kenward-roger')
    assert '(degrees of freedom: Kenward-Roger, expected information)' in capsys.readouterr().out
    assert results['kenward_roger_information'] == 'expected'
    assert results['basis'] is None


@pytest.mark.parametrize('adjust', ['none', 'bonferroni', 'holm', 'sidak', 'tukey'])
def test_the_chosen_correction_is_shown(data, capsys, adjust):
    assert call(data, '--emm', 'time', '--adjust', adjust) == 0
    title = 'p not corrected' if adjust == 'none' else f'p corrected by {adjust.capitalize()}'
    assert f'Pairs: time ({title};' in capsys.readouterr().out


def without_pair():
    """A trial in which nobody has both TP2 and TP3."""
    table = trial(7, missing=0)
    early = table['subject'] < 's18'
    return table[(table['time'] == 'TP1') | (early ^ (table['time'] == 'TP2'))]


def changed(column, value, *, rows=None):
    def change(table):
        table = table.astype({column: object})
        table.loc[table.index[:1] if rows is None else rows(table), column] = value
        return table

    return change


BAD = {
    'two rows of a visit': (
        lambda t: pd.concat([t, t[t['subject'] == 's03'].head(1)]),
        ('More than one row', 's03 at TP', 'line '),
    ),
    'a group that varies': (
        changed('group', 'remitter', rows=lambda t: t.query("subject == 's07'").index[:1]),
        ('group differs between rows of the same participant (s07)',),
    ),
    'text among numbers': (changed('age', 'unknown'), ("line 2: age is 'unknown'",)),
    'text in the response': (changed('y', '?'), ("line 2: y is '?'", 'a number is needed')),
    'an infinite response': (changed('y', 'Inf'), ('line 2: y is Inf', 'finite')),
    'one level': (
        lambda t: t.assign(group='remitter'),
        ('Factor group has one level, remitter',),
    ),
    'a constant response': (lambda t: t.assign(y=3), ('y is 3 in all',)),
    'no response': (lambda t: t.assign(y=np.nan), ('None of', 'y in')),
    'a constant covariate': (lambda t: t.assign(age=40), ('age is 40 in all',)),
    'collinear covariates': (
        lambda t: t.assign(age=(t['sex'] == 'F') * 2.0 + 1),
        ('age, sex are collinear',),
    ),
    'an empty cell': (
        lambda t: t[(t['time'] != 'TP3') | (t['group'] != 'remitter')],
        ('No row that is used has time TP3, group remitter', 'time:group'),
    ),
    'residual variance 0': (
        lambda t: t.assign(y=t['time'].map({'TP1': 3, 'TP2': 2, 'TP3': 1})),
        ('residual variance is 0',),
    ),
    'one row per subject': (
        lambda t: t.assign(subject=[f's{i}' for i in range(len(t))]),
        ('has one row', 'least squares'),
    ),
    'two subjects': (
        lambda t: t[t['subject'].isin(['s00', 's02'])],
        ('2 participants (s00, s02): at least 3',),
    ),
    'a subject without a name': (changed('subject', 'n/a', rows=lambda t: t.index), ('None of',)),
    'a column that is not there': (lambda t: t.drop(columns='sex'), ('has no column sex',)),
}


@pytest.mark.parametrize('name', BAD)
def test_bad_tables_are_refused(write, capsys, name):
    change, words = BAD[name]
    path = write(change(trial(7)))
    assert call(path, '--json', path.with_name('out.json')) == 3
    output = capsys.readouterr()
    assert output.out == ''
    for word in (f'ketbids-mixed: {path}', *words):
        assert word in output.err
    assert not path.with_name('out.json').exists()


def test_a_covariance_that_cannot_be_estimated_suggests_another(write, capsys):
    assert call(write(without_pair()), '--covariance', 'un', formula='y ~ time') == 3
    text = capsys.readouterr().err
    assert 'No participant has both TP2 and TP3' in text
    assert 'try cs' in text


def test_a_term_without_a_test_says_so(data, capsys, monkeypatch):
    from ketbids.stats.mixed.model import MixedFit

    real = MixedFit.terms

    def terms(self, **options):
        table = real(self, **options).astype({'f': float})
        columns = ['den_df', 'f', 'p', 'p_log10', 'partial_eta2', 'ci90_low', 'ci90_high']
        table.loc[table['term'] == 'sex', columns] = np.nan
        return table

    monkeypatch.setattr(MixedFit, 'terms', terms)
    results = found(data)
    output = capsys.readouterr()
    assert results['terms']['sex']['p'] is None
    assert 'sex         F(1, n/a) = n/a, p n/a\n' in output.out
    assert 'warning: No test of sex: its degrees of freedom by satterthwaite' in output.err


def test_few_participants_are_warned_of(write, capsys):
    table = trial(7, n=9)
    assert call(write(table), formula='y ~ time') == 0
    assert 'warning: Only 9 participants' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'options', 'text'),
    [
        (('--covariance', 'cs'), {'visit': None}, 'name their column with --visit'),
        (('--covariance', 'vc'), {}, "invalid choice: 'vc'"),
        (('--levels', 'time'), {}, 'is not NAME=LEVEL,LEVEL,...'),
        (('--levels', 'time=TP1'), {}, 'at least two levels'),
        (('--levels', 'time=a,a'), {}, 'the level a twice'),
        (('--levels', 'arm=a,b'), {}, '--levels arm: the formula has no arm'),
        (('--center', 'bmi'), {}, '--center bmi: the formula has no bmi'),
        (('--center', 'time'), {}, 'time is a factor, and has no mean'),
        (('--emm', 'time', '--emm', 'time'), {}, '--emm time stands twice'),
        (('--compare', 'ri'), {}, '--compare ri stands twice (or is that of --covariance)'),
        (('--frobnicate',), {}, 'unrecognized arguments'),
        ((), {'formula': 'time + age'}, 'has no response: write y ~ time + age'),
        ((), {'formula': "y ~ __import__('os')"}, 'is not allowed'),
        ((), {'formula': 'y ~ time:group'}, 'type III'),
        ((), {'formula': 'y ~ subject'}, '--subject subject stands in the formula'),
        (('--json', '.'), {}, '--json . is a folder'),
    ],
)
def test_wrong_usage_is_refused(data, capsys, words, options, text):
    assert call(data, *words, **options) == 2
    output = capsys.readouterr()
    assert output.out == ''
    assert output.err.startswith('ketbids-mixed: ')
    assert text in output.err


def test_the_table_is_not_written_over(data, capsys):
    before = data.read_bytes()
    link = data.with_name('link.json')
    link.symlink_to(data)
    assert call(data, '--json', link) == 2
    assert 'is the table itself' in capsys.readouterr().err
    assert data.read_bytes() == before


@pytest.mark.parametrize(
    ('words', 'options', 'text'),
    [
        (('--emm', 'age'), {}, 'age is a number, not a factor'),
        (('--center', 'sex'), {}, 'sex holds names, and has no mean'),
        (('--levels', 'time=TP1,TP2'), {}, "time is 'TP3' in line"),
        ((), {'subject': 'id'}, 'has no column id; it has subject, time'),
    ],
)
def test_what_the_table_does_not_have(data, capsys, words, options, text):
    assert call(data, *words, **options) == 3
    assert text in capsys.readouterr().err


def test_a_table_that_is_not_there(tmp_path, capsys):
    assert call(tmp_path / 'none.csv') == 3
    assert 'none.csv cannot be read: No such file' in capsys.readouterr().err


@pytest.mark.parametrize('option', ['--help', '--version'])
def test_help_and_version(capsys, option):
    with pytest.raises(SystemExit) as end:
        main([option])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith('usage: ketbids-mixed' if option == '--help' else 'ketbids-mixed ')
    assert '130/143' in str(build_parser().epilog)


def test_the_command_starts_fast(data):
    """Of the processor's time, since other programs may be running."""
    words = [sys.executable, '-m', 'ketbids.cli.mixed', str(data), '--formula', FORMULA]
    words += ['--subject', 'subject', '--emm', 'time|group']
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert 'time:group  F(2, ' in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


def test_help_imports_nothing_slow():
    code = (
        'import sys\nfrom ketbids.cli.mixed import build_parser\nbuild_parser().format_help()\n'
        'assert not {"pandas", "scipy", "nibabel", "nipype"} & set(sys.modules)'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


@pytest.mark.parametrize('spec', ['foo', 'time|foo', 'time:'])
def test_means_of_what_the_formula_lacks_are_wrong_usage(data, capsys, spec):
    assert call(data, '--emm', spec) == 2
    assert f'--emm {spec}: the formula has no ' in capsys.readouterr().err


def test_results_need_a_file_in_a_folder(data, capsys, tmp_path):
    assert call(data, '--json', '-') == 2
    assert '--json - is no file' in capsys.readouterr().err
    nowhere = tmp_path / 'nowhere'
    assert call(data, '--json', nowhere / 'out.json') == 2
    assert f'there is no folder {nowhere}' in capsys.readouterr().err
    assert not nowhere.exists()


def test_the_visit_that_was_found_is_shown(data, capsys):
    results = found(data, formula='y ~ time * group', visit=None)
    assert (results['visit'], results['visit_found']) == (None, 'time')
    assert 'no visit named; rows of a subject by time' in capsys.readouterr().out
    assert found(data)['visit_found'] is None


def test_a_level_called_na_is_counted(write, capsys):
    table = trial(7)
    table.loc[table['subject'] == 's03', 'group'] = 'NA'
    n = int((table['subject'] == 's03').sum())
    assert call(write(table)) == 0
    assert (
        f'group is missing (empty, n/a, NA or NaN) in {n} rows, which are left out: a level must '
        'have another name'
    ) in capsys.readouterr().err


def test_a_response_with_blanks_says_which_names_can_be(data, capsys):
    assert call(data, formula='y (a.u.) ~ time') == 2
    assert 'of letters, digits, _ and . (rename the column' in capsys.readouterr().err


def test_terms_without_degrees_of_freedom_are_told(data, capsys, monkeypatch):
    """Also those of a covariance that stands beside."""
    monkeypatch.setattr(inference, '_kr_scale', lambda *_: (math.nan, math.nan))
    results = found(data, '--ddf', 'kenward-roger', '--visit', 'time', '--compare', 'un')
    assert results['terms']['time']['p'] is None
    assert results['comparison']['un']['terms']['time']['F'] is None
    told = capsys.readouterr().err
    assert 'No test of time, ' in told
    assert ' with covariance un: its degrees of freedom by kenward-roger are not defined' in told


def test_too_many_pairs_are_refused_before_anything_is_fitted(write, capsys, monkeypatch):
    rows = [(f's{i}', when, f'x{i // 2}', i % 7) for i in range(100) for when in 'ab']
    path = write(pd.DataFrame(rows, columns=['subject', 'time', 'site', 'y']))
    monkeypatch.setattr('ketbids.cli.mixedresults.MixedModel', None)
    assert call(path, '--emm', 'site', formula='y ~ time + site') == 3
    words = "data.csv: Means 'site': 1225 pairs, more than 1000 (site: 50 levels); compare"
    assert words in capsys.readouterr().err
