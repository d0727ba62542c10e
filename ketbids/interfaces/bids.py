"""The sink of every output: BIDS names, a sidecar beside each file, whole or not at all."""

from collections import defaultdict
from importlib.resources import files
from json import loads
from pathlib import Path
from typing import Any, ClassVar

from nipype.interfaces.base import isdefined, traits
from niworkflows.interfaces.bids import DerivativesDataSink as _DerivativesDataSink
from niworkflows.interfaces.bids import (
    _DerivativesDataSinkInputSpec as _NiworkflowsSinkInputSpec,
)

from ketbids.io.files import publish, write_json

_SPEC = loads(files('ketbids.data').joinpath('derivatives.json').read_text())


class _DerivativesDataSinkInputSpec(_NiworkflowsSinkInputSpec):
    sidecars = traits.List(
        traits.Dict(), desc='metadata of each file, on top of meta_dict (one entry per file)'
    )


class DerivativesDataSink(_DerivativesDataSink):
    """Put files into the output folder under the names of ``data/derivatives.json``.

    The files are first laid out below the node's own folder and then renamed into place. Every
    file that is not JSON gets a sidecar with `meta_dict` and its entry of `sidecars`.
    """

    input_spec = _DerivativesDataSinkInputSpec
    out_path_base = ''
    _config_entities = frozenset(entity['name'] for entity in _SPEC['entities'])
    _config_entities_dict = _SPEC['entities']
    _file_patterns = tuple(_SPEC['default_path_patterns'])
    _default_dtypes: ClassVar[Any] = defaultdict(lambda: None)

    def _run_interface(self, runtime: Any) -> Any:
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
        for path, source in zip(staged, files, strict=True):
            path.unlink()
            path.symlink_to(Path(source).absolute())
        common = self.inputs.meta_dict if isdefined(self.inputs.meta_dict) else {}
        own = self.inputs.sidecars if isdefined(self.inputs.sidecars) else [{}] * len(staged)
        for path, entry in zip(staged, own, strict=True):
            metadata = {**common, **entry}
            if metadata and path.suffix != '.json':
                write_json(path.with_name(f'{path.name.split(".")[0]}.json'), metadata)
        publish(stage, destination)
        self._results['out_file'] = [str(destination / p.relative_to(stage)) for p in staged]
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
