"""The command line of ketbids: options, configuration file, and the settings they make."""

import argparse
import tomllib
from collections.abc import Sequence
from dataclasses import fields
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NoReturn

from ketbids.errors import UsageError
from ketbids.settings import (
    FirstLevelSettings,
    GroupSettings,
    PathSettings,
    ResourceSettings,
    SelectionSettings,
    Settings,
)

__all__ = ['build_parser', 'installed_version', 'make_settings', 'parse_arguments']

LEVELS = ('participant', 'group')
HRF_MODELS = ('spm', 'spm + derivative', 'glover', 'glover + derivative')
TAILS = ('two', 'each', 'positive')
PRESETS = ('sahib2020',)


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


def _number(text: str, kind: type, lowest: float, inclusive: bool = True) -> Any:
    try:
        value = kind(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number') from error
    if not (value > lowest or (inclusive and value == lowest)) or value == float('inf'):
        bound = 'at least' if inclusive else 'above'
        raise argparse.ArgumentTypeError(f'{text} must be {bound} {lowest:g}')
    return value


def _count(text: str) -> int:
    return _number(text, int, 0)


def _positive_count(text: str) -> int:
    return _number(text, int, 1)


def _size(text: str) -> float:
    return _number(text, float, 0)


def _frequency(text: str) -> float:
    return _number(text, float, 0)


def _label(prefix: str) -> Any:
    def parse(text: str) -> str:
        label = text.removeprefix(f'{prefix}-')
        if not label.isalnum():
            raise argparse.ArgumentTypeError(f'{text!r} is not a BIDS label (letters and digits)')
        return label

    parse.__name__ = 'label'
    return parse


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of ``ketbids``."""
    parser = _Parser(
        prog='ketbids',
        description='Task fMRI on grayordinates: from a BIDS dataset to contrast maps '
        '(participant) and to corrected group maps, tables and a page (group).',
        epilog='Exit codes: 0 all done; 1 a participant or analysis failed; 2 wrong usage; '
        '3 invalid or insufficient input; 4 a needed tool is missing; 130/143 interrupted.',
        allow_abbrev=False,
    )
    parser.add_argument('bids_dir', type=Path, metavar='BIDS_DIR', help='the BIDS dataset')
    parser.add_argument('output_dir', type=Path, metavar='OUTPUT_DIR', help='where results go')
    parser.add_argument('level', choices=LEVELS, help='what to do')
    parser.add_argument('--version', nargs=0, action=_Version, help='print the version and exit')

    data = parser.add_argument_group('which data')
    data.add_argument(
        '--participant-label',
        '--participant_label',
        nargs='+',
        type=_label('sub'),
        metavar='LABEL',
        help='participants, with or without sub- (default: all)',
    )
    data.add_argument(
        '--session-label',
        nargs='+',
        type=_label('ses'),
        metavar='LABEL',
        help='sessions, with or without ses- (default: all)',
    )
    data.add_argument(
        '--task-id',
        nargs='+',
        type=_label('task'),
        metavar='LABEL',
        help='tasks, with or without task- (default: those of the model file)',
    )
    data.add_argument(
        '--run-id',
        nargs='+',
        type=_label('run'),
        metavar='LABEL',
        help='runs, with or without run- (default: all)',
    )
    data.add_argument(
        '--derivatives',
        nargs='+',
        type=Path,
        metavar='DIR',
        help='folders with preprocessed data: study folders of the HCP pipelines',
    )
    data.add_argument(
        '--exclusions',
        type=Path,
        metavar='FILE.tsv',
        help='runs to leave out: participant_id, session_id, run, reason; n/a means all',
    )
    data.add_argument(
        '--drop-volumes',
        type=_count,
        metavar='N',
        help='volumes that were removed from the start of each run; '
        'events are shifted by N x TR (default: 0)',
    )

    first = parser.add_argument_group('participant level')
    first.add_argument(
        '--smoothing-fwhm',
        type=_size,
        metavar='MM',
        help='smoothing added on the surfaces and within subcortical structures (default: 5)',
    )
    first.add_argument(
        '--hrf-model', choices=HRF_MODELS, help="haemodynamic model (default: the model file's)"
    )
    first.add_argument(
        '--high-pass',
        type=_frequency,
        metavar='HZ',
        help="cut-off of the high-pass filter; 0 is none (default: the model file's)",
    )

    group = parser.add_argument_group('group level')
    group.add_argument(
        '--analysis',
        nargs='+',
        metavar='NAME',
        help='analyses of the model file (default: all)',
    )
    group.add_argument(
        '--permutations', type=_positive_count, metavar='N', help='shuffles (default: 5000)'
    )
    group.add_argument('--seed', type=_count, metavar='N', help='random seed (default: 0)')
    group.add_argument(
        '--tails',
        choices=TAILS,
        help='two: one error rate for both directions; each: one for each direction; '
        'positive: the positive direction only (default: two)',
    )

    model = parser.add_argument_group('study and choices')
    model.add_argument(
        '--model', type=Path, metavar='FILE', help='model file (default: the packaged study)'
    )
    model.add_argument(
        '--preset', choices=PRESETS, help='choices of a published study, as if in a config file'
    )
    model.add_argument(
        '--config-file',
        type=Path,
        metavar='FILE.toml',
        help='long options as TOML keys; the command line wins',
    )

    run = parser.add_argument_group('running')
    run.add_argument(
        '--nprocs', type=_positive_count, metavar='N', help='processes (default: all cores)'
    )
    run.add_argument(
        '--omp-nthreads',
        type=_positive_count,
        metavar='N',
        help='threads of one process (default: 1, group level: as many as --nprocs)',
    )
    run.add_argument(
        '--mem-mb', type=_positive_count, metavar='MB', help='memory to plan with (default: 4000)'
    )
    run.add_argument(
        '-w',
        '--work-dir',
        type=Path,
        metavar='DIR',
        help='intermediate files (default: OUTPUT_DIR/work; what is done is removed)',
    )
    run.add_argument(
        '--stop-on-first-crash', action='store_true', default=None, help='stop at the first error'
    )
    run.add_argument(
        '-v', '--verbose', action='count', default=None, help='say more; -vv: everything'
    )
    return parser


def _configured(path: Path, parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Read a configuration file through the parser, so that values are checked alike."""
    try:
        content = tomllib.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise UsageError(f'Cannot read {path}: {error.strerror}.') from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f'{path} is not valid TOML: {error}.') from error
    known = {
        option.removeprefix('--'): action
        for action in parser._actions
        for option in action.option_strings
        if option.startswith('--')
    }
    for name in ('help', 'version', 'config-file', 'preset', 'participant_label'):
        known.pop(name)
    arguments: list[str] = []
    for key, value in content.items():
        if key not in known:
            raise UsageError(f'{path}: unknown option {key!r}. Known: {", ".join(sorted(known))}.')
        if isinstance(known[key], argparse._StoreTrueAction):
            if not isinstance(value, bool):
                raise UsageError(f'{path}: {key} must be true or false.')
            arguments += [f'--{key}'] if value else []
        elif isinstance(known[key], argparse._CountAction):
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise UsageError(f'{path}: {key} must be a whole number.')
            arguments += [f'--{key}'] * value
        else:
            values = value if isinstance(value, list) else [value]
            if known[key].nargs is None and len(values) != 1:
                raise UsageError(f'{path}: {key} takes one value.')
            arguments += [f'--{key}', *(str(item) for item in values)]
    try:
        parsed = parser.parse_args(['.', '.', LEVELS[0], *arguments])
    except UsageError as error:
        raise UsageError(f'{path}: {error}') from error
    return {known[key].dest: getattr(parsed, known[key].dest) for key in content}


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; what it leaves open comes from the config file, then the preset.

    Raises
    ------
    UsageError
        For anything that cannot be understood.
    """
    parser = build_parser()
    options = parser.parse_args(argv)
    layers = []
    if options.config_file:
        layers.append(_configured(options.config_file, parser))
    if options.preset:
        with as_file(files('ketbids.data').joinpath(f'presets/{options.preset}.toml')) as preset:
            layers.append(_configured(preset, parser))
    for layer in layers:
        for name, value in layer.items():
            if getattr(options, name) is None:
                setattr(options, name, value)
    return options


def _given(options: argparse.Namespace, kind: type, **names: str) -> dict[str, Any]:
    """Pick the options that were given, under the field names of a settings class."""
    known = {item.name for item in fields(kind)}
    values = {field: getattr(options, names.get(field, field), None) for field in known}
    return {
        field: tuple(value) if isinstance(value, list) else value
        for field, value in values.items()
        if value is not None
    }


def make_settings(
    options: argparse.Namespace, *, model: Path, hrf_model: str, high_pass: float
) -> Settings:
    """Resolve parsed options into settings.

    Parameters
    ----------
    options : Namespace
        From `parse_arguments`.
    model : Path
        The model file in use.
    hrf_model : str
    high_pass : float
        What the model file says, used where the options are silent.
    """
    work_dir = options.work_dir or options.output_dir / 'work'
    resources = _given(options, ResourceSettings)
    if 'omp_nthreads' not in resources and options.level == 'group':
        resources['omp_nthreads'] = ResourceSettings(**resources).nprocs
    return Settings(
        level=options.level,
        paths=PathSettings(
            bids_dir=options.bids_dir.absolute(),
            output_dir=options.output_dir.absolute(),
            work_dir=work_dir.absolute(),
            model=model,
            derivatives=tuple(path.absolute() for path in options.derivatives or ()),
            exclusions=options.exclusions.absolute() if options.exclusions else None,
        ),
        selection=SelectionSettings(
            participants=tuple(options.participant_label or ()),
            sessions=tuple(options.session_label or ()),
            tasks=tuple(options.task_id or ()),
            runs=tuple(options.run_id or ()),
        ),
        first_level=FirstLevelSettings(
            drop_volumes=options.drop_volumes or 0,
            smoothing_fwhm=5.0 if options.smoothing_fwhm is None else options.smoothing_fwhm,
            hrf_model=options.hrf_model or hrf_model,
            high_pass=high_pass if options.high_pass is None else options.high_pass,
        ),
        group=GroupSettings(**_given(options, GroupSettings, analyses='analysis')),
        resources=ResourceSettings(**resources),
    )
