"""Layers that Keras lacks, made of operations that every device has.

The Gaudi has no kernel for MaxPoolWithArgmax nor for the gradient of
MaxPoolGrad, so neither occurs here, forward or backward.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.models.convolution import stored

__all__ = [
    "BilinearUpsampling",
    "MaskUnpooling",
    "MaxPoolWithMask",
    "PositionedDropout",
    "UpsampledConv2D",
    "VggNormalization",
]

# Mean of the ImageNet training images, in the order of VGG16's channels.
_BGR_MEANS = (103.939, 116.779, 123.68)

# Row t holds which of the three taps of a kernel the tap t of its folded form
# adds up; one axis of the image at a time. With u the input at twice the size,
# outputs 2i and 2i + 1 are
#   w0 u[2i-1] + w1 u[2i] + w2 u[2i+1] = w0 x[i-1] + (w1 + w2) x[i],
#   w0 u[2i] + w1 u[2i+1] + w2 u[2i+2] = (w0 + w1) x[i] + w2 x[i+1],
# and tap t of the transposed convolution takes x[i] to output 2i + t - 1.
_FOLD = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], np.float32)


class VggNormalization(tf.keras.layers.Layer):
    """Turns RGB pixels into what VGG16 was trained on.

    uint8 `[batch, height, width, 3]` RGB to BGR minus the mean of ImageNet,
    in the compute dtype. The mean is subtracted before rounding to bfloat16.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        dtype = tf.as_dtype(self.compute_dtype)
        exact = dtype if dtype.size > 4 else tf.float32
        red, green, blue = tf.split(tf.cast(inputs, exact), 3, axis=-1)
        pixels = tf.concat([blue, green, red], axis=-1)
        return tf.cast(pixels - tf.constant(_BGR_MEANS, exact), dtype)


