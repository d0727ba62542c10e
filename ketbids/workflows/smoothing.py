"""Smoothing of a dense time series."""

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.smoothing import SmoothSeries
from ketbids.interfaces.workbench import CiftiSmoothing

__all__ = ['init_smoothing_wf']


def init_smoothing_wf(
    *, kernel: float, smoother: str, num_threads: int, mem_gb: float, name: str = 'smoothing_wf'
) -> pe.Workflow:
    """Smooth along the surfaces and within each subcortical structure.

    Parameters
    ----------
    kernel : float
        FWHM in mm; 0 passes the series on.
    smoother : {'wb_command', 'native'}
    num_threads : int
    mem_gb : float
        Memory of one run, GB.

    Inputs
    ------
    in_file
        Dense time series.
    left_surface, right_surface
        Midthickness surfaces; for wb_command.
    weights_file
        Of `SmoothingWeights`; for the native smoother.

    Outputs
    -------
    out_file
        Smoothed dense time series.
    """
    workflow = pe.Workflow(name=name)
    surfaces = ['left_surface', 'right_surface']
    inputnode = pe.Node(
        niu.IdentityInterface(fields=['in_file', *surfaces, 'weights_file']), name='inputnode'
    )
    outputnode = pe.Node(niu.IdentityInterface(fields=['out_file']), name='outputnode')
    if kernel == 0:
        workflow.connect(inputnode, 'in_file', outputnode, 'out_file')
        return workflow
    if smoother == 'wb_command':
        interface = CiftiSmoothing(fwhm=kernel, num_threads=num_threads)
        needed = surfaces
    else:
        interface = SmoothSeries(num_threads=num_threads)
        needed = ['weights_file']
    smooth = pe.Node(interface, name='smooth', mem_gb=mem_gb, n_procs=num_threads)
    workflow.connect([
        (inputnode, smooth, [(field, field) for field in ('in_file', *needed)]),
        (smooth, outputnode, [('out_file', 'out_file')]),
    ])  # fmt: skip
    return workflow
