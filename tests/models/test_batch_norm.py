"""Tests of segnet/models/batch_norm.py."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.models.batch_norm import BatchNormalization, share_kept
from segnet.models.sync_batch_norm import SyncBatchNormalization


def _batch(mean):
    """Two pixels around a mean, one above the other: variance 4, unbiased 8."""
    return tf.constant([mean - 2.0, mean + 2.0], shape=[1, 2, 1, 1])


def _synchronised(position, **kwargs):
    return SyncBatchNormalization(
        lambda tensor, name: tensor, position=position, **kwargs
    )


both = pytest.mark.parametrize("create", [BatchNormalization, _synchronised])


@both
@pytest.mark.parametrize("traced", [False, True])
def test_the_first_averages_by_hand(create, traced):
    position = tf.Variable(0)
    layer = create(position, momentum=0.15)

    def update(inputs):
        layer(inputs, training=True)
        position.assign_add(1)

    update = tf.function(update) if traced else update
    found = []
    for mean in (10.0, 30.0, 20.0):
        update(_batch(mean))
        found.append([layer.moving_mean.numpy(), layer.moving_variance.numpy()])
    # Kept: 0, 1 / 10, then 0.15, which is less than 2 / 11.
    expected = [[10.0, 8.0], [28.0, 8.0], [21.2, 8.0]]
    np.testing.assert_allclose(np.squeeze(found), expected, rtol=1e-6)


@both
def test_a_run_that_goes_on_keeps_what_it_has(create):
    """The number of updates is the run's, not the layer's."""
    layer = create(tf.Variable(891), momentum=0.99)
    layer.build([None, 2, 1, 1])
    layer.moving_mean.assign([50.0])
    layer(_batch(10.0), training=True)
    # 891 / 900 is 0.99: 50 * 0.99 + 10 * 0.01.
    np.testing.assert_allclose(layer.moving_mean, [49.6], rtol=1e-6)


def test_a_momentum_of_0_takes_the_last_batch():
    """What `Recalibration` relies on."""
    layer = BatchNormalization(tf.Variable(500), momentum=0.99)
    layer(_batch(10.0), training=True)
    layer.momentum = 0.0
    layer(_batch(-4.0), training=True)
    assert float(layer.moving_mean[0]) == -4.0
    assert float(layer.moving_variance[0]) == 8.0


def test_share_kept_rises_to_the_decay():
    shares = [float(share_kept(0.9, tf.constant(n))) for n in (0, 1, 9, 81, 99)]
    np.testing.assert_allclose(shares, [0.0, 0.1, 0.5, 0.9, 0.9], rtol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_outputs_and_gradients_are_those_of_keras(policy):
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(3, 2, (2, 4, 6, 3)), tf.float32)
    ours = BatchNormalization(tf.Variable(3), dtype=policy)
    keras = tf.keras.layers.BatchNormalization(dtype=policy)
    outputs, gradients = [], []
    for layer in (ours, keras):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = layer(inputs, training=True)
            loss = tf.reduce_sum(tf.cast(output, tf.float32) ** 3)
        outputs.append(output)
        gradients.append(tape.gradient(loss, [inputs, layer.gamma]))
    assert outputs[0].dtype == outputs[1].dtype
    np.testing.assert_array_equal(*outputs)
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_array_equal(one, other)
    names = [[v.name.split("/")[-1] for v in layer.variables]
             for layer in (ours, keras)]  # fmt: skip
    assert names[0] == names[1]


def test_frozen_layers_keep_their_averages():
    layer = BatchNormalization(tf.Variable(0))
    layer.build([None, 2, 1, 1])
    layer.trainable = False
    layer(_batch(10.0), training=True)
    assert float(layer.moving_mean[0]) == 0.0
