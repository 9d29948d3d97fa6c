"""Batch norm whose averages are right in short runs, too."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["BatchNormalization", "share_kept"]

# So many updates lie between an average of all values and one of the last
# 1 / (1 - decay), as in TensorFlow's ExponentialMovingAverage.
_WARMUP_UPDATES = 9.0


def share_kept(decay: float, updates: tf.Tensor) -> tf.Tensor:
    """Share of a moving average that an update keeps, float32 scalar.

    min(decay, n / (n + 9)) after n updates. The first one keeps nothing, so
    that the average does not depend on what was there, and a short run is not
    held back by its beginning. The warm-up is TensorFlow's.

    Args:
      decay: The share in the long run, in 0..1.
      updates: Updates done before, any number type.
    """
    updates = tf.cast(updates, tf.float32)
    return tf.minimum(decay, updates / (updates + _WARMUP_UPDATES))


class BatchNormalization(tf.keras.layers.BatchNormalization):
    """Keras's batch norm with a warm-up of its moving averages.

    Keras's begin at mean 0 and variance 1. With a momentum of 0.99 a tenth of
    that is left after 230 steps, and a network that has learned well looks as
    if it had not. Here each update keeps `share_kept` of the average. The
    weights, and the outputs in training, are the base class's.
    """

    def __init__(
        self, position: tf.Variable | None = None, **kwargs: Any
    ) -> None:
        """Creates the layer.

        Args:
          position: int32 scalar, updates that the run has made before this
            one; None: no warm-up.
          **kwargs: Of `tf.keras.layers.BatchNormalization`; the normalised
            axis is the last one.
        """
        super().__init__(**kwargs)
        # In a function, or Keras would make it a weight of the layer.
        self._position = lambda: position

    def call(
        self, inputs: tf.Tensor, training: bool | tf.Tensor | None = None
    ) -> tf.Tensor:
        """Normalises; with `training=True` it updates the averages, too.

        Args:
          inputs: `[batch, height, width, channels]`, float16, bfloat16 or
            float32.
          training: Whether to use the moments of the batch.

        Returns:
          Same shape and dtype.
        """
        if training is not True or not self.trainable:
            return super().call(inputs, training=training)
        # Keras hands a fixed momentum to this kernel, which takes no tensor.
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon
        )
        self._update_averages(mean, variance)
        return outputs

    def _update_averages(self, mean: tf.Tensor, variance: tf.Tensor) -> None:
        """Takes the moments of a batch in, float32 `[channels]`."""
        kept: float | tf.Tensor = self.momentum
        position = self._position()
        if position is not None:
            kept = share_kept(kept, position.read_value())
        for average, value in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            # In this form the first update leaves no rounding of old values.
            value = tf.stop_gradient(value)
            average.assign(value + kept * (average - value))
