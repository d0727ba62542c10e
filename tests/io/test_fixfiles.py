"""Files of FIX: as it writes them, broken, and hostile."""

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.io.fixfiles import (
    read_classification,
    read_components,
    read_numbers,
    read_surface_metric,
    read_variances,
)
from tests.io.fixtrees import ica_folder, metric


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('1 3 12 ', (1, 3, 12)),
        ('1, 3, 12\n', (1, 3, 12)),
        ('[1, 3, 12]\n', (1, 3, 12)),
        ('12\n3\n\n1\n3\n', (1, 3, 12)),
        ('\ufeff1\r\n2\r\n', (1, 2)),
        ('[]\n', ()),
        ('', ()),
    ],
)
def test_lists_of_components(tmp_path, text, expected):
    path = tmp_path / '.fix'
    path.write_text(text, newline='')
    assert read_numbers(path) == expected


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'1 2\n3 x$(id)', r"line 2: 'x\$\(id\)' is not the number of a component"),
        (b'0', "line 1: '0' is not"),
        (b'-1', "'-1' is not"),
        (b'1.5', "'1.5' is not"),
        ('٣'.encode(), 'is not the number'),
        (b'1' * 5000, 'is not the number'),
        (b'\xff\xfe1', 'is not text'),
        (b'1 ' * (1 << 22), 'is too large'),
    ],
)
def test_what_is_no_list(tmp_path, content, message):
    path = tmp_path / 'Noise.txt'
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_numbers(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 200


def test_a_list_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match='does not exist'):
        read_numbers(tmp_path / '.fix')
    with pytest.raises(InputError, match='cannot be read: Is a directory'):
        read_numbers(tmp_path)


OLD = """filtered_func_data.ica
1, Signal, False
2, Unclassified Noise, True
3, Unknown, False
[2]
"""
NEW = """/a/b.ica
1, Signal, False, 0.77
2, Unclassified Noise, True, 0.04
3, Unclassified Noise, True, 0.01
[2, 3]
"""


@pytest.mark.parametrize(('text', 'noise'), [(OLD, (2,)), (NEW, (2, 3))])
def test_classes_of_older_and_newer_fix(tmp_path, text, noise):
    path = tmp_path / 'fix4melview_X_thr10.txt'
    path.write_text(text)
    found = read_classification(path)
    assert found.noise == noise
    assert found.labels[:2] == ('Signal', 'Unclassified Noise')
    assert len(found.labels) == 3


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'last line is not the list'),
        (NEW.rpartition('[')[0], 'last line is not the list'),
        (NEW.replace('[2, 3]', '[2]'), 'other noise components'),
        (NEW.replace('3, Unc', '4, Unc'), 'line 4: component 4 stands where 3 must be'),
        (NEW.replace('True, 0.04', 'maybe'), "line 3: '2, Unclassified Noise, maybe' is not"),
        (NEW.replace('1, Signal', 'x, Signal'), "line 2: 'x' is not the number"),
    ],
)
def test_broken_classes(tmp_path, text, message):
    path = tmp_path / 'fix4melview_X_thr10.txt'
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_classification(path)


def test_variances(tmp_path):
    path = tmp_path / 'melodic_ICstats'
    path.write_text('50.5  20.25  3.1  -2\n49.5 10 1 -1\n')
    np.testing.assert_array_equal(read_variances(path), [[50.5, 20.25], [49.5, 10]])


@pytest.mark.parametrize('text', ['', '\n', '1', '1 x', '1 nan', '-1 2', '1 200', '1 inf'])
def test_no_variances(tmp_path, text):
    path = tmp_path / 'melodic_ICstats'
    path.write_text(text)
    with pytest.raises(InputError, match='melodic_ICstats'):
        read_variances(path)


