"""ketbids-palm against PALM itself, where it is at hand: the same command, the same shuffles."""

import os
import re
import shutil
import subprocess

import nibabel as nb
import numpy as np
import pytest

from ketbids.cli.palm import main

N = 12
#: Vertices and triangles of an octahedron, divided twice below.
CORNERS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
FACES = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]


@pytest.fixture(scope='module')
def palm():
    found = os.environ.get('KETBIDS_PALM') or shutil.which('palm')
    if not found or not shutil.which('octave-cli'):
        pytest.skip('PALM (KETBIDS_PALM or palm on PATH) or octave-cli is absent')
    return found


def divided(points, faces):
    """Each triangle as four, on the sphere."""
    points, middle, finer = list(map(tuple, points)), {}, []

    def between(a, b):
        key = (min(a, b), max(a, b))
        if key not in middle:
            point = np.add(points[a], points[b])
            points.append(tuple(point / np.linalg.norm(point)))
            middle[key] = len(points) - 1
        return middle[key]

    for a, b, c in faces:
        ab, bc, ca = between(a, b), between(b, c), between(c, a)
        finer += [[a, ab, ca], [b, bc, ab], [c, ca, bc], [ab, bc, ca]]
    return np.array(points), finer


def save_csv(path, rows):
    np.savetxt(path, np.atleast_2d(rows), delimiter=',', fmt='%.17g')


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    """Inputs of 12 observations: a volume, two surfaces, a table; designs of several kinds."""
    folder = tmp_path_factory.mktemp('study')
    rng = np.random.default_rng(20)
    volume = rng.standard_normal((7, 6, 5, N))
    volume = volume + np.roll(volume, 1, 0) + np.roll(volume, 1, 1) + np.roll(volume, 1, 2)
    volume[:3, ..., :4] += 1.5
    volume[0, 0] = 0
    nb.save(nb.Nifti1Image(volume, np.eye(4)), folder / 'V.nii')
    nb.save(nb.Nifti1Image((volume[..., 0] > -1).astype('i2'), np.eye(4)), folder / 'M.nii')
    points, faces = divided(*divided(CORNERS, FACES))
    for side in 'LR':
        data = rng.standard_normal((len(points), N)) * 0.5 + rng.standard_normal((1, N))
        data += points[:, :1] @ rng.standard_normal((1, N)) * 2
        # With nothing outside the mask PALM gives maps that are all negative a TFCE below 0.
        data[5] = 0
        nb.save(nb.Nifti1Image(data[:, None, None], np.eye(4)), folder / f'{side}.nii')
    lines = ['#!ascii', f'{len(points)} {len(faces)}']
    lines += [f'{x} {y} {z} 0' for x, y, z in points.tolist()]
    lines += [f'{a} {b} {c} 0' for a, b, c in faces]
    (folder / 'mesh.srf').write_text('\n'.join(lines) + '\n')
    save_csv(folder / 'table.csv', rng.standard_normal((N, 5)))
    group = np.repeat(np.arange(3), 4)
    covariate = rng.standard_normal(N)
    save_csv(folder / 'three.csv', np.column_stack([np.eye(3)[group], covariate]))
    save_csv(folder / 'three_t.csv', [[1, -1, 0, 0], [0, 1, -1, 0]])
    save_csv(folder / 'both_f.csv', [[1, 1]])
    save_csv(folder / 'two.csv', np.column_stack([np.eye(2)[(group > 0) * 1], covariate]))
    save_csv(folder / 'two_t.csv', [[1, -1, 0], [-1, 1, 0], [0, 0, 1]])
    save_csv(folder / 'slope.csv', np.column_stack([np.ones(N), covariate]))
    save_csv(folder / 'slope_t.csv', [[0, 1]])
    save_csv(folder / 'one.csv', np.column_stack([np.ones(N), covariate - covariate.mean()]))
    save_csv(folder / 'one_t.csv', [[1, 0]])
    save_csv(folder / 'group.csv', (group + 1)[:, None])
    save_csv(folder / 'pair.csv', np.repeat(np.arange(6), 2)[:, None] + 1)
    paired = np.column_stack([np.tile([1, -1], 6), np.eye(6)[np.repeat(np.arange(6), 2)]])
    save_csv(folder / 'paired.csv', paired)
    save_csv(folder / 'paired_t.csv', [[1, 0, 0, 0, 0, 0, 0]])
    between = np.repeat([1, 1, 1, 0, 0, 0], 2)
    save_csv(folder / 'blocks.csv', np.column_stack([between, 1 - between]))
    save_csv(folder / 'blocks_t.csv', [[1, -1]])
    tree = np.column_stack([np.ones(N), np.repeat([-1, -2, -3], 4), np.tile([1, 1, 2, 2], 3)])
    save_csv(folder / 'tree.csv', np.column_stack([tree, np.arange(N) + 1]))
    return folder


