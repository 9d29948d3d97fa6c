"""Random changes of a training sample: pure (image, label, seed) functions.

Only stateless random ops are used, so a sample is a function of its seed
alone, whatever the order or the number of threads. Work on the image happens
at the output's size, which is the smaller one as a rule.
"""

from __future__ import annotations

import tensorflow as tf

__all__ = ["augment", "resize_image", "resize_label"]

# The random crop is scaled by a factor between this and its inverse, as far as
# the image goes.
_SMALLEST_CROP = 0.7
# Height and width of the crop are scaled by up to this, independently.
_ASPECT_JITTER = 1.15
_BRIGHTNESS = 32.0
_CONTRAST = (0.7, 1.4)
_SATURATION = (0.6, 1.5)


def resize_image(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Resizes an image as training, evaluation and prediction all do.

    Bilinear; an image at least twice as large is averaged by area instead,
    because bilinear interpolation would skip pixels.

    Args:
      image: uint8 `[image height, image width, 3]`.
      height: New height, pixels.
      width: New width, pixels.

    Returns:
      float32 `[height, width, 3]` in 0..255.
    """
    size = (height, width)
    large = tf.reduce_any(tf.shape(image)[:2] >= [2 * height, 2 * width])
    image = tf.cond(
        large,
        lambda: tf.image.resize(image, size, "area"),
        lambda: tf.image.resize(image, size, "bilinear"),
    )
    return tf.ensure_shape(image, [height, width, 3])


def resize_label(label: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Resizes a label map; every value is one of the nearest pixel's.

    Args:
      label: uint8 `[label height, label width]`.
      height: New height, pixels.
      width: New width, pixels.

    Returns:
      uint8 `[height, width]`.
    """
    label = tf.image.resize(label[..., None], (height, width), "nearest")
    return tf.ensure_shape(label[..., 0], [height, width])


def augment(
    image: tf.Tensor,
    label: tf.Tensor,
    seed: tf.Tensor,
    *,
    height: int,
    width: int,
    policy: str,
    window: tuple[float, float] = (1.0, 1.0),
) -> tuple[tf.Tensor, tf.Tensor]:
    """Brings a sample to the network's input size, changed at random.

    Args:
      image: uint8 `[image height, image width, 3]`, RGB.
      label: uint8 `[image height, image width]`.
      seed: int64 `[2]`, of this record in this epoch.
      height: Height to return, pixels.
      width: Width to return, pixels.
      policy: `none` (resize only) or `basic` (flip, crop and scale,
        brightness, contrast, saturation).
      window: Part of the image's height and width to see, in 0..1, at a
        random place; with `basic` scaled at random.

    Returns:
      Image uint8 `[height, width, 3]` and label int32 `[height, width]`.
    """
    if policy == "none":
        if window != (1.0, 1.0):
            image, label = _random_crop(image, label, seed, window, 1.0, 1.0)
        image = resize_image(image, height, width)
        label = resize_label(label, height, width)
    else:
        seeds = tf.unstack(tf.random.split(seed, 3))
        image, label = _random_crop(
            image, label, seeds[0], window, _SMALLEST_CROP, _ASPECT_JITTER
        )
        image = resize_image(image, height, width)
        label = resize_label(label, height, width)
        image, label = _random_flip(image, label, seeds[1])
        image = _random_colour(image, seeds[2])
    image = tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)
    return image, tf.cast(label, tf.int32)


def _random_crop(
    image: tf.Tensor,
    label: tf.Tensor,
    seed: tf.Tensor,
    part: tuple[float, float],
    smallest: float,
    aspect_jitter: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Cuts out a window of random size and place.

    It has `part` of height and width, times one factor between `smallest` and
    its inverse (never more than the image), and up to `aspect_jitter` more of
    one and less of the other.
    """
    draw = tf.random.stateless_uniform([4], seed)
    scale = _between((smallest, 1.0 / smallest), draw[0])
    aspect = tf.pow(aspect_jitter, 2.0 * draw[1] - 1.0)
    size = tf.cast(tf.shape(label), tf.float32)
    window = size * part * scale * tf.stack([aspect, 1.0 / aspect])
    window = tf.maximum(tf.round(tf.minimum(window, size)), 1.0)
    corner = tf.cast(tf.floor((size - window + 1.0) * draw[2:]), tf.int32)
    corner = tf.minimum(corner, tf.cast(size - window, tf.int32))
    end = corner + tf.cast(window, tf.int32)
    return (
        image[corner[0] : end[0], corner[1] : end[1]],
        label[corner[0] : end[0], corner[1] : end[1]],
    )


def _random_flip(
    image: tf.Tensor, label: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirrors left and right, half of the time."""
    return tf.cond(
        tf.random.stateless_uniform([], seed) < 0.5,
        lambda: (image[:, ::-1], label[:, ::-1]),
        lambda: (image, label),
    )


def _random_colour(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Changes saturation, contrast and brightness; float32 in and out."""
    draw = tf.random.stateless_uniform([3], seed)
    saturation = _between(_SATURATION, draw[0])
    contrast = _between(_CONTRAST, draw[1])
    brightness = _BRIGHTNESS * (2.0 * draw[2] - 1.0)
    # ITU-R BT.601 luma.
    grey = tf.tensordot(image, tf.constant([0.299, 0.587, 0.114]), 1)[..., None]
    mean = tf.reduce_mean(grey)
    image = grey + saturation * (image - grey)
    return mean + contrast * (image - mean) + brightness


def _between(bounds: tuple[float, float], draw: tf.Tensor) -> tf.Tensor:
    """Maps a draw from 0..1 to the bounds, evenly in the logarithm."""
    low, high = bounds
    return low * tf.pow(high / low, draw)
