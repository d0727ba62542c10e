"""The copy of the HCP pipelines: versions, and whether its scripts can be trusted."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ketbids.errors import ToolError
from ketbids.interfaces.hcp.tools import freesurfer_version, fsl_version, workbench_version
from ketbids.io.stages import read_record

__all__ = ['MINIMUM_VERSION', 'check_script', 'other_versions', 'pipelines_version']
__all__ += ['program_versions']

#: Older scripts ignore options that they do not know, and then write to wrong places.
MINIMUM_VERSION = (4, 8)

_SOURCES_PARSER = re.compile(r'^\s*(?:source|\.)\s+\S*newopts\.shlib', re.MULTILINE)
_NUMBERS = re.compile(r'(\d+)\.(\d+)')


def pipelines_version(hcp_dir: Path) -> str | None:
    """Give the version of a copy of the HCP pipelines, as its own `show_version` does.

    Parameters
    ----------
    hcp_dir : Path

    Returns
    -------
    str or None
        ``v5.0.0`` of a release, ``v5.0.0-rc`` of a candidate, ``Post-v5.0.0`` of what came later;
        None if no file says it.
    """
    folder = hcp_dir / 'global' / 'scripts' / 'versioning'
    base = _first_line(folder / 'base.txt')
    if base is None:
        return _first_line(hcp_dir / 'version.txt')
    if _first_line(folder / 'release.txt') == base:
        return base
    if _first_line(folder / 'candidate.txt') == base:
        return f'{base}-rc'
    return f'Post-{base}'


def program_versions(hcp_dir: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Give the versions of the programs that a script would use now.

    Parameters
    ----------
    hcp_dir : Path
    environment : mapping of str to str
        What the script sees.

    Returns
    -------
    dict of str to str
        By the name of the program; those that cannot be told are left out.
    """
    found = {
        'HCPpipelines': (pipelines_version(hcp_dir) or '').removeprefix('v'),
        'FSL': fsl_version(environment),
        'FreeSurfer': freesurfer_version(environment),
        'ConnectomeWorkbench': workbench_version(environment),
    }
    return {name: version for name, version in found.items() if version}


def _first_line(path: Path) -> str | None:
    try:
        lines = path.read_text(encoding='utf-8', errors='replace').split()
    except OSError:
        return None
    return lines[0] if lines else None


def check_script(hcp_dir: Path, script: str, *, options: bool = True) -> None:
    """Refuse scripts that would not refuse a wrong option.

    Parameters
    ----------
    hcp_dir : Path
    script : str
        Path below `hcp_dir`.
    options : bool
        The script has options, and so must use the parser of the newer generation.

    Raises
    ------
    ToolError
        If the script is not there, or belongs to HCP pipelines before 4.8.
    """
    path = hcp_dir / script
    try:
        text = path.read_text(encoding='utf-8', errors='replace')
    except OSError as error:
        raise ToolError(
            f'{path} cannot be read: {error.strerror}. --hcp-dir must name a complete copy of the '
            'HCP pipelines, version 4.8 or newer.'
        ) from error
    version = pipelines_version(hcp_dir)
    numbers = _NUMBERS.search(version or '')
    old = numbers is not None and tuple(map(int, numbers.groups())) < MINIMUM_VERSION
    if old or (options and not _SOURCES_PARSER.search(text)):
        raise ToolError(
            f'{hcp_dir} holds HCP pipelines {version or "of unknown version"}, whose {script} '
            'ignores options that it does not know. Version 4.8 or newer is needed: name it with '
            '--hcp-dir.'
        )


def other_versions(session: str, records: Iterable[Path], hcp_dir: Path) -> list[str]:
    """Say if stages of a session were made with another version of the HCP pipelines.

    Finished stages are not done again because of that; but those that are left would be done with
    the version that is there now.

    Parameters
    ----------
    session : str
        E.g. ``sub-01_ses-TP1``.
    records : iterable of Path
        Where the session's stages are recorded; those that are not done are passed over.
    hcp_dir : Path

    Returns
    -------
    list of str
        At most one sentence.
    """
    now = pipelines_version(hcp_dir)
    if now is None:  # there are none: that is another matter
        return []
    made: dict[str, list[str]] = {}
    for path in records:
        record = read_record(path)
        if record is not None and record.version != now:
            made.setdefault(record.version, []).append(path.stem)
    if not made:
        return []
    stages = '; '.join(f'{", ".join(names)} with {version}' for version, names in made.items())
    return [
        f'{session} was begun with another version of the HCP pipelines ({stages}); {hcp_dir} '
        f'holds {now}. Name the former with --hcp-dir, or remove the session from the study '
        'folder to begin it again.'
    ]
