"""Logs in the shape of the CARIT program's wide CSV files."""

import csv

import numpy as np

COLUMNS = (
    *('condFile', 'trialNum', 'stim', 'corrAns', 'prepotency', 'ISI'),
    *('shapeStartTime', 'shapeEndTime', 'fixStartTime', 'fixEndTime', 'nogoCondition', 'resp'),
    *('trialResp.firstKey', 'trialResp.firstRt', 'corrRespMsg', 'corrRespCode'),
    *('corrRespTrialType', 'isiPress.keys', 'isiPress.rt', 'hitCount', 'missCount'),
    *('falseAlarmCount', 'corrRejectCount', 'totalAcc', 'goAcc', 'nogoAcc', 'instrText.rt', ''),
)
COUNTERS = {
    'Hit': 'hitCount',
    'Miss': 'missCount',
    'corReject': 'corrRejectCount',
    'falseAlarm': 'falseAlarmCount',
}


def rows(n_trials=92, *, clock='run', seed=3):
    """Rows of a log: four of instructions, one with trialNum 0, then the trials."""
    rng = np.random.default_rng(seed)
    found = [dict.fromkeys(COLUMNS, '') for _ in range(5)]
    for row in found[:4]:
        row['instrText.rt'] = '1.25'
    found[4]['trialNum'] = '0'
    start, in_a_row, counts = 8.013, 0, dict.fromkeys(COUNTERS, 0)
    for number in range(1, n_trials + 1):
        nogo = in_a_row >= 2 and (in_a_row == 4 or rng.random() < 0.5)
        pressed = rng.random() < (0.3 if nogo else 0.9)
        outcome = ('falseAlarm' if pressed else 'corReject') if nogo else None
        outcome = outcome or ('Hit' if pressed else 'Miss')
        counts[outcome] += 1
        isi = round(float(rng.uniform(1.0, 4.0)), 3)
        response = round(float(rng.uniform(0.2, 0.79)), 4)
        row = dict.fromkeys(COLUMNS, '')
        row |= {
            'condFile': 'conditions/scan1.csv',
            'trialNum': str(number),
            'stim': f'shapes/{"square" if nogo else "circle"}.png',
            'corrAns': 'nogo' if nogo else 'go',
            'prepotency': str(in_a_row) if nogo else '',
            'ISI': str(isi),
            'shapeStartTime': f'{start:.6f}',
            'shapeEndTime': f'{start + 0.601:.6f}',
            'fixStartTime': f'{start + 0.602:.6f}',
            'fixEndTime': f'{start + 0.602 + isi:.6f}',
            'nogoCondition': ('prevRewNogo', 'neutralNogo')[number % 2] if nogo else '',
            'trialResp.firstKey': '2' if pressed else 'None',
            'trialResp.firstRt': (
                f'{response + (start if clock == "run" else 0):.6f}' if pressed else ''
            ),
            'corrRespMsg': outcome,
            'corrRespTrialType': outcome,
        }
        row |= {COUNTERS[name]: str(count) for name, count in counts.items()}
        found.append(row)
        start += 0.602 + isi
        in_a_row = 0 if nogo else in_a_row + 1
    return found


def write_log(path, content=None, *, columns=COLUMNS, **options):
    """Write rows, or those that `rows` makes with the options."""
    content = rows(**options) if content is None else content
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, columns, extrasaction='ignore')
        writer.writeheader()
        writer.writerows(content)
    return path


def outcomes(content):
    """Count the outcomes of rows."""
    found = [row['corrRespTrialType'] for row in content if row['corrRespTrialType']]
    return {name: found.count(name) for name in COUNTERS}
