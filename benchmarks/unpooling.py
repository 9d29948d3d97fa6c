"""Pooling and unpooling with indices, forward and gradient, in two ways."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from benchmarks.contender import Work
from segnet.models import layers

__all__ = ["create_addons", "create_masks"]


def create_masks(
    *,
    height: int,
    width: int,
    channels: int,
    batch_size: int,
    precision: str,
    steps: int,
) -> Work:
    """Prepares `MaxPoolWithMask` and `MaskUnpooling`.

    Args:
      height: Of what is pooled, pixels.
      width: Of what is pooled, pixels.
      channels: Channels.
      batch_size: Images a step.
      precision: `float32` or `bfloat16`.
      steps: Steps a round.

    Returns:
      Work that does `steps` steps and gives the number of images.
    """
    pool = layers.MaxPoolWithMask(dtype=precision)
    unpool = layers.MaskUnpooling(dtype=precision)
    shape = [batch_size, height, width, channels]
    return _work(lambda values: unpool(pool(values)), shape, precision, steps)


def create_addons(
    *,
    height: int,
    width: int,
    channels: int,
    batch_size: int,
    precision: str,
    steps: int,
) -> Work:
    """Prepares `max_pool_with_argmax` and tensorflow-addons' unpooling.

    Args:
      height: As for `create_masks`.
      width: As for `create_masks`.
      channels: As for `create_masks`.
      batch_size: As for `create_masks`.
      precision: As for `create_masks`.
      steps: As for `create_masks`.

    Returns:
      As `create_masks`.
    """
    import tensorflow_addons as tfa

    unpool = tfa.layers.MaxUnpooling2D(dtype=precision)

    def pool_and_unpool(values: tf.Tensor) -> tf.Tensor:
        return unpool(*tf.nn.max_pool_with_argmax(values, 2, 2, "VALID"))

    shape = [batch_size, height, width, channels]
    return _work(pool_and_unpool, shape, precision, steps)


def _work(
    pool_and_unpool: Callable[[tf.Tensor], tf.Tensor],
    shape: list[int],
    precision: str,
    steps: int,
) -> Work:
    """Work that does it and its gradient."""
    dtype = tf.as_dtype(precision)
    values, upstream = (
        tf.cast(tf.random.stateless_normal(shape, [0, seed]), dtype)
        for seed in range(2)
    )

    @tf.function(autograph=False)
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(values)
            unpooled = pool_and_unpool(values)
        return tape.gradient(unpooled, values, upstream)

    def work() -> int:
        for _ in range(steps):
            gradient = step()
        if not gradient.numpy().any():
            raise RuntimeError("no gradient")
        return steps * shape[0]

    return work
