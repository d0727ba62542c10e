"""What the HCP pipelines need and do not find, before anything runs."""

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from ketbids.cli.fixneeds import lacking_fix, lacking_matlab
from ketbids.cli.needs import (
    FREESURFER,
    SYSTEM,
    THICKNESS_MODULES,
    Wanted,
    checkout_files,
    chosen_stages,
    fsl_programs,
    not_there,
    plain,
    scripts,
)
from ketbids.cli.room import lacking_room, machine_memory_mb
from ketbids.interfaces.hcp import tools as hcptools
from ketbids.io.hcpinputs import HcpSession
from ketbids.settings import Settings

__all__ = ['lacking_room', 'lacking_tools', 'machine_memory_mb']

#: Where every checkout of the HCP pipelines is known by.
_MARK = Path('PreFreeSurfer', 'PreFreeSurferPipeline.sh')
#: Script for field maps of gradient echoes, which cannot be read in the release 5.0.0.
_GRADIENT_ECHO = 'global/scripts/FieldMapPreprocessingAll.sh'


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
        *(_thickness, _gradients, lacking_fix, lacking_matlab),
    )
    return list(dict.fromkeys(problem for check in checks for problem in check(wanted)))


def _pipelines(wanted: Wanted) -> Iterator[str]:
    """Check the HCP pipelines: place, version, files."""
    folder = wanted.hcp.hcp_dir
    get = 'Get HCPpipelines 5.0.0 (github.com/Washington-University/HCPpipelines)'
    if not (folder / _MARK).is_file():
        yield (
            f'The HCP pipelines are not in {folder}: {_MARK} is missing. {get} '
            f'and name their folder with --hcp-dir or HCPPIPEDIR.'
        )
        return
    yield from plain('--hcp-dir', str(folder))
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
    for name in scripts(wanted):
        error = hcptools.syntax_error(folder / name, wanted.environment)
        if error:
            yield f'{folder / name} cannot be read by bash: {error}. {_other(wanted, name)}'


def _other(wanted: Wanted, script: str) -> str:
    """Say which release to take in place of one with a broken script."""
    if script != _GRADIENT_ECHO:
        return 'Get the whole release again, or another.'
    other = 'the state after it'
    if wanted.hcp.fix != 'pyfix':
        other = f'the release 4.8.0, or {other}'
    return (
        'Field maps of gradient echoes do not work with the release 5.0.0 of the HCP pipelines: '
        f'get {other} (github.com/Washington-University/HCPpipelines, branch master), or put a '
        'blank before the brackets ]] that close this line.'
    )


def _fsl(wanted: Wanted) -> Iterator[str]:
    """Check FSL: place, version, programs."""
    programs = fsl_programs(wanted)
    if not programs:
        return
    folder = wanted.environment.get('FSLDIR')
    advice = 'Install FSL 6.0.7 and set FSLDIR to its folder.'
    if not folder:
        yield f'FSL is needed: FSLDIR is not set and there is no fslmaths on the PATH. {advice}'
        return
    yield from plain('FSLDIR', folder)
    version = hcptools.fsl_version(wanted.environment)
    if version is None:
        yield f'FSL: {folder}/etc/fslversion, which tells the version, is missing. {advice}'
    elif hcptools.bare_version(version) < (6, 0, 1):
        yield f'FSL in {folder} is version {version}; 6.0.1 or later is needed. {advice}'
    yield from not_there('FSL', Path(folder, 'bin'), programs, 'Install FSL again.')


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
    yield from plain('FREESURFER_HOME', folder)
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
    yield from not_there('FreeSurfer', Path(folder, 'bin'), programs, 'Install it again.')
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
    yield from plain('CARET7DIR', folder)
    program = Path(folder, 'wb_command')
    if not os.access(program, os.X_OK):
        yield f'Connectome Workbench: {program} is missing or cannot be run. {advice}'
        return
    version = hcptools.workbench_version(wanted.environment)
    if version is None:
        yield f'{program} -version does not say its version. {advice}'
    elif hcptools.bare_version(version) < (1, 5):
        yield f'{program} is version {version}; 1.5.0 or later is needed. {advice}'
    elif wanted.any_of('PostFreeSurfer', 'fMRISurface') and not hcptools.shows_scenes(
        wanted.environment
    ):
        yield (
            f'{program} does not know the command -show-scene, with which PostFreeSurfer and '
            'fMRISurface end: it was built without OSMesa. Install one that has it, such as that '
            'of humanconnectome.org or of Debian (connectome-workbench), and set CARET7DIR to '
            'its folder.'
        )


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
        yield from plain('MSMBINDIR', folder)
        yield from not_there('MSM', Path(folder), ['msm'], 'Set MSMBINDIR to its folder.')
    files = ['MSMSulcStrainFinalconf'] if wanted.any_of('PostFreeSurfer') else []
    if wanted.any_of('MSMAll'):
        files += [f'MSMAllStrainFinalconf1to1_1to3_{n}' for n in (1, 2)]
    configurations = Path(wanted.environment.get('MSMCONFIGDIR', ''))
    missing = [name for name in files if not (configurations / name).is_file()]
    if not missing:
        return
    own = wanted.hcp.hcp_dir.absolute()
    if configurations != own / 'MSMConfig':
        yield (
            f'MSM: MSMCONFIGDIR ({configurations}) has no {", ".join(missing)}. Unset it; the HCP '
            'pipelines bring their own.'
        )
    elif (own / _MARK).is_file():
        yield (
            f'MSM: its configurations {", ".join(missing)} are missing in {configurations}. Get '
            'the whole release of the HCP pipelines again.'
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
