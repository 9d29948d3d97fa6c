from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet import models
from segnet.models.layers import PositionedDropout

RATE = 0.4


def _network(architecture, position, **settings):
    return models.create_model(
        architecture,
        3,
        width_multiplier=1 / 16,
        batch_norm=None,
        dropout=RATE,
        position=position,
        shared_masks=True,
        **settings,
    )


def _tame(model, images):
    """Logits of about 1: of large ones softmax makes 0 or 1 of a rounding."""
    layer = model.get_layer("logits")
    kernel, bias = layer.get_weights()
    largest = np.abs(model(images).numpy()).max()
    layer.set_weights([kernel / largest, bias / largest])


@pytest.fixture
def images():
    return np.random.default_rng(2).integers(0, 256, (3, 32, 64, 3), np.uint8)


def _softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("architecture", ["vgg_segnet", "segnet"])
def test_the_mean_is_that_of_whole_passes(architecture, images):
    position = tf.Variable(0)
    model = _network(architecture, position)
    _tame(model, images)
    found = models.DropoutSamples(model, position, 4, seed=7)(images).numpy()
    expected = []
    for value in np.random.default_rng(7).integers(2**31, size=4):
        position.assign(int(value))
        expected.append(_softmax(model(images, training=True).numpy()))
    np.testing.assert_allclose(found, np.mean(expected, 0), atol=1e-6)
    # The samples differ, from each other and from the pass without dropout.
    assert np.ptp(expected, axis=0).max() > 0.01
    assert np.abs(found - _softmax(model(images).numpy())).max() > 0.01


def test_an_image_gets_the_same_in_every_batch(images):
    position = tf.Variable(0)
    model = _network("vgg_segnet", position)
    _tame(model, images)
    samples = models.DropoutSamples(model, position, 3, seed=1)
    together = samples(images).numpy()
    for index in range(3):
        alone = samples(images[index : index + 1]).numpy()[0]
        # Convolutions of another batch add up in another order.
        np.testing.assert_allclose(alone, together[index], atol=1e-4)


def test_it_can_be_traced_and_follows_the_seed(images):
    position = tf.Variable(0)
    model = _network("vgg_segnet", position)
    _tame(model, images)
    found = {}
    for seed in (1, 2):
        samples = models.DropoutSamples(model, position, 3, seed=seed)
        traced = tf.function(
            samples,
            input_signature=[tf.TensorSpec([None, 32, 64, 3], tf.uint8)],
        )
        first = traced(images)
        assert first.shape == (3, 32, 64, 3)
        np.testing.assert_array_equal(traced(images), first)
        np.testing.assert_allclose(first, samples(images), atol=1e-3)
        found[seed] = first.numpy()
    assert np.abs(found[1] - found[2]).max() > 0.01


def test_shared_masks_are_the_same_for_all_images():
    layer = PositionedDropout(0.5, tf.Variable(0), shared=True, name="a")
    values = layer(tf.ones([4, 6, 10, 2]), training=True).numpy()
    assert 0.3 < np.mean(values == 0) < 0.7
    for index in range(1, 4):
        np.testing.assert_array_equal(values[index], values[0])
