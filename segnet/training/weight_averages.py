"""An exponential moving average of the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from segnet.models.batch_norm import share_kept

__all__ = ["WeightAverages"]


class WeightAverages(tf.Module):
    """Averages of a network's weights and of its batch norm statistics.

    The first update sets them to the weights, and a short run is not held back
    by its beginning: see `share_kept`. Source: Polyak & Juditsky 1992.

    Attributes:
      count: float32, updates so far.
      values: The averages, float32, in the order of the network's variables.
    """

    def __init__(self, model: tf.keras.Model, decay: float) -> None:
        """Starts with the weights as they are.

        Args:
          model: The network.
          decay: Share of the old average that an update keeps, in 0..1.
        """
        super().__init__(name="averages")
        self._decay = decay
        self._weights = list(model.variables)
        self.count = tf.Variable(0.0, trainable=False)
        self.values = [
            tf.Variable(
                weight.read_value(),
                trainable=False,
                name=weight.name.split(":")[0],
            )
            for weight in self._weights
        ]

    def update(self) -> None:
        """Takes the weights in; eagerly or in a traced function."""
        kept = share_kept(self._decay, self.count)
        for value, weight in zip(self.values, self._weights, strict=True):
            # In this form the first update leaves no rounding of old values.
            weight = weight.read_value()
            value.assign(weight + kept * (value - weight))
        self.count.assign_add(1.0)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Exchanges averages and weights for the length of a block.

        What the block changes in the network stays in the averages.
        """
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for value, weight in zip(self.values, self._weights, strict=True):
            old = weight.read_value()
            weight.assign(value)
            value.assign(old)
