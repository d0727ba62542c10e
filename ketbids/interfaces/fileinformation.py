"""What wb_command says about a file."""

import re
from typing import Any, NamedTuple

from nipype.interfaces.base import File, TraitedSpec, isdefined, traits

from ketbids.errors import KetbidsError, UsageError
from ketbids.interfaces.workbench import Workbench, WorkbenchInputSpec

__all__ = ['FileInformation', 'Information', 'parse_information']

_ONLY = ('step-interval', 'number-of-maps', 'map-names', 'metadata', 'cifti-xml')
_FIELD = re.compile(r'(\S[^:]*):\s*(.*?)\s*')
_VERTICES = re.compile(r'\s+(\w+):\s+(\d+) out of (\d+) vertices\s*')
_VOXELS = re.compile(r'\s+(\w+):\s+(\d+) voxels\s*')
_COLOUR = r'\s+[0-9.]+'
_LABEL = re.compile(rf'\s+(-?\d+)   (.*?)\s*{_COLOUR * 4}\s*')


class Information(NamedTuple):
    """What is said about a file.

    Attributes
    ----------
    fields : dict of str to str
        All lines that are not indented: what is said, and its value.
    grayordinates : dict of str to int
        How many each structure has.
    vertices : dict of str to int
        Vertices of the whole of each surface.
    map_names : list of str
    labels : dict of int to str
        Keys and names of the first label table.
    """

    fields: dict[str, str]
    grayordinates: dict[str, int]
    vertices: dict[str, int]
    map_names: list[str]
    labels: dict[int, str]


def parse_information(text: str) -> Information:
    """Read what ``wb_command -file-information`` prints (release 1.5).

    Raises
    ------
    KetbidsError
        It does not say which type of file it is.
    """
    found = Information({}, {}, {}, [], {})
    head, *tables = re.split(r'\n(?=Map\s.*Map Name|Label table)', text)
    for line in head.splitlines():
        field = _FIELD.fullmatch(line)
        vertices, voxels = _VERTICES.fullmatch(line), _VOXELS.fullmatch(line)
        if field:
            found.fields.setdefault(field[1], field[2])
        elif vertices:
            found.grayordinates[vertices[1]] = int(vertices[2])
            found.vertices[vertices[1]] = int(vertices[3])
        elif voxels:
            found.grayordinates[voxels[1]] = int(voxels[2])
    if 'Type' not in found.fields:
        raise KetbidsError(f'wb_command -file-information said nothing about a file: {text[:80]}')
    for table in tables:
        title, *rows = table.splitlines()
        if title.startswith('Map'):
            # The name is the last column, and may hold blanks.
            start = title.index('Map Name')
            found.map_names.extend(row[start:].rstrip() for row in rows if row.strip())
        elif not found.labels:
            entries = [entry for row in rows if (entry := _LABEL.fullmatch(row))]
            found.labels.update({int(entry[1]): entry[2] for entry in entries})
    return found


class _FileInformationInputSpec(WorkbenchInputSpec):
    in_file = File(exists=True, mandatory=True, desc='any file that Workbench reads')
    only = traits.Enum(
        *_ONLY, xor=['no_map_info'], desc='one thing instead of all; the step in full precision'
    )
    key = traits.Str(requires=['only'], desc='with metadata: of one key')
    no_map_info = traits.Bool(xor=['only'], desc='leave out the table of maps, which is slow')


class _FileInformationOutputSpec(TraitedSpec):
    file_type = traits.Str(desc='e.g. CIFTI - Dense Scalar')
    structures = traits.List(traits.Str, desc='surfaces, e.g. CortexLeft')
    n_maps = traits.Int(desc='maps, or volumes')
    n_rows = traits.Int()
    n_columns = traits.Int()
    grayordinates = traits.Dict(traits.Str, traits.Int, desc='of each structure of a CIFTI file')
    vertices = traits.Dict(traits.Str, traits.Int, desc='of each surface, in whole')
    step = traits.Float(desc='time between maps')
    map_names = traits.List(traits.Str)
    labels = traits.Dict(traits.Int, traits.Str, desc='names by key')
    metadata = traits.Str(desc='metadata of the file, as printed')
    cifti_xml = traits.Str(desc='header of a CIFTI file')
    fields = traits.Dict(traits.Str, traits.Str, desc='all that is said of the file')


class FileInformation(Workbench):
    """Ask what a file holds (``-file-information``)."""

    input_spec = _FileInformationInputSpec
    output_spec = _FileInformationOutputSpec

    def _arguments(self) -> list[str]:
        i = self.inputs
        parts = ['-no-map-info'] if isdefined(i.no_map_info) and i.no_map_info else []
        if isdefined(i.only):
            parts += [f'-only-{i.only}']
        if isdefined(i.key):
            if i.only != 'metadata':
                raise UsageError(f'{i.in_file}: key {i.key!r} needs only="metadata".')
            parts += ['-key', i.key]
        return ['-file-information', i.in_file, *parts]

    def _run_interface(self, runtime: Any) -> Any:
        runtime = super()._run_interface(runtime)
        said, only = self._said, self.inputs.only
        if only == 'step-interval':
            self._results['step'] = float(said)
        elif only == 'number-of-maps':
            self._results['n_maps'] = int(said)
        elif only == 'map-names':
            self._results['map_names'] = said.splitlines()
        elif isdefined(only):
            name = 'metadata' if only == 'metadata' else 'cifti_xml'
            self._results[name] = said.rstrip('\n')
        else:
            self._results.update(_outputs(parse_information(said)))
        return runtime


def _outputs(found: Information) -> dict[str, Any]:
    """Give what has a type of its own."""
    fields = found.fields
    numbers = {
        'n_maps': 'Number of Maps',
        'n_rows': 'Number of Rows',
        'n_columns': 'Number of Columns',
    }
    outputs: dict[str, Any] = {
        'fields': fields,
        'file_type': fields['Type'],
        'structures': fields.get('Structure', '').split(),
        'grayordinates': found.grayordinates,
        'vertices': found.vertices,
        'map_names': found.map_names,
        'labels': found.labels,
    }
    outputs |= {name: int(fields[text]) for name, text in numbers.items() if text in fields}
    if 'Map Interval Step' in fields:
        outputs['step'] = float(fields['Map Interval Step'])
    if 'Number of Vertices' in fields and len(outputs['structures']) == 1:
        outputs['vertices'] = {outputs['structures'][0]: int(fields['Number of Vertices'])}
    return outputs
