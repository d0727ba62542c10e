"""Results of ketbids-palm: files with PALM's names."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ketbids.cli.palmdata import CLUSTER, TFCE, PalmData, Test
from ketbids.cli.palmoptions import PalmOptions
from ketbids.cli.parser import installed_version
from ketbids.io.files import delivered_together
from ketbids.io.palminputs import PalmInput
from ketbids.io.palmnames import map_kind
from ketbids.io.palmoutputs import (
    write_configuration,
    write_dof,
    write_elapsed,
    write_map,
    write_mask,
    write_maxima,
    write_shuffles,
)
from ketbids.stats.estimates import Estimate, estimate, glm_maps
from ketbids.stats.fdr import FDRMethod, adjusted_p
from ketbids.stats.multiplicity import Joint
from ketbids.stats.palmtest import STATISTIC, Corrections, Outcome, p_maps
from ketbids.stats.zscore import parametric_p

__all__ = ['write_results']

Floats = npt.NDArray[np.float64]


def write_results(
    data: PalmData,
    outcomes: Sequence[Sequence[Outcome]],
    options: PalmOptions,
    times: Sequence[float],
) -> None:
    """Write all results of a call, or none; the last file is ``<prefix>_elapsed.csv``.

    Parameters
    ----------
    data : PalmData
    outcomes : sequence of sequence of Outcome
        By input, then by test.
    options : PalmOptions
    times : sequence of float
        Seconds (of one clock) at which reading, shuffling and writing began.
    """
    folder, beginning = os.path.split(options.prefix)
    last = Path(data.names.elapsed()).name
    with delivered_together(Path(folder), last) as stage:
        # Joined as text: a prefix may be empty.
        names = replace(data.names, prefix=f'{stage}/{beginning}')
        _write_all(replace(data, names=names), outcomes, options, times)


def _write_all(
    data: PalmData,
    outcomes: Sequence[Sequence[Outcome]],
    options: PalmOptions,
    times: Sequence[float],
) -> None:
    writer = _Writer(data, options)
    heading = f'Configuration file for ketbids-palm {installed_version()}.'
    write_configuration(Path(data.names.configuration()), options.words, heading)
    for number, source in enumerate(data.inputs):
        if options.save_mask:
            name = data.names.mask(modality=number + 1)
            write_mask(name, source, double=not options.nifti_class)
        for test, outcome in zip(data.tests, outcomes[number], strict=True):
            writer.write_estimate(number, test)
            writer.write_measures(number, test, outcome)
    if options.save_shuffles:
        for test in data.tests:
            name = data.names.shuffles(design=test.design, contrast=test.contrast)
            write_shuffles(Path(name), _signed_rows(test))
    wanted = Corrections(
        inputs=options.correct_inputs,
        contrasts=options.correct_contrasts,
        fdr=_method(options),
        joint=_joint(options),
        tail=options.tail,
    )
    for found in p_maps(outcomes, wanted):
        test = data.tests[found.contrast]
        writer.write_p(found.source, test, found.measure, found.kind, found.values)
    now = time.monotonic()
    seconds = np.diff([*times, now]).tolist()
    write_elapsed(Path(data.names.elapsed()), seconds)


def _method(options: PalmOptions) -> FDRMethod | None:
    methods: dict[str, FDRMethod] = {'BH': 'BH', 'BKY': 'BKY'}
    return methods.get(options.fdr)


def _joint(options: PalmOptions) -> Joint:
    rules: dict[str, Joint] = {'bonferroni': 'bonferroni', 'sidak': 'sidak'}
    return rules.get(options.joint, 'minp')


def _signed_rows(test: Test) -> Iterator[npt.NDArray[np.int64]]:
    """Each shuffle as PALM writes it."""
    for number in range(test.shuffles.n):
        rows, signs = test.shuffles.shuffle(number)
        yield (signs * (rows + 1)).astype(np.int64)


@dataclass(frozen=True)
class _Writer:
    """Writes maps of one call."""

    data: PalmData
    options: PalmOptions

    def _name(
        self, number: int, test: Test, measure: str, result: str = '', tail: str = '', of: str = ''
    ) -> str:
        source = self.data.inputs[number]
        kinds = {
            STATISTIC: map_kind(source.kind, surface=self.data.on_surface[number]),
            TFCE: 'tfce',
            CLUSTER: f'cluster{self.options.cluster_statistic[0]}',
        }
        return self.data.names.map(
            kinds[measure],
            of or self._statistic(test),
            result,
            modality=number + 1,
            design=test.design,
            contrast=test.contrast,
            tail=tail,
        )

    def _statistic(self, test: Test) -> str:
        """``tstat``, ``zfstat`` and the like."""
        grouped = self.data.groups is not None
        letter = {(True, False): 't', (False, False): 'f', (True, True): 'v', (False, True): 'g'}
        name = f'{letter[test.parts.rank == 1, grouped]}stat'
        return f'z{name}' if self.options.z_statistic else name

    def _write(self, name: str, values: npt.ArrayLike, source: PalmInput) -> None:
        write_map(name, values, source, double=not self.options.nifti_class)

    def write_p(self, number: int, test: Test, measure: str, result: str, values: Floats) -> None:
        """Write p-values as the user wants them."""
        if self.options.log_p:
            with np.errstate(divide='ignore'):
                values = -np.log10(values)
        elif self.options.one_minus_p:
            values = 1 - values
        source = self.data.inputs[number]
        self._write(self._name(number, test, measure, result), values, source)

    def write_measures(self, number: int, test: Test, outcome: Outcome) -> None:
        """Write TFCE and clusters of the data as they are, and the maxima of all shuffles."""
        for measure, null in outcome.nulls.items():
            if measure != STATISTIC:
                name = self._name(number, test, measure)
                self._write(name, null.observed, self.data.inputs[number])
            if self.options.save_max:
                write_maxima(self._name(number, test, measure, 'max'), null.maxima)

    def write_estimate(self, number: int, test: Test) -> None:
        """Write the statistic, its degrees of freedom, its parametric p, and what it is of."""
        o, source = self.options, self.data.inputs[number]
        fit = estimate(source.data, test.parts, self.data.groups)
        self._write(self._name(number, test, STATISTIC), self._values(fit), source)
        if o.save_dof and not o.z_statistic:
            self._write_dof(number, test, fit)
        if o.save_glm and not o.save_shuffles:
            self._write_glm(number, test, fit)
        if o.save_parametric:
            two_tailed = o.two_tailed and test.parts.rank == 1
            p = parametric_p(fit.z, two_tailed)
            if o.save_uncorrected:
                self.write_p(number, test, STATISTIC, 'uncparap', p)
            method = _method(o)
            if method is not None:
                # PALM adjusts the p of one tail, of the absolute value if two-tailed.
                one = parametric_p(np.abs(fit.z) if two_tailed else fit.z)
                self.write_p(number, test, STATISTIC, 'fdrparap', adjusted_p(one, method))
        if o.save_shuffles:
            for shuffle in range(test.shuffles.n):
                rows_and_signs = test.shuffles.shuffle(shuffle)
                again = estimate(source.data, test.parts, self.data.groups, shuffle=rows_and_signs)
                tail = f'perm{shuffle + 1:06d}'
                name = self._name(number, test, STATISTIC, tail=tail)
                self._write(name, self._values(again), source)
                if o.save_glm:
                    self._write_glm(number, test, again, tail)

    def _write_glm(self, number: int, test: Test, fit: Estimate, tail: str = '') -> None:
        """Write the effect and its size; F has none."""
        if test.parts.rank == 1:
            for of, values in glm_maps(fit, test.parts)._asdict().items():
                name = self._name(number, test, STATISTIC, of=of, tail=tail)
                self._write(name, values, self.data.inputs[number])

    def _values(self, fit: Estimate) -> Floats:
        return fit.z if self.options.z_statistic else fit.statistic

    def _write_dof(self, number: int, test: Test, fit: Estimate) -> None:
        """One number, or a map of them and their mean (v and G)."""
        if self.data.groups is None:
            name = self._name(number, test, STATISTIC, tail='dof')
            write_dof(name, fit.dof[:1].tolist())
            return
        name = self._name(number, test, STATISTIC, tail='meandof')
        write_dof(name, [float(fit.dof.mean())])
        name = self._name(number, test, STATISTIC, tail='dof')
        self._write(name, fit.dof, self.data.inputs[number])
