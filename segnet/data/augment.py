"""Random changes of a training sample: pure (image, label, seed) functions.

Only stateless random ops are used, so a sample is a function of its seed
alone, whatever the order or the number of threads. Work on the image happens
at the output's size, which is the smaller one as a rule.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from segnet.constants import IGNORE_LABEL
from segnet.data import resizing

__all__ = ["POLICIES", "Policy", "augment"]


@dataclasses.dataclass(frozen=True)
class Policy:
    """How far the random changes of a policy go.

    Attributes:
      smallest_crop: The crop is scaled by a factor between this and its
        inverse, as far as the image goes.
      aspect_jitter: Height and width of the crop are scaled by up to this,
        one up and the other down.
      brightness: Largest amount added, of 255.
      contrast: Smallest and largest factor on the distance from the mean.
      saturation: Smallest and largest factor on the distance from grey.
      hue: Largest turn of the hue, in full turns.
      rotation: Largest turn of the picture, radians.
      blur: Largest share of a blurred copy that is mixed in, 0 to 1.
      cutout: Largest part of height and width that is covered, 0 to 1.
    """

    smallest_crop: float
    aspect_jitter: float
    brightness: float
    contrast: tuple[float, float]
    saturation: tuple[float, float]
    hue: float = 0.0
    rotation: float = 0.0
    blur: float = 0.0
    cutout: float = 0.0


POLICIES = {
    "basic": Policy(0.7, 1.15, 32.0, (0.7, 1.4), (0.6, 1.5)),
    "strong": Policy(
        0.55, 1.25, 40.0, (0.6, 1.6), (0.5, 1.8),
        hue=0.04, rotation=0.14, blur=1.0, cutout=0.3,
    ),
}  # fmt: skip
# Share of red, green and blue in grey, ITU-R BT.601.
_LUMA = (0.299, 0.587, 0.114)
# Of the blur: a box of 5 pixels holds 2 standard deviations each way.
_BLUR_SIGMA = 1.2
_BLUR_SIZE = 5
# Rotation, blur and cutout leave some samples as they are.
_SHARE_CHANGED = 0.5


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
      label: uint8 `[image height, image width]`, or of 2, 4 or 8 times that
        size.
      seed: int64 `[2]`, of this record in this epoch.
      height: Height to return, pixels.
      width: Width to return, pixels.
      policy: `none` (resize only), `basic` (flip, crop and scale,
        brightness, contrast, saturation) or `strong` (all of that and more of
        it, hue, rotation, blur, a rectangle that is covered).
      window: Part of the image's height and width to see, in 0..1, at a
        random place; with a policy scaled at random.

    Returns:
      Image uint8 `[height, width, 3]` and label int32 `[height, width]`, 255
      where nothing is known: outside of a picture that was turned, and where
      it is covered.
    """
    limits = POLICIES.get(policy)
    if limits is None and window != (1.0, 1.0):
        image, label = _random_crop(image, label, seed, window, 1.0, 1.0)
    elif limits:
        # One seed for each kind of change: none depends on another.
        seeds = tf.unstack(tf.random.split(seed, 6))
        image, label = _random_crop(
            image, label, seeds[0], window, limits.smallest_crop,
            limits.aspect_jitter,
        )  # fmt: skip
        # While a pixel is four bytes.
        image, label = _random_flip(image, label, seeds[1])
    image = resizing.resize_image(image, height, width)
    label = resizing.resize_label(label, height, width)
    if limits:
        if limits.rotation:
            image, label = _random_rotation(image, label, seeds[3], limits)
        image = _random_colour(image, seeds[2], limits)
        if limits.blur:
            image = _random_blur(image, seeds[4], limits)
        if limits.cutout:
            image, label = _random_cutout(image, label, seeds[5], limits)
    return resizing.to_uint8(image), tf.cast(label, tf.int32)


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
    window = tf.cast(window, tf.int32)
    # Both cut at the same place: whole pixels of an image decoded smaller.
    ratio = -(-tf.shape(label)[0] // tf.shape(image)[0])
    corner, window = corner // ratio, tf.maximum(window // ratio, 1)
    return _cut(image, corner, window), _cut(
        label, corner * ratio, window * ratio
    )


def _cut(pixels: tf.Tensor, corner: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Cuts out a window."""
    end = corner + size
    return pixels[corner[0] : end[0], corner[1] : end[1]]


def _random_flip(
    image: tf.Tensor, label: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirrors left and right, half of the time."""
    return tf.cond(
        tf.random.stateless_uniform([], seed) < 0.5,
        # Ten times faster than a slice with step -1.
        lambda: (tf.reverse(image, [1]), tf.reverse(label, [1])),
        lambda: (image, label),
    )


def _random_rotation(
    image: tf.Tensor, label: tf.Tensor, seed: tf.Tensor, limits: Policy
) -> tuple[tf.Tensor, tf.Tensor]:
    """Turns some pictures about their centre; what comes in is ignored."""
    # Only this policy waits for the import.
    import tensorflow_addons as tfa

    draw = tf.random.stateless_uniform([2], seed)
    angle = limits.rotation * (2.0 * draw[1] - 1.0)

    def turn() -> tuple[tf.Tensor, tf.Tensor]:
        turned = tfa.image.rotate(image, angle, "bilinear")
        turned_label = tfa.image.rotate(
            label[..., None], angle, "nearest", fill_value=float(IGNORE_LABEL)
        )
        return turned, turned_label[..., 0]

    return tf.cond(draw[0] < _SHARE_CHANGED, turn, lambda: (image, label))


def _random_blur(
    image: tf.Tensor, seed: tf.Tensor, limits: Policy
) -> tf.Tensor:
    """Mixes a blurred copy into some pictures."""
    import tensorflow_addons as tfa

    draw = tf.random.stateless_uniform([2], seed)

    def mix() -> tf.Tensor:
        blurred = tfa.image.gaussian_filter2d(image, _BLUR_SIZE, _BLUR_SIGMA)
        return image + limits.blur * draw[1] * (blurred - image)

    return tf.cond(draw[0] < _SHARE_CHANGED, mix, lambda: image)


def _random_cutout(
    image: tf.Tensor, label: tf.Tensor, seed: tf.Tensor, limits: Policy
) -> tuple[tf.Tensor, tf.Tensor]:
    """Covers a rectangle of some pictures in grey (arXiv 1708.04552).

    Its label is ignored: what is behind is not to be guessed.
    """
    draw = tf.random.stateless_uniform([5], seed)
    size = tf.cast(tf.shape(label), tf.float32)
    part = limits.cutout * tf.cast(draw[0] < _SHARE_CHANGED, tf.float32)
    extent = size * part * draw[1:3]
    corner = (size - extent) * draw[3:5]
    covered = tf.logical_and(
        _between_ends(size[0], corner[0], extent[0])[:, None],
        _between_ends(size[1], corner[1], extent[1])[None],
    )
    grey = tf.fill(tf.shape(image), 127.0)
    ignored = tf.fill(tf.shape(label), tf.constant(IGNORE_LABEL, label.dtype))
    return (
        tf.where(covered[..., None], grey, image),
        tf.where(covered, ignored, label),
    )


def _between_ends(
    size: tf.Tensor, start: tf.Tensor, extent: tf.Tensor
) -> tf.Tensor:
    """Which of `size` pixels have their centre in start..start + extent."""
    centres = tf.range(size) + 0.5
    return tf.logical_and(centres >= start, centres < start + extent)


def _random_colour(
    image: tf.Tensor, seed: tf.Tensor, limits: Policy
) -> tf.Tensor:
    """Changes hue, saturation, contrast, brightness; float32 in and out."""
    draw = tf.random.stateless_uniform([4], seed)
    saturation = _between(limits.saturation, draw[0])
    contrast = _between(limits.contrast, draw[1])
    brightness = limits.brightness * (2.0 * draw[2] - 1.0)
    if limits.hue:
        hue = limits.hue * (2.0 * draw[3] - 1.0)
        image = tf.image.adjust_hue(image, hue)
    # With grey g = x . luma, its mean m over the picture, saturation s and
    # contrast c, a pixel x becomes m + c (g + s (x - g) - m) + brightness: one
    # product with a matrix and one sum, instead of a pass for each.
    luma = tf.constant(_LUMA)[:, None]
    matrix = contrast * (saturation * tf.eye(3) + (1.0 - saturation) * luma)
    # Every eighth row and column tell the mean well enough.
    mean = tf.reduce_mean(tf.tensordot(image[::8, ::8], luma, 1))
    offset = tf.fill([3], (1.0 - contrast) * mean + brightness)
    # As a convolution, which adds the offset in the same pass.
    pixels = tf.nn.conv2d(image[None], matrix[None, None], 1, "VALID")
    return tf.nn.bias_add(pixels, offset)[0]


def _between(bounds: tuple[float, float], draw: tf.Tensor) -> tf.Tensor:
    """Maps a draw from 0..1 to the bounds, evenly in the logarithm."""
    low, high = bounds
    return low * tf.pow(high / low, draw)
