import gzip
import json
import os
import shutil
import time

import nibabel as nb
import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.io.stages import broken, content_stamp, read_record, write_record


def _image(path, shape=(6, 7, 8), kind=nb.Nifti1Image):
    data = np.random.default_rng(1).normal(size=shape).astype('f4')
    nb.save(kind(data, np.eye(4)), path)
    return path


def _cut(path, share=0.5):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


@pytest.mark.parametrize('name', ['a.nii', 'a.nii.gz', 'a.mgz', 'a.gii', 'a.txt', 'lh.white'])
def test_missing_and_empty_files_are_broken(tmp_path, name):
    assert broken(tmp_path / name) == 'it is missing'
    (tmp_path / name).touch()
    assert broken(tmp_path / name) == 'it is empty'


@pytest.mark.parametrize('share', [0.05, 0.5, 0.95])
@pytest.mark.parametrize('name', ['a.nii', 'a.nii.gz'])
@pytest.mark.parametrize('kind', [nb.Nifti1Image, nb.Nifti2Image])
def test_a_cut_image_is_told_from_a_whole_one(tmp_path, name, kind, share):
    path = _image(tmp_path / name, kind=kind)
    assert broken(path) is None
    assert broken(_cut(path, share)) == 'it is cut off'


def test_a_compressed_image_that_misses_its_last_bytes_is_broken(tmp_path):
    path = _image(tmp_path / 'a.nii.gz', (30, 30, 30))
    path.write_bytes(path.read_bytes()[:-1])
    assert broken(path) == 'it is cut off'


def test_a_compressed_image_with_less_data_than_its_header_says_is_broken(tmp_path):
    plain = _image(tmp_path / 'a.nii')
    path = tmp_path / 'b.nii.gz'
    path.write_bytes(gzip.compress(plain.read_bytes()[:-400]))
    assert broken(path) == 'it is cut off'


def test_several_compressed_parts_are_whole(tmp_path):
    content = _image(tmp_path / 'a.nii').read_bytes()
    path = tmp_path / 'b.nii.gz'
    path.write_bytes(gzip.compress(content[:700]) + gzip.compress(content[700:]))
    assert broken(path) is None
    assert broken(_cut(path, 0.9)) == 'it is cut off'


def test_cifti_is_judged_by_its_header(tmp_path):
    axis = nb.cifti2.ScalarAxis(['map'])
    models = nb.cifti2.BrainModelAxis.from_mask(np.ones(500), 'CortexLeft')
    image = nb.Cifti2Image(np.ones((1, 500), 'f4'), (axis, models))
    path = tmp_path / 'a.dscalar.nii'
    nb.save(image, path)
    assert broken(path) is None
    path.write_bytes(path.read_bytes()[:-4])
    assert broken(path) == 'it is cut off'


def test_volumes_of_freesurfer_may_have_tags_behind_the_data(tmp_path):
    path = tmp_path / 'a.mgz'
    nb.save(nb.MGHImage(np.ones((9, 8, 7), 'f4'), np.eye(4)), path)
    assert broken(path) is None
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b'tags' * 100))
    assert broken(path) is None
    assert broken(_cut(path)) == 'it is cut off'


@pytest.mark.parametrize('name', ['a.nii', 'a.nii.gz', 'a.mgz'])
def test_what_is_no_image_is_broken(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b'this is a text, and not an image of any kind' * 20)
    assert broken(path) == 'it is cut off'


def test_xml_must_end(tmp_path):
    path = tmp_path / 'a.surf.gii'
    path.write_text('<?xml version="1.0"?><GIFTI><DataArray/></GIFTI>\n')
    assert broken(path) is None
    path.write_text('<?xml version="1.0"?><GIFTI><DataArray/>')
    assert broken(path) == 'it is cut off'


def test_zeros_at_the_end_of_text_are_left_by_a_power_cut(tmp_path):
    path = tmp_path / 'Movement_Regressors.txt'
    path.write_bytes(b'0.1 0.2\n')
    assert broken(path) is None
    path.write_bytes(b'0.1 0.2\n' + b'\0' * 100)
    assert broken(path) == 'it holds zeros instead of text'


def test_a_folder_must_not_be_empty(tmp_path):
    assert broken(tmp_path) == 'it is an empty folder'
    (tmp_path / 'a').touch()
    assert broken(tmp_path) is None


