"""The programs that the HCP pipelines call: where they are, and which versions they have."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ['MATLAB_MODES', 'MEMORY_GB', 'bare_version', 'freesurfer_version', 'fsl_version']
__all__ += ['hcp_environment', 'hcp_version', 'matlab_mode', 'missing_modules', 'newer_parser']
__all__ += ['runtime_release', 'script_uses', 'shows_scenes', 'syntax_error', 'version_of']
__all__ += ['workbench_version']

#: Memory that a stage has been seen or is expected to take for some hundred volumes, GB.
MEMORY_GB = {
    'PreFreeSurfer': 8.0,
    'FreeSurfer': 8.0,
    'PostFreeSurfer': 12.0,
    'fMRIVolume': 10.0,
    'fMRISurface': 8.0,
    'ICAFIX': 14.0,
    'PostFix': 4.0,
    'ReApplyFix': 12.0,
    'MSMAll': 12.0,
    'DeDriftAndResample': 16.0,
}
#: What ``--matlab-run-mode`` means.
MATLAB_MODES = {0: 'MATLAB Runtime', 1: 'MATLAB', 2: 'Octave'}

#: Seconds that a program may take to say its version.
_PATIENCE = 60.0
#: Variables that the scripts may see. recon-all writes all of them beside its results, so that
#: nothing else gets there: neither what would disturb the scripts nor what is secret.
_KNOWN = re.compile(
    r'HOME|USER|LOGNAME|SHELL|TERM|TZ|OS|HOSTNAME|TMP|TEMP|TMPDIR|LC_\w+|SPECIES|CARET7DIR|MSM\w+|'
    r'LD_LIBRARY_PATH|(FSL|FS_|FREESURFER|HCP|MCR|MATLAB|OCTAVE|OMP_|MKL_|OPENBLAS_|ITK_)\w*|'
    r'(FUNCTIONALS|SUBJECTS|LOCAL|FMRI_ANALYSIS|MNI|MINC_BIN|MINC_LIB)_DIR|MNI_DATAPATH|'
    r'(MNI_)?PERL5LIB|R_HOME|R_LIBS\w*|FIX_VERTEX_AREA|M?LM_LICENSE_FILE|CUDA_VISIBLE_DEVICES|'
    r'(SLURM_JOB|PBS_JOB|JOB_)(ID|NAME)|KETBIDS_\w+'
)
#: Of these, what pretends another release, and what some program may take for a secret.
_KEPT_OUT = re.compile(r'HCPPIPE_HIDE_RC|\w*(TOKEN|SECRET|PASSW|API_?KEY)\w*')
#: Folders of the system's own programs.
_SYSTEM = ('/usr/local/bin', '/usr/bin', '/bin')
#: Variables that some scripts read without setting them, which ends those under ``set -u``:
#: `BiasFieldCorrection_T1wOnly.sh` after 5.0.0; `ReApplyFix*.sh` of 4.8, where an empty one
#: means that the settings of FIX say it.
_UNSET = {'SPECIES': 'Human', 'FSL_FIX_MCR': ''}
#: Folders of the checkout that releases before 4.4 want to be told.
_PARTS = {
    'PreFS': 'PreFreeSurfer',
    'FS': 'FreeSurfer',
    'PostFS': 'PostFreeSurfer',
    'fMRISurf': 'fMRISurface',
    'fMRIVol': 'fMRIVolume',
    'tfMRI': 'tfMRI',
    'dMRI': 'DiffusionPreprocessing',
    'tfMRIAnalysis': 'TaskfMRIAnalysis',
}


def hcp_environment(
    hcp_dir: Path,
    *,
    license_file: Path | None = None,
    omp_nthreads: int = 1,
    environment: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Give the whole environment in which the scripts of the HCP pipelines run.

    It is what ``SetUpHCPPipeline.sh``, ``fsl.sh`` and ``SetUpFreeSurfer.sh`` would set. What
    people set in the first of these wins if it is set already: ``FSLDIR``, ``FREESURFER_HOME``,
    ``CARET7DIR``, ``MSMBINDIR``, ``MSMCONFIGDIR``, ``HCPCIFTIRWDIR``, ``FSL_FIXDIR``,
    ``MATLAB_COMPILER_RUNTIME``; also ``SPECIES`` and ``FSL_FIX_MCR``, which some scripts read
    and do not set. Of all others only those are passed on that the programs are known to read.

    Parameters
    ----------
    hcp_dir : Path
        The HCP pipelines.
    license_file : Path, optional
        Licence of FreeSurfer.
    omp_nthreads : int
        Threads of one program.
    environment : mapping of str to str, optional
        What is set now; by default that of this process.

    Returns
    -------
    dict of str to str
        What cannot be found out, for lack of a program, is not in it.
    """
    given = dict(os.environ if environment is None else environment)
    made = _UNSET | {name: value for name, value in given.items() if _harmless(name)}
    hcp_dir = hcp_dir.absolute()
    made |= {'HCPPIPEDIR': str(hcp_dir)} | _of_checkout(hcp_dir, given)
    path = [part for part in given.get('PATH', os.defpath).split(os.pathsep) if part]
    freesurfer, before = _of_freesurfer(given)
    made |= freesurfer
    fsl, first = _of_fsl(given)
    made |= fsl
    path = [*first, *before, *path]
    workbench = given.get('CARET7DIR') or _folder_of('wb_command', path)
    if workbench:
        made['CARET7DIR'] = workbench
        # First, as in SetUpHCPPipeline.sh; but /usr/bin would bring all of the system with it.
        path = path if workbench in _SYSTEM and workbench in path else [workbench, *path]
    # FSL's own msm is not the one that the configurations of the HCP are made for.
    others = [part for part in path if not Path(part).is_relative_to(fsl.get('FSLDIR', '/-'))]
    matching = given.get('MSMBINDIR') or _folder_of('msm', others)
    if matching:
        made['MSMBINDIR'] = matching
    threads = str(omp_nthreads)
    made |= {f'{name}_NUM_THREADS': threads for name in ('OMP', 'OPENBLAS', 'MKL')}
    made['ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS'] = threads
    if license_file is not None:
        made['FS_LICENSE'] = str(license_file.absolute())
    return made | {'PATH': os.pathsep.join(dict.fromkeys(path)), 'LC_ALL': 'C', 'LANGUAGE': 'C'}


