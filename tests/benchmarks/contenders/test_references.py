"""The references compute the same as the networks they are compared with."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.contenders import keras_reference
from segnet import models
from segnet.constants import ARCHITECTURES


def test_keras_reference_is_the_same_network():
    ours = models.create_model(
        "vgg_segnet", 5, input_shape=(32, 48), width_multiplier=0.1
    )
    bare = keras_reference.create_network(5, 0.1)
    # The layers stand in the same order.
    bare.set_weights(ours.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3))
    images = tf.constant(images, tf.uint8)
    expected = ours(images)
    scale = float(tf.reduce_max(tf.abs(expected)))
    np.testing.assert_allclose(bare(images), expected, atol=1e-5 * scale)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_torch_reference_has_as_many_weights(architecture):
    pytest.importorskip("torch", reason="torch is only there for `make bench`")
    from benchmarks.contenders import torch_reference

    ours = models.create_model(architecture, 5, width_multiplier=0.1)
    theirs = torch_reference.create_network(architecture, 5, 0.1)
    learning = sum(
        weight.shape.num_elements() for weight in ours.trainable_weights
    )
    assert learning == sum(each.numel() for each in theirs.parameters())
