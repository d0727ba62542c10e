"""What the HCP pipelines need and do not find, before anything runs."""

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ketbids.cli.needs import (
    FREESURFER,
    FSL,
    PYFIX_MODELS,
    SYSTEM,
    THICKNESS_MODULES,
    Wanted,
    checkout_files,
    chosen_stages,
)
from ketbids.cli.room import lacking_room, machine_memory_mb
from ketbids.interfaces.hcp import tools as hcptools
from ketbids.io.hcpinputs import GradientEcho, HcpSession, SpinEcho
from ketbids.settings import Settings

__all__ = ['lacking_room', 'lacking_tools', 'machine_memory_mb']

#: The scripts split paths at blanks, and lists of paths at @ and %.
_PLAIN = re.compile(r'[A-Za-z0-9._/+:=,-]+')
#: Version of FIX, older kind, that can leave out the regression of movement.
_LEGACY_FIX = (1, 6, 12)
#: Library that shows which release a MATLAB Runtime is.
_RUNTIMES = {'R2022b': '9.13', 'R2017b': '9.3'}


def lacking_tools(
    settings: Settings,
    sessions: Sequence[HcpSession],
    stages: Collection[str],
    environment: Mapping[str, str],
) -> list[str]:
    """Look for all programs, versions, licences and files that the chosen stages need.

    Parameters
    ----------
    settings : Settings
    sessions : sequence of HcpSession
        Those that are to be done.
    stages : collection of str
        Stages that may run; empty means all. Those of FIX count only if there is something to
        clean, those of MSMAll only with ``--msmall``.
    environment : mapping of str to str
        As `ketbids.interfaces.hcp.tools.hcp_environment` gives it.

    Returns
    -------
    list of str
        One sentence for each problem: what, which file or version, what to do.
    """
    wanted = Wanted(settings.hcp, sessions, chosen_stages(settings, stages), environment)
    if not wanted.stages:
        return []
    checks: tuple[Callable[[Wanted], Iterator[str]], ...] = (
        *(_pipelines, _fsl, _freesurfer, _licence, _workbench, _matching, _system),
        *(_thickness, _gradients, _fix, _matlab),
    )
    return list(dict.fromkeys(problem for check in checks for problem in check(wanted)))


def _pipelines(wanted: Wanted) -> Iterator[str]:
    """Check the HCP pipelines: place, version, files."""
    folder = wanted.hcp.hcp_dir
    get = 'Get HCPpipelines 5.0.0 (github.com/Washington-University/HCPpipelines)'
    if not (folder / 'PreFreeSurfer' / 'PreFreeSurferPipeline.sh').is_file():
        yield (
            f'The HCP pipelines are not in {folder}: PreFreeSurfer/PreFreeSurferPipeline.sh is '
            f'missing. {get} and name their folder with --hcp-dir or HCPPIPEDIR.'
        )
        return
    yield from _plain('--hcp-dir', str(folder))
    version = hcptools.hcp_version(folder)
    if not hcptools.newer_parser(folder) or hcptools.bare_version(version or '') < (4, 8):
        yield (
            f'The HCP pipelines in {folder} are of version {version or "unknown"}; 4.8 or later '
            'is needed, since the scripts of older ones ignore options that they do not know and '
            f'then write to the wrong place. {get} and name their folder with --hcp-dir.'
        )
        return
    missing = [name for name in checkout_files(wanted) if not (folder / name).exists()]
    if missing:
        yield (
            f'Files of the HCP pipelines are missing in {folder}: {", ".join(missing)}. Get the '
            'whole release again.'
        )


def _plain(what: str, path: str) -> Iterator[str]:
    """Refuse a folder whose name the scripts would take apart."""
    if not _PLAIN.fullmatch(path):
        yield (
            f'{what} is {path!r}; the scripts of the HCP pipelines take only letters, digits and '
            '. _ / + : = , - in a path. Move or link it to another.'
        )


def _fsl(wanted: Wanted) -> Iterator[str]:
    """Check FSL: place, version, programs."""
    programs = wanted.programs(FSL)
    maps = wanted.field_maps if wanted.any_of('PreFreeSurfer', 'fMRIVolume') else set()
    programs += ['topup'] if SpinEcho in maps else []
    programs += ['fugue', 'fsl_prepare_fieldmap'] if GradientEcho in maps else []
    if not programs:
        return
    folder = wanted.environment.get('FSLDIR')
    advice = 'Install FSL 6.0.7 and set FSLDIR to its folder.'
    if not folder:
        yield f'FSL is needed: FSLDIR is not set and there is no fslmaths on the PATH. {advice}'
        return
    yield from _plain('FSLDIR', folder)
    version = hcptools.fsl_version(wanted.environment)
    if version is None:
        yield f'FSL: {folder}/etc/fslversion, which tells the version, is missing. {advice}'
    elif hcptools.bare_version(version) < (6, 0, 1):
        yield f'FSL in {folder} is version {version}; 6.0.1 or later is needed. {advice}'
    yield from _not_there('FSL', Path(folder, 'bin'), programs, 'Install FSL again.')