def _harmless(name: str) -> bool:
    """Tell whether the scripts may see a variable."""
    return bool(_KNOWN.fullmatch(name)) and not _KEPT_OUT.fullmatch(name.upper())


def _of_checkout(hcp_dir: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Give the variables that name folders of the HCP pipelines."""
    made = {
        'HCPPIPEDIR_Global': str(hcp_dir / 'global' / 'scripts'),
        'HCPPIPEDIR_Templates': str(hcp_dir / 'global' / 'templates'),
        'HCPPIPEDIR_Config': str(hcp_dir / 'global' / 'config'),
        'MSMCONFIGDIR': str(hcp_dir / 'MSMConfig'),
        'HCPCIFTIRWDIR': str(hcp_dir / 'global' / 'matlab' / 'cifti-matlab'),
    }
    made |= {f'HCPPIPEDIR_{key}': str(hcp_dir / part / 'scripts') for key, part in _PARTS.items()}
    other = given.get('HCPPIPEDIR', '')
    for name in ('MSMCONFIGDIR', 'HCPCIFTIRWDIR'):
        value = given.get(name)
        # One that belongs to another checkout, which --hcp-dir replaces, does not win.
        if value and not (other and Path(value).is_relative_to(other)):
            made[name] = value
    return made


def _of_fsl(given: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Give the variables of FSL, and what it puts before the PATH."""
    folder = given.get('FSLDIR') or _home_of('fslmaths', given, 'etc/fslversion')
    made = {'FSLOUTPUTTYPE': 'NIFTI_GZ'}
    if not folder:
        return made, []
    made |= {'FSLDIR': folder, 'FSL_DIR': folder}
    presets = {'FSLMULTIFILEQUIT': 'TRUE', 'FSLLOCKDIR': '', 'FSLMACHINELIST': ''}
    presets |= {'FSLREMOTECALL': '', 'FSL_LOAD_NIFTI_EXTENSIONS': '0', 'FSL_SKIP_GLOBAL': '0'}
    for name, program in (('FSLTCLSH', 'fsltclsh'), ('FSLWISH', 'fslwish')):
        presets[name] = str(Path(folder, 'bin', program))
    made |= {name: given.get(name, value) for name, value in presets.items()}
    # Since 6.0.6 bin also holds FSL's own Python, which must not come before other programs.
    wrappers = Path(folder, 'share', 'fsl', 'bin')
    return made, [str(wrappers if wrappers.is_dir() else Path(folder, 'bin'))]


def _of_freesurfer(given: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Give the variables of FreeSurfer, and what it puts before the PATH."""
    folder = given.get('FREESURFER_HOME') or _home_of('recon-all', given, 'build-stamp.txt')
    if not folder:
        return {}, []
    home = Path(folder)
    mni = home / 'mni'
    perl = next(
        (p for p in (mni / 'share' / 'perl5', mni / 'lib' / 'perl5' / '5.8.5') if p.is_dir()),
        mni / 'lib' / 'perl5' / '5.8.5',
    )
    made = {
        'FREESURFER_HOME': folder,
        'FSFAST_HOME': str(home / 'fsfast'),
        'SUBJECTS_DIR': str(home / 'subjects'),
        'FUNCTIONALS_DIR': str(home / 'sessions'),
        'LOCAL_DIR': str(home / 'local'),
        'FSF_OUTPUT_FORMAT': 'nii.gz',
        'FS_OVERRIDE': '0',
        'FIX_VERTEX_AREA': '',
        'OS': 'Linux',
        'MNI_DIR': str(mni),
        'MNI_DATAPATH': str(mni / 'data'),
        'MINC_BIN_DIR': str(mni / 'bin'),
        'MINC_LIB_DIR': str(mni / 'lib'),
        'PERL5LIB': str(perl),
        'MNI_PERL5LIB': str(perl),
    }
    folders = (home / 'bin', home / 'fsfast' / 'bin', home / 'tktools', mni / 'bin')
    return made, [str(path) for path in folders]


def _folder_of(program: str, path: Iterable[str]) -> str | None:
    """Give the folder of a program, as the PATH names it."""
    found = shutil.which(program, path=os.pathsep.join(path))
    return str(Path(found).parent) if found else None


def _home_of(program: str, given: Mapping[str, str], mark: str) -> str | None:
    """Give the folder above a program that holds the file `mark`."""
    found = shutil.which(program, path=given.get('PATH', os.defpath))
    if not found:
        return None
    for home in Path(found).parents:
        if (home / mark).is_file():
            return str(home)
    return None


def matlab_mode(environment: Mapping[str, str]) -> int | None:
    """Choose how the scripts run the MATLAB code of the HCP pipelines.

    Parameters
    ----------
    environment : mapping of str to str
        As `hcp_environment` gives it.

    Returns
    -------
    int or None
        As ``--matlab-run-mode`` takes it: 0, compiled, if ``MATLAB_COMPILER_RUNTIME`` names a
        folder; 1, ``matlab``; 2, Octave, under both names by which the scripts call it. None:
        there is none of them.
    """
    runtime, path = environment.get('MATLAB_COMPILER_RUNTIME'), environment.get('PATH', '')
    if runtime and Path(runtime).is_dir():
        return 0
    if shutil.which('matlab', path=path):
        return 1
    if shutil.which('octave-cli', path=path) and shutil.which('octave', path=path):
        return 2
    return None


def bare_version(text: str) -> tuple[int, ...]:
    """Give the numbers of a version, e.g. (6, 0, 7, 1) for ``v6.0.7.1-rc``; () without any."""
    found = re.search(r'\d+(\.\d+)*', text)
    return tuple(int(part) for part in found[0].split('.')) if found else ()


def hcp_version(hcp_dir: Path) -> str | None:
    """Give the version of the HCP pipelines, such as ``5.0.0``; None if no file tells it.

    Between releases it is that of the release before.
    """
    for name in ('global/scripts/versioning/base.txt', 'version.txt'):
        text = _first_line(hcp_dir / name)
        if text and bare_version(text):
            return '.'.join(map(str, bare_version(text)))
    return None


def newer_parser(hcp_dir: Path) -> bool:
    """Tell whether the scripts refuse options that they do not know.

    Those of releases before 4.4 ignore them, and then write to where nobody asked them to.
    """
    return script_uses(
        hcp_dir / 'fMRIVolume' / 'GenericfMRIVolumeProcessingPipeline.sh', 'newopts.shlib'
    ) and script_uses(hcp_dir / 'PreFreeSurfer' / 'PreFreeSurferPipeline.sh', 'newopts.shlib')


def script_uses(script: Path, word: str) -> bool:
    """Tell whether a script mentions `word`; False if it cannot be read."""
    try:
        return word in script.read_text(encoding='utf-8', errors='replace')
    except OSError:
        return False


def runtime_release(hcp_dir: Path) -> str | None:
    """Give the release of the MATLAB Runtime that the checkout was compiled for, as R2022b."""
    folder = 'Compiled_functionhighpassandvariancenormalize'
    try:
        text = (hcp_dir / 'ICAFIX' / 'scripts' / folder / 'readme.txt').read_text('utf-8')
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r'R20\d\d[ab]', text)
    return found[0] if found else None


def fsl_version(environment: Mapping[str, str]) -> str | None:
    """Give the version of FSL, such as ``6.0.7.1``, as ``etc/fslversion`` tells it."""
    text = _first_line(Path(environment.get('FSLDIR', ''), 'etc', 'fslversion'))
    return text.partition(':')[0] if text else None


def freesurfer_version(environment: Mapping[str, str]) -> str | None:
    """Give the version of FreeSurfer, such as ``6.0.1``, as ``build-stamp.txt`` tells it.

    Of a stamp ``freesurfer-<system>-<kind>-v<version>-<commit>``, or of the newer
    ``freesurfer-<system>-<version>-<date>-<commit>``.
    """
    text = _first_line(Path(environment.get('FREESURFER_HOME', ''), 'build-stamp.txt'))
    for part in (text or '').split('-'):
        if re.fullmatch(r'v?\d+(\.\d+)+\w*', part):
            return part.removeprefix('v')
    return text or None


def version_of(program: str, option: str, environment: Mapping[str, str]) -> str | None:
    """Ask a program for its version.

    Returns
    -------
    str or None
        All that it says; None if it does not start, fails, or says nothing for a minute.
    """
    try:
        done = subprocess.run(  # noqa: S603
            [program, option],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors='replace',
            check=False,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else f'{done.stdout}\n{done.stderr}'.strip()


def workbench_version(environment: Mapping[str, str]) -> str | None:
    """Give the version of Connectome Workbench, such as ``1.5.0``."""
    program = Path(environment.get('CARET7DIR', ''), 'wb_command')
    said = version_of(str(program), '-version', environment)
    found = re.search(r'(?im)^\s*version:?\s+v?(\d+(\.\d+)+)', said or '')
    return found[1] if found else None


def shows_scenes(environment: Mapping[str, str]) -> bool:
    """Tell whether ``wb_command`` can draw scenes, with which two stages end.

    One that was built without OSMesa does not know the command, and fails. Without arguments,
    the command only tells how it is used.
    """
    program = Path(environment.get('CARET7DIR', ''), 'wb_command')
    return version_of(str(program), '-show-scene', environment) is not None


def syntax_error(script: Path, environment: Mapping[str, str]) -> str | None:
    """Let bash read a script, without running it.

    Returns
    -------
    str or None
        What bash says, such as ``line 170: syntax error``; None if it finds nothing, or if
        there is no bash.
    """
    bash = shutil.which('bash', path=environment.get('PATH', ''))
    if bash is None:
        return None
    try:
        # Patterns that a script itself would switch on are no mistakes.
        done = subprocess.run(  # noqa: S603
            [bash, '-O', 'extglob', '-n', '--', str(script)],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors='replace',
            check=False,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # After some errors bash goes on, and ends well.
    lines = (line for line in done.stderr.splitlines() if line.startswith(f'{script}: '))
    said = next((line for line in lines if ': warning: ' not in line), '')
    found = said.removeprefix(f'{script}: ')
    return found or ('syntax error' if done.returncode else None)


def missing_modules(
    python: str, modules: Iterable[str], environment: Mapping[str, str]
) -> list[str]:
    """List the modules that a Python does not find.

    Returns
    -------
    list of str
        All of them, if it does not start.
    """
    wanted = list(modules)
    code = (
        'import importlib.util as u\n'
        f'print("missing", *[m for m in {wanted!r} if u.find_spec(m) is None])'
    )
    try:
        done = subprocess.run(  # noqa: S603
            [python, '-c', code],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return wanted
    said = done.stdout.split()
    return said[1:] if said[:1] == ['missing'] else wanted


def _first_line(path: Path) -> str | None:
    """Give the first line of a file; None if it cannot be read or is empty."""
    try:
        lines = path.read_text(encoding='utf-8', errors='replace').split('\n')
    except OSError:
        return None
    return lines[0].strip() or None
