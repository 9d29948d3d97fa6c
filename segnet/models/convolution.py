"""3x3 convolutions whose kernel gradient is faster on some CPUs.

oneDNN reaches the machine's peak in a convolution, but only 0.45 to 0.7 of it
in the gradient by the kernel, on CPUs without matrix units. Here the gradient
is made of convolutions instead, with two thirds of the multiplications.
Measured with TensorFlow 2.15 (oneDNN 3.2.1), AVX-512. Which CPUs gain by it is
for `runtime.hardware.cpu_gains_from_filtering` to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

__all__ = ["CpuConv2D", "kernel_gradient", "stored"]

_TAPS = 3
# Input times output channels from which this is the faster way.
_ENOUGH_CHANNELS = 128 * 256
# Bytes of one channel's pixels in a part: more do not stay in the cache.
_PART_BYTES = 8192
# Each part adds some thirty operations to the graph.
_MOST_PARTS = 32


class CpuConv2D(tf.keras.layers.Conv2D):
    """Keras's layer with kernel 3x3, stride 1 and zero padding.

    Equal to it but for the rounding of the kernel's gradient, and the same
    operations on other devices than a CPU.
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        """Creates the layer.

        Args:
          filters: Channels of the output.
          **kwargs: Of `Conv2D`; kernel size, strides and padding are fixed.
        """
        super().__init__(filters, _TAPS, padding="same", **kwargs)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        if not (self.use_bias and _is_worth_it(inputs, self.filters)):
            return super().call(inputs)
        # Inside a layer a variable reads as the compute dtype. Its handle
        # has the stored one, in which the gradient need not be rounded.
        kernel = tf.convert_to_tensor(stored(self.kernel))
        bias = tf.convert_to_tensor(self.bias)
        return self.activation(_convolve(inputs, kernel, bias))


def stored(variable: tf.Variable) -> tf.Variable:
    """The variable that a Keras precision policy wraps, or itself."""
    return getattr(variable, "_variable", variable)


def _is_worth_it(inputs: tf.Tensor, filters: int) -> bool:
    """Whether `kernel_gradient` is faster than the usual operation."""
    if not (hasattr(inputs, "device") and "CPU" in inputs.device.upper()):
        return False
    if not inputs.shape.is_fully_defined():
        return False
    if inputs.dtype not in (tf.float32, tf.bfloat16):
        return False
    if inputs.shape[-1] * filters < _ENOUGH_CHANNELS:
        return False
    return len(list(_parts(inputs))) <= _MOST_PARTS


@tf.custom_gradient
def _convolve(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tuple:
    """Convolution and bias, and their gradients."""
    rounded = tf.cast(kernel, inputs.dtype)

    def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
        with tf.name_scope("input_gradient"):
            into_inputs = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=inputs.shape,
                filter=rounded,
                out_backprop=upstream,
                strides=[1, 1, 1, 1],
                padding="SAME",
            )
        with tf.name_scope("kernel_gradient"):
            into_kernel = tf.cast(
                kernel_gradient(inputs, upstream), kernel.dtype
            )
            # As a product: BiasAddGrad would round each partial sum.
            pixels = tf.reshape(upstream, [-1, upstream.shape[-1]])
            ones = tf.ones([1, pixels.shape[0]], bias.dtype)
            into_bias = tf.matmul(ones, pixels)[0]
        return into_inputs, into_kernel, into_bias

    outputs = tf.nn.conv2d(inputs, rounded, 1, "SAME")
    return tf.nn.bias_add(outputs, bias), gradients


