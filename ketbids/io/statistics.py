"""Files of the statistics that a model file declares."""

from pathlib import Path

__all__ = ['remove_statistic', 'statistic_files', 'statistic_names', 'statistic_path']


def statistic_path(output_dir: Path, name: str, table: str = '') -> Path:
    """Where a table of a statistic stands; without a table, its summary."""
    folder = Path(output_dir) / 'group' / 'statistics'
    return folder / (f'{name}_{table}.tsv' if table else f'{name}.json')


def statistic_files(output_dir: Path, name: str) -> list[Path]:
    """List what there is of a statistic."""
    summary = statistic_path(output_dir, name)
    files = sorted(summary.parent.glob(f'{name}_*'))
    return [*files, *([summary] if summary.is_file() else [])]


def statistic_names(output_dir: Path) -> list[str]:
    """List the statistics whose summaries are there; names have no underscore, tables do."""
    folder = statistic_path(output_dir, '').parent
    return sorted(path.stem for path in folder.glob('*.json') if '_' not in path.name)


def remove_statistic(output_dir: Path, name: str) -> None:
    """Remove what an earlier call left of a statistic."""
    for path in statistic_files(output_dir, name):
        path.unlink(missing_ok=True)
