"""Every reference case through ketbids-mixed: numbers of R and of SAS."""

import json
from pathlib import Path

import pytest

from ketbids.cli.mixed import main

REFERENCE = Path(__file__).parents[3] / 'shared' / 'reference' / 'mixed'
CASES = sorted(path.parent.name for path in REFERENCE.glob('*/case.json'))


def kinds():
    for case in CASES:
        content = json.loads((REFERENCE / case / 'case.json').read_text(encoding='utf-8'))
        for kind in content.get('kinds', [content.get('covariance')]):
            yield case, kind


@pytest.mark.skipif(not CASES, reason=f'there is no {REFERENCE}')
@pytest.mark.parametrize(('case', 'kind'), list(kinds()))
def test_every_reference_case_through_the_command(tmp_path, case, kind):
    content = json.loads((REFERENCE / case / 'case.json').read_text(encoding='utf-8'))
    out = tmp_path / 'out.json'
    words = [str(REFERENCE / case / 'data.csv'), '--formula', content['formula']]
    words += ['--subject', content['subject'], '--visit', content['visit']]
    words += ['--covariance', kind, '--json', str(out)]
    for name, levels in content['factors'].items():
        words += ['--levels', f'{name}={",".join(levels)}']
    assert main(words) == 0
    terms = json.loads(out.read_text(encoding='utf-8'))['terms']
    if content.get('source'):  # a listing of SAS, which iterates less, to the digits it has
        file = REFERENCE / case / 'expected_SAS.json'
        expected = json.loads(file.read_text(encoding='utf-8'))['type3']
        near = {
            'F': {'abs': 0.00501, 'rel': 2e-4},
            'den_df': {'abs': 0.501},
            'p': {'rel': 1e-3, 'abs': 5.1e-5},
        }
    else:
        file = REFERENCE / case / 'expected_R.json'
        found = json.loads(file.read_text(encoding='utf-8'))
        part = found['random_intercept' if kind == 'ri' else f'marginal_{kind}']
        if kind != 'ri':
            part = part.get('mmrm', part.get('numeric'))
        expected = part['anova_satterthwaite_spss_basis']
        near = {'F': {'rel': 1e-5, 'abs': 1e-6}, 'den_df': {'rel': 1e-5}}
        near['p'] = {'rel': 1e-3, 'abs': 1e-12}
    assert set(terms) == set(expected)
    for name, row in expected.items():
        for key, other in (('F', 'F'), ('den_df', 'denDF'), ('p', 'p')):
            if other in row:
                assert terms[name][key] == pytest.approx(row[other], **near[key]), (name, key)
