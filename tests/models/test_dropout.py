"""Tests of `CountedDropout`."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.models import layers

ONES = tf.ones([2, 20, 30, 4])


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_drops_the_share_and_keeps_the_mean(rate):
    layer = layers.CountedDropout(rate, name="a")
    values = layer(ONES, training=True).numpy()
    assert np.mean(values == 0) == pytest.approx(rate, abs=0.03)
    np.testing.assert_allclose(np.unique(values), [0, 1 / (1 - rate)])


def test_passes_on_outside_training():
    layer = layers.CountedDropout(0.5, name="a")
    np.testing.assert_array_equal(layer(ONES, training=False), ONES)
    np.testing.assert_array_equal(layer(ONES), ONES)
    assert int(layer.counter) == 0


def test_masks_follow_the_counter_and_the_name():
    layer = layers.CountedDropout(0.5, name="a")
    masks = [layer(ONES, training=True).numpy() for _ in range(3)]
    assert np.any(masks[0] != masks[1])
    again = layers.CountedDropout(0.5, name="a")
    again(ONES)
    again.counter.assign(2)
    np.testing.assert_array_equal(again(ONES, training=True), masks[2])
    other = layers.CountedDropout(0.5, name="b")
    assert np.any(other(ONES, training=True).numpy() != masks[0])


def test_the_traced_step_counts_too():
    layer = layers.CountedDropout(0.5, name="a")
    layer(ONES)

    @tf.function
    def step():
        return layer(ONES, training=True)

    first, second = step().numpy(), step().numpy()
    assert np.any(first != second)
    assert int(layer.counter) == 2


def test_config_round_trip():
    layer = layers.CountedDropout(0.3, name="a")
    assert layers.CountedDropout.from_config(layer.get_config()).rate == 0.3