def _not_there(what: str, folder: Path, programs: Iterable[str], advice: str) -> Iterator[str]:
    """Name the programs that are not in a folder, or cannot be run."""
    missing = [name for name in programs if not os.access(folder / name, os.X_OK)]
    if missing:
        yield f'{what}: {folder} has no {", ".join(missing)} that can be run. {advice}'


def _freesurfer(wanted: Wanted) -> Iterator[str]:
    """Check FreeSurfer: place, version, programs."""
    programs = wanted.programs(FREESURFER)
    if not programs:
        return
    folder = wanted.environment.get('FREESURFER_HOME')
    advice = 'Install FreeSurfer 6.0.1 and set FREESURFER_HOME to its folder.'
    if not folder:
        yield (
            'FreeSurfer is needed: FREESURFER_HOME is not set and there is no recon-all on the '
            f'PATH. {advice}'
        )
        return
    yield from _plain('FREESURFER_HOME', folder)
    version = hcptools.freesurfer_version(wanted.environment)
    if version is None:
        yield (
            f'FreeSurfer: {folder}/build-stamp.txt, which tells the version, is missing. {advice}'
        )
    elif hcptools.bare_version(version)[:2] != (6, 0):
        yield (
            f'FreeSurfer in {folder} is version {version}; the HCP pipelines, as they are '
            f'supported here, run with 6.0 only. {advice}'
        )
    yield from _not_there('FreeSurfer', Path(folder, 'bin'), programs, 'Install it again.')
    if wanted.any_of('FreeSurfer') and not Path(folder, 'subjects', 'fsaverage').is_dir():
        yield f'FreeSurfer: {folder}/subjects/fsaverage is missing. Install it again.'


def _licence(wanted: Wanted) -> Iterator[str]:
    """Check the licence of FreeSurfer."""
    home = wanted.environment.get('FREESURFER_HOME')
    if not wanted.programs(FREESURFER):
        return
    get = 'It is free: surfer.nmr.mgh.harvard.edu/registration.html.'
    # Where it would be: the message names the place even before FreeSurfer is there.
    usual = [Path(home or '$FREESURFER_HOME', name) for name in ('license.txt', '.license')]
    found = next((path for path in usual if path.exists()), None)
    named = wanted.environment.get('FS_LICENSE')
    path = Path(named) if named else found
    if path is None:
        yield (
            f'There is no licence of FreeSurfer: name its file with --fs-license-file or '
            f'FS_LICENSE, or put it at {usual[0]}. {get}'
        )
        return
    if named and found is None and hcptools.freesurfer_version(wanted.environment) == '6.0.0':
        yield (
            f'FreeSurfer 6.0.0 reads its licence at {usual[0]} only, not {path}: put it there, or '
            'install FreeSurfer 6.0.1.'
        )
    try:
        text = path.read_text(encoding='utf-8', errors='replace')
    except OSError as error:
        yield (
            f'The licence of FreeSurfer, {path}, cannot be read: {error.strerror}. Name another '
            'with --fs-license-file.'
        )
        return
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        yield f'The licence of FreeSurfer, {path}, is empty. Get it again. {get}'
    elif not _looks_like_licence(lines):
        yield (
            f'{path} does not look like a licence of FreeSurfer, which has an e-mail address, a '
            f'number and two keys, a line each. Name the right file with --fs-license-file. {get}'
        )


def _looks_like_licence(lines: Sequence[str]) -> bool:
    """Tell whether lines are those of a licence of FreeSurfer.

    Files of before 2013 lack the second key; FreeSurfer refuses them itself, and says so.
    """
    return (
        len(lines) >= 3
        and '@' in lines[0]
        and lines[1].strip().isdigit()
        and lines[2].startswith(('*C', ' '))
    )


