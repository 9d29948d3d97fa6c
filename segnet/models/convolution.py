"""3x3 convolutions whose kernel gradient is faster on a CPU.

oneDNN's kernel for the gradient reaches 0.55 to 0.75 of the speed of its
forward one, on CPUs without matrix units. As matrix products of shifted
images it comes out faster where there are enough channels for the products to
be worth the copies. Measured with TensorFlow 2.15 (oneDNN 3.2.1), AVX-512.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["CpuConv2D", "kernel_gradient"]

_TAPS = 3
# Input times output channels from which the products are the faster way.
_ENOUGH_CHANNELS = {tf.float32: 64 * 128, tf.bfloat16: 128 * 256}


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
        if not (self.use_bias and _is_worth_it(inputs, self.kernel.shape)):
            return super().call(inputs)
        kernel = tf.convert_to_tensor(self.kernel)
        bias = tf.convert_to_tensor(self.bias)
        return self.activation(_convolve(inputs, kernel, bias))

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        config = super().get_config()
        for fixed in ("kernel_size", "strides", "padding"):
            del config[fixed]
        return config


def _is_worth_it(inputs: tf.Tensor, kernel_shape: tf.TensorShape) -> bool:
    """Whether `kernel_gradient` is faster than the usual operation."""
    if not (hasattr(inputs, "device") and "CPU" in inputs.device.upper()):
        return False
    if not inputs.shape.is_fully_defined():
        return False
    enough = _ENOUGH_CHANNELS.get(inputs.dtype)
    return enough is not None and kernel_shape[2] * kernel_shape[3] >= enough


@tf.custom_gradient
def _convolve(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tuple:
    """Convolution and bias, and their gradients."""

    def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
        into_inputs = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=inputs.shape,
            filter=kernel,
            out_backprop=upstream,
            strides=[1, 1, 1, 1],
            padding="SAME",
        )
        # As a product: BiasAddGrad would round each partial sum to bfloat16.
        pixels = tf.reshape(upstream, [-1, upstream.shape[-1]])
        into_bias = tf.matmul(tf.ones([1, pixels.shape[0]], bias.dtype), pixels)
        return into_inputs, kernel_gradient(inputs, upstream), into_bias[0]

    outputs = tf.nn.conv2d(inputs, kernel, 1, "SAME")
    return tf.nn.bias_add(outputs, bias), gradients


def kernel_gradient(inputs: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """Gradient of a 3x3 convolution with zero padding by its kernel.

    With x the inputs and g the gradient of the outputs, tap (i, j) is the sum
    over the pixels of x[row + i - 1, column + j - 1] g[row, column], which is
    the product of two matrices of pixels by channels. Sums are float32 and
    rounded once.

    Args:
      inputs: `[batch, height, width, channels]`, of known shape.
      upstream: `[batch, height, width, filters]`.

    Returns:
      `[3, 3, channels, filters]`, of the inputs' dtype.
    """
    if inputs.dtype.size < 4:
        return _by_taps(inputs, upstream)
    return _by_rows(inputs, upstream)


def _by_taps(inputs: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """One product a tap; the taps are shifts along the padded pixels."""
    _, _, width, channels = inputs.shape
    filters = upstream.shape[-1]
    # Padding holds the end of a row and of an image off the next one.
    stride = width + 2
    inputs = tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]])
    upstream = tf.pad(upstream, [[0, 0], [0, 2], [0, 2], [0, 0]])
    inputs = tf.reshape(inputs, [-1, channels])
    count = inputs.shape[0] - 2 * stride - 2
    upstream = tf.reshape(upstream, [-1, filters])[:count]
    shifts = [
        row * stride + column for row in range(_TAPS) for column in range(_TAPS)
    ]
    taps = [
        tf.matmul(inputs[shift : shift + count], upstream, transpose_a=True)
        for shift in shifts
    ]
    return tf.reshape(tf.stack(taps), [_TAPS, _TAPS, channels, filters])


def _by_rows(inputs: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """One product a row of taps and image: its taps stand side by side."""
    _, height, width, channels = inputs.shape
    filters = upstream.shape[-1]
    rows: list[list[tf.Tensor]] = [[], [], []]
    # An image at a time: less memory, and rows shift without padding.
    for image, gradient in zip(
        tf.unstack(inputs), tf.unstack(upstream), strict=True
    ):
        gradient = tf.pad(gradient, [[0, 0], [1, 1], [0, 0]])
        # Column c of part j is column c + 1 - j, so it belongs to tap j.
        sides = [gradient[:, 2 - j : 2 - j + width] for j in range(_TAPS)]
        right = tf.reshape(tf.concat(sides, -1), [-1, _TAPS * filters])
        left = tf.reshape(image, [-1, channels])
        end = (height - 1) * width
        pairs = (
            (left[:end], right[width:]),
            (left, right),
            (left[width:], right[:end]),
        )
        for row, pair in zip(rows, pairs, strict=True):
            row.append(tf.matmul(*pair, transpose_a=True))
    taps = tf.stack([tf.add_n(row) for row in rows])
    taps = tf.reshape(taps, [_TAPS, channels, _TAPS, filters])
    return tf.transpose(taps, [0, 2, 1, 3])
