"""The options of ketbids."""

import argparse
from typing import Any, NoReturn

from ketbids.cli.completion import add_completion
from ketbids.cli.hcpparser import add_hcp_options
from ketbids.cli.values import atlas, count, label, noise_model, path, positive_count, share, size
from ketbids.errors import UsageError

__all__ = ['CONFOUNDS', 'LEVELS', 'build_parser', 'installed_version']

LEVELS = ('participant', 'group')
HRF_MODELS = ('spm', 'spm + derivative', 'glover', 'glover + derivative')
TAILS = ('two', 'each', 'positive')
PRESETS = ('sahib2020',)
ENGINES = ('native', 'palm')
TFCE = ('exact', '100')
JOINT = ('minp', 'bonferroni', 'sidak')
CONNECTIVITY = (6, 18, 26)
PREPROC = ('auto', 'existing', 'hcp')
SMOOTHING_MODES = ('added', 'total')
SMOOTHERS = ('auto', 'wb_command', 'native')
CONFOUNDS = ('auto', 'none', '6', '12', '24', 'acompcor', 'wmcsf', 'global', 'outliers')


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are the package's own."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f'{message}. See {self.prog} --help.')


def installed_version() -> str:
    """Give the version of the installed package."""
    from importlib.metadata import version

    return version('ketbids')


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> None:
        print(f'ketbids {installed_version()}')
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of ``ketbids``."""
    parser = _Parser(
        prog='ketbids',
        description='Task fMRI on grayordinates: from a BIDS dataset to contrast maps '
        '(participant) and to corrected group maps, tables and a page (group).',
        epilog='Exit codes: 0 all done; 1 a participant or analysis failed; 2 wrong usage; '
        '3 invalid or insufficient input; 4 a needed tool, a licence or room on the disk is '
        'missing; 130/143 interrupted.',
        allow_abbrev=False,
    )
    parser.add_argument('bids_dir', type=path, metavar='BIDS_DIR', help='the BIDS dataset')
    parser.add_argument('output_dir', type=path, metavar='OUTPUT_DIR', help='where results go')
    parser.add_argument('level', choices=LEVELS, help='what to do')
    parser.add_argument('--version', nargs=0, action=_Version, help='print the version and exit')
    add_completion(parser)

    data = parser.add_argument_group('which data')
    data.add_argument(
        '--participant-label',
        '--participant_label',
        nargs='+',
        type=label('sub'),
        metavar='LABEL',
        help='participants, with or without sub- (default: all)',
    )
    data.add_argument(
        '--session-label',
        nargs='+',
        type=label('ses'),
        metavar='LABEL',
        help='sessions, with or without ses- (default: all)',
    )
    data.add_argument(
        '--task-id',
        nargs='+',
        type=label('task'),
        metavar='LABEL',
        help='tasks, with or without task- (default: those of the model file)',
    )
    data.add_argument(
        '--run-id',
        nargs='+',
        type=label('run'),
        metavar='LABEL',
        help='runs, with or without run- (default: all)',
    )
    data.add_argument(
        '--derivatives',
        nargs='+',
        type=path,
        metavar='DIR',
        help='folders with preprocessed data: derivatives of fMRIPrep (CIFTI), study folders of '
        'the HCP pipelines; searched in this order (default: those in BIDS_DIR/derivatives)',
    )
    data.add_argument(
        '--preproc',
        choices=PREPROC,
        help='auto: preprocessed data of --derivatives, or else of BIDS_DIR/derivatives; '
        'existing: of --derivatives only; hcp: made from the raw data by the HCP pipelines '
        '(default: auto)',
    )
    data.add_argument(
        '--hcp-pattern',
        metavar='PATTERN',
        help='names of session and run folders of the HCP pipelines, such as '
        '"{participant}_{session}_MR/tfMRI_{task}_{direction}" '
        '(default: after the BIDS entities in them)',
    )
    data.add_argument(
        '--bids-filter-file',
        type=path,
        metavar='FILE.json',
        help='entities that runs must have, as fMRIPrep takes them: {"bold": {"run": "1"}}',
    )
    data.add_argument(
        '--bids-database-dir',
        type=path,
        metavar='DIR',
        help='index of the whole dataset; made if it is not there, then only read',
    )
    data.add_argument(
        '--skip-bids-validation',
        action='store_true',
        default=None,
        help='do not ask bids-validator-deno, where it is installed',
    )
    data.add_argument(
        '--exclusions',
        type=path,
        metavar='FILE.tsv',
        help='runs to leave out: participant_id, session_id, run, reason; n/a means all',
    )
    data.add_argument(
        '--drop-volumes',
        type=count,
        metavar='N',
        help='volumes that were removed from the start of each run; '
        'events are shifted by N x TR (default: 0)',
    )

    add_hcp_options(parser)

    first = parser.add_argument_group('participant level')
    first.add_argument(
        '--smoothing-fwhm',
        type=size,
        metavar='MM',
        help='smoothing on the surfaces and within subcortical structures, FWHM; 0 is none '
        '(default: 5)',
    )
    first.add_argument(
        '--smoothing-mode',
        choices=SMOOTHING_MODES,
        help='added: on top of the 2 mm of the HCP pipelines; total: together with them '
        '(default: added)',
    )
    first.add_argument(
        '--smoother',
        choices=SMOOTHERS,
        help='who smooths: wb_command, or ketbids with the same weights; auto: wb_command where '
        'it is on the PATH (default: auto)',
    )
    first.add_argument(
        '--noise-model',
        type=noise_model,
        metavar='MODEL',
        help='ols: white noise; ar1, ar2 ... ar20: autoregressive noise of that order at every '
        "grayordinate; film: FSL's film_gls with the settings of the HCP pipelines "
        '(default: ar6)',
    )
    first.add_argument(
        '--hrf-model', choices=HRF_MODELS, help="haemodynamic model (default: the model file's)"
    )
    first.add_argument(
        '--high-pass',
        type=size,
        metavar='HZ',
        help="cut-off of the high-pass filter; 0 is none (default: the model file's)",
    )
    first.add_argument(
        '--confounds',
        nargs='+',
        choices=CONFOUNDS,
        metavar='SET',
        help=f'nuisance regressors in the model: {", ".join(CONFOUNDS)} (default: auto: none '
        'after FIX; 24 otherwise; with fMRIPrep also acompcor)',
    )

    group = parser.add_argument_group('group level')
    group.add_argument(
        '--analysis',
        nargs='+',
        metavar='NAME',
        help='analyses and statistics of the model file (default: all)',
    )
    group.add_argument(
        '--permutations', type=positive_count, metavar='N', help='shuffles (default: 5000)'
    )
    group.add_argument('--seed', type=count, metavar='N', help='random seed (default: 0)')
    group.add_argument(
        '--tails',
        choices=TAILS,
        help='two: one error rate for both directions; each: one for each direction; '
        'positive: the positive direction only (default: two)',
    )
    group.add_argument(
        '--min-coverage',
        type=share,
        metavar='SHARE',
        help='test where at least this share of the maps of an analysis has a value (default: 1)',
    )
    group.add_argument(
        '--engine',
        choices=ENGINES,
        help='who does the shuffles: ketbids itself, or PALM, found as palm on the PATH or by the '
        'environment variable KETBIDS_PALM (default: native)',
    )
    group.add_argument(
        '--tfce',
        choices=TFCE,
        help='threshold-free cluster enhancement as the exact integral, or as the sum over 100 '
        'heights that PALM makes (default: exact; 100 with --engine palm)',
    )
    group.add_argument(
        '--joint',
        choices=JOINT,
        help='correction over cortex and subcortical structures: by the smallest p of each '
        'shuffle, or each for itself with alpha divided (default: minp)',
    )
    group.add_argument(
        '--connectivity',
        type=int,
        choices=CONNECTIVITY,
        help='neighbours of a voxel: 6 share a face, 18 also an edge, 26 also a corner '
        '(default: 6)',
    )
    group.add_argument(
        '--within-structure',
        action='store_true',
        default=None,
        help='voxels of different subcortical structures are no neighbours',
    )
    group.add_argument(
        '--atlas',
        type=atlas,
        nargs='+',
        action='extend',
        metavar='NAME=FILE',
        help='label files (dlabel) of further atlases for regions; DesikanKilliany=FILE stands '
        'in for the labels of the participants',
    )
    group.add_argument(
        '--leave-one-out',
        action='store_true',
        default=None,
        help='find the significant regions once more without each participant (1000 shuffles '
        'each), and average the maps there',
    )

    model = parser.add_argument_group('study and choices')
    model.add_argument(
        '--model', type=path, metavar='FILE', help='model file (default: the packaged study)'
    )
    model.add_argument(
        '--preset', choices=PRESETS, help='choices of a published study, as if in a config file'
    )
    model.add_argument(
        '--config-file',
        type=path,
        metavar='FILE.toml',
        help='long options as TOML keys; the command line wins',
    )

    run = parser.add_argument_group('running')
    run.add_argument(
        '--nprocs', type=positive_count, metavar='N', help='processes (default: all cores)'
    )
    run.add_argument(
        '--omp-nthreads',
        type=positive_count,
        metavar='N',
        help='threads of one process (default: 1; group level: as many as --nprocs, but 1 with '
        '--engine palm)',
    )
    run.add_argument(
        '--mem-mb',
        type=positive_count,
        metavar='MB',
        help="memory to plan with (default: 4000; with --preproc hcp the machine's)",
    )
    run.add_argument(
        '-w',
        '--work-dir',
        type=path,
        metavar='DIR',
        help='intermediate files (default: OUTPUT_DIR/work; what is done is removed)',
    )
    run.add_argument(
        '--dry-run',
        action='store_true',
        default=None,
        help='list what would be done and what is missing; write nothing',
    )
    run.add_argument(
        '--stop-on-first-crash', action='store_true', default=None, help='stop at the first error'
    )
    run.add_argument(
        '-v', '--verbose', action='count', default=None, help='say more; -vv: everything'
    )
    return parser
