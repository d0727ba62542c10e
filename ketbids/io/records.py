"""Records of finished work: what was made from what, so that it is not made again."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ketbids.errors import InputError
from ketbids.io.files import read_json, write_json

__all__ = ['file_stamp', 'fingerprint', 'is_whole', 'write_record']


def file_stamp(path: Path) -> list[Any]:
    """Describe a file's state by name, size and time of change."""
    state = Path(path).stat()
    return [str(path), state.st_size, state.st_mtime_ns]


def fingerprint(content: Mapping[str, Any]) -> str:
    """Hash plain values (numbers, text, lists, mappings) independent of their order."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def write_record(record: Path, mark: str, outputs: Iterable[Path], root: Path) -> None:
    """Record that `outputs` (below `root`) were made under the fingerprint `mark`."""
    sizes = {
        str(path.relative_to(root)): path.stat().st_size
        for path in sorted(Path(output) for output in outputs)
    }
    write_json(record, {'Fingerprint': mark, 'Outputs': sizes})


def is_whole(record: Path, mark: str, root: Path) -> bool:
    """Tell if the recorded work was done under `mark` and all its outputs are still there."""
    if not record.is_file():
        return False
    try:
        content = read_json(record)
    except InputError:
        return False
    outputs = content.get('Outputs')
    if content.get('Fingerprint') != mark or not isinstance(outputs, dict) or not outputs:
        return False
    for name, size in outputs.items():
        try:
            if (root / name).stat().st_size != size:
                return False
        except OSError:
            return False
    return True
