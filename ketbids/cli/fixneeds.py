"""What FIX, of either kind, and the MATLAB code of the HCP pipelines need."""

from collections.abc import Iterator
from pathlib import Path

from ketbids.cli.needs import PYFIX_MODELS, Wanted, not_there, plain
from ketbids.interfaces.hcp import tools as hcptools

__all__ = ['lacking_fix', 'lacking_matlab']

#: Version of FIX, older kind, that can leave out the regression of movement.
_LEGACY_FIX = (1, 6, 12)
#: Library that shows which release a MATLAB Runtime is.
_RUNTIMES = {'R2022b': '9.13', 'R2017b': '9.3'}


def lacking_fix(wanted: Wanted) -> Iterator[str]:
    """Check FIX of the chosen kind."""
    if not wanted.groups:
        return
    if wanted.hcp.fix == 'pyfix':
        yield from _pyfix(wanted)
    elif wanted.any_of('ICAFIX') or (
        wanted.any_of('ReApplyFix') and not all(g.concatenates for g in wanted.groups)
    ):
        yield from _legacy_fix(wanted)


def _pyfix(wanted: Wanted) -> Iterator[str]:
    """Check the FIX of FSL."""
    if not wanted.any_of('ICAFIX'):
        return
    version = hcptools.hcp_version(wanted.hcp.hcp_dir)
    if version and hcptools.bare_version(version) < (5,):
        yield (
            f'--fix pyfix needs HCP pipelines 5.0 or later; those in {wanted.hcp.hcp_dir} are '
            f'{version}. Get a later release, or use --fix legacy or --fix none.'
        )
    folder = wanted.environment.get('FSLDIR')
    if folder:
        yield from not_there(
            '--fix pyfix',
            Path(folder, 'bin'),
            ['fix', 'convert_fix_model'],
            'They come with FSL 6.0.7; install it, or use --fix legacy or --fix none.',
        )
    training = wanted.hcp.fix_training
    if training and training not in PYFIX_MODELS and not _is_file(training, '.pyfix_model'):
        yield (
            f'--fix-training {training} is neither a file (.pyfix_model or .RData) nor a model '
            f'that comes with pyfix: {", ".join(PYFIX_MODELS)}.'
        )


def _is_file(name: str, *endings: str) -> bool:
    """Tell whether a training set is a file, with or without the end of its name."""
    return any(Path(name + ending).is_file() for ending in ('', '.RData', *endings))


def _legacy_fix(wanted: Wanted) -> Iterator[str]:
    """Check the FIX of MATLAB and R."""
    folder = wanted.environment.get('FSL_FIXDIR')
    if not folder:
        yield (
            '--fix legacy needs FSL_FIXDIR, the folder of FIX 1.06.12 or later. Set it, or use '
            '--fix pyfix.'
        )
        return
    yield from plain('FSL_FIXDIR', folder)
    missing = [
        name
        for name in ('fix', 'settings.sh', 'fixversion', 'training_files')
        if not Path(folder, name).exists()
    ]
    if missing:
        yield (
            f'--fix legacy: FSL_FIXDIR ({folder}) has no {", ".join(missing)}. Set it to the '
            'folder of FIX, or use --fix pyfix.'
        )
        return
    text = Path(folder, 'fixversion').read_text(encoding='utf-8', errors='replace').strip()
    if hcptools.bare_version(text) < _LEGACY_FIX:
        yield f'FIX in {folder} is version {text or "unknown"}; 1.06.12 or later is needed.'
    for group in wanted.groups:
        default = f'HCP_hp{group.high_pass}'
        if group.concatenates:
            default = 'HCP_Style_Single_Multirun_Dedrift'
        training = wanted.hcp.fix_training or default
        if not _is_file(training) and not _is_file(f'{folder}/training_files/{training}'):
            yield (
                f'The training set {training} is neither a file nor in {folder}/training_files. '
                'Name another with --fix-training.'
            )


def lacking_matlab(wanted: Wanted) -> Iterator[str]:
    """Check what runs the MATLAB code of the pipelines."""
    users = {'MSMAll'} | ({'PostFix', 'ReApplyFix'} if wanted.groups else set())
    # The older script for single runs is told by the settings of FIX.
    users |= {'ICAFIX' for group in wanted.groups if group.concatenates}
    stages = [stage for stage in wanted.stages if stage in users]
    if not stages:
        return
    release = hcptools.runtime_release(wanted.hcp.hcp_dir)
    advice = (
        f'Set MATLAB_COMPILER_RUNTIME to the MATLAB Runtime {release or "R2022b"} (free from '
        'MathWorks), or put matlab, or octave and octave-cli, on the PATH.'
    )
    mode = hcptools.matlab_mode(wanted.environment)
    runtime = wanted.environment.get('MATLAB_COMPILER_RUNTIME')
    if mode is None:
        named = f'MATLAB_COMPILER_RUNTIME ({runtime}) is not a folder' if runtime else ''
        yield (
            f'{", ".join(stages)} run code of MATLAB: '
            f'{named or "there is neither MATLAB nor a stand-in for it"}. {advice}'
        )
    elif mode == 0 and runtime:
        yield from plain('MATLAB_COMPILER_RUNTIME', runtime)
        libraries = Path(runtime, 'runtime', 'glnxa64')
        library = f'libmwmclmcrrt.so.{_RUNTIMES.get(release or "")}'
        if release in _RUNTIMES and not (libraries / library).exists():
            yield (
                f'MATLAB_COMPILER_RUNTIME ({runtime}) is not the MATLAB Runtime {release} that '
                f'the HCP pipelines in {wanted.hcp.hcp_dir} were compiled for: '
                f'runtime/glnxa64/{library} is missing. {advice}'
            )
