"""What a network says with some of its values dropped, again and again.

Each set of masks leaves another network; what many of them agree on is sure.
Source: Bayesian SegNet (arXiv 1511.02680).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from segnet.models.layers import PositionedDropout

__all__ = ["DropoutSamples"]


class DropoutSamples:
    """Mean probabilities over dropout masks.

    What comes before the first dropout is computed once. The masks are a
    function of the seed and the number of the sample alone, the same for all
    images, so that neither batches nor workers change what an image gets.
    """

    def __init__(
        self,
        model: tf.keras.Model,
        position: tf.Variable,
        count: int,
        seed: int,
    ) -> None:
        """Takes a network apart.

        Args:
          model: As `create_model` gives it, with dropout, `shared_masks` and
            no batch norm, which would take other moments with the dropout.
          position: int32 scalar that decides the masks.
          count: Number of samples.
          seed: Of the masks; more samples begin with those of fewer.
        """
        self._trunk, self._head = _split(model)
        self._position = position
        draws = np.random.default_rng(seed).integers(2**31, size=count)
        self._positions = draws.astype(np.int32)

    def __call__(
        self, images: tf.Tensor, *, training: bool = False
    ) -> tf.Tensor:
        """Looks at images.

        Args:
          images: uint8 `[batch, height, width, 3]`.
          training: As a network has it; not used.

        Returns:
          Probabilities, float32 `[batch, height, width, num_classes]`.
        """
        values = self._trunk(images, training=False)
        positions = tf.constant(self._positions)

        def add(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, ...]:
            self._position.assign(positions[index])
            return index + 1, total + tf.nn.softmax(
                self._head(values, training=True)
            )

        size = tf.concat(
            [tf.shape(images)[:3], [self._head.output_shape[-1]]], 0
        )
        _, total = tf.while_loop(
            lambda index, _: index < len(self._positions),
            add,
            (tf.constant(0), tf.zeros(size)),
            shape_invariants=(tf.TensorShape([]), self._shape_of(images)),
            parallel_iterations=1,
        )
        return total / len(self._positions)

    def _shape_of(self, images: tf.Tensor) -> tf.TensorShape:
        """Of the probabilities, as far as it is known."""
        return tf.TensorShape([*images.shape[:3], self._head.output_shape[-1]])


def _split(model: tf.keras.Model) -> tuple[tf.keras.Model, tf.keras.Model]:
    """The part of a network that dropout does not change, and the rest."""
    drops = [isinstance(x, PositionedDropout) for x in model.layers]
    first = drops.index(True)
    # In the order in which they are applied.
    before = {id(layer) for layer in model.layers[:first]}
    crossing = {
        id(tensor): tensor
        for layer in model.layers[first:]
        for tensor in tf.nest.flatten(layer.input)
        if id(tensor.node.layer) in before
    }
    between = list(crossing.values())
    return (
        tf.keras.Model(model.input, between),
        tf.keras.Model(between, model.output),
    )
