"""Batch norm over the batches of all workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from segnet.models.batch_norm import BatchNormalization

__all__ = ["SyncBatchNormalization"]


class SyncBatchNormalization(BatchNormalization):
    """Batch norm whose moments are those of the batches of all workers.

    N workers with batches of B images train like one worker with N * B. The
    weights, the warm-up of the averages, and what happens outside training,
    are the base class's.

    Horovod 0.28.1 has such a layer too, but subtracts squares of means that
    are not shifted and clips nothing: with a mean of 3000 and a deviation of 3
    its outputs are off by 0.05, these by 0.0001; with a deviation of 0.3 they
    are useless. It also fixes the number of workers when a step is traced,
    keeps a biased moving variance, and gives each worker the same weight.
    """

    def __init__(
        self, reduce_sum: Callable[[tf.Tensor, str], tf.Tensor], **kwargs: Any
    ) -> None:
        """Creates a layer.

        Args:
          reduce_sum: (tensor, name) -> its sum over the workers;
            differentiable.
          **kwargs: Of `BatchNormalization`.
        """
        super().__init__(**kwargs)
        self._reduce_sum = reduce_sum

    def call(
        self, inputs: tf.Tensor, training: bool | tf.Tensor | None = None
    ) -> tf.Tensor:
        """Normalises; only with `training=True` over all workers.

        Args:
          inputs: `[batch, height, width, channels]`, any float.
          training: Whether to use the moments of the batches.

        Returns:
          Same shape and dtype.
        """
        if training is not True or not self.trainable:
            return super().call(inputs, training=training)
        # 16-bit floats are too coarse to sum up in.
        values = tf.cast(inputs, tf.float32)
        mean, variance = self._moments_of_all(values)
        scale = self.gamma * tf.math.rsqrt(variance + self.epsilon)
        # The mean goes first: it may be far larger than what it leaves.
        outputs = (values - mean) * scale + self.beta
        return tf.cast(outputs, inputs.dtype)

    def _moments_of_all(self, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and variance `[channels]` over all; updates the averages."""
        axes = list(range(values.shape.rank - 1))
        mean, variance = tf.nn.moments(values, axes)
        count = tf.cast(tf.reduce_prod(tf.shape(values)[:-1]), tf.float32)
        # One reduction a layer: sum, sum of squares and count. About the
        # running mean, which all workers share, since a mean square minus a
        # squared mean has few digits left where the mean is large.
        about = tf.identity(self.moving_mean)
        shift = mean - about
        sums = tf.concat(
            [shift * count, (variance + shift**2) * count, [count]], 0
        )
        sums = self._reduce_sum(sums, f"{self.name}_moments")
        count = sums[-1]
        shift, mean_square = tf.split(sums[:-1] / count, 2)
        mean = about + shift
        variance = tf.maximum(mean_square - shift**2, 0.0)
        # The average is of the unbiased estimate, as in the fused kernel.
        unbiased = variance * count / tf.maximum(count - 1.0, 1.0)
        self._update_averages(mean, unbiased)
        return mean, variance
