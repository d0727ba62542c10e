"""Random streams by name: a draw is a function of the seed and of what it is for."""

import zlib

import numpy as np

__all__ = ['stream']


def stream(seed: int, *names: object) -> np.random.Generator:
    """Open the random stream of one purpose.

    Parameters
    ----------
    seed : int
        Seed of the study, at least 0.
    *names
        What the numbers are for, such as ``'events', '09', 'TP1'``.

    Returns
    -------
    numpy.random.Generator
        The same for the same arguments, whatever was drawn before and by which process.
    """
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])