def test_the_stamp_follows_the_content_and_not_the_file(tmp_path):
    first, second = tmp_path / 'a', tmp_path / 'b'
    first.write_bytes(os.urandom(200_000))
    shutil.copy(first, second)
    os.utime(second, (1, 1))
    assert content_stamp(first) == content_stamp(second)
    assert content_stamp(first).startswith('200000-')
    changed = bytearray(first.read_bytes())
    changed[-1] ^= 1
    second.write_bytes(changed)
    assert content_stamp(first) != content_stamp(second)
    changed[-1] ^= 1
    changed[0] ^= 1
    second.write_bytes(changed)
    assert content_stamp(first) != content_stamp(second)


@pytest.mark.parametrize('megabytes', [1, 15, 40])
def test_the_stamp_notices_that_a_face_was_removed(tmp_path, megabytes):
    path = tmp_path / 'T1w.nii'
    rows = np.random.default_rng(0).integers(1, 255, (megabytes * 16, 65536), dtype=np.uint8)
    rows[-1, 30000:] = 0
    path.write_bytes(rows.tobytes())
    whole = content_stamp(path)
    assert content_stamp(path) == whole
    start = len(rows) // 3
    rows[start : start + max(1, len(rows) // 20), 20000:60000] = 0
    path.write_bytes(rows.tobytes())
    assert content_stamp(path) != whole


def test_every_byte_of_a_small_file_counts(tmp_path):
    path = tmp_path / 'T1w.nii'
    content = bytearray(os.urandom(300_000))
    stamps = set()
    for place in (0, 65535, 65536, 150_000, 262_143, 299_999):
        content[place] ^= 1
        path.write_bytes(content)
        stamps.add(content_stamp(path))
        content[place] ^= 1
    assert len(stamps) == 6


def test_of_large_files_only_samples_are_read(tmp_path):
    path = tmp_path / 'bold.nii'
    with path.open('wb') as file:
        file.truncate(20_000_000_000)  # a file of holes takes no room
    started = time.perf_counter()
    assert content_stamp(path).startswith('20000000000-')
    assert time.perf_counter() - started < 2


def test_the_stamp_of_a_compressed_file_needs_only_its_checksum(tmp_path):
    content = bytearray(os.urandom(1_000_000))
    path = tmp_path / 'a.nii.gz'
    path.write_bytes(gzip.compress(content, mtime=0))
    whole, size = content_stamp(path), path.stat().st_size
    content[500_000] ^= 1
    path.write_bytes(gzip.compress(content, mtime=0))
    assert path.stat().st_size == size
    assert content_stamp(path) != whole


def test_a_stamp_needs_the_file(tmp_path):
    with pytest.raises(InputError, match=r'image\.nii\.gz cannot be used: No such file'):
        content_stamp(tmp_path / 'image.nii.gz')


def _record(path, **changes):
    values = {'mark': {'t1w': ['x']}, 'after': {}, 'version': 'v5.0.0', 'command': 'script'}
    return write_record(path, outputs=[path.parent / 'T1w' / 'a.nii.gz'], **{**values, **changes})


def test_a_record_is_read_as_it_was_written(tmp_path):
    path = tmp_path / 'deep' / 'PreFreeSurfer.json'
    written = _record(path)
    assert read_record(path) == written
    assert written.outputs == ('T1w/a.nii.gz',)
    assert len(written.token) == 32
    assert _record(path).token != written.token
    assert [item.name for item in path.parent.iterdir()] == ['PreFreeSurfer.json']


def test_a_record_says_the_versions_of_programs(tmp_path):
    path = tmp_path / 'PreFreeSurfer.json'
    _record(path, programs={'FSL': '6.0.7.1'})
    assert read_record(path).programs == {'FSL': '6.0.7.1'}
    content = json.loads(path.read_text())
    assert content['Programs'] == {'FSL': '6.0.7.1'}
    del content['Programs']  # as earlier versions wrote it
    path.write_text(json.dumps(content))
    assert read_record(path).programs == {}
    path.write_text(json.dumps({**content, 'Programs': 'x'}))
    assert read_record(path) is None


@pytest.mark.parametrize('content', ['', '{', '[]', '{"Mark": {}}', '{"Mark": 1, "Token": 2}'])
def test_what_is_no_record_counts_as_none(tmp_path, content):
    path = tmp_path / 'record.json'
    assert read_record(path) is None
    path.write_text(content)
    assert read_record(path) is None
