"""Tests of segnet/models/folding.py."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet import models


@pytest.mark.parametrize(
    ("architecture", "in_encoder"),
    [("vgg_segnet", False), ("vgg_segnet", True), ("segnet", True)],
)
def test_the_folded_network_is_equal(architecture, in_encoder):
    rng = np.random.default_rng(0)
    settings = {"width_multiplier": 1 / 16}
    model = models.create_model(
        architecture,
        5,
        batch_norm_in_encoder=in_encoder,
        dropout=0.5,
        position=tf.Variable(0),
        **settings,
    )
    # Averages, scales and shifts as training leaves them.
    for layer in model.layers:
        if layer.name.endswith("_bn"):
            shapes = [weight.shape for weight in layer.get_weights()]
            layer.set_weights(
                [
                    rng.uniform(0.5, 2.0, shapes[0]),
                    rng.normal(size=shapes[1]),
                    rng.normal(size=shapes[2]),
                    rng.uniform(0.5, 2.0, shapes[3]),
                ]
            )
    folded = models.create_model(architecture, 5, batch_norm=None, **settings)
    assert not any("_bn" in layer.name for layer in folded.layers)
    models.fold_batch_norm(model, folded)
    images = rng.integers(0, 256, (2, 32, 64, 3), np.uint8)
    expected = model(images, training=False).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(folded(images), expected, atol=1e-5 * scale)