def _workbench(wanted: Wanted) -> Iterator[str]:
    """Check Connectome Workbench: PreFreeSurfer needs it as all others but FreeSurfer do."""
    if set(wanted.stages) <= {'FreeSurfer'}:
        return
    folder = wanted.environment.get('CARET7DIR')
    advice = 'Install Connectome Workbench 1.5.0 or later, and set CARET7DIR to its folder.'
    if not folder:
        yield (
            'Connectome Workbench is needed: CARET7DIR is not set and there is no wb_command on '
            f'the PATH. {advice}'
        )
        return
    yield from _plain('CARET7DIR', folder)
    program = Path(folder, 'wb_command')
    if not os.access(program, os.X_OK):
        yield f'Connectome Workbench: {program} is missing or cannot be run. {advice}'
        return
    version = hcptools.workbench_version(wanted.environment)
    if version is None:
        yield f'{program} -version does not say its version. {advice}'
    elif hcptools.bare_version(version) < (1, 5):
        yield f'{program} is version {version}; 1.5.0 or later is needed. {advice}'


def _matching(wanted: Wanted) -> Iterator[str]:
    """Check MSM and its configurations."""
    if not wanted.any_of('PostFreeSurfer', 'MSMAll'):
        return
    folder = wanted.environment.get('MSMBINDIR')
    if not folder:
        yield (
            'MSM is needed: MSMBINDIR is not set and there is no msm on the PATH. Get MSM_HOCR 3 '
            '(github.com/ecr05/MSM_HOCR; the msm of FSL is not the one that the HCP pipelines '
            'are made for), call the program msm, and set MSMBINDIR to its folder.'
        )
    else:
        yield from _plain('MSMBINDIR', folder)
        yield from _not_there('MSM', Path(folder), ['msm'], 'Set MSMBINDIR to its folder.')
    files = ['MSMSulcStrainFinalconf'] if wanted.any_of('PostFreeSurfer') else []
    if wanted.any_of('MSMAll'):
        files += [f'MSMAllStrainFinalconf1to1_1to3_{n}' for n in (1, 2)]
    configurations = Path(wanted.environment.get('MSMCONFIGDIR', ''))
    missing = [name for name in files if not (configurations / name).is_file()]
    if missing:
        yield (
            f'MSM: MSMCONFIGDIR ({configurations}) has no {", ".join(missing)}. Unset it; the HCP '
            'pipelines bring their own.'
        )


def _system(wanted: Wanted) -> Iterator[str]:
    """Check the programs of the system that the scripts call."""
    path = wanted.environment.get('PATH', '')
    names = ['bash', *wanted.programs(SYSTEM)]
    missing = [name for name in dict.fromkeys(names) if not shutil.which(name, path=path)]
    if missing:
        yield f'Programs that the scripts call are not on the PATH: {", ".join(missing)}.'


def _thickness(wanted: Wanted) -> Iterator[str]:
    """Check the Python of the newer thickness maps, which releases after 5.0.0 make."""
    script = wanted.hcp.hcp_dir / 'PostFreeSurfer' / 'scripts' / 'CreateMyelinMaps.sh'
    if not wanted.any_of('PostFreeSurfer') or not hcptools.script_uses(script, 'CorrThick.sh'):
        return
    python = shutil.which('python3', path=wanted.environment.get('PATH', ''))
    missing = list(THICKNESS_MODULES)
    if python:
        missing = hcptools.missing_modules(python, missing, wanted.environment)
    if missing:
        yield (
            'PostFreeSurfer of these HCP pipelines calls python3, which '
            f'{f"({python}) lacks" if python else "is not on the PATH, with"} '
            f'{", ".join(missing)}. Install them, or put a Python that has them first on the PATH.'
        )


def _gradients(wanted: Wanted) -> Iterator[str]:
    """Check what the correction of gradient distortion needs."""
    if wanted.hcp.gdcoeffs is None or not wanted.any_of('PreFreeSurfer', 'fMRIVolume'):
        return
    if not shutil.which('gradient_unwarp.py', path=wanted.environment.get('PATH', '')):
        yield (
            '--gdcoeffs needs gradient_unwarp.py on the PATH: install gradunwarp '
            '(github.com/Washington-University/gradunwarp), or leave the option out.'
        )


def _fix(wanted: Wanted) -> Iterator[str]:
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
        yield from _not_there(
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
    yield from _plain('FSL_FIXDIR', folder)
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


def _matlab(wanted: Wanted) -> Iterator[str]:
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
        yield from _plain('MATLAB_COMPILER_RUNTIME', runtime)
        libraries = Path(runtime, 'runtime', 'glnxa64')
        library = f'libmwmclmcrrt.so.{_RUNTIMES.get(release or "")}'
        if release in _RUNTIMES and not (libraries / library).exists():
            yield (
                f'MATLAB_COMPILER_RUNTIME ({runtime}) is not the MATLAB Runtime {release} that '
                f'the HCP pipelines in {wanted.hcp.hcp_dir} were compiled for: '
                f'runtime/glnxa64/{library} is missing. {advice}'
            )
