"""What FIX leaves of a group of runs, and maps of a surface."""

import nibabel as nb
import numpy as np

from tests.io.trees import touch


def ica_folder(
    path, n=4, noise=(1, 3), *, as_noise=(), as_signal=(), hand=None, training='HCP_Style'
):
    """The folder of the components, with the lists and tables of FIX and PostFix."""
    noisy = [number in noise for number in range(1, n + 1)]
    rows = [
        f'{k}, {"Unclassified Noise" if bad else "Signal"}, {bad}'
        for k, bad in enumerate(noisy, 1)
    ]
    listed = ', '.join(map(str, noise))
    texts = {
        f'fix4melview_{training}_thr10.txt': '\n'.join(['x.ica', *rows, f'[{listed}]']) + '\n',
        '.fix': ' '.join(map(str, noise)) + ' ',
        'Noise.txt': ' '.join(map(str, noise)) + '\n',
        'Signal.txt': ' '.join(str(k) for k, bad in enumerate(noisy, 1) if not bad) + '\n',
        'ReclassifyAsNoise.txt': '\n'.join(map(str, as_noise)),
        'ReclassifyAsSignal.txt': '\n'.join(map(str, as_signal)),
        'filtered_func_data.ica/melodic_mix': ('  0.5' * n + '\n') * 3,
        'filtered_func_data.ica/melodic_ICstats': f'{100 / n}  {40 / n}  1 -1\n' * n,
    }
    if hand is not None:
        texts['HandNoise.txt'] = ' '.join(map(str, hand)) + '\n'
    for name, text in texts.items():
        touch(path / name).write_text(text)
    return path


def metric(path, values):
    """A map of a surface."""
    touch(path)
    array = nb.gifti.GiftiDataArray(np.asarray(values, np.float32), intent='NIFTI_INTENT_SHAPE')
    nb.save(nb.GiftiImage(darrays=[array]), path)
    return path
