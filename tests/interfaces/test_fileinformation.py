"""What Connectome Workbench says about files."""

import nibabel as nib
import numpy as np
import pytest

from ketbids.errors import KetbidsError, UsageError
from ketbids.interfaces.fileinformation import FileInformation, parse_information
from tests.interfaces.files import TR

GRAYORDINATES = {
    'CortexLeft': 35,
    'CortexRight': 35,
    'PutamenRight': 18,
    'PallidumRight': 18,
    'BrainStem': 18,
}


def ask(path, **inputs):
    return FileInformation(in_file=path, **inputs).run().outputs


def test_arguments(brain):
    path = brain.map('z', 1.0)
    start = ['wb_command', '-file-information', path]
    assert FileInformation(in_file=path).argv == start
    assert FileInformation(in_file=path, no_map_info=True).argv == [*start, '-no-map-info']
    for only in ('step-interval', 'number-of-maps', 'map-names', 'metadata', 'cifti-xml'):
        assert FileInformation(in_file=path, only=only).argv == [*start, f'-only-{only}']
    keyed = FileInformation(in_file=path, only='metadata', key='Provenance of it')
    assert keyed.argv == [*start, '-only-metadata', '-key', 'Provenance of it']
    with pytest.raises(UsageError, match=r'key .* needs only="metadata"'):
        _ = FileInformation(in_file=path, only='map-names', key='a').argv
    with pytest.raises(UsageError, match="'only'"):
        _ = FileInformation(in_file=path, key='a').argv
    with pytest.raises(OSError, match='mutually exclusive'):
        FileInformation(in_file=path, only='metadata', no_map_info=True)


def test_series(wb_command, brain):
    path = brain.series('bold', brain.noise(4))
    found = ask(path)
    assert found.file_type == 'CIFTI - Dense Data Series'
    assert found.structures == ['CortexLeft', 'CortexRight']
    assert (found.n_maps, found.n_rows, found.n_columns) == (4, 124, 4)
    assert found.grayordinates == GRAYORDINATES
    assert found.vertices == {'CortexLeft': 42, 'CortexRight': 42}
    assert found.step == TR
    assert found.fields['ALONG_COLUMN map type'] == 'BRAIN_MODELS'
    assert found.map_names[1] == '0.8 seconds'
    assert not ask(path, no_map_info=True).map_names


def test_maps_and_labels(wb_command, brain):
    maps = ask(brain.map('a map: z  of it', 1.0))
    assert maps.file_type == 'CIFTI - Dense Scalar'
    assert maps.map_names == ['a map: z  of it']
    names = {0: '???', 1: 'one region', 22: 'two 0.5'}
    labels = ask(brain.labels('parcels', np.resize([0, 1, 22], len(brain.models)), names))
    assert labels.file_type == 'CIFTI - Dense Label'
    assert labels.labels == names
    assert labels.map_names == ['parcels']


def test_surface_and_volume(wb_command, brain):
    left, _ = brain.pair()
    found = ask(left)
    assert (found.file_type, found.structures) == ('Surface', ['CortexLeft'])
    assert found.vertices == {'CortexLeft': 42}
    assert found.fields['Number of Triangles'] == '80'
    path = brain.folder / 'volume.nii.gz'
    nib.Nifti1Image(np.zeros((4, 5, 6, 2), np.float32), np.diag([2, 2, 2, 1])).to_filename(path)
    volume = ask(path)
    assert (volume.file_type, volume.n_maps) == ('Volume', 2)
    assert volume.fields['Dimensions'] == '4, 5, 6, 2'


def test_one_thing_only(wb_command, brain):
    path = brain.series('bold', brain.noise(4))
    assert ask(path, only='number-of-maps').n_maps == 4
    assert ask(path, only='step-interval').step == TR
    assert ask(path, only='cifti-xml').cifti_xml.startswith('<?xml')
    assert ask(brain.map('a map', 1.0), only='map-names').map_names == ['a map']
    with pytest.raises(KetbidsError, match='does not support series data'):
        ask(brain.map('z', 1.0), only='step-interval')


def test_metadata(wb_command, brain):
    path = brain.folder / 'a.shape.gii'
    data = nib.gifti.GiftiDataArray(np.ones(42, np.float32), 'NIFTI_INTENT_SHAPE')
    meta = {'AnatomicalStructurePrimary': 'CortexLeft', 'Provenance': 'made by hand'}
    nib.save(nib.gifti.GiftiImage(darrays=[data], meta=nib.gifti.GiftiMetaData(meta)), path)
    assert ask(path, only='metadata', key='Provenance').metadata == 'made by hand'
    assert 'made by hand' in ask(path, only='metadata').metadata
    with pytest.raises(KetbidsError, match='metadata key is not present'):
        ask(path, only='metadata', key='Nothing')


def test_other_files(wb_command, tmp_path):
    path = tmp_path / 'text.txt'
    path.write_text('text')
    with pytest.raises(KetbidsError, match='unable to open file') as caught:
        ask(path)
    assert str(path) in str(caught.value)


def test_unreadable_answers():
    with pytest.raises(KetbidsError, match='said nothing'):
        parse_information('WARNING: something else\n')