CALLS = {
    'F and G': '-i V.nii -d three.csv -t three_t.csv -f both_f.csv -vg group.csv -T',
    'F': '-i V.nii -d three.csv -t three_t.csv -f both_f.csv -T -saveparametric -savedof -fdr BH',
    'v': '-i V.nii -d two.csv -t two_t.csv -vg group.csv -savedof -saveparametric -saveglm',
    'v, two-tailed': '-i V.nii -d two.csv -t two_t.csv -vg group.csv -twotail -zstat -T',
    'contrasts': '-i V.nii -i L.nii -d two.csv -t two_t.csv -corrmod -corrcon -fdr',
    'demeaned': '-i V.nii -d slope.csv -t slope_t.csv -demean -saveglm -savedof',
    'demeaned groups': '-i V.nii -d three.csv -t three_t.csv -demean -vg group.csv -savedof',
    't and F together': '-i V.nii -d three.csv -t three_t.csv -f both_f.csv -corrcon -savedof',
    'masked': '-i V.nii -m M.nii -d slope.csv -t slope_t.csv -T',
    'tail': '-i V.nii -d one.csv -t one_t.csv -ise -T -accel tail',
    'tail, logp': '-i V.nii -d one.csv -t one_t.csv -ise -accel tail -nouncorrected -logp',
    'both shuffles': '-i table.csv -d slope.csv -t slope_t.csv -ee -ise',
    'no design': '-i table.csv -i V.nii -corrmod -savemask',
    'whole blocks': '-i V.nii -d blocks.csv -t blocks_t.csv -eb pair.csv -whole -vg auto -T',
    'within and whole': '-i V.nii -d slope.csv -t slope_t.csv -eb pair.csv -within -whole',
    'tree': '-i V.nii -d slope.csv -t slope_t.csv -eb tree.csv',
    'paired': '-i V.nii -d paired.csv -t paired_t.csv -eb pair.csv -twotail -T -tfce_C 26',
    'surfaces': '-i L.nii -i R.nii -s mesh.srf -T -tfce2D -C 1.5 -Cstat mass -corrmod',
    'one surface each': '-i L.nii -i R.nii -s mesh.srf 2 -s mesh.srf -T -C 2 -d one.csv '
    '-t one_t.csv -ise',
    'synchronised': '-i V.nii -d two.csv -t two_t.csv -syncperms -save1-p -C 2',
    'two designs': '-i table.csv -d one.csv -d slope.csv -t one_t.csv -t slope_t.csv -ise',
}


def numbers(path):
    if path.suffix in ('.csv', '.txt'):
        return np.loadtxt(path, delimiter=',', ndmin=1)
    return np.asarray(nb.load(path).dataobj, float).ravel()


@pytest.mark.parametrize('call', CALLS.values(), ids=CALLS)
def test_agrees_with_palm(palm, study, tmp_path, monkeypatch, call):
    monkeypatch.chdir(study)
    theirs, ours = tmp_path / 'theirs', tmp_path / 'ours'
    n_shuffles = 60
    common = f'{call} -n {n_shuffles} -seed 3 -savemax -noniiclass -quiet'.split()
    done = subprocess.run(
        [palm, *common, '-saveperms', '-o', f'{theirs}/x'], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:].decode(errors='replace')
    given = [w for p in sorted(theirs.glob('*permidx.csv')) for w in ('-permidx', str(p))]
    more = ['-n', '0', *given, '-saveperms', '-o', f'{ours}/x', '-threads', '2']
    assert main([*common, *more]) == 0
    expected = {p.name for p in theirs.iterdir()}
    assert {p.name for p in ours.iterdir()} == expected
    two_tailed = '-twotail' in call
    for name in sorted(expected - {'x_elapsed.csv', 'x_palmconfig.txt'}):
        mine, other = numbers(ours / name), numbers(theirs / name)
        if name.startswith('x_dat') and name.endswith('.csv') and '_max' not in name:
            np.testing.assert_allclose(mine, other, atol=1.01e-4, err_msg=name)  # four decimals
        elif re.search(r'_(uncp|m?c?fwep|m?c?fdrp)[_.]', name) and two_tailed:
            assert (np.abs(mine - other) * n_shuffles < 1.01).all(), name  # lost ties
        else:
            np.testing.assert_allclose(mine, other, rtol=1e-8, atol=1e-9, err_msg=name)
