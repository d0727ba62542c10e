import pytest

from ketbids.errors import InputError
from ketbids.stats.noisemodels import model_order


@pytest.mark.parametrize(('text', 'order'), [('ols', 0), ('ar1', 1), ('ar6', 6), ('ar12', 12)])
def test_order_of_a_noise_model(text, order):
    assert model_order(text) == order


@pytest.mark.parametrize('text', ['ar0', 'ar', 'AR6', 'film', 'ar21', 'ar100', 'ar6 '])
def test_other_noise_models(text):
    with pytest.raises(InputError, match='no noise model'):
        model_order(text)
