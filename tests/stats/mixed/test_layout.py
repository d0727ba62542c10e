import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.stats.mixed.layout import lay_out
from tests.stats.mixed.dense import random_rows


def test_participants_with_the_same_visits_are_together():
    X = np.column_stack([np.ones(7), [3, 1, 4, 1, 5, 9, 2.0]])
    layout = lay_out(X, [5, 5, 7, 8, 8, 9, 9], [0, 2, 1, 0, 2, 2, 1], 3)
    assert layout.n_subjects == 4
    assert layout.observed.tolist() == [[0, 1, 0], [0, 1, 1], [1, 0, 1]]
    assert layout.counts.tolist() == [1, 1, 2]
    assert layout.grid.tolist() == [[-1, 2, -1], [-1, 6, 5], [0, -1, 1], [3, -1, 4]]


def test_sums_are_those_over_participants():
    y, X, subject, visit = random_rows(3)
    layout = lay_out(X, subject, visit, 4)
    sums = layout.with_response(y)
    Q = layout.orthonormal
    np.testing.assert_allclose(Q.T @ Q, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(Q, X @ layout.to_given, atol=1e-14)
    assert layout.log_det == pytest.approx(np.linalg.slogdet(X.T @ X)[1])
    for row, (number, a, b) in zip(sums, zip(*layout.cells, strict=True), strict=True):
        expected = np.zeros((4, 4))
        for person in np.unique(subject):
            mine = subject == person
            if set(visit[mine]) == set(np.flatnonzero(layout.observed[number])):
                Z = np.column_stack([Q, y])[mine]
                left, right = Z[visit[mine] == a][0], Z[visit[mine] == b][0]
                expected += np.outer(left, right)
                expected += np.outer(right, left) if a < b else 0
        np.testing.assert_allclose(row[:9].reshape(3, 3), expected[:3, :3], atol=1e-13)
        np.testing.assert_allclose(row[9:12], expected[3, :3], atol=1e-13)
        assert row[12] == pytest.approx(expected[3, 3], abs=1e-13)


@pytest.mark.parametrize(
    ('X', 'subject', 'visit', 'message'),
    [
        (np.ones((4, 1)), [0, 0, 1, 0], [0, 1, 1, 1], 'Rows 2 and 4 are the same visit'),
        (np.eye(2), [0, 1], [0, 1], '2 rows are not enough for 2 coefficients: at least 3'),
        (np.ones((4, 3)), [0, 0, 1, 1], [0, 1, 0, 1], 'combinations of the columns .*: 2, 3'),
        (np.zeros((4, 1)), [0, 0, 1, 1], [0, 1, 0, 1], 'constant 0 .*: 1'),
        (np.ones((4, 1)), [0, 0, 1, 1], [0, 2, 0, 1], 'Visits must be numbers from 0 to 1'),
        (np.ones((4, 1)), [0, 0, 1, 1], [0, -1, 0, 1], 'Visits must be numbers from 0 to 1'),
    ],
)
def test_rows_that_cannot_be_laid_out_are_named(X, subject, visit, message):
    with pytest.raises(InputError, match=message):
        lay_out(X, subject, visit, 2)
