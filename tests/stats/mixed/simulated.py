"""Made-up trials for mixed models."""

import numpy as np
import pandas as pd

__all__ = ['trial']

VISITS, GROUPS = ('TP1', 'TP2', 'TP3'), ('remitter', 'nonremitter')


def trial(seed: int, n: int = 36, missing: float = 0.15) -> pd.DataFrame:
    """Scores of two unequal groups at three visits, some of them missing.

    Returns
    -------
    DataFrame
        subject, time, group, age, sex, y: one row per subject and visit, shuffled.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        group = GROUPS[int(number % 5 > 1)]
        age, sex = round(rng.uniform(18, 64), 1), 'FM'[int(rng.random() < 0.5)]
        level = rng.normal(22, 3) + 0.05 * (age - 40)
        for visit, (name, change, spread) in enumerate(
            zip(VISITS, (0, -6, -10), (2, 3.5, 3), strict=True)
        ):
            gain = 1.4 if group == 'remitter' else 0.7
            y = level + gain * change + rng.normal(0, spread)
            if visit == 0 or rng.random() > missing:
                rows.append((f's{number:02d}', name, group, age, sex, round(y, 2)))
    table = pd.DataFrame(rows, columns=['subject', 'time', 'group', 'age', 'sex', 'y'])
    return table.sample(frac=1, random_state=seed).reset_index(drop=True)
