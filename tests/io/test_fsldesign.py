"""Designs, contrasts, F tests, blocks, groups and shuffles."""

from pathlib import Path

import numpy as np
import pytest

from ketbids.errors import InputError, UsageError
from ketbids.io.fsldesign import (
    ContrastFiles,
    default_contrasts,
    pair_contrasts,
    read_blocks,
    read_contrast_set,
    read_contrasts,
    read_design,
    read_ftests,
    read_variance_groups,
)


@pytest.fixture
def put(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_design_and_contrasts(put):
    design = read_design(put('d.csv', '1,0\n0,1\n0,1\n'), 3)
    np.testing.assert_array_equal(design, [[1, 0], [0, 1], [0, 1]])
    contrasts = read_contrasts(put('t.csv', '1,-1\n'), 2)
    np.testing.assert_array_equal(contrasts, [[1, -1]])


def test_f_tests_pick_contrasts_and_come_after_them(put):
    files = ContrastFiles(
        put('t.csv', '1,0,0\n0,0,0\n0,1,0\n0,0,1\n'), put('f.csv', '1,0,1,0\n0,0,1,2\n')
    )
    found, notes = read_contrast_set(files, 3)
    expected = [
        [[1, 0, 0]],
        [[0, 1, 0]],
        [[0, 0, 1]],
        [[1, 0, 0], [0, 1, 0]],
        [[0, 1, 0], [0, 0, 1]],
    ]
    assert [contrast.tolist() for contrast in found] == expected
    assert len(notes) == 1
    assert 'contrast 2 has only weights of 0' in notes[0]


def test_defaults_are_both_directions_or_one_f_test():
    assert [c.tolist() for c in default_contrasts(1)] == [[[1]], [[-1]]]
    assert [c.tolist() for c in default_contrasts(2)] == [[[1, 0], [0, 1]]]


T, F, T2 = Path('t.csv'), Path('f.csv'), Path('t2.csv')


@pytest.mark.parametrize(
    ('options', 'n_designs', 'expected'),
    [
        ([], 2, None),
        ([('-t', T)], 1, [(T, None)]),
        ([('-t', T), ('-f', F)], 3, [(T, F)] * 3),
        ([('-t', T), ('-t', T2), ('-f', F)], 2, [(T, None), (T2, F)]),
    ],
)
def test_contrasts_are_paired_with_designs(options, n_designs, expected):
    assert pair_contrasts(options, n_designs) == expected


@pytest.mark.parametrize(
    ('options', 'n_designs', 'message'),
    [
        ([('-f', F), ('-t', T)], 1, '-f f.csv stands before'),
        ([('-t', T), ('-f', F), ('-f', F)], 1, 'two -f'),
        ([('-t', T)], 0, 'needs a design'),
        ([('-t', T), ('-t', T2)], 1, '2 -t for 1 -d'),
        ([('-t', T), ('-t', T2)], 3, '2 -t for 3 -d'),
    ],
)
def test_contrasts_that_belong_to_no_design(options, n_designs, message):
    with pytest.raises(UsageError, match=message):
        pair_contrasts(options, n_designs)


def test_blocks_and_groups(put):
    np.testing.assert_array_equal(read_blocks(put('a.csv', '1\n1\n2\n'), 3), [[1], [1], [2]])
    np.testing.assert_array_equal(read_blocks(put('b.csv', '1,1,2\n'), 3), [[1], [1], [2]])
    tree = read_blocks(put('c.csv', '-1,1,1\n-1,1,2\n-1,-2,1\n'), 3)
    np.testing.assert_array_equal(tree, [[-1, 1, 1], [-1, 1, 2], [-1, -2, 1]])
    vest = '/NumWaves 1\n/NumPoints 3\n/Matrix\n5\n2\n5\n'
    np.testing.assert_array_equal(read_variance_groups(put('d.grp', vest), 3), [1, 0, 1])


BAD = [
    (read_design, '1\n2\n', 3, 'the design has 2 rows, but the data have 3 observations'),
    (read_design, '1\nInf\n', 2, 'line 2, column 1: Inf cannot be used'),
    (read_contrasts, '1,0\n', 3, 'the contrasts have 2 weights, but the design has 3 columns'),
    (read_ftests, '1,1\n', np.eye(3), '2 columns, but there are 3 t contrasts'),
    (read_ftests, '1,1,0\n0,0,0\n', np.eye(3), 'F test 2 picks no contrast'),
    (read_blocks, '1\n2\n', 3, 'blocks have 2 rows, but the data have 3'),
    (read_blocks, '1\n1.5\n', 2, 'row 2, column 1: 1.5 is no whole number'),
    (read_variance_groups, '1,1\n1,2\n', 2, 'one column of numbers, not 2'),
    (read_variance_groups, '1\n', 2, 'groups have 1 rows'),
]


@pytest.mark.parametrize(('reader', 'text', 'fits', 'message'), BAD)
def test_what_does_not_fit_is_named(put, reader, text, fits, message):
    path = put('x.csv', text)
    with pytest.raises(InputError, match=message) as caught:
        reader(path, fits)
    assert str(path) in str(caught.value)


def test_contrasts_that_are_all_zero(put):
    with pytest.raises(InputError, match='weights of all contrasts are 0'):
        read_contrast_set(ContrastFiles(put('t.csv', '0,0\n'), None), 2)


def test_reference_designs_are_the_same_in_both_formats(shared):
    cases = sorted(path.parent for path in shared.glob('reference/palm/*/inputs/design.mat'))
    assert cases
    for case in cases:
        csv = np.loadtxt(case / 'design.csv', delimiter=',', ndmin=2)
        for name in ('design.csv', 'design.mat'):
            design = read_design(case / name, len(csv))
            # FSL's format has seven digits.
            np.testing.assert_allclose(design, csv, rtol=1e-6 if name.endswith('mat') else 0)
        both = read_contrasts(case / 'con_posneg.csv', csv.shape[1])
        np.testing.assert_allclose(read_contrasts(case / 'design.con', csv.shape[1]), both)
    blocks = shared / 'reference/palm/eb_within_paired_exact/inputs'
    np.testing.assert_array_equal(read_blocks(blocks / 'eb.csv', 16)[:, 0], np.arange(16) // 2 + 1)
    np.testing.assert_array_equal(
        read_blocks(blocks / 'eb.csv', 16), read_blocks(blocks / 'eb.grp', 16)
    )
