"""Smoothing of a dense time series."""

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.firstlevel import SmoothSeries
from ketbids.interfaces.workbench import CiftiSmoothing

__all__ = ['init_smoothing_wf']


def init_smoothing_wf(
    *, fwhm: float, workbench: bool, mem_gb: float, name: str = 'smoothing_wf'
) -> pe.Workflow:
    """Smooth along the surfaces and within each subcortical structure.

    Parameters
    ----------
    fwhm : float
        Kernel in mm; 0 passes the series on.
    workbench : bool
        By wb_command, or by the package's own smoother.
    mem_gb : float
        Memory of one run, GB.

    Inputs
    ------
    in_file
        Dense time series.
    left_surface, right_surface
        Midthickness surfaces.

    Outputs
    -------
    out_file
        Smoothed dense time series.
    """
    workflow = pe.Workflow(name=name)
    fields = ['in_file', 'left_surface', 'right_surface']
    inputnode = pe.Node(niu.IdentityInterface(fields=fields), name='inputnode')
    outputnode = pe.Node(niu.IdentityInterface(fields=['out_file']), name='outputnode')
    if fwhm == 0:
        workflow.connect(inputnode, 'in_file', outputnode, 'out_file')
        return workflow
    smoother = CiftiSmoothing if workbench else SmoothSeries
    smooth = pe.Node(smoother(fwhm=fwhm), name='smooth', mem_gb=mem_gb)
    workflow.connect([
        (inputnode, smooth, [(field, field) for field in fields]),
        (smooth, outputnode, [('out_file', 'out_file')]),
    ])  # fmt: skip
    return workflow
