"""Batch norm's averages, computed anew for the weights as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

__all__ = ["Recalibration"]


class Recalibration:
    """Replaces moving averages by the statistics of one pass over data.

    The averages that training keeps lag behind the weights. The SegNet paper
    (arXiv 1511.00561, section 4.3) therefore computes them anew in a pass over
    the training data before it tests.
    """

    def __init__(
        self,
        model: tf.keras.Model,
        *,
        device_name: str,
        reduce_sum: Callable[[np.ndarray, str], np.ndarray],
        run_eagerly: bool = False,
    ) -> None:
        """Prepares the pass.

        Args:
          model: The network.
          device_name: Device that computes.
          reduce_sum: (array, name) -> its sum over the workers.
          run_eagerly: Whether to leave the forward pass untraced.
        """
        self._model = model
        self._reduce_sum = reduce_sum

        def forward(images: tf.Tensor, trainable: tuple[bool, ...]) -> None:
            with tf.device(device_name):
                model(images, training=True)

        self._forward = forward
        if not run_eagerly:  # Traced for each set of layers that learn.
            self._forward = tf.function(forward, autograph=False)

    def __call__(self, dataset: Iterable[tuple[tf.Tensor, tf.Tensor]]) -> None:
        """Sets the averages of all batch norm layers that learn.

        Args:
          dataset: Batches (uint8 `[batch, height, width, 3]`, labels), as many
            on every worker.
        """
        layers = [
            layer
            for layer in self._model.layers
            if isinstance(layer, tf.keras.layers.BatchNormalization)
            and layer.trainable
        ]
        averages = [
            variable
            for layer in layers
            for variable in (layer.moving_mean, layer.moving_variance)
        ]
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.momentum = 0.0  # The averages are those of the last batch.
        try:
            moments = self._pooled_moments(dataset, averages)
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
        for variable, value in zip(averages, moments, strict=True):
            variable.assign(value)

    def _pooled_moments(
        self,
        dataset: Iterable[tuple[tf.Tensor, tf.Tensor]],
        averages: list[tf.Variable],
    ) -> list[np.ndarray]:
        """Mean and variance, in turn, over all batches and workers."""
        sizes = [int(variable.shape[0]) for variable in averages]
        # Sums over batches, and last their number.
        sums = np.zeros([sum(sizes) + 1])
        trainable = tuple(layer.trainable for layer in self._model.layers)
        for images, _ in dataset:
            self._forward(images, trainable)
            values = [variable.numpy().astype(float) for variable in averages]
            for mean, variance in zip(values[::2], values[1::2], strict=True):
                variance += mean**2
            sums += np.concatenate([*values, [1.0]])
        sums = self._reduce_sum(sums, "batch_norm_moments")
        moments = np.split(sums[:-1] / sums[-1], np.cumsum(sizes)[:-1])
        for mean, variance in zip(moments[::2], moments[1::2], strict=True):
            variance -= mean**2
        return moments
