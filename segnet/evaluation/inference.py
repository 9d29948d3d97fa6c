"""From images to labels: what evaluation and prediction have in common."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from segnet import models
from segnet.config import Config
from segnet.constants import ARCHITECTURES
from segnet.runtime.device import Runtime

__all__ = ["Predictor", "create_eval_step", "labels_at", "predict_images"]

# Each of them once as it is and once mirrored.
_TTA_SCALES = (0.75, 1.0, 1.25)


class Predictor:
    """A network as it is used: batch norm folded, the forward pass traced.

    Called with uint8 `[batch, height, width, 3]` images of the config's input
    size, it gives float32 logits `[batch, height, width, num_classes]`, or
    mean probabilities with `tta`.
    """

    def __init__(
        self, config: Config, runtime: Runtime, *, tta: bool = False
    ) -> None:
        """Builds the network with random weights; `load` gives it others.

        Args:
          config: Of the run, class names included.
          runtime: Where and how to compute.
          tta: See `create_eval_step`.
        """
        with tf.device(runtime.device_name):
            self._model = models.create_model(
                config.architecture,
                len(config.class_names),
                width_multiplier=config.width_multiplier,
                batch_norm=None,
            )
        size = (config.input_height, config.input_width)
        self._eval_step = create_eval_step(
            self._model,
            device_name=runtime.device_name,
            input_size=None if runtime.needs_static_shapes else size,
            tta=tta,
            size_multiple=ARCHITECTURES[config.architecture],
            run_eagerly=config.run_eagerly,
        )

    def load(self, trained: tf.keras.Model) -> None:
        """Takes the weights of a network that was trained by the config."""
        models.fold_batch_norm(trained, self._model)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return self._eval_step(images)


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


def predict_images(
    predictor: Callable[[tf.Tensor], tf.Tensor],
    images: Iterator[tuple[tf.Tensor, Any]],
    batch_size: int,
    *,
    pad: bool,
) -> Iterator[tuple[tf.Tensor, Any]]:
    """Takes images through a network in batches.

    Args:
      predictor: Images, uint8 `[batch, height, width, 3]`, to logits, float32
        `[batch, height, width, num_classes]`; see `Predictor`.
      images: (uint8 `[height, width, 3]`, whatever goes with it).
      batch_size: Images a forward pass.
      pad: Whether the last batch is filled up, for static shapes.

    Yields:
      (logits `[height, width, num_classes]`, what went with the image).
    """
    while batch := list(itertools.islice(images, batch_size)):
        inputs = [image for image, _ in batch]
        if pad:
            inputs += [inputs[-1]] * (batch_size - len(inputs))
        logits = predictor(tf.stack(inputs))
        for position, (_, companion) in enumerate(batch):
            yield logits[position], companion


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


_CPU = "/device:CPU:0"
# Values of the logits at the size of the image that are made at a time.
_BAND_VALUES = 2**24
# More than one band is made by one thread at a time: each may hold as much.
_ONE_LARGE = threading.Lock()
_TRACING = threading.Lock()


def labels_at(logits: tf.Tensor, height: int, width: int) -> np.ndarray:
    """The most likely class of every pixel of the original image.

    The logits, not the labels, are brought to the image's size (bilinear), so
    that borders are as smooth as the network has them. Large images are done
    in bands of rows, with the same result.

    Args:
      logits: float32 `[input height, input width, num_classes]`.
      height: Of the image, pixels.
      width: Of the image, pixels.

    Returns:
      uint8 `[height, width]`.
    """
    rows = max(1, _BAND_VALUES // (width * logits.shape[-1]))
    with _TRACING:  # Called from several threads, traced by one.
        whole_labels, band_labels = _create_label_functions()
    if rows >= height:
        return whole_labels(logits, tf.constant([height, width])).numpy()
    labels = np.empty([height, width], np.uint8)
    with _ONE_LARGE:
        for first in range(0, height, rows):
            band = tf.constant([first, min(first + rows, height)])
            labels[first : first + rows] = band_labels(
                logits, band, tf.constant([height, width])
            )
    return labels


@functools.cache
def _create_label_functions() -> tuple[Callable[..., tf.Tensor], ...]:
    """Traces the parts of `labels_at` for all sizes.

    They run on the CPU: every image has its own size, which an accelerator
    would compile anew.
    """
    image = tf.TensorSpec([None, None, None], tf.float32)
    pair = tf.TensorSpec([2], tf.int32)

    @tf.function(input_signature=[image, pair], autograph=False)
    def whole_labels(logits: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        with tf.device(_CPU):
            return _largest(tf.image.resize(logits[None], size, "bilinear")[0])

    @tf.function(input_signature=[image, pair, pair], autograph=False)
    def band_labels(
        logits: tf.Tensor, band: tf.Tensor, size: tf.Tensor
    ) -> tf.Tensor:
        with tf.device(_CPU):
            return _largest(_enlarged_rows(logits, band, size))

    functions = (whole_labels, band_labels)
    return tuple(function.get_concrete_function() for function in functions)


def _largest(logits: tf.Tensor) -> tf.Tensor:
    """As argmax, the first of equals too, in half the time; uint8."""
    _, labels = tf.math.top_k(logits, 1, index_type=tf.int32)
    return tf.cast(labels[..., 0], tf.uint8)


def _enlarged_rows(
    values: tf.Tensor, band: tf.Tensor, size: tf.Tensor
) -> tf.Tensor:
    """Rows of `tf.image.resize(values, size)`, bilinear.

    Args:
      values: float32 `[height, width, channels]`.
      band: int32 `[2]`, first row and end.
      size: int32 `[2]`, height and width of the whole result.
    """
    count = tf.shape(values)[0]
    scale = tf.cast(count, tf.float32) / tf.cast(size[0], tf.float32)
    rows = tf.cast(tf.range(band[0], band[1]), tf.float32)
    rows = (rows + 0.5) * scale - 0.5
    floor = tf.floor(rows)
    above = tf.maximum(tf.cast(floor, tf.int32), 0)
    below = tf.minimum(tf.cast(tf.math.ceil(rows), tf.int32), count - 1)
    # No more rows are widened than are needed.
    values = values[above[0] : below[-1] + 1]
    wide = tf.image.resize(
        values[None], tf.stack([tf.shape(values)[0], size[1]]), "bilinear"
    )[0]
    first = tf.gather(wide, above - above[0])
    second = tf.gather(wide, below - above[0])
    return first + (second - first) * (rows - floor)[:, None, None]
