"""Metadata by BIDS inheritance."""

import json
import re

import pytest

from ketbids.errors import InputError
from ketbids.io.raw.sidecars import Sidecars, sidecar_path

FUNC = 'sub-01/ses-TP1/func'
IMAGE = f'{FUNC}/sub-01_ses-TP1_task-carit_dir-PA_run-1_bold.nii.gz'


def write(root, name, **content):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def value(root, key='RepetitionTime', image=IMAGE):
    return Sidecars(root).value(root / image, key)


def test_the_sidecar_of_the_image(tmp_path):
    path = write(tmp_path, IMAGE.replace('.nii.gz', '.json'), RepetitionTime=0.8, Other=None)
    assert value(tmp_path) == (0.8, path)
    assert value(tmp_path, 'Other') is None
    assert value(tmp_path, 'EchoTime') is None
    assert sidecar_path(tmp_path / IMAGE) == path


def test_the_nearer_file_wins(tmp_path):
    names = [
        'task-carit_bold.json',
        'sub-01/sub-01_task-carit_bold.json',
        'sub-01/ses-TP1/sub-01_ses-TP1_task-carit_bold.json',
        f'{FUNC}/sub-01_ses-TP1_task-carit_bold.json',
        f'{FUNC}/sub-01_ses-TP1_task-carit_dir-PA_bold.json',
    ]
    for i, name in enumerate(names):
        path = write(tmp_path, name, RepetitionTime=i + 1, **{f'Key{i}': i})
        assert value(tmp_path) == (i + 1, path)
    assert value(tmp_path, 'Key0') == (0, tmp_path / names[0])
    assert Sidecars(tmp_path).files(tmp_path / IMAGE) == tuple(
        tmp_path / name for name in reversed(names)
    )


@pytest.mark.parametrize(
    'name',
    [
        'task-rest_bold.json',
        'task-carit_sbref.json',
        'task-carit_run-2_bold.json',
        'acq-x_task-carit_bold.json',
        f'{FUNC}/._task-carit_bold.json',
        'sub-01/ses-TP2/task-carit_bold.json',
    ],
)
def test_files_that_do_not_hold(tmp_path, name):
    (tmp_path / FUNC).mkdir(parents=True)
    write(tmp_path, name, RepetitionTime=1)
    assert value(tmp_path) is None


def test_above_the_dataset_nothing_is_read(tmp_path):
    write(tmp_path, 'task-carit_bold.json', RepetitionTime=1)
    assert value(tmp_path / 'data') is None


def test_null_takes_back_what_is_inherited(tmp_path):
    write(tmp_path, 'task-carit_bold.json', RepetitionTime=1)
    write(tmp_path, IMAGE.replace('.nii.gz', '.json'), RepetitionTime=None)
    assert value(tmp_path) is None


def test_files_that_contradict_each_other(tmp_path):
    one = write(tmp_path, 'dir-PA_bold.json', RepetitionTime=1, EchoTime=1)
    other = write(tmp_path, 'task-carit_bold.json', RepetitionTime=2, EchoTime=1)
    message = f'{other} and {one} both hold for {IMAGE.rpartition("/")[2]}, and contradict'
    with pytest.raises(InputError, match=re.escape(message) + '.* RepetitionTime'):
        value(tmp_path)
    assert value(tmp_path, 'EchoTime') == (1, other)
    nearer = write(tmp_path, IMAGE.replace('.nii.gz', '.json'), RepetitionTime=3)
    assert value(tmp_path) == (3, nearer)


def test_broken_files_are_named_each_time(tmp_path):
    path = write(tmp_path, 'task-carit_bold.json')
    path.write_text('{"RepetitionTime": 1,}')
    sidecars = Sidecars(tmp_path)
    for _ in range(2):
        with pytest.raises(InputError, match=re.escape(f'{path} is not valid JSON')):
            sidecars.value(tmp_path / IMAGE, 'RepetitionTime')
