"""The options of the preprocessing by the HCP pipelines."""

import argparse

from ketbids.cli.values import high_pass, path, percentage, size
from ketbids.io.hcpnames import STAGES

__all__ = ['add_hcp_options']

PROCESSING_MODES = ('hcp', 'legacy')
FIX = ('pyfix', 'legacy', 'none')
FIX_RUNS = ('auto', 'single', 'multi')
UNWARP = ('x', 'y', 'z', 'x-', 'y-', 'z-')


def add_hcp_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``--preproc hcp``."""
    hcp = parser.add_argument_group('preprocessing (--preproc hcp)')
    hcp.add_argument(
        '--hcp-dir',
        type=path,
        metavar='DIR',
        help='the HCP pipelines, 5.0 or later; 4.8 without --fix pyfix '
        '(default: HCPPIPEDIR, or /opt/HCPpipelines)',
    )
    hcp.add_argument(
        '--fs-license-file',
        type=path,
        metavar='FILE',
        help='licence of FreeSurfer (default: FS_LICENSE, or license.txt in FREESURFER_HOME)',
    )
    hcp.add_argument(
        '--stages',
        nargs='+',
        choices=STAGES,
        metavar='STAGE',
        help=f'do these only: {", ".join(STAGES)}; what they need must be there (default: all)',
    )
    hcp.add_argument(
        '--processing-mode',
        choices=PROCESSING_MODES,
        help='hcp: T1w, T2w and field maps; legacy: do what can be done without T2w or field '
        'maps (default: hcp)',
    )
    hcp.add_argument(
        '--gdcoeffs',
        type=path,
        metavar='FILE.grad',
        help='gradient coefficients of the scanner, from its vendor '
        '(default: no correction of gradient distortion)',
    )
    hcp.add_argument(
        '--anat-unwarpdir',
        choices=UNWARP,
        help='readout direction of T1w and T2w, axes as after fslreorient2std '
        '(default: z; asked for if the slices are not sagittal)',
    )
    hcp.add_argument(
        '--fix',
        choices=FIX,
        help='cleaning by ICA+FIX: with the FIX of FSL 6.0.7, the older one of MATLAB and R, or '
        'not (default: pyfix)',
    )
    hcp.add_argument(
        '--fix-training',
        metavar='NAME',
        help='training set of FIX, a name or a file (default: HCP_Style_Single_Multirun_Dedrift; '
        'HCP_hp2000 for single runs with --fix legacy)',
    )
    hcp.add_argument(
        '--fix-threshold',
        type=percentage,
        metavar='N',
        help='below this probability of signal (percent) a component is noise (default: 10)',
    )
    hcp.add_argument(
        '--fix-runs',
        choices=FIX_RUNS,
        help='clean each run for itself, or the runs of a session together; auto: together, if '
        'there are several (default: auto)',
    )
    hcp.add_argument(
        '--fix-high-pass',
        type=high_pass,
        metavar='HP',
        help='before ICA: seconds, 0 (linear trend) or pd0 to pd5 (polynomial) '
        '(default: 0; 2000 for single runs with --fix legacy)',
    )
    hcp.add_argument(
        '--fix-motion-regression',
        action='store_true',
        default=None,
        help='FIX removes 24 movement regressors, too; no longer advised by the HCP',
    )
    hcp.add_argument(
        '--msmall',
        action='store_true',
        default=None,
        help='align surfaces by myelin and connectivity (MSMAll, DeDriftAndResample); needs T2w, '
        'FIX and long or resting-state runs',
    )
    hcp.add_argument(
        '--longitudinal',
        action='store_true',
        default=None,
        help='longitudinal FreeSurfer: not yet supported, sessions are processed apart',
    )
    hcp.add_argument(
        '--clean-workdir',
        action='store_true',
        default=None,
        help='once a session is done, remove what only its stages needed (two thirds of the room)',
    )
    hcp.add_argument(
        '--session-disk-gb',
        type=size,
        metavar='GB',
        help='room on the disk that one session needs; 0 does not look (default: 35)',
    )
