"""The two levels as whole workflows, and how they are run."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from nipype.pipeline import engine as pe

from ketbids.errors import KetbidsError
from ketbids.io.inventory import Visit
from ketbids.model import RunModel
from ketbids.settings import Settings
from ketbids.workflows.group import (
    ATLAS_OUTPUTS,
    PARCEL_OUTPUTS,
    AnalysisPlan,
    AtlasPlan,
    init_analysis_wf,
    init_atlas_wf,
)
from ketbids.workflows.outputs import init_ds_atlas_wf
from ketbids.workflows.plugin import WatchedMultiProcPlugin
from ketbids.workflows.visit import init_visit_wf

__all__ = ['atlas_wf_names', 'executor', 'init_group_wf', 'init_participant_wf']


def init_participant_wf(
    settings: Settings, model: RunModel, visits: Sequence[Visit]
) -> pe.Workflow:
    """Fit all visits, independent of each other.

    Parameters
    ----------
    settings : Settings
    model : RunModel
    visits : sequence of Visit
    """
    workflow = pe.Workflow(name='participant_wf', base_dir=str(settings.paths.work_dir))
    workflow.add_nodes([init_visit_wf(settings, model, visit) for visit in visits])
    return workflow


def atlas_wf_names(contrast: str) -> tuple[str, str]:
    """Names of the workflows that describe the group: what is computed, and what is written."""
    return f'atlas_{contrast}_wf', f'ds_atlas_{contrast}_wf'


def init_group_wf(
    settings: Settings,
    plans: Sequence[AnalysisPlan],
    *,
    atlas: AtlasPlan,
    maps_files: Mapping[str, Path],
) -> pe.Workflow:
    """Describe the group once, then run every analysis.

    Parameters
    ----------
    settings : Settings
    plans : sequence of AnalysisPlan
    atlas : AtlasPlan
    maps_files : mapping of str to Path
        Table of all maps, per first-level contrast.
    """
    workflow = pe.Workflow(name='group_wf', base_dir=str(settings.paths.work_dir))
    output_dir = str(settings.paths.output_dir)
    for contrast, maps_file in maps_files.items():
        atlas_wf = init_atlas_wf(
            atlas,
            maps_file=str(maps_file),
            output_dir=output_dir,
            name=atlas_wf_names(contrast)[0],
        )
        ds_atlas_wf = init_ds_atlas_wf(
            output_dir=output_dir,
            contrast=contrast,
            voted=atlas.voted,
            given=tuple(atlas.atlases),
            name=atlas_wf_names(contrast)[1],
        )
        fields = [*ATLAS_OUTPUTS, *PARCEL_OUTPUTS]
        analyses = [init_analysis_wf(settings, p) for p in plans if p.contrast == contrast]
        for destination in (ds_atlas_wf, *analyses):
            # A list for each: Nipype keeps it and changes it.
            pairs = [(f'outputnode.{field}', f'inputnode.{field}') for field in fields]
            workflow.connect([(atlas_wf, destination, pairs)])
    return workflow


@contextmanager
def executor(
    settings: Settings,
    *,
    verbosity: int = 0,
    report: Callable[[str], None] | None = None,
    watch: Callable[[str, str], None] | None = None,
) -> Iterator[Callable[[pe.Workflow], dict[str, str]]]:
    """Give a function that runs workflows, one after the other in the same processes.

    Parameters
    ----------
    settings : Settings
    verbosity : int
        0: quiet; 2 and more: what Nipype says.
    report : callable, optional
        Called with the name of each part of a workflow when all its nodes are done.
    watch : callable, optional
        Called with ``started`` or ``done`` and the full name of a node.

    Yields
    ------
    callable
        Takes a workflow; gives why each failed node failed, by its full name (empty if all went
        well).
    """
    resources = settings.resources
    logs = settings.paths.output_dir / 'logs'
    logs.mkdir(parents=True, exist_ok=True)
    level = {0: 'CRITICAL', 1: 'ERROR'}.get(verbosity, 'INFO')
    for name in ('nipype.workflow', 'nipype.interface', 'nipype.utils', 'nipype.filemanip'):
        logging.getLogger(name).setLevel(level)
    plugin = WatchedMultiProcPlugin(
        plugin_args={
            'n_procs': resources.nprocs,
            'memory_gb': resources.mem_mb / 1000,
            'raise_insufficient': False,
        },
        report=report,
        watch=watch,
    )

    def execute(workflow: pe.Workflow) -> dict[str, str]:
        workflow.config['execution'] = {
            'crashdump_dir': str(logs),
            'crashfile_format': 'txt',
            'hash_method': 'timestamp',
            'poll_sleep_duration': '0.02',
            'create_report': 'false',
            'stop_on_first_crash': str(resources.stop_on_first_crash).lower(),
        }
        try:
            workflow.run(plugin=plugin)
        except Exception as error:  # Nipype raises a RuntimeError after all nodes were tried
            if not plugin.failures:
                raise KetbidsError(f'The workflow could not be run: {error}') from error
        return plugin.failures

    try:
        yield execute
    except Exception:
        plugin.close()
        raise
    except BaseException:  # interrupted: a node may have long to go
        plugin.close(wait=False)
        raise
    else:
        plugin.close()
