"""A brain, a sample and its planted model, made once."""

import pytest

from ketbids.demo.brain import Brain, small_brain
from ketbids.demo.sample import Sample, draw_sample
from ketbids.demo.truth import Planted, plant

SEED = 5


@pytest.fixture(scope='session')
def brain() -> Brain:
    return small_brain()


@pytest.fixture(scope='session')
def sample() -> Sample:
    return draw_sample(24, SEED)


@pytest.fixture(scope='session')
def planted(brain: Brain, sample: Sample) -> Planted:
    return plant(brain, sample, SEED)