class UpsampledConv2D(tf.keras.layers.Conv2D):
    """Nearest x2 upsampling and a 3x3 convolution with zero padding, as one.

    `[batch, height, width, channels]` to `[batch, 2 height, 2 width,
    filters]`. The weights are those of the `Conv2D`. Upsampled pixels are
    equal in pairs, so taps that meet the same pixel can be added before they
    are multiplied: what remains is a transposed convolution of stride 2 whose
    4x4 kernel is the 3x3 kernel summed over shifted copies, with 16 instead
    of 36 multiplications per input pixel. The borders agree too.
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        """Creates the layer.

        Args:
          filters: Channels of the output.
          **kwargs: Of `Conv2D`; kernel size, strides and padding are fixed.
        """
        super().__init__(filters, 3, padding="same", **kwargs)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        batch, height, width, _ = _shape(inputs)
        outputs = tf.nn.conv2d_transpose(
            inputs,
            self._folded_kernel(),
            [batch, 2 * height, 2 * width, self.filters],
            strides=2,
            padding="SAME",
        )
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, self.bias)
        return self.activation(outputs)

    def _folded_kernel(self) -> tf.Tensor:
        """The kernel `[4, 4, filters, channels]`, summed in its own dtype."""
        # Inside a layer a variable reads as the compute dtype; its handle
        # gives the stored precision, so that sums are rounded only once.
        kernel = tf.convert_to_tensor(stored(self.kernel))
        channels = kernel.shape[2]
        kernel = tf.transpose(kernel, [0, 1, 3, 2])
        fold = tf.constant(np.kron(_FOLD, _FOLD), kernel.dtype)
        kernel = tf.matmul(fold, tf.reshape(kernel, [9, -1]))
        kernel = tf.reshape(kernel, [4, 4, self.filters, channels])
        return tf.cast(kernel, self.compute_dtype)


class PositionedDropout(tf.keras.layers.Layer):
    """Dropout whose masks are a function of the position in the run.

    A run that is resumed goes on with the masks that an undisturbed one has;
    Keras's own dropout would begin anew. It has no weight, so networks with
    and without dropout have the same ones. Same shape and dtype out as in.
    """

    def __init__(
        self,
        rate: float,
        position: tf.Variable,
        *,
        shared: bool = False,
        **kwargs: Any,
    ) -> None:
        """Creates the layer.

        Args:
          rate: Share of the values that become zero in training.
          position: int32 scalar, the same for the same masks.
          shared: Whether all images of a batch have the same mask, so that
            what becomes of an image does not depend on the others.
          **kwargs: Of `tf.keras.layers.Layer`; the name decides the masks too.
        """
        super().__init__(**kwargs)
        self.rate = rate
        self._shared = shared
        # In a function, or Keras would make it a weight of the layer.
        self._position = lambda: position

    def call(
        self, inputs: tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        """Drops and scales up in training, else passes on."""
        if not training:
            return inputs
        seed = tf.stack(
            [zlib.crc32(self.name.encode()) >> 1, self._position().read_value()]
        )
        shape = tf.shape(inputs)
        if self._shared:
            shape = tf.concat([[1], shape[1:]], 0)
        draw = tf.random.stateless_uniform(shape, seed)
        kept = tf.cast(draw >= self.rate, inputs.dtype)
        return inputs * kept / tf.cast(1.0 - self.rate, inputs.dtype)


class MaxPoolWithMask(tf.keras.layers.Layer):
    """2x2 max pooling that also tells where each maximum was.

    `[batch, height, width, channels]`, height and width even, to the pooled
    `[batch, height / 2, width / 2, channels]` and the mask `[batch, height,
    width, channels]`: 1 at the maximum of each window, else 0. A window with
    ties has exactly one 1. No gradient passes through the mask.
    """

    def __init__(self, *, portable: bool = False, **kwargs: Any) -> None:
        """Creates the layer.

        Args:
          portable: Whether the mask is made by comparisons, for formats that
            have no gradient of pooling; the same, and slower in training.
          **kwargs: Of `tf.keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self._portable = portable

    def call(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the class."""
        pooled = tf.nn.max_pool2d(inputs, 2, 2, "VALID")
        if self._portable:
            return pooled, _winners(inputs)
        # The gradient of pooling sends each value to its winner, so that of
        # ones is the mask.
        mask = tf.raw_ops.MaxPoolGrad(
            orig_input=tf.stop_gradient(inputs),
            orig_output=tf.stop_gradient(pooled),
            grad=tf.ones_like(pooled),
            ksize=[1, 2, 2, 1],
            strides=[1, 2, 2, 1],
            padding="VALID",
        )
        return pooled, tf.stop_gradient(mask)


def _winners(inputs: tf.Tensor) -> tf.Tensor:
    """The mask of a pooling; of equal values in a window the first wins.

    The values of a window are compared with each other, not with their
    maximum: a file with int8 may have that rounded otherwise.
    """
    corners = ((0, 0), (0, 1), (1, 0), (1, 1))
    first, second, third, fourth = (
        inputs[:, row::2, column::2] for row, column in corners
    )
    a, b, c = first >= second, first >= third, first >= fourth
    d, e, f = second >= third, second >= fourth, third >= fourth
    won = (a & b & c, ~a & d & e, ~b & ~d & f, ~c & ~e & ~f)
    masks = [tf.cast(each, inputs.dtype) for each in won]
    return tf.nn.depth_to_space(tf.concat(masks, -1), 2)


class MaskUnpooling(tf.keras.layers.Layer):
    """Puts values back to where the maxima of a pooling were, zero elsewhere.

    Takes values `[batch, height, width, channels]` and the mask `[batch,
    2 height, 2 width, channels]` of `MaxPoolWithMask`; gives the mask's shape.
    Source: SegNet (arXiv 1511.00561), section 3.
    """

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """See the class."""
        values, mask = inputs
        return _nearest(values) * mask


class BilinearUpsampling(tf.keras.layers.Layer):
    """Bilinear x2 upsampling with half-pixel centres, without weights.

    `[batch, height, width, channels]` to `[batch, 2 height, 2 width,
    channels]`, as `tf.image.resize` does. At this factor each output is 3/4
    of the nearest and 1/4 of the next input, so sums of shifted copies do,
    which a CPU computes in less time, gradient included.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return _double(_double(inputs, axis=1), axis=2)


def _double(values: tf.Tensor, axis: int) -> tf.Tensor:
    """Interpolates to twice the size along one axis."""
    first, rest = tf.split(values, [1, -1], axis)
    start, last = tf.split(values, [-1, 1], axis)
    before = tf.concat([first, start], axis)
    after = tf.concat([rest, last], axis)
    near = 0.75 * values
    shape = _shape(values)
    shape[axis] *= 2
    pairs = tf.stack([near + 0.25 * before, near + 0.25 * after], axis + 1)
    return tf.reshape(pairs, shape)


def _nearest(values: tf.Tensor) -> tf.Tensor:
    """Repeats each pixel twice in height and width."""
    _, height, width, _ = _shape(values)
    return tf.raw_ops.ResizeNearestNeighbor(
        images=values, size=[2 * height, 2 * width]
    )


def _shape(values: tf.Tensor) -> list[int | tf.Tensor]:
    """The shape: numbers where known, so that compilers see static shapes."""
    dynamic = tf.shape(values)
    return [
        dynamic[axis] if size is None else size
        for axis, size in enumerate(values.shape)
    ]
