"""From the command line, a configuration file and presets to the settings of one run."""

import argparse
import os
import tomllib
from collections.abc import Sequence
from dataclasses import fields
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from ketbids.cli.parser import CONFOUNDS, LEVELS, build_parser
from ketbids.errors import UsageError
from ketbids.settings import (
    FirstLevelSettings,
    GroupSettings,
    HcpSettings,
    InputSettings,
    PathSettings,
    ResourceSettings,
    SelectionSettings,
    Settings,
)

__all__ = ['make_settings', 'parse_arguments']

#: Options that make no sense in a configuration file.
_COMMAND_LINE_ONLY = (
    *('help', 'version', 'print-completion', 'config-file', 'preset', 'dry-run'),
    'participant_label',
)


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
    for name in _COMMAND_LINE_ONLY:
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


def _confounds(sets: Sequence[str] | None) -> tuple[str, ...]:
    """Put sets of confounds into one order; what cannot go together is an error."""
    chosen = tuple(name for name in CONFOUNDS if name in (sets or ('auto',)))
    alone = [name for name in chosen if name in ('auto', 'none')]
    motion = [name for name in chosen if name.isdigit()]
    if len(chosen) > 1 and (alone or len(motion) > 1):
        raise UsageError(
            f'--confounds {" ".join(chosen)}: {" and ".join(alone or motion)} cannot be combined.'
        )
    return chosen


def _group_settings(options: argparse.Namespace) -> GroupSettings:
    """Settings of the group level; PALM has one kind of TFCE only."""
    given = _given(options, GroupSettings, analyses='analysis', atlases='atlas')
    given['atlases'] = tuple((name, file.absolute()) for name, file in given.get('atlases', ()))
    names = [name for name, _ in given['atlases']]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f'--atlas: {name} is given {names.count(name)} times.')
    if given.get('engine') == 'palm':
        given.setdefault('tfce', '100')
    return GroupSettings(**given)


def _hcp_settings(options: argparse.Namespace) -> HcpSettings:
    """Settings of the preprocessing; what the options leave open may stand in the environment."""
    if options.longitudinal:
        raise UsageError(
            '--longitudinal is not yet supported: the time points are processed apart, each with '
            'its own anatomy. Leave the option out.'
        )
    given = _given(options, HcpSettings)
    if given and options.preproc != 'hcp':
        names = ', '.join(f'--{name.replace("_", "-")}' for name in sorted(given))
        raise UsageError(f'{names}: only with --preproc hcp.')
    for name, variable in (('hcp_dir', 'HCPPIPEDIR'), ('fs_license_file', 'FS_LICENSE')):
        if os.environ.get(variable):
            given.setdefault(name, Path(os.environ[variable]))
    for name in ('hcp_dir', 'fs_license_file', 'gdcoeffs'):
        if name in given:
            given[name] = given[name].absolute()
    return HcpSettings(**given)


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
    resources, group = _given(options, ResourceSettings), _group_settings(options)
    if options.preproc == 'hcp' and 'mem_mb' not in resources:
        from ketbids.cli.room import machine_memory_mb

        resources['mem_mb'] = machine_memory_mb()
    if 'omp_nthreads' not in resources and options.level == 'group':
        # Octave's PALM uses one core: several analyses side by side use them all.
        alone = group.engine == 'palm'
        resources['omp_nthreads'] = 1 if alone else ResourceSettings(**resources).nprocs
    return Settings(
        level=options.level,
        paths=PathSettings(
            bids_dir=options.bids_dir.absolute(),
            output_dir=options.output_dir.absolute(),
            work_dir=work_dir.absolute(),
            model=model,
            derivatives=tuple(path.absolute() for path in options.derivatives or ()),
            **{
                name: path.absolute()
                for name in ('exclusions', 'bids_filter_file', 'bids_database_dir')
                if (path := getattr(options, name)) is not None
            },
        ),
        inputs=InputSettings(**_given(options, InputSettings)),
        hcp=_hcp_settings(options),
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
            confounds=_confounds(options.confounds),
            **{
                name: getattr(options, name)
                for name in ('smoothing_mode', 'smoother', 'noise_model')
                if getattr(options, name) is not None
            },
        ),
        group=group,
        resources=ResourceSettings(**resources),
        dry_run=bool(options.dry_run),
    )
