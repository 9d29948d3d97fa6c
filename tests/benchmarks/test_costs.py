"""What the table of operations says an operation needs, by hand."""

from __future__ import annotations

import pytest
import tensorflow as tf

from benchmarks import costs
from segnet.models import layers


def _network():
    images = tf.keras.Input((8, 16, 3))
    values = tf.keras.layers.Conv2D(4, 3, padding="same", name="block1_conv1")(
        images
    )
    values = tf.keras.layers.BatchNormalization(name="block1_conv1_bn")(values)
    logits = tf.keras.layers.Conv2D(2, 3, padding="same", name="logits")(values)
    return tf.keras.Model(images, logits)


def test_arithmetic_and_traffic():
    found = costs.needed(_network(), batch=5, value_bytes=2)
    pixels = 5 * 8 * 16
    # 9 taps, a product and a sum each, for each pixel and pair of channels.
    first, last = (2 * 9 * pixels * pair for pair in (3 * 4, 4 * 2))
    forward = found["convolution"]
    assert forward.flop == first + last
    assert forward.num_bytes == 2 * pixels * ((3 + 4) + (4 + 2))
    # Nobody needs the gradient by the image.
    assert found["its gradient by the input"].flop == last
    assert found["its gradient by the kernel"].flop == first + last
    assert found["batch norm"].num_bytes == 3 * 2 * pixels * 4
    assert found["loss and its gradient"].num_bytes == 4 * 4 * pixels * 2


def test_layers_with_several_inputs_and_outputs():
    """Pooling of 128 values to 32 with 128 of a mask, and the way back."""
    images = tf.keras.Input((8, 16, 1))
    values, mask = layers.MaxPoolWithMask(name="pool")(images)
    values = layers.MaskUnpooling(name="unpool")((values, mask))
    found = costs.needed(tf.keras.Model(images, values), 1, value_bytes=2)
    pooling = found["pooling, unpooling and gradients"]
    # Values and maxima, for the mask values, maxima, ones and mask, for the
    # gradient values, maxima, its two ends.
    there = (128 + 32) + (128 + 32 + 32 + 128) + (128 + 32 + 32 + 128)
    # Maxima, mask and values, and their gradients.
    back = 2 * (32 + 128 + 128)
    assert pooling.num_bytes == 2 * (there + back)


@pytest.mark.parametrize(
    ("name", "op", "kind"),
    [
        ("vgg_segnet/block1_conv1/BiasAdd", "_MklNativeFusedConv2D",
         "convolution"),
        ("vgg_segnet/decoder_conv2/conv2d_transpose",
         "_MklNativeConv2DBackpropInput", "convolution"),
        ("gradient_tape/vgg_segnet/block1_conv1/CpuConv2D/Conv2DBackpropFilter",
         "_MklNativeConv2DBackpropFilterWithBias",
         "its gradient by the kernel"),
        ("gradient_tape/vgg_segnet/block2_conv1/CpuConv2D/Conv2DBackpropInput",
         "_MklNativeConv2DBackpropInput", "its gradient by the input"),
        ("kernel_gradient_3/Conv2D", "_MklNativeConv2D",
         "its gradient by the kernel"),
        ("input_gradient/Conv2DBackpropInput", "_MklNativeConv2DBackpropInput",
         "its gradient by the input"),
        ("gradient_tape/vgg_segnet/block4_pool/MaxPoolGrad",
         "_MklNativeMaxPoolGrad", "pooling, unpooling and gradients"),
        ("Adam/ResourceApplyAdam", "ResourceApplyAdam", "optimizer"),
        ("vgg_segnet/normalization/sub", "Sub", "all else"),
    ],
)  # fmt: skip
def test_kinds(name, op, kind):
    assert costs.classify(name, op) == kind


def test_table_has_shares_of_the_peaks():
    found = {"convolution": costs.Cost(flop=8e9, num_bytes=1e9, seconds=0.02)}
    table = costs.format_table(found, flops=1e12, bandwidth=1e11)
    assert "| convolution | 20.0 | 100.0% | 8 | 1.00 | 40% | 50% |" in table
