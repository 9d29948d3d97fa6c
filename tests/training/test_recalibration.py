"""Tests of segnet/training/recalibration.py."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.models import layers
from segnet.training import recalibration


@pytest.fixture
def model():
    return tf.keras.Sequential(
        [
            layers.VggNormalization(input_shape=(4, 6, 3)),
            tf.keras.layers.Conv2D(2, 3, padding="same", name="conv"),
            tf.keras.layers.BatchNormalization(name="first"),
            layers.PositionedDropout(0.5, tf.Variable(0), name="drop"),
            tf.keras.layers.Conv2D(3, 1, name="conv2"),
            tf.keras.layers.BatchNormalization(name="second"),
        ]
    )


def _batches(count=3):
    rng = np.random.default_rng(0)
    return [
        (
            tf.constant(rng.integers(0, 256, (2, 4, 6, 3)).astype(np.uint8)),
            tf.zeros([2, 4, 6], tf.int32),
        )
        for _ in range(count)
    ]


def _recalibrate(model, batches, *, reduce_sum=lambda array, name: array,
                 run_eagerly=False):  # fmt: skip
    recalibration.Recalibration(
        model,
        device_name="/device:CPU:0",
        reduce_sum=reduce_sum,
        run_eagerly=run_eagerly,
    )(batches)
    return model.get_layer("first"), model.get_layer("second")


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_moments_are_those_of_all_pixels(model, run_eagerly):
    batches = _batches()
    first, _ = _recalibrate(model, batches, run_eagerly=run_eagerly)
    images = tf.concat([images for images, _ in batches], 0)
    values = model.layers[1](model.layers[0](images)).numpy()
    values = values.reshape(-1, 2).astype(np.float64)
    np.testing.assert_allclose(first.moving_mean, values.mean(0), rtol=1e-4)
    # The kernel's variances of a batch are unbiased: 48 pixels / 47.
    within = np.mean(
        [part.var(0, ddof=1) for part in values.reshape(3, 48, 2)], 0
    )
    between = values.reshape(3, 48, 2).mean(1).var(0)
    np.testing.assert_allclose(
        first.moving_variance, within + between, rtol=1e-4
    )


def test_nothing_else_changes(model):
    before = [variable.numpy() for variable in model.variables]
    _recalibrate(model, _batches())
    changed = {
        variable.name
        for variable, old in zip(model.variables, before, strict=True)
        if np.any(variable.numpy() != old)
    }
    assert changed == {
        f"{layer}/moving_{moment}:0"
        for layer in ("first", "second")
        for moment in ("mean", "variance")
    }
    assert model.get_layer("first").momentum == 0.99


def test_a_second_pass_gives_the_same(model):
    # Not an update of the averages: what was there before has no part in it.
    passes = []
    for _ in range(2):
        first, second = _recalibrate(model, _batches())
        passes.append([*first.get_weights(), *second.get_weights()])
        first.moving_mean.assign([100.0, -100.0])
    for one, other in zip(*passes, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_frozen_layers_keep_their_averages(model):
    model.get_layer("first").trainable = False
    first, second = _recalibrate(model, _batches())
    np.testing.assert_array_equal(first.moving_mean, [0, 0])
    assert np.any(second.moving_mean.numpy() != 0)


def test_layers_that_learn_again_get_averages_again(model):
    """One pass while the first is frozen, one afterwards."""
    batches = _batches()
    recalibrate = recalibration.Recalibration(
        model, device_name="/device:CPU:0", reduce_sum=lambda array, name: array
    )
    model.get_layer("first").trainable = False
    recalibrate(batches)
    model.get_layer("first").trainable = True
    recalibrate(batches)
    means = model.get_layer("first").moving_mean.numpy()
    _recalibrate(model, batches)
    np.testing.assert_allclose(
        means, model.get_layer("first").moving_mean, rtol=1e-5
    )
    assert np.any(means != 0)


def test_two_workers_pool_theirs(model):
    """Each has half of the batches; the sums of both are divided once."""
    batches = _batches(4)
    sums = []

    def gather(array, name):
        sums.append(array.copy())
        return array

    for own in (batches[:2], batches[2:]):
        _recalibrate(model, own, reduce_sum=gather)
    first, _ = _recalibrate(
        model, batches[:2], reduce_sum=lambda array, name: sums[0] + sums[1]
    )
    together = [value.numpy() for value in first.weights]
    first, _ = _recalibrate(model, batches)
    for one, other in zip(together, first.weights, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-5)
