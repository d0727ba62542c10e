#!PYTHON
"""Takes film_gls's arguments and writes its files, from a least-squares fit.

What it shares with film_gls: series lose their mean, the design does not; a voxel is fitted if its
mean is above the threshold and it varies; along a surface every vertex is fitted, and a constant
one spoils the rest; a folder of results that is there already is not used.
"""

import json
import os
import sys
from pathlib import Path

import nibabel as nb
import numpy as np


def vest(path):
    head, _, body = Path(path).read_text().partition('/Matrix')
    sizes = dict(line.split(None, 1) for line in head.splitlines() if line.strip())
    rows = int(sizes.get('/NumPoints') or sizes['/NumContrasts'])
    return np.array(body.split(), float).reshape(rows, int(sizes['/NumWaves']))


given = dict(word.lstrip('-').partition('=')[::2] for word in sys.argv[1:])
unknown = set(given) - {'rn', 'sa', 'ms', 'epith', 'in', 'in2', 'pd', 'con', 'thr', 'mode'}
if unknown:
    sys.exit(f'Part of FSL (stand-in)\n{sorted(unknown)[0]}: Option does not exist!')
out = Path(given['rn'])
while out.exists():
    out = out.with_name(out.name + '+')
out.mkdir()
Path(f'{out.name}_argv.json').write_text(json.dumps([sys.argv, os.environ['FSLOUTPUTTYPE']]))
surface = given['mode'] == 'surface'
image = nb.load(given['in'])
if surface:
    data = np.stack([np.ravel(array.data) for array in image.darrays]).astype(float)
    mesh = nb.load(given['in2']).darrays[0].data
    if len(mesh) != data.shape[1] or not np.ptp(data, axis=0).all():
        sys.exit('Uncaught exception!')
    chosen = np.ones(data.shape[1], bool)
else:
    data = np.moveaxis(image.get_fdata(), -1, 0).reshape(image.shape[-1], -1)
    chosen = (data.mean(axis=0) > float(given['thr'])) & (data.var(axis=0) > 1e-10)
design, contrasts = vest(given['pd']), vest(given['con'])
inverse = np.linalg.pinv(design.T @ design)
y = (data - data.mean(axis=0))[:, chosen]
beta = inverse @ design.T @ y
df = len(design) - design.shape[1]
sigma = ((y - design @ beta) ** 2).sum(axis=0) / df
residuals = np.zeros((len(design), len(chosen)), np.float32)
residuals[:, chosen] = y - design @ beta
if surface:
    arrays = [nb.gifti.GiftiDataArray(row, 'NIFTI_INTENT_NONE') for row in residuals]
    nb.save(nb.GiftiImage(darrays=arrays), out / 'res4d.func.gii')
else:
    saved = nb.Nifti1Image(residuals.T.reshape(image.shape), image.affine)
    nb.save(saved, out / 'res4d.nii.gz')
for number, contrast in enumerate(contrasts, 1):
    found = {'cope': contrast @ beta, 'varcope': sigma * (contrast @ inverse @ contrast)}
    for kind, values in found.items():
        whole = np.zeros(len(chosen), np.float32)
        whole[chosen] = values
        if surface:
            array = nb.gifti.GiftiDataArray(whole, 'NIFTI_INTENT_ESTIMATE')
            nb.save(nb.GiftiImage(darrays=[array]), out / f'{kind}{number}.func.gii')
        else:
            saved = nb.Nifti1Image(whole.reshape(image.shape[:3]), image.affine)
            nb.save(saved, out / f'{kind}{number}.nii.gz')
(out / 'dof').write_text(f'{df}\n')
