"""Tests of segnet/training/weight_averages.py."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.training import weight_averages


@pytest.fixture
def model():
    return tf.keras.Sequential(
        [
            tf.keras.layers.Dense(2, input_shape=(3,), name="dense"),
            tf.keras.layers.BatchNormalization(name="norm"),
        ]
    )


def _fill(model, value):
    for weight in model.variables:
        weight.assign(tf.cast(tf.fill(weight.shape, value), weight.dtype))


def _filled(tensors):
    """The one value of each tensor."""
    return [np.unique(tensor.numpy()).item() for tensor in tensors]


def test_three_updates_by_hand(model):
    kept = weight_averages.WeightAverages(model, decay=0.15)
    expected = 0.0
    # n / (n + 9) of the old average: 0, 1 / 10, 2 / 11; not above the decay.
    for value, decay in ((5.0, 0.0), (3.0, 0.1), (1.0, 0.15)):
        _fill(model, value)
        kept.update()
        expected = decay * expected + (1 - decay) * value
        np.testing.assert_allclose(_filled(kept.values), expected, rtol=1e-6)
    # Kernel, bias, and four of batch norm; not the counter.
    assert len(kept.values) == 6
    assert float(kept.count) == 3


def test_traced_updates_are_the_same(model):
    kept = weight_averages.WeightAverages(model, decay=0.9)
    update = tf.function(kept.update)
    for value in (4.0, 2.0, 8.0):
        _fill(model, value)
        update()
    expected = 0.1 * 4.0 + 0.9 * 2.0
    expected = 2 / 11 * expected + 9 / 11 * 8.0
    np.testing.assert_allclose(_filled(kept.values), expected, rtol=1e-6)


def test_applied_exchanges_and_gives_back(model):
    kept = weight_averages.WeightAverages(model, decay=0.9)
    _fill(model, 4.0)
    kept.update()
    _fill(model, 6.0)
    with kept.applied():
        weights = [v for v in model.variables if v.dtype.is_floating]
        assert _filled(weights) == [4.0] * 6
        model.get_layer("norm").moving_mean.assign([9.0, 9.0])
    assert _filled(weights) == [6.0] * 6
    # What was done to the network in between belongs to the averages.
    assert sorted(_filled(kept.values)) == [4.0] * 5 + [9.0]


def test_applied_gives_back_after_an_error(model):
    kept = weight_averages.WeightAverages(model, decay=0.9)
    _fill(model, 4.0)
    kept.update()
    _fill(model, 6.0)
    with pytest.raises(KeyError), kept.applied():
        raise KeyError
    assert _filled(kept.values) == [4.0] * 6
