"""Regions that are found without each participant (opt-in)."""

from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.inference import GroupTestBase
from ketbids.interfaces.leaveoneout import SHUFFLES, LeaveOneOut
from ketbids.interfaces.roi import SignificantRegions

__all__ = ['init_leave_one_out_wf']

_OF_THE_WHOLE = ('maps', 'summary', 'extent')
_OF_THE_GROUP = ('desikan_killiany', 'yeo7', 'given', 'areas')


def init_leave_one_out_wf(
    *,
    test: GroupTestBase,
    regions: SignificantRegions,
    num_threads: int,
    mem_gb: float,
    name: str = 'leave_one_out_wf',
) -> pe.Workflow:
    """Repeat an analysis without each of its participants, and average their maps there.

    Parameters
    ----------
    test, regions : GroupTest or PalmTest, SignificantRegions
        The interfaces of the whole analysis with their options set.
    num_threads : int
    mem_gb : float

    Inputs
    ------
    maps, summary, extent
        See `GroupTest`.
    desikan_killiany, yeo7, given, areas
        Of `init_atlas_wf`.

    Outputs
    -------
    loo, about_loo
        See `LeaveOneOut`.
    """
    workflow = pe.Workflow(name=name)
    inputnode = pe.Node(
        niu.IdentityInterface(fields=[*_OF_THE_WHOLE, *_OF_THE_GROUP]), name='inputnode'
    )
    outputnode = pe.Node(niu.IdentityInterface(fields=['loo', 'about_loo']), name='outputnode')
    options: dict[str, Any] = {**_options(test), **_options(regions)}
    leave_out = pe.Node(
        LeaveOneOut(**{**options, 'n_shuffles': SHUFFLES}),
        name='leave_out',
        n_procs=num_threads,
        mem_gb=mem_gb,
    )
    given = [('given', 'atlas_files')] if options.get('atlas_names') else []
    workflow.connect([
        (inputnode, leave_out, [
            ('maps', 'significance'), ('summary', 'summary'), ('extent', 'extent'),
            ('desikan_killiany', 'desikan_killiany'), ('yeo7', 'yeo7'),
            ('areas', 'areas_file'), *given,
        ]),
        (leave_out, outputnode, [('out_file', 'loo'), ('about', 'about_loo')]),
    ])  # fmt: skip
    return workflow


def _options(interface: GroupTestBase | SignificantRegions) -> dict[str, Any]:
    """Give the inputs of an interface that are set."""
    return interface.inputs.get_traitsfree()
