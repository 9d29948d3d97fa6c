from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.models.sync_batch_norm import SyncBatchNormalization

SHAPE = (4, 3, 5, 2)


def _data(seed):
    values = np.random.default_rng(seed).normal(2.0, 3.0, SHAPE)
    return values.astype(np.float32)


def _gradients(layer, inputs, weights):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = tf.reduce_sum(layer(inputs, training=True) * weights)
    return tape.gradient(loss, [inputs, *layer.trainable_variables])


def test_one_worker_equals_keras():
    inputs, weights = tf.constant(_data(0)), tf.constant(_data(1))
    layer = SyncBatchNormalization(lambda tensor, name: tensor, momentum=0.9)
    keras = tf.keras.layers.BatchNormalization(momentum=0.9)
    np.testing.assert_allclose(
        layer(inputs, training=True), keras(inputs, training=True), atol=1e-5
    )
    for ours, theirs in zip(layer.variables, keras.variables, strict=True):
        assert ours.name.split("/")[-1] == theirs.name.split("/")[-1]
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    for ours, theirs in zip(
        _gradients(layer, inputs, weights),
        _gradients(keras, inputs, weights),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_allclose(
        layer(inputs, training=False), keras(inputs, training=False), atol=1e-5
    )


def test_two_workers_equal_one_with_both_batches():
    mine, other = _data(2), _data(3)
    mean, square = other.mean((0, 1, 2)), (other**2).mean((0, 1, 2))
    count = np.float32(np.prod(SHAPE[:-1]))
    theirs = np.concatenate([mean * count, square * count, [count]])
    names = []

    def reduce_sum(tensor, name):
        names.append(name)
        return tensor + tf.constant(theirs, tf.float32)

    layer = SyncBatchNormalization(reduce_sum, momentum=0.5, name="bn")
    keras = tf.keras.layers.BatchNormalization(momentum=0.5)
    both = keras(np.concatenate([mine, other]), training=True)
    np.testing.assert_allclose(
        layer(tf.constant(mine), training=True), both[: len(mine)], atol=1e-5
    )
    for ours, expected in zip(layer.variables, keras.variables, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5)
    assert names == ["bn_moments"]


def _exact(inputs, weights, epsilon=1e-3):
    """Outputs, and gradients by inputs, gamma and beta, in float64."""
    inputs, weights = inputs.astype(np.float64), weights.astype(np.float64)
    axes = (0, 1, 2)
    centred = inputs - inputs.mean(axes)
    scale = 1 / np.sqrt((centred**2).mean(axes) + epsilon)
    outputs = centred * scale
    # The mean and the variance move with each input.
    by_mean = weights.mean(axes)
    by_variance = outputs * (weights * outputs).mean(axes)
    by_inputs = scale * (weights - by_mean - by_variance)
    return outputs, [
        by_inputs,
        (weights * outputs).sum(axes),
        weights.sum(axes),
    ]


def test_a_mean_far_larger_than_the_deviation_loses_no_digits():
    inputs, weights = _data(6) + np.float32(3000), _data(7)
    layer = SyncBatchNormalization(lambda tensor, name: tensor)
    layer.build(SHAPE)
    layer.moving_mean.assign([2990.0, 3010.0])  # As after some steps.
    gradients = _gradients(layer, tf.constant(inputs), weights)
    layer.moving_mean.assign([2990.0, 3010.0])
    outputs = layer(tf.constant(inputs), training=True)
    exact, exact_gradients = _exact(inputs, weights)
    # A mean of 1000 deviations is rounded to 1000 times float32's precision
    # of a deviation. A mean square minus a squared mean is off by a hundred
    # times as much.
    tolerance = 4 * 1000 * np.finfo(np.float32).eps
    np.testing.assert_allclose(outputs, exact, atol=tolerance)
    # Of the terms of each sum, which may cancel.
    total = np.abs(weights).sum((0, 1, 2))
    for actual, expected, scale in zip(
        gradients, exact_gradients, (1.0, total, total), strict=True
    ):
        assert (np.abs(actual - expected) < tolerance * scale).all()


def test_outside_training_nothing_is_reduced():
    def fail(tensor, name):
        raise AssertionError

    layer = SyncBatchNormalization(fail)
    inputs = tf.constant(_data(4))
    # Averages start at 0 and 1, epsilon is 1e-3.
    expected = _data(4) / np.sqrt(1.001)
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-5)
    layer.trainable = False  # Frozen: as Keras, the averages are used.
    np.testing.assert_allclose(
        layer(inputs, training=True), expected, rtol=1e-5
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_16_bit_inputs_are_summed_in_float32(policy):
    dtypes = []

    def reduce_sum(tensor, name):
        dtypes.append(tensor.dtype)
        return tensor

    layer = SyncBatchNormalization(reduce_sum, dtype=policy)
    outputs = layer(tf.constant(_data(5)), training=True)
    assert outputs.dtype.name == policy.removeprefix("mixed_")
    assert dtypes == [tf.float32]
    assert {v.dtype for v in layer.variables} == {tf.float32}
    np.testing.assert_allclose(
        tf.reduce_mean(tf.cast(outputs, tf.float32), [0, 1, 2]), 0, atol=0.02
    )
