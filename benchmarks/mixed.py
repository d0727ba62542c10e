"""Mixed models of many regions: how long they take, beside statsmodels and lmerTest.

    python benchmarks/mixed.py [--regions 200] [--others 20]

Made-up values of 47 patients at three visits, of whom 37 came to the second and 37 to the third
one (121 rows), for ``time * group + age + sex``. Of every region ketbids does everything: the fit,
type III tests with Satterthwaite's degrees of freedom, marginal means of the cells, and pairs of
visits within each group with all corrections and effect sizes. So does lmerTest with emmeans (no
effect sizes), if Rscript is there; statsmodels' MixedLM has no such degrees of freedom, so only
its fit is timed. The others do the first regions only. Exits with 1 if ketbids takes more than 5 s
of the processor for 200 regions with any covariance, or if an F or its degrees of freedom are not
those of lmerTest. About half a minute.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.stats.mixed.model import MixedModel

Floats = npt.NDArray[np.float64]

SEED, VISITS = 20200401, ('TP1', 'TP2', 'TP3')
FORMULA = 'time * group + age + sex'
STRUCTURES = ('ri', 'cs', 'csh', 'un', 'ar1', 'arh1', 'toep', 'diag')
# Seconds for 200 regions; how far F and its degrees of freedom may be from lmerTest's.
LONGEST, APART = 5.0, 1e-5

LMER = """
suppressPackageStartupMessages({library(lmerTest); library(emmeans)})
d <- read.csv(commandArgs(TRUE)[1], stringsAsFactors = TRUE)
n <- as.integer(commandArgs(TRUE)[2])
found <- NULL
start <- proc.time()
for (k in seq_len(n)) {
  d$y <- d[[paste0("r", k - 1)]]
  m <- suppressMessages(lmer(y ~ time * group + age + sex + (1 | subject), d))
  a <- anova(m)
  e <- emmeans(m, ~ time | group, lmer.df = "satterthwaite")
  means <- as.data.frame(e)
  for (adjust in c("none", "bonferroni", "holm", "sidak", "tukey"))
    pairs <- as.data.frame(summary(pairs(e), adjust = adjust))
  found <- rbind(found, data.frame(region = k - 1, term = rownames(a), f = a[["F value"]],
                                   den_df = a[["DenDF"]]))
}
spent <- proc.time() - start
cat(spent[["elapsed"]], spent[["user.self"]] + spent[["sys.self"]], "\\n")
write.csv(format(found, digits = 15), row.names = FALSE)
"""


class Study(NamedTuple):
    """A long table without response, and responses of regions: (regions, rows)."""

    table: pd.DataFrame
    values: Floats


class Seconds(NamedTuple):
    """Seconds by the clock, and of the processor: other programs do not lengthen those."""

    clock: float
    processor: float


def made_up(n_regions: int) -> Study:
    rng = np.random.default_rng(SEED)
    subject, visit = np.divmod(np.arange(47 * 3), 3)
    lost = np.zeros((47, 3), dtype=bool)
    lost[:10, 1] = lost[5:15, 2] = True
    kept = ~lost.ravel()
    subject, visit = subject[kept], visit[kept]
    people = pd.DataFrame(
        {
            'group': rng.permutation(np.repeat(['nonremitter', 'remitter'], [24, 23])),
            'age': rng.uniform(20, 62, 47).round(1),
            'sex': rng.choice(['F', 'M'], 47),
        }
    )
    table = people.iloc[subject].reset_index(drop=True)
    table.insert(0, 'time', np.array(VISITS)[visit])
    table.insert(0, 'subject', [f'p{number:02d}' for number in subject])
    between = rng.normal(0, 0.7, (n_regions, 47))[:, subject]
    values = between + rng.normal(0, 1, (n_regions, len(subject))) - 0.2 * visit
    return Study(table, values)


def with_ketbids(study: Study, structure: str) -> list[pd.DataFrame]:
    model = MixedModel(study.table, FORMULA, subject='subject', visit='time', covariance=structure)
    found = []
    for number, values in enumerate(study.values):
        fit = model.fit(values)
        terms = fit.terms(basis='lmertest')
        fit.estimates()
        fit.covariance()
        fit.emmeans('time:group')
        fit.pairs('time|group')
        found.append(terms.assign(region=number))
    return found


def with_statsmodels(study: Study) -> None:
    from statsmodels.formula.api import mixedlm

    for values in study.values:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            mixedlm(f'y ~ {FORMULA}', study.table.assign(y=values), groups='subject').fit()


def with_lmertest(study: Study) -> tuple[Seconds, pd.DataFrame]:
    """Time without the start of R, and its tests of the terms."""
    with tempfile.TemporaryDirectory() as name:
        data, script = Path(name) / 'data.csv', Path(name) / 'fit.R'
        columns = {f'r{number}': values for number, values in enumerate(study.values)}
        study.table.assign(**columns).to_csv(data, index=False)
        script.write_text(LMER, encoding='utf-8')
        command = ['Rscript', str(script), str(data), str(len(study.values))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, _, rows = done.stdout.partition('\n')
    clock, processor = map(float, first.split())
    return Seconds(clock, processor), pd.read_csv(StringIO(rows), skipinitialspace=True)


def timed(work: Callable[[], object]) -> Seconds:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - clock, time.process_time() - processor)


def largest_difference(own: Sequence[pd.DataFrame], other: pd.DataFrame) -> float:
    """Largest difference of F or its degrees of freedom, relative (F below 1: absolute)."""
    both = pd.concat(own).merge(other, on=['region', 'term'], suffixes=('', '_r'))
    if len(both) != len(other):
        raise SystemExit('lmerTest and ketbids do not test the same terms.')
    f = (both.f - both.f_r).abs() / both.f_r.clip(lower=1)
    df = (both.den_df / both.den_df_r - 1).abs()
    return float(max(f.max(), df.max()))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--regions', type=int, default=200)
    parser.add_argument('--others', type=int, default=20, help='regions for the other programs')
    options = parser.parse_args()
    study = made_up(options.regions)
    few = Study(study.table, study.values[: options.others])
    with_ketbids(few, 'ri')
    times: dict[str, tuple[Seconds, int]] = {}
    for name in STRUCTURES:
        took = timed(lambda name=name: with_ketbids(study, name))
        times[f'ketbids {name}, everything'] = took, len(study.values)
    good = all(took.processor * 200 <= LONGEST * n for took, n in times.values())
    times['statsmodels MixedLM, fit only'] = timed(lambda: with_statsmodels(few)), len(few.values)
    if shutil.which('Rscript'):
        try:
            took, terms = with_lmertest(few)
        except subprocess.CalledProcessError as error:
            print(f'lmerTest and emmeans cannot be used: {error.stderr.strip()[-200:]}')
        else:
            times['lmerTest and emmeans, everything'] = took, len(few.values)
            apart = largest_difference(with_ketbids(few, 'ri'), terms)
            good &= apart <= APART
            print(f'Largest relative difference of F and df from lmerTest: {apart:.1e}\n')
    show(times)
    print(f'\nFast enough and alike: {good}')
    return 0 if good else 1


def show(times: dict[str, tuple[Seconds, int]]) -> None:
    """Print a table; ratios are of the processor's time."""
    print('| | ms per region | of the processor | s for 200 regions | times ketbids ri |')
    print('| --- | --- | --- | --- | --- |')
    first, n_first = next(iter(times.values()))
    for name, (took, n) in times.items():
        clock, processor = took.clock / n, took.processor / n
        ratio = processor / (first.processor / n_first)
        cells = f'{1e3 * clock:.1f} | {1e3 * processor:.1f} | {200 * processor:.2f} | {ratio:.1f}'
        print(f'| {name} | {cells} |')


if __name__ == '__main__':
    sys.exit(main())
