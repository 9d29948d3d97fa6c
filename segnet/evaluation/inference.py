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

__all__ = [
    "Predictor",
    "certainty_at",
    "confidence_of",
    "create_eval_step",
    "entropy_bytes_at",
    "entropy_of",
    "labels_at",
    "predict_images",
    "probabilities_at",
    "probability_bytes_at",
    "relative_entropy",
    "to_tensor",
]

_SMALL_BYTES = 3 * 2**21  # of an image
_ALIGNMENT = 64  # bytes, of what TensorFlow's operations take
# Each of them once as it is and once mirrored.
_TTA_SCALES = (0.75, 1.0, 1.25)
_NUM_VIEWS = 2 * len(_TTA_SCALES)


class Predictor:
    """A network as it is used: batch norm folded, the forward pass traced.

    Called with uint8 `[batch, height, width, 3]` images of the config's input
    size, it gives float32 logits `[batch, height, width, num_classes]`, or
    mean probabilities with `tta` or samples.

    Attributes:
      gives_probabilities: Whether it is these that it gives.
    """

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        *,
        tta: bool = False,
        mc_samples: int = 0,
    ) -> None:
        """Builds the network with random weights; `load` gives it others.

        Args:
          config: Of the run, class names included.
          runtime: Where and how to compute.
          tta: See `create_eval_step`.
          mc_samples: Number of dropout samples, for a run with dropout; with
            `tta` its views share them, and each has at least one. 0: none.
        """
        self.gives_probabilities = tta or mc_samples > 0
        with tf.device(runtime.device_name):
            position = tf.Variable(0, trainable=False, name="position")
            self._model = models.create_model(
                config.architecture,
                len(config.class_names),
                width_multiplier=config.width_multiplier,
                batch_norm=None,
                dropout=config.dropout if mc_samples else 0.0,
                position=position,
                shared_masks=True,
            )
            look: Callable[..., tf.Tensor] = self._model
            if mc_samples:
                count = -(-mc_samples // (_NUM_VIEWS if tta else 1))
                look = models.DropoutSamples(
                    self._model, position, count, config.seed
                )
        size = (config.input_height, config.input_width)
        self._eval_step = create_eval_step(
            look,
            device_name=runtime.device_name,
            input_size=None if runtime.needs_static_shapes else size,
            tta=tta,
            are_logits=not mc_samples,
            size_multiple=ARCHITECTURES[config.architecture],
            run_eagerly=config.run_eagerly,
        )

    @property
    def model(self) -> tf.keras.Model:
        """The network itself."""
        return self._model

    def load(self, trained: tf.keras.Model) -> None:
        """Takes the weights of a network that was trained by the config."""
        models.fold_batch_norm(trained, self._model)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return self._eval_step(images)


def create_eval_step(
    model: Callable[..., tf.Tensor],
    *,
    device_name: str,
    input_size: tuple[int, int] | None = None,
    tta: bool = False,
    are_logits: bool = True,
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
      are_logits: False if the network gives probabilities.
      size_multiple: What height and width must be multiples of, for that.
      run_eagerly: Whether to leave it untraced.

    Returns:
      Function of uint8 `[batch, height, width, 3]` to float32 logits
      `[batch, height, width, num_classes]`, with `tta` mean probabilities.
    """

    def probabilities(images: tf.Tensor) -> tf.Tensor:
        found = model(images, training=False)
        return tf.nn.softmax(found) if are_logits else found

    def eval_step(images: tf.Tensor) -> tf.Tensor:
        with tf.device(device_name):
            if tta:
                return _mean_over_views(probabilities, images, size_multiple)
            return model(images, training=False)

    if run_eagerly:
        return eval_step
    signature = None
    if input_size is not None:
        signature = [tf.TensorSpec([None, *input_size, 3], tf.uint8)]
    traced = tf.function(
        eval_step,
        input_signature=signature,
        autograph=False,
        reduce_retracing=False,
    )
    if signature is None:
        return traced
    # On first use, so that the weights are there. Called by itself, TensorFlow
    # would take the networks of a notebook for one that is traced repeatedly.
    only_trace = functools.cache(traced.get_concrete_function)
    return lambda images: only_trace()(images)


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


def _mean_over_views(
    probabilities: Callable[[tf.Tensor], tf.Tensor],
    images: tf.Tensor,
    size_multiple: int,
) -> tf.Tensor:
    """Probabilities, averaged over mirror images and sizes.

    Args:
      probabilities: What the network says of images.
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
            found = probabilities(seen)
            found = tf.reverse(found, [2]) if mirror else found
            total += tf.image.resize(found, size)
    return total / (2 * len(_TTA_SCALES))


def to_tensor(image: np.ndarray) -> tf.Tensor:
    """An image as a tensor; a large one outside of TensorFlow's own memory.

    That grows with the largest tensor, by the size of two, and never shrinks.
    """
    if image.size <= _SMALL_BYTES:
        return tf.constant(image)
    buffer = np.empty([image.size + _ALIGNMENT], np.uint8)
    start = -buffer.ctypes.data % _ALIGNMENT
    aligned = buffer[start : start + image.size].reshape(image.shape)
    aligned[:] = image
    return tf.experimental.dlpack.from_dlpack(aligned.__dlpack__())


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
    return _at(logits, height, width, _largest, np.empty([0], np.uint8))


def probabilities_at(
    logits: tf.Tensor, height: int, width: int, *, are_logits: bool = True
) -> np.ndarray:
    """The probability of each class at every pixel of the original image.

    Args:
      logits: float32 `[input height, input width, num_classes]`.
      height: Of the image, pixels.
      width: Of the image, pixels.
      are_logits: False if they are probabilities already.

    Returns:
      float32 `[height, width, num_classes]`; those of a pixel add up to 1, and
      the largest is that of its label in `labels_at`.
    """
    finish = tf.nn.softmax if are_logits else tf.identity
    like = np.empty([0, logits.shape[-1]], np.float32)
    return _at(logits, height, width, finish, like)


def certainty_at(
    logits: tf.Tensor, height: int, width: int, *, are_logits: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels of `labels_at`, and how sure the network is of each.

    Args:
      logits: float32 `[input height, input width, num_classes]`.
      height: Of the image, pixels.
      width: Of the image, pixels.
      are_logits: False if they are probabilities already.

    Returns:
      Labels, uint8 `[height, width]`; their probabilities (confidence),
      float32 `[height, width]`; and the entropies of the probabilities of all
      classes, likewise, where 1 says that all are as likely.
    """
    finish = _certainty_of_logits if are_logits else _certainty_of
    found = _at(logits, height, width, finish, np.empty([0, 3], np.float32))
    return found[..., 0].astype(np.uint8), found[..., 1], found[..., 2]


def probability_bytes_at(
    logits: tf.Tensor, height: int, width: int, *, are_logits: bool = True
) -> np.ndarray:
    """As `probabilities_at`, in a quarter of the memory.

    Returns:
      uint8 `[height, width, num_classes]`, 255 for 1.
    """
    finish = _bytes_of_logits if are_logits else _bytes_of
    like = np.empty([0, logits.shape[-1]], np.uint8)
    return _at(logits, height, width, finish, like)


def entropy_bytes_at(
    logits: tf.Tensor, height: int, width: int, *, are_logits: bool = True
) -> np.ndarray:
    """How undecided the network is at every pixel of the original image.

    Returns:
      uint8 `[height, width]`: the entropy of `certainty_at`, 255 for 1.
    """
    finish = _entropy_bytes_of_logits if are_logits else _entropy_bytes_of
    return _at(logits, height, width, finish, np.empty([0], np.uint8))


def relative_entropy(probabilities: np.ndarray) -> np.ndarray:
    """The entropy of `certainty_at`.

    Args:
      probabilities: float32 `[..., num_classes]`.

    Returns:
      float32 `[...]`, 0 to 1.
    """
    with tf.device(_CPU):
        return _certainty_of(tf.constant(probabilities))[..., 2].numpy()


def _entropy_bytes_of(probabilities: tf.Tensor) -> tf.Tensor:
    return _bytes_of(_certainty_of(probabilities)[..., 2])


def _entropy_bytes_of_logits(logits: tf.Tensor) -> tf.Tensor:
    return _bytes_of(_certainty_of_logits(logits)[..., 2])


def _certainty_of_logits(logits: tf.Tensor) -> tf.Tensor:
    """Label, confidence and entropy, float32 `[height, width, 3]`."""
    largest, labels = tf.math.top_k(logits, 1, index_type=tf.int32)
    below = logits - largest
    powers = tf.exp(below)
    total = _sum_last(powers)
    entropy = tf.math.log(total) - _sum_last(powers * below) / total
    return tf.concat(
        [tf.cast(labels, tf.float32), 1.0 / total, _relative(entropy, logits)],
        -1,
    )


def _certainty_of(probabilities: tf.Tensor) -> tf.Tensor:
    """The same of probabilities."""
    largest, labels = tf.math.top_k(probabilities, 1, index_type=tf.int32)
    entropy = -_sum_last(tf.math.xlogy(probabilities, probabilities))
    # Those that were averaged add up to 1 but for rounding.
    largest = tf.minimum(largest, 1.0)
    return tf.concat(
        [tf.cast(labels, tf.float32), largest,
         _relative(entropy, probabilities)],
        -1,
    )  # fmt: skip


def _relative(entropy: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Entropies as a part of the largest that there can be."""
    largest = np.log(max(2, values.shape[-1]))
    return tf.clip_by_value(entropy / largest, 0.0, 1.0)


def _sum_last(values: tf.Tensor) -> tf.Tensor:
    """Sums along the last axis, which stays; as a product in half the time."""
    flat = tf.reshape(values, [-1, values.shape[-1]])
    sums = tf.matmul(flat, tf.ones([values.shape[-1], 1]))
    return tf.reshape(sums, tf.concat([tf.shape(values)[:-1], [1]], 0))


def _bytes_of(probabilities: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(255.0 * probabilities), tf.uint8)


def _bytes_of_logits(logits: tf.Tensor) -> tf.Tensor:
    return _bytes_of(tf.nn.softmax(logits))


def confidence_of(logits: tf.Tensor, *, are_logits: bool = True) -> float:
    """How sure the network is: the mean probability of its labels.

    Args:
      logits: float32 `[input height, input width, num_classes]`; the mean is
        over these pixels.
      are_logits: False if they are probabilities already.

    Returns:
      1 / num_classes to 1.
    """
    with tf.device(_CPU):
        found = tf.nn.softmax(logits) if are_logits else logits
        return float(tf.reduce_mean(tf.reduce_max(found, -1)))


def entropy_of(logits: tf.Tensor, *, are_logits: bool = True) -> float:
    """How undecided the network is: the mean entropy, 0 to 1.

    Args:
      logits: As for `confidence_of`.
      are_logits: Likewise.
    """
    with tf.device(_CPU):
        found = tf.nn.softmax(logits) if are_logits else logits
        return float(relative_entropy(found).mean(dtype=np.float64))


def _at(
    logits: tf.Tensor,
    height: int,
    width: int,
    finish: Callable[[tf.Tensor], tf.Tensor],
    like: np.ndarray,
) -> np.ndarray:
    """Brings logits to a size and finishes them, large ones in bands of rows.

    Args:
      logits: float32 `[input height, input width, num_classes]`.
      height: Of the result, pixels.
      width: Of the result, pixels.
      finish: What is made of the logits of each pixel.
      like: Without elements; of the dtype of the result, and with its axes
        after height and width.
    """
    rows = max(1, _BAND_VALUES // (width * logits.shape[-1]))
    with _TRACING:  # Called from several threads, traced by one.
        whole, one_band = _create_functions(finish, logits.shape[-1])
    if rows >= height:
        return whole(logits, tf.constant([height, width])).numpy()
    result = np.empty([height, width, *like.shape[1:]], like.dtype)
    with _ONE_LARGE:
        for first in range(0, height, rows):
            band = tf.constant([first, min(first + rows, height)])
            result[first : first + rows] = one_band(
                logits, band, tf.constant([height, width])
            )
    return result


@functools.cache
def _create_functions(
    finish: Callable[[tf.Tensor], tf.Tensor],
    channels: int,
) -> tuple[Callable[..., tf.Tensor], ...]:
    """Traces the parts of `_at` for all heights and widths.

    They run on the CPU: every image has its own size, which an accelerator
    would compile anew.
    """
    image = tf.TensorSpec([None, None, channels], tf.float32)
    pair = tf.TensorSpec([2], tf.int32)

    @tf.function(input_signature=[image, pair], autograph=False)
    def whole(logits: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        with tf.device(_CPU):
            return finish(tf.image.resize(logits[None], size, "bilinear")[0])

    @tf.function(input_signature=[image, pair, pair], autograph=False)
    def one_band(
        logits: tf.Tensor, band: tf.Tensor, size: tf.Tensor
    ) -> tf.Tensor:
        with tf.device(_CPU):
            return finish(_enlarged_rows(logits, band, size))

    functions = (whole, one_band)
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
