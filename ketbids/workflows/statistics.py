"""Statistics that a model file declares: one small workflow each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nipype.pipeline import engine as pe

from ketbids.interfaces.statistics import RunStatistic, SaveStatistic
from ketbids.settings import Settings

__all__ = ['StatisticPlan', 'init_statistic_wf', 'init_statistics_wf', 'statistic_wf_name']


@dataclass(frozen=True)
class StatisticPlan:
    """A statistic that is ready to be computed.

    Attributes
    ----------
    name : str
    statistic : mapping
        As `ketbids.stats.clinical.specs.to_dict` gives it.
    data_dir : Path
        As `ketbids.io.clinicaldata.write_clinical_data` fills it.
    stamp : str
        Fingerprint of all that the result depends on.
    metadata : mapping
        What its summary says besides.
    """

    name: str
    statistic: Mapping[str, Any]
    data_dir: Path
    stamp: str
    metadata: Mapping[str, Any]


def statistic_wf_name(name: str) -> str:
    """Name of the workflow of a statistic."""
    return f'statistic_{name}_wf'


def init_statistic_wf(*, plan: StatisticPlan, output_dir: str) -> pe.Workflow:
    """Compute one statistic and write what it gives.

    Parameters
    ----------
    plan : StatisticPlan
    output_dir : str
    """
    workflow = pe.Workflow(name=statistic_wf_name(plan.name))
    compute = pe.Node(
        RunStatistic(
            statistic=dict(plan.statistic), data_dir=str(plan.data_dir), stamp=plan.stamp
        ),
        name='compute',
    )
    ds_statistic = pe.Node(
        SaveStatistic(base_directory=output_dir, name=plan.name, metadata=dict(plan.metadata)),
        name='ds_statistic',
        run_without_submitting=True,
    )
    workflow.connect([(compute, ds_statistic, [('tables', 'tables'), ('summary', 'summary')])])
    return workflow


def init_statistics_wf(settings: Settings, plans: Sequence[StatisticPlan]) -> pe.Workflow:
    """Compute all statistics that are asked for.

    Parameters
    ----------
    settings : Settings
    plans : sequence of StatisticPlan
    """
    workflow = pe.Workflow(name='statistics_wf', base_dir=str(settings.paths.work_dir))
    output_dir = str(settings.paths.output_dir)
    workflow.add_nodes([init_statistic_wf(plan=plan, output_dir=output_dir) for plan in plans])
    return workflow
