"""From images to labels: what evaluation and prediction have in common."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable

import numpy as np
import tensorflow as tf

__all__ = ["create_eval_step", "labels_at"]

# Each of them once as it is and once mirrored.
_TTA_SCALES = (0.75, 1.0, 1.25)


def create_eval_step(
    model: tf.keras.Model,
    *,
    device_name: str,
    input_size: tuple[int, int] | None = None,
    tta: bool = False,
    size_multiple: int = 1,
    run_eagerly: bool = False,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Traces the forward pass.

    Args:
      model: The network.
      device_name: Device that computes, for example `/device:CPU:0`.
      input_size: Height and width of all images: one trace then serves any
        number of them. None: each shape is traced.
      tta: Whether to look at each image several times: mirrored, and smaller
        and larger (test-time augmentation).
      size_multiple: What height and width must be multiples of, for that.
      run_eagerly: Whether to leave it untraced.

    Returns:
      Function of uint8 `[batch, height, width, 3]` to float32 logits
      `[batch, height, width, num_classes]`, with `tta` mean probabilities.
    """

    def eval_step(images: tf.Tensor) -> tf.Tensor:
        with tf.device(device_name):
            if tta:
                return _mean_probabilities(model, images, size_multiple)
            return model(images, training=False)

    if run_eagerly:
        return eval_step
    signature = None
    if input_size is not None:
        signature = [tf.TensorSpec([None, *input_size, 3], tf.uint8)]
    return tf.function(
        eval_step,
        input_signature=signature,
        autograph=False,
        reduce_retracing=False,
    )


def _mean_probabilities(
    model: tf.keras.Model, images: tf.Tensor, size_multiple: int
) -> tf.Tensor:
    """Probabilities, averaged over mirror images and sizes.

    Args:
      model: The network.
      images: uint8 `[batch, height, width, 3]`.
      size_multiple: Of the heights and widths that the network takes.

    Returns:
      float32 `[batch, height, width, num_classes]`.
    """
    size = images.shape[1:3]
    total = 0.0
    for scale in _TTA_SCALES:
        scaled = [
            max(1, round(scale * length / size_multiple)) * size_multiple
            for length in size
        ]
        resized = images
        if scaled != list(size):
            resized = tf.image.resize(images, scaled, antialias=scale < 1)
            resized = tf.cast(tf.round(resized), tf.uint8)
        for mirror in (False, True):
            seen = tf.reverse(resized, [2]) if mirror else resized
            found = tf.nn.softmax(model(seen, training=False))
            found = tf.reverse(found, [2]) if mirror else found
            total += tf.image.resize(found, size)
    return total / (2 * len(_TTA_SCALES))


_TRACING = threading.Lock()
# Logits of so many values at the size of the image are made one at a time, or
# every thread would hold some gigabytes of them.
_LARGE = 64 * 2**20
_ONE_LARGE = threading.Lock()


@functools.cache
def _create_labels_fn() -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Traces `labels_at` for all sizes."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None], tf.float32),
            tf.TensorSpec([2], tf.int32),
        ]
    )
    def labels_fn(logits: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        # On the CPU: every image has its own size, which an accelerator
        # would compile anew.
        with tf.device("/device:CPU:0"):
            logits = tf.image.resize(logits[None], size, "bilinear")[0]
            # As argmax, the first of equals too, in half the time.
            _, labels = tf.math.top_k(logits, 1, index_type=tf.int32)
            return tf.cast(labels[..., 0], tf.uint8)

    return labels_fn.get_concrete_function()


def labels_at(logits: tf.Tensor, height: int, width: int) -> np.ndarray:
    """The most likely class of every pixel of the original image.

    The logits, not the labels, are brought to the image's size, so that
    borders are as smooth as the network has them.

    Args:
      logits: float32 `[input height, input width, num_classes]`.
      height: Of the image, pixels.
      width: Of the image, pixels.

    Returns:
      uint8 `[height, width]`.
    """
    with _TRACING:  # Called from several threads, traced by one.
        labels_fn = _create_labels_fn()
    large = height * width * logits.shape[-1] > _LARGE
    with _ONE_LARGE if large else contextlib.nullcontext():
        return labels_fn(logits, tf.constant([height, width])).numpy()
