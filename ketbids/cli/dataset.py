"""What makes the output folder a BIDS derivative dataset."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from ketbids.cli.parser import installed_version
from ketbids.errors import InputError
from ketbids.io.files import read_json, write_json, write_text
from ketbids.io.inventory import link_name
from ketbids.settings import Settings, as_toml

__all__ = ['describe_dataset', 'is_foreign', 'lock_path', 'record_path', 'remove_if_empty']

_BIDS_VERSION = '1.10.0'

#: What the BIDS schema does not (yet) know. Folders have no slash at the end: with one, the
#: validator leaves out what is in them, but not the folders themselves.
_IGNORED = (
    '/group',
    '/logs',
    '/work',
    '*.html',
    '/sub-*/figures',
    '*_statmap.*',
    '*_dseg.*',
    '*_midthickness.*',
    '*_inflated.*',
    '*_desc-design_timeseries.*',
    '*_desc-motion_timeseries.*',
    '*_desc-trials_events.*',
    '*_desc-counts_events.*',
    '*_desc-performance_beh.*',
    '*_desc-confounds_timeseries.*',
    '*_desc-quality_metrics.json',
    '*_bold.*',
    '*_white.*',
    '*_pial.*',
    '*_veryinflated.*',
    '*_sphere.*',
    '*_sulc.*',
    '*_thickness.*',
    '*_myelinmap.*',
)


_README = """\
# Task fMRI on grayordinates

This folder was made by ketbids {version} from a BIDS dataset and its preprocessed time series.
It is a BIDS derivative dataset: dataset_description.json names its sources, and the version of
ketbids that was used last.

- sub-*.html and group.html are the pages to begin with.
- sub-*/ holds the contrast maps, designs and trials of every participant.
- sourcedata/hcp/, with --preproc hcp, is the study folder of the HCP pipelines; some files in
  sub-*/ are links into it.
- group/ holds the analyses of the group: maps, clusters, regions, and who is in them.
- logs/ holds the settings and the model file of the last call.

What each file is stands in docs/outputs.md of ketbids; `ketbids --help` lists the options.
"""


def describe_dataset(
    settings: Settings, model_text: str, derivatives: Collection[Path] = ()
) -> None:
    """Write dataset_description.json, .bidsignore, and how this run was set up.

    A README is written if the folder has none: whoever wrote another keeps it.

    Parameters
    ----------
    settings : Settings
    model_text : str
        The model file.
    derivatives : collection of Path
        Folders that preprocessed runs were taken from.
    """
    output_dir = settings.paths.output_dir
    path = output_dir / 'dataset_description.json'
    # What earlier calls said of their sources still holds.
    known = read_json(path).get('DatasetLinks', {}) if path.is_file() else {}
    links: dict[str, str] = {**known, 'raw': settings.paths.bids_dir.as_uri()}
    links |= {link_name(root): root.as_uri() for root in sorted(derivatives)}
    description = {
        'Name': 'ketbids: task fMRI on grayordinates',
        'BIDSVersion': _BIDS_VERSION,
        'DatasetType': 'derivative',
        'GeneratedBy': [{'Name': 'ketbids', 'Version': installed_version()}],
        'SourceDatasets': [{'URL': uri} for uri in links.values()],
        'DatasetLinks': links,
    }
    write_json(path, description)
    write_text(output_dir / '.bidsignore', '\n'.join(_IGNORED) + '\n')
    if not any(output_dir.glob('README*')):
        write_text(output_dir / 'README.md', _README.format(version=installed_version()))
    logs = output_dir / 'logs'
    extra: Mapping[str, str] = {'version': installed_version()}
    write_text(logs / f'settings_{settings.level}.toml', as_toml(settings, extra))
    write_text(logs / 'model.json', model_text)


def is_foreign(output_dir: Path) -> bool:
    """Tell if a folder holds a dataset, or participants' folders, that ketbids did not make."""
    path = output_dir / 'dataset_description.json'
    if path.is_file():
        try:
            makers = read_json(path).get('GeneratedBy')
        except InputError:
            return True
        makers = makers if isinstance(makers, list) else []
        return not any(isinstance(m, dict) and m.get('Name') == 'ketbids' for m in makers)
    own = (output_dir / 'logs' / 'records').is_dir()
    return not own and output_dir.is_dir() and any(p.is_dir() for p in output_dir.glob('sub-*'))


def record_path(output_dir: Path, name: str) -> Path:
    """Where the record of a finished visit or analysis stands."""
    return output_dir / 'logs' / 'records' / f'{name}.json'


def lock_path(output_dir: Path) -> Path:
    """Where processes that share an output folder claim their work."""
    return output_dir / 'logs' / 'lock'


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that nobody needs any more; another process may be faster, or at work."""
    with suppress(OSError):
        folder.rmdir()
