"""Room that the HCP pipelines need: on the disk, and in memory."""

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from ketbids.cli.needs import chosen_stages
from ketbids.interfaces.hcp.tools import MEMORY_GB
from ketbids.io.hcpnames import SessionFolders, study_folder
from ketbids.settings import Settings

__all__ = ['lacking_room', 'machine_memory_mb']

_GB = 1e9
#: What the scheduler's own files may take, GB.
_WORK_GB = 1.0
#: Where the kernel tells what a container or job may use: version 2, version 1.
_LIMITS = ('memory.max', 'memory.limit_in_bytes')


def lacking_room(
    settings: Settings, sessions: Collection[str], stages: Collection[str]
) -> list[str]:
    """Compare what is free with what the sessions need.

    Parameters
    ----------
    settings : Settings
    sessions : collection of str
        Names of those that are not finished, such as ``sub-01_ses-TP1``; what their folders hold
        already is not needed again.
    stages : collection of str
        Stages that will run; empty means all.

    Returns
    -------
    list of str
        One sentence for each problem.
    """
    chosen = chosen_stages(settings, stages)
    if not chosen or not sessions:
        return []
    problems = []
    each = settings.hcp.session_disk_gb
    if each > 0:
        study = study_folder(settings.paths.output_dir)
        held = [_size_gb(SessionFolders(study, name).top) for name in sessions]
        need = sum(max(each - size, 0.0) for size in held)
        place, work = _existing(study), _existing(settings.paths.work_dir)
        shared = os.stat(place).st_dev == os.stat(work).st_dev
        need += _WORK_GB if shared else 0.0
        free = shutil.disk_usage(place).free / _GB
        if free < need:
            problems.append(
                f'The disk of {place} has {free:.1f} GB free; {len(sessions)} unfinished '
                f'session{"s" if len(sessions) > 1 else ""} of up to {each:g} GB need '
                f'{need:.1f} GB more. Make room, choose fewer with --participant-label or '
                '--session-label, or say with --session-disk-gb what one takes.'
            )
        if not shared and (free := shutil.disk_usage(work).free / _GB) < _WORK_GB:
            problems.append(
                f'The disk of the work directory, {work}, has {free:.1f} GB free; {_WORK_GB:g} GB '
                'are needed. Make room, or name another with --work-dir.'
            )
    need_mb = max(MEMORY_GB[stage] for stage in chosen) * 1000
    most = max(chosen, key=lambda stage: MEMORY_GB[stage])
    if settings.resources.mem_mb < need_mb:
        problems.append(
            f'{most} is expected to need {need_mb:.0f} MB of memory; {settings.resources.mem_mb} '
            'MB may be used. Give the job or machine more, or say with --mem-mb that there is '
            'more.'
        )
    return problems


def machine_memory_mb() -> int:
    """Give the memory that this process may use, MB (10^6 bytes).

    That of the machine, or less if a job or container is limited (cgroups of version 1 and 2).
    """
    total = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    return int(
        min([total, *_group_limits(Path('/proc/self/cgroup'), Path('/sys/fs/cgroup'))]) / 1e6
    )


def _group_limits(membership: Path, root: Path) -> list[int]:
    """Read the limits of the control groups that a process is in, bytes.

    Parameters
    ----------
    membership : Path
        Lines ``number:controllers:/group``.
    root : Path
        Where the groups are mounted.
    """
    try:
        lines = membership.read_text(encoding='utf-8').splitlines()
    except OSError:
        return []
    limits = []
    for line in lines:
        controllers, _, group = line.partition(':')[2].partition(':')
        if controllers and 'memory' not in controllers.split(','):
            continue
        base = root / 'memory' if controllers else root
        # A limit of any group above holds, too. In a container the group's own path may not exist.
        folder = base / group.strip('/')
        for path in (folder, *folder.parents):
            limits += [_limit(path / name) for name in _LIMITS]
            if path == base:
                break
    return [limit for limit in limits if limit is not None]


def _limit(path: Path) -> int | None:
    """Read one limit; None where there is none."""
    try:
        text = path.read_text(encoding='utf-8').strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _existing(path: Path) -> Path:
    """Give the path, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _size_gb(folder: Path) -> float:
    """Give what the files below a folder take on the disk, GB."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
            except OSError:
                continue
    return total / _GB
