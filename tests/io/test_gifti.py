"""What a GIFTI file refers to is not followed out of its folder, however it is written."""

import gzip

import nibabel as nb
import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.io.gifti import open_gifti
from ketbids.io.palmsurfaces import read_areas
from ketbids.io.rawmaps import load_gifti
from ketbids.io.surfaces import read_mesh, read_surface, write_surface
from tests.io.palmfiles import BRAIN, save_gifti
from tests.stats.small_brain import LEFT

MESH = BRAIN.surfaces[LEFT]
VALUES = np.linspace(1, 2, len(MESH.coordinates), dtype=np.float32)
DTD = '<!DOCTYPE GIFTI SYSTEM "http://www.nitrc.org/frs/download.php/115/gifti.dtd">'


def external(name, doctype='', encoding='UTF-8', attribute=None):
    """A file of one array whose numbers are in another file."""
    attribute = f'ExternalFileName="{name}"' if attribute is None else attribute
    return (
        f'<?xml version="1.0" encoding="{encoding}"?>{doctype}'
        '<GIFTI Version="1.0" NumberOfDataArrays="1"><MetaData/><LabelTable/>'
        '<DataArray Intent="NIFTI_INTENT_NONE" DataType="NIFTI_TYPE_FLOAT32" '
        f'ArrayIndexingOrder="RowMajorOrder" Dimensionality="1" Dim0="{len(VALUES)}" '
        f'Encoding="ExternalFileBinary" Endian="LittleEndian" {attribute} '
        'ExternalFileOffset="0"><MetaData/><Data></Data></DataArray></GIFTI>'
    ).encode(encoding)


def hostile(folder):
    """Ways to name a file elsewhere, all of which nibabel follows."""
    secret = str(folder / 'secret.bin')
    coded = secret.replace('/', '&#47;')
    attlist = f'<!DOCTYPE GIFTI [<!ATTLIST DataArray ExternalFileName CDATA "{secret}">]>'
    return {
        'plain': external(secret),
        'up': external('../secret.bin'),
        'deep': external('x/../../secret.bin'),
        'decimal': external(coded),
        'hexadecimal': external('..&#x2F;secret.bin'),
        'utf-16': external(secret, encoding='UTF-16'),
        'latin-1': external(secret, encoding='ISO-8859-1'),
        'quotes': external('', attribute=f"ExternalFileName\n=\n'{secret}'"),
        'default': external('', attlist, attribute=''),
        'entity': external('&e;', f'<!DOCTYPE GIFTI [<!ENTITY e "{coded}">]>'),
        'bomb': external('a.dat', '<!DOCTYPE GIFTI [<!ENTITY a "b"><!ENTITY c "&a;&a;&a;&a;">]>'),
        'system': external('a.dat', '<!DOCTYPE GIFTI [<!ENTITY e SYSTEM "/etc/hostname">]>'),
        'parameter': external('a.dat', '<!DOCTYPE GIFTI [<!ENTITY % e SYSTEM "e.dtd">]>'),
    }


READERS = {
    'open': open_gifti,
    'data': load_gifti,
    'mesh': read_mesh,
    'surface': read_surface,
    'areas': lambda path: read_areas(str(path), MESH, path),
}


@pytest.mark.parametrize('reader', READERS)
def test_no_file_elsewhere_is_read(tmp_path, reader, monkeypatch):
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in' / 'x').mkdir()
    VALUES.tofile(tmp_path / 'secret.bin')
    VALUES.tofile(tmp_path / 'in' / 'a.dat')
    cases = hostile(tmp_path)
    for case, content in cases.items():
        path = tmp_path / 'in' / f'{case}.surf.gii'
        path.write_bytes(content)
        # The file is one that nibabel would open: it is refused for what it names.
        np.testing.assert_array_equal(nb.load(path).darrays[0].data, VALUES)
    # Refused before nibabel opens anything.
    monkeypatch.setattr(nb, 'load', None)
    for case in cases:
        path = tmp_path / 'in' / f'{case}.surf.gii'
        message = 'keeps its data in a file elsewhere|declares the XML entity'
        with pytest.raises(InputError, match=message) as caught:
            READERS[reader](path)
        assert str(caught.value).startswith(f'{path} ')


def test_a_file_beside_is_read(tmp_path):
    VALUES.astype('<f4').tofile(tmp_path / 'a.dat')
    for name, doctype in (('a.dat', ''), ('a.dat', DTD), ('&#97;.dat', DTD)):
        path = tmp_path / 'a.shape.gii'
        path.write_bytes(external(name, doctype))
        np.testing.assert_array_equal(load_gifti(path)[0], VALUES[None])
        np.testing.assert_array_equal(read_areas(str(path), MESH, path), VALUES)


@pytest.mark.parametrize('name', ['..', '.', 'folder'])
def test_a_folder_is_no_file_beside(tmp_path, name):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'a.gii').write_bytes(external(name))
    with pytest.raises(InputError, match='keeps its data in a file elsewhere'):
        load_gifti(tmp_path / 'a.gii')


def test_a_file_beside_that_is_missing(tmp_path):
    (tmp_path / 'a.gii').write_bytes(external('b.dat'))
    with pytest.raises(InputError, match=r'cannot be read as a GIFTI file: .*b\.dat'):
        load_gifti(tmp_path / 'a.gii')


def test_the_usual_document_type_is_no_reason_to_refuse(tmp_path):
    path = write_surface(tmp_path / 'a.surf.gii', MESH, LEFT)
    start, gifti, rest = path.read_text().partition('<GIFTI')
    for doctype in ('', DTD, DTD.replace('">', '" [\n]>'), '<!DOCTYPE GIFTI>'):
        path.write_text(start.split('<!DOCTYPE')[0] + doctype + gifti + rest)
        np.testing.assert_array_equal(read_surface(path)[0].triangles, MESH.triangles)


def test_what_is_no_gifti_file_is_named(tmp_path):
    path = save_gifti(tmp_path / 'a.gii', [VALUES])
    packed = tmp_path / 'a.gii.gz'
    packed.write_bytes(gzip.compress(path.read_bytes()))
    (tmp_path / 'a.txt').write_bytes(path.read_bytes())
    for name, message in (
        ('none.gii', 'none.gii does not exist'),
        ('a.gii.gz', 'cannot be read as areas: not well-formed'),
        ('a.txt', 'cannot be read as areas'),
    ):
        with pytest.raises(InputError, match=message):
            open_gifti(tmp_path / name, 'areas')
