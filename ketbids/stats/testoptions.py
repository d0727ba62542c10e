"""How to test, and what a test gives."""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.brainmodels import CORTEX, SUBCORTEX
from ketbids.stats.multiplicity import Joint
from ketbids.stats.shuffling import Kind
from ketbids.stats.tfce import Directions

__all__ = ['PARTITION_NAMES', 'Tails', 'TestOptions', 'TestResult']

Floats = npt.NDArray[np.float64]
Tails = Literal['two', 'each', 'positive']

#: Column names of the partitions in tables.
PARTITION_NAMES = {CORTEX: 'cortex', SUBCORTEX: 'subcortex'}


@dataclass(frozen=True)
class TestOptions:
    """How to test.

    Attributes
    ----------
    kind : {'flips', 'permutations'}
        Sign flips (one-sample and paired tests) or permutations (group differences).
    n_shuffles : int
        Wanted number, the data as they are included; fewer if fewer are possible.
    seed : int
        Makes the draws repeatable.
    tails : {'two', 'each', 'positive'}
        Both directions with one distribution of the maximum; both, each tested for itself at
        ``alpha``; or the positive one only.
    alpha : float
        Familywise error rate that is claimed.
    threads : int
        Number of threads; without effect on the result.
    min_coverage : float
        Share of the maps that must have a value where it is tested, in (0, 1].
    tfce_steps : int, optional
        Sum TFCE over so many thresholds instead of the exact integral; PALM has 100.
    joint : {'minp', 'bonferroni', 'sidak'}
        How cortex and subcortex are corrected together (``multiplicity.corrected_p``).
    """

    __test__: ClassVar[bool] = False  # not a test case, whatever its name

    kind: Kind
    n_shuffles: int = 5000
    seed: int = 0
    tails: Tails = 'two'
    alpha: float = 0.05
    threads: int = 1
    min_coverage: float = 1.0
    tfce_steps: int | None = None
    joint: Joint = 'minp'

    def __post_init__(self) -> None:
        if self.tails not in get_args(Tails):
            raise InputError(f"tails is 'two', 'each' or 'positive', not {self.tails!r}.")
        if self.kind not in get_args(Kind):
            raise InputError(f"kind is 'flips' or 'permutations', not {self.kind!r}.")
        if not 0 < self.alpha < 1:
            raise InputError(f'alpha is a rate between 0 and 1, not {self.alpha}.')
        if self.threads < 1:
            raise InputError(f'threads is at least 1, not {self.threads}.')
        if not 0 < self.min_coverage <= 1:
            raise InputError(
                f'min_coverage is a share above 0 and up to 1, not {self.min_coverage}.'
            )
        if self.tfce_steps is not None and self.tfce_steps < 1:
            raise InputError(f'tfce_steps is at least 1, not {self.tfce_steps}.')
        if self.joint not in get_args(Joint):
            raise InputError(f"joint is 'minp', 'bonferroni' or 'sidak', not {self.joint!r}.")

    @property
    def directions(self) -> tuple[str, ...]:
        """Directions that are tested: 'pos' and, unless positive only, 'neg'."""
        return ('pos',) if self.tails == 'positive' else ('pos', 'neg')

    @property
    def tfce_directions(self) -> Directions:
        """Directions in which maps are enhanced."""
        return 'positive' if self.tails == 'positive' else 'signed'

    @property
    def total_alpha(self) -> float:
        """Rate of a false positive in any direction."""
        return self.alpha * (2 if self.tails == 'each' else 1)


class TestResult(NamedTuple):
    """Maps of an analysis; NaN outside the mask.

    Attributes
    ----------
    effect, variance, t, z : ndarray, shape (n_grayordinates,)
        Estimate of the contrast, its variance (``t = effect / sqrt(variance)``), t and z.
    standard_error, ci_low, ci_high, cohen_d : ndarray, shape (n_grayordinates,)
        Of the effect, see ``ketbids.stats.estimates.Intervals``; the interval is of 95 %.
    dof : int
        Residual degrees of freedom where all maps have values.
    tfce : dict of str to ndarray, shape (n_grayordinates,)
        Enhanced z for direction 'pos' and, unless positive only, 'neg' (values are >= 0 in both).
    puncorrected : dict of str to ndarray, shape (n_grayordinates,)
        p of the enhanced value at the grayordinate alone. With ``tails='two'`` a shuffle counts
        if either direction reaches the observed value.
    pfwe : dict of str to ndarray, shape (n_grayordinates,)
        p corrected over all grayordinates of all partitions (and, with ``tails='two'``, over
        both directions).
    null_max : DataFrame
        One row per shuffle: ``shuffle`` and the maximum of each partition (``cortex``,
        ``subcortex``; with ``tails='each'`` ``cortex_pos``, ``cortex_neg``, ...).
    n_shuffles, n_possible : int
        Shuffles that were done, and that are possible.
    exhaustive : bool
        Whether all possible ones were done.
    lowest_p : float
        The lowest corrected p that an effect in one partition is sure to reach where all maps
        have values; above alpha no familywise claim can be made.
    mask : ndarray of bool, shape (n_grayordinates,)
        Where enough maps have values, and these vary and tell the contrast.
    n_maps, coverage : ndarray, shape (n_grayordinates,)
        Number and share of the maps with a value, outside the mask too.
    assumptions : dict of str to float
        Skewness or variance ratio of the residuals (see ``ketbids.stats.assumptions``).
    warnings : list of str
        Sentences for the reader.
    """

    effect: Floats
    variance: Floats
    t: Floats
    z: Floats
    standard_error: Floats
    ci_low: Floats
    ci_high: Floats
    cohen_d: Floats
    dof: int
    tfce: dict[str, Floats]
    puncorrected: dict[str, Floats]
    pfwe: dict[str, Floats]
    null_max: pd.DataFrame
    n_shuffles: int
    n_possible: int
    exhaustive: bool
    lowest_p: float
    mask: npt.NDArray[np.bool_]
    n_maps: npt.NDArray[np.int64]
    coverage: Floats
    assumptions: dict[str, float]
    warnings: list[str]


TestResult.__test__ = False  # type: ignore[attr-defined]
