from __future__ import annotations

import tensorflow as tf

from segnet.config import Config
from segnet.models.sync_batch_norm import SyncBatchNormalization
from segnet.training.run import create_network


def test_one_worker_has_synchronised_batch_norm_too():
    """So workers that join an elastic run that began alone have the same."""
    model = create_network(
        Config(
            sync_batch_norm=True,
            width_multiplier=0.1,
            class_names=("a", "b", "c"),
        )
    )
    layers = [
        layer
        for layer in model.layers
        if isinstance(layer, tf.keras.layers.BatchNormalization)
    ]
    assert len(layers) == 14
    assert all(isinstance(layer, SyncBatchNormalization) for layer in layers)