def kernel_gradient(inputs: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """Gradient of a 3x3 convolution with zero padding by its kernel.

    With x the inputs and g the gradient of the outputs, tap (i, j) is the sum
    over the pixels of x[row + i - 1, column + j - 1] g[row, column]. Two
    neighbouring columns of g, g0 and g1, meet four of x, d0 to d3, and give

      tap 0: d0 g0 + d1 g1 = m0 + m1 + m2      m0 = (d0 - d2) g0
      tap 1: d1 g0 + d2 g1 = m1 - m2           m1 = (d1 + d2) (g0 + g1) / 2
      tap 2: d2 g0 + d3 g1 = m3 + m1 + m2      m2 = (d2 - d1) (g0 - g1) / 2
                                               m3 = (d3 - d1) g1

    by four multiplications in place of six: the minimal filtering F(3, 2) of
    Winograd (arXiv 1509.09308, section 4.1). Each of the four, summed over
    the pixels and for three taps of rows, is a convolution: x turned so that
    channels stand for columns and pixels for channels, with g as the kernel.

    Args:
      inputs: `[batch, height, width, channels]`, of known shape.
      upstream: `[batch, height, width, filters]`.

    Returns:
      float32 `[3, 3, channels, filters]`. In bfloat16, sums and differences
      of two columns are rounded, and so are the four of each part.
    """
    width = inputs.shape[2]
    # Zeros to the left, and to the right so that all columns have a partner.
    margin = [1, 1 - width % 2]
    inputs = tf.pad(inputs, [[0, 0], [1, 1], margin, [0, 0]])
    upstream = tf.pad(upstream, [[0, 0], [0, 0], [0, sum(margin)], [0, 0]])
    parts: list[list[tf.Tensor]] = []
    for images, rows in _parts(upstream):
        # One after the other: else all would be in memory at once.
        with tf.control_dependencies(parts[-1] if parts else []):
            above_and_below = slice(rows.start, rows.stop + 2)
            parts.append(
                _products(
                    inputs[images, above_and_below], upstream[images, rows]
                )
            )
    first, plus, minus, last = map(tf.add_n, zip(*parts, strict=True))
    middle = 0.5 * (plus + minus)
    taps = [first + middle, 0.5 * (plus - minus), last + middle]
    return tf.stack(taps, axis=1)


def _parts(values: tf.Tensor) -> Iterator[tuple[slice, slice]]:
    """Cuts into images and rows, so that a part stays in the cache.

    Args:
      values: `[batch, height, width, channels]`.

    Yields:
      Slices of images and of rows: some whole images, or some rows of one.
    """
    batch, height, width, _ = values.shape
    most = max(1, _PART_BYTES // values.dtype.size // (width // 2 + 1))
    rows, images = min(height, most), max(1, most // height)
    for image in range(0, batch, images):
        for row in range(0, height, rows):
            yield (
                slice(image, min(image + images, batch)),
                slice(row, min(row + rows, height)),
            )


def _products(inputs: tf.Tensor, upstream: tf.Tensor) -> list[tf.Tensor]:
    """m0 to m3 of `kernel_gradient`, each summed over the pixels.

    Args:
      inputs: `[batch, rows + 2, 2 pairs, channels]`; column 0 is zero.
      upstream: `[batch, rows, 2 pairs, filters]`; the last pair is zero, or
        its second column is.

    Returns:
      Four times float32 `[3, channels, filters]`, the taps of the rows.
    """
    channels, filters = inputs.shape[-1], upstream.shape[-1]
    # Parity, row, channel, image and pair: a pair is a channel now.
    d0, d1 = tf.unstack(tf.transpose(_pairs(inputs), [3, 1, 4, 0, 2]))
    g0, g1 = tf.unstack(tf.transpose(_pairs(upstream), [3, 1, 0, 2, 4]))
    d2, d3 = _next(d0), _next(d1)
    values = [d0 - d2, d1 + d2, d2 - d1, d3 - d1]
    kernels = [g0, g0 + g1, g0 - g1, g1]
    pixels = upstream.shape[0] * upstream.shape[2] // 2
    products = [
        tf.nn.conv2d(
            tf.reshape(value, [1, -1, channels, pixels]),
            tf.reshape(kernel, [-1, 1, pixels, filters]),
            strides=1,
            padding="VALID",
        )
        for value, kernel in zip(values, kernels, strict=True)
    ]
    return [tf.cast(product[0], tf.float32) for product in products]


def _pairs(values: tf.Tensor) -> tf.Tensor:
    """`[batch, height, width / 2, 2, channels]`."""
    batch, height, width, channels = values.shape
    return tf.reshape(values, [batch, height, width // 2, 2, channels])


def _next(values: tf.Tensor) -> tf.Tensor:
    """The pair that follows.

    At the end of a row it is the first pair of another one, whose even column
    is zero, as it should be; its odd one meets a gradient of zero.
    """
    flat = tf.reshape(values, [-1])
    return tf.reshape(tf.concat([flat[1:], flat[:1]], 0), values.shape)