def test_components_as_fix_left_them(tmp_path):
    found = read_components(ica_folder(tmp_path / 'a.ica', n=4, noise=(1, 3)), 10)
    assert (found.number, found.noise, found.applied) == (4, (1, 3), None)
    assert (found.as_noise, found.as_signal, found.training) == ((), (), 'HCP_Style')
    assert found.percent.shape == (4, 2)


@pytest.mark.parametrize(
    ('hand', 'removed', 'applied'),
    [(None, (1, 3), False), ((1, 3), (1, 3), False), ((1, 4), (1, 4), True)],
)
def test_components_reclassified_by_hand(tmp_path, hand, removed, applied):
    ica = ica_folder(
        tmp_path / 'a.ica', n=4, noise=(1, 3), as_noise=(4,), as_signal=(3,), hand=hand
    )
    found = read_components(ica, 10)
    assert (found.as_noise, found.as_signal) == ((4,), (3,))
    assert (found.noise, found.applied) == (removed, applied)


def test_labels_that_were_withdrawn(tmp_path):
    ica = ica_folder(tmp_path / 'a.ica', n=4, noise=(1, 3), hand=(1,))
    assert read_components(ica, 10).applied is False


@pytest.mark.parametrize('name', ['.fix', 'Noise.txt'])
def test_the_table_of_fix_does_where_the_lists_are_missing(tmp_path, name):
    ica = ica_folder(tmp_path / 'a.ica', n=4, noise=(1, 3))
    (ica / name).unlink()
    assert read_components(ica, 10).noise == (1, 3)
    for other in ('.fix', 'Noise.txt'):
        (ica / other).unlink(missing_ok=True)
    assert read_components(ica, 10).noise == (1, 3)
    with pytest.raises(InputError, match=r'no list of noise components .*fix4melview_\*_thr20'):
        read_components(ica, 20)


def test_without_a_table_of_variances(tmp_path):
    ica = ica_folder(tmp_path / 'a.ica', n=4, noise=(1, 3))
    (ica / 'filtered_func_data.ica' / 'melodic_ICstats').unlink()
    assert read_components(ica, 10).percent is None


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('.fix', '1 5', r'\.fix: there is no component 5; there are 4'),
        ('HandNoise.txt', '9', r'HandNoise\.txt: there is no component 9'),
        ('filtered_func_data.ica/melodic_ICstats', '1 2\n', 'has 1 components, melodic_mix'),
        ('filtered_func_data.ica/melodic_mix', '', 'does not begin with a line of numbers'),
        ('filtered_func_data.ica/melodic_mix', 'a b c d\n', 'does not begin with a line'),
    ],
)
def test_files_that_do_not_fit_together(tmp_path, name, text, message):
    ica = ica_folder(tmp_path / 'a.ica', n=4, noise=(1, 3))
    (ica / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_components(ica, 10)


def test_a_folder_without_components(tmp_path):
    with pytest.raises(InputError, match='melodic_mix does not exist'):
        read_components(tmp_path, 10)


def test_metrics(tmp_path):
    path = metric(tmp_path / 'L.goodvoxels.func.gii', [0, 0.5, 1])
    np.testing.assert_array_equal(read_surface_metric(path), [0, 0.5, 1])


@pytest.mark.parametrize('values', [[0, np.nan], [[0, 1], [1, 0]], []])
def test_metrics_that_are_none(tmp_path, values):
    path = metric(tmp_path / 'L.func.gii', values)
    with pytest.raises(InputError, match='one finite number for each vertex'):
        read_surface_metric(path)


def test_metrics_that_cannot_be_read(tmp_path):
    path = tmp_path / 'L.func.gii'
    with pytest.raises(InputError, match='does not exist'):
        read_surface_metric(path)
    path.write_text('<!DOCTYPE x [<!ENTITY e "x">]><GIFTI/>')
    with pytest.raises(InputError, match='XML entity'):
        read_surface_metric(path)
    path.write_bytes(b'\0' * 40)
    with pytest.raises(InputError, match='cannot be read as a GIFTI metric file'):
        read_surface_metric(path)
