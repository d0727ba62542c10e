#!PYTHON
"""Takes PALM's arguments and writes PALM's files; what it "enhances" is the positive part of t."""

import json
import sys
from pathlib import Path

import nibabel as nb
import numpy as np

argv = sys.argv[1:]
said = [argv[n + 1] for n, word in enumerate(argv) if word == '-i']
out = argv[argv.index('-o') + 1]
Path(f'{out}_argv.json').write_text(json.dumps(sys.argv))
design = np.atleast_2d(np.loadtxt('design.csv', delimiter=',', ndmin=2))
contrasts = np.loadtxt('contrasts.csv', delimiter=',', ndmin=2)
n_maps = len(design)
several = len(said) > 1
for m, name in enumerate(said):
    image = nb.load(name)
    data = np.moveaxis(image.get_fdata(), -1, 0).reshape(n_maps, -1)
    mask = np.ptp(data, axis=0) > 0
    inverse = np.linalg.inv(design.T @ design)
    for c, contrast in enumerate(contrasts):
        maps = []
        for number in range(2**n_maps):
            signs = 1.0 - 2.0 * ((number >> np.arange(n_maps)) & 1)
            flipped = signs[:, None] * data[:, mask]
            beta = np.linalg.lstsq(design, flipped, rcond=None)[0]
            squares = ((flipped - design @ beta) ** 2).sum(axis=0)
            error = squares / (n_maps - design.shape[1]) * (contrast @ inverse @ contrast)
            maps.append(contrast @ beta / np.sqrt(error))
        t = np.array(maps)
        tfce = np.maximum(t, 0)
        found = {
            ('dpv' if '-s' in argv else 'vox') + '_tstat': t[0],
            'tfce_tstat': tfce[0],
            'tfce_tstat_uncp': (tfce >= tfce[0] * (1 - 1e-9)).mean(axis=0),
        }
        end = (f'_m{m + 1}' if several else '') + (f'_c{c + 1}' if len(contrasts) > 1 else '')
        for kind, values in found.items():
            whole = np.zeros(len(mask))
            whole[mask] = values
            saved = nb.Nifti1Image(whole.reshape(image.shape[:3]), image.affine)
            nb.save(saved, f'{out}_{kind}{end}.nii.gz')
        np.savetxt(f'{out}_tfce_tstat_max{end}.csv', tfce.max(axis=1), fmt='%.16g')
Path(f'{out}_elapsed.csv').write_text('1,2,3\n')
