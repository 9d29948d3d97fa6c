from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.models import layers

ONES = tf.ones([2, 20, 30, 4])


@pytest.fixture
def position():
    return tf.Variable(0)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_drops_the_share_and_keeps_the_mean(rate, position):
    layer = layers.PositionedDropout(rate, position, name="a")
    values = layer(ONES, training=True).numpy()
    assert np.mean(values == 0) == pytest.approx(rate, abs=0.03)
    np.testing.assert_allclose(np.unique(values), [0, 1 / (1 - rate)])


def test_passes_on_outside_training(position):
    layer = layers.PositionedDropout(0.5, position, name="a")
    np.testing.assert_array_equal(layer(ONES, training=False), ONES)
    np.testing.assert_array_equal(layer(ONES), ONES)


def test_masks_follow_the_position_and_the_name(position):
    layer = layers.PositionedDropout(0.5, position, name="a")
    masks = []
    for step in range(3):
        position.assign(step)
        masks.append(layer(ONES, training=True).numpy())
    assert np.any(masks[0] != masks[1])
    np.testing.assert_array_equal(layer(ONES, training=True), masks[2])
    again = layers.PositionedDropout(0.5, tf.Variable(1), name="a")
    np.testing.assert_array_equal(again(ONES, training=True), masks[1])
    other = layers.PositionedDropout(0.5, position, name="b")
    assert np.any(other(ONES, training=True).numpy() != masks[2])


def test_a_traced_step_follows_the_position_too(position):
    layer = layers.PositionedDropout(0.5, position, name="a")
    step = tf.function(lambda: layer(ONES, training=True))
    first = step().numpy()
    position.assign_add(1)
    assert np.any(step().numpy() != first)
    position.assign(0)
    np.testing.assert_array_equal(step(), first)


def test_it_has_no_weight(position):
    model = tf.keras.Sequential(
        [layers.PositionedDropout(0.5, position, name="a")]
    )
    model(ONES)
    assert model.variables == []
