"""The sink of every output: BIDS names, a sidecar beside each file, whole or not at all."""

from collections import defaultdict
from importlib.resources import files
from json import loads
from pathlib import Path
from typing import Any, ClassVar

from nipype.interfaces.base import File, InputMultiObject, isdefined, traits
from niworkflows.interfaces.bids import DerivativesDataSink as _DerivativesDataSink
from niworkflows.interfaces.bids import (
    _DerivativesDataSinkInputSpec as _NiworkflowsSinkInputSpec,
)

from ketbids.io.files import publish, write_json
from ketbids.io.published import STORAGE, place_link

_SPEC = loads(files('ketbids.data').joinpath('derivatives.json').read_text())


class _DerivativesDataSinkInputSpec(_NiworkflowsSinkInputSpec):
    # Nipype takes an empty list for nothing at all.
    in_file = InputMultiObject(File(exists=True), desc='files to put there')
    optional = traits.Bool(False, usedefault=True, desc='there may be no file')
    sidecars = traits.List(
        traits.Dict(), desc='metadata of each file, on top of meta_dict (one entry per file)'
    )
    link = traits.Bool(
        False, usedefault=True, desc='make relative links; files that stand there already stay'
    )


class DerivativesDataSink(_DerivativesDataSink):
    """Put files into the output folder under the names of ``data/derivatives.json``.

    The files are first laid out below the node's own folder and then renamed into place. Every
    file that is not JSON gets a sidecar with `meta_dict` and its entry of `sidecars`.

    With `link`, the files are links instead of copies, and their sidecars say so. Where a file of
    somebody else has the name, it stays, and so does its sidecar.
    """

    input_spec = _DerivativesDataSinkInputSpec
    out_path_base = ''
    _config_entities = frozenset(entity['name'] for entity in _SPEC['entities'])
    _config_entities_dict = _SPEC['entities']
    _file_patterns = tuple(_SPEC['default_path_patterns'])
    _default_dtypes: ClassVar[Any] = defaultdict(lambda: None)

    def _run_interface(self, runtime: Any) -> Any:
        if not isdefined(self.inputs.in_file):
            if not self.inputs.optional:
                raise ValueError(f'{type(self).__name__} requires a value for in_file')
            self._results['out_file'] = []
            return runtime
        destination = Path(self.inputs.base_directory)
        stage = Path(runtime.cwd) / 'stage'
        stage.mkdir(exist_ok=True)
        files = list(self.inputs.in_file)
        # niworkflows opens every image, which takes a second each: it only has to name them.
        self.inputs.trait_set(
            trait_change_notify=False,
            base_directory=str(stage),
            check_hdr=False,
            in_file=_stand_ins(files, Path(runtime.cwd) / 'names'),
        )
        try:
            runtime = super()._run_interface(runtime)
        finally:
            self.inputs.trait_set(
                trait_change_notify=False, base_directory=str(destination), in_file=files
            )
        staged = [Path(name) for name in self._results['out_file']]
        finals = [destination / path.relative_to(stage) for path in staged]
        stored: list[dict[str, str] | None] = []
        for path, source, final in zip(staged, files, finals, strict=True):
            path.unlink()
            if self.inputs.link:
                kind = place_link(final, Path(source))
                stored.append(None if kind == 'kept' else {STORAGE: kind})
            else:
                path.symlink_to(Path(source).absolute())
                stored.append({})
        common = self.inputs.meta_dict if isdefined(self.inputs.meta_dict) else {}
        own = self.inputs.sidecars if isdefined(self.inputs.sidecars) else [{}] * len(staged)
        for path, entry, storage in zip(staged, own, stored, strict=True):
            sidecar = path.with_name(f'{path.name.split(".")[0]}.json')
            if storage is None:
                sidecar.unlink(missing_ok=True)  # of niworkflows
                continue
            metadata = {**common, **entry, **storage}
            if metadata and path.suffix != '.json':
                write_json(sidecar, metadata)
        publish(stage, destination)
        self._results['out_file'] = [str(path) for path in finals]
        self._results.pop('out_meta', None)
        return runtime


def _stand_ins(files: list[str], folder: Path) -> list[str]:
    """Make an empty file of the name of each file."""
    made = []
    for number, file in enumerate(files):
        path = folder / str(number) / Path(file).name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        made.append(str(path))
    return made
