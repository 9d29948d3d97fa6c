"""The network for formats that have fewer operations, at one size."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from segnet import models
from segnet.config import Config

__all__ = ["at_input_size", "portable_network"]


def portable_network(config: Config, folded: tf.keras.Model) -> tf.keras.Model:
    """The network, of operations that all formats have.

    Args:
      config: Of the run.
      folded: Its network without batch norm, see `Predictor.model`.

    Returns:
      Model of uint8 RGB `[batch, height, width, 3]` to float32 logits
      `[batch, height, width, classes]`.
    """
    network = models.create_model(
        config.architecture,
        len(config.class_names),
        width_multiplier=config.width_multiplier,
        batch_norm=None,
        portable=True,
    )
    network.set_weights(folded.get_weights())
    return network


def at_input_size(
    network: tf.keras.Model, config: Config, batch_size: int | None
) -> Any:
    """A graph for pictures that have the network's input size already.

    Args:
      network: As `portable_network` gives it.
      config: Of the run.
      batch_size: Images at a time; None: any number.

    Returns:
      TensorFlow's function of `images`, uint8 RGB `[batch, height, width, 3]`,
      to `labels`, uint8 `[batch, height, width]`.
    """
    size = (config.input_height, config.input_width)

    @tf.function(
        input_signature=[
            tf.TensorSpec([batch_size, *size, 3], tf.uint8, name="images")
        ],
        autograph=False,
    )
    def label(images: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = network(images, training=False)
        labels = tf.argmax(logits, -1, output_type=tf.int32)
        return {"labels": tf.cast(labels, tf.uint8)}

    return label
