"""The faster kernel gradient is the gradient."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.models import convolution


def _values(dtype, *shape, seed):
    rng = np.random.default_rng(seed)
    return tf.cast(rng.normal(size=shape), dtype)


# Of the largest value. In float32 what some 70 products add up to; in bfloat16
# two roundings: of sums of two columns, and of their products.
_TOLERANCES = {tf.float32: 8 * 2**-23, tf.bfloat16: 2 * 2**-7}


def _check(actual, exact, dtype):
    """Compares with what float64 gives, which no CPU's kernels round."""
    scale = float(tf.reduce_max(tf.abs(exact)))
    assert scale > 0.0
    actual = tf.cast(actual, tf.float64)
    tolerance = _TOLERANCES[dtype] * scale
    np.testing.assert_allclose(actual, exact, rtol=0, atol=tolerance)


def _exact(inputs, upstream):
    inputs, upstream = tf.cast(inputs, "float64"), tf.cast(upstream, "float64")
    return tf.raw_ops.Conv2DBackpropFilter(
        input=inputs,
        filter_sizes=[3, 3, inputs.shape[-1], upstream.shape[-1]],
        out_backprop=upstream,
        strides=[1, 1, 1, 1],
        padding="SAME",
    )


def _check_kernel_gradient(dtype, *size):
    inputs = _values(dtype, *size, 5, seed=1)
    upstream = _values(dtype, *size, 3, seed=2)
    ours = convolution.kernel_gradient(inputs, upstream)
    assert ours.dtype == tf.float32
    _check(ours, _exact(inputs, upstream), dtype)


@pytest.mark.parametrize("size", [(1, 4, 6), (3, 5, 7), (2, 1, 1), (2, 2, 9)])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_kernel_gradient_is_exact_but_for_rounding(size, dtype):
    _check_kernel_gradient(dtype, *size)


# Three pairs of columns: 8 rows are 24 pixels of 4 bytes.
@pytest.mark.parametrize(
    ("part_bytes", "parts"), [(4, 40), (60, 10), (96, 5), (192, 3), (999, 1)]
)
def test_parts_add_up(part_bytes, parts, monkeypatch):
    monkeypatch.setattr(convolution, "_PART_BYTES", part_bytes)
    size = (5, 8, 5)
    found = list(convolution._parts(tf.zeros([*size, 1])))
    assert len(found) == parts
    count = np.zeros(size[:2], int)
    for part in found:
        count[part] += 1
    assert (count == 1).all()
    _check_kernel_gradient(tf.float32, *size)


def test_middle_tap_by_hand():
    # One row, two pixels, one channel: tap (1, 1) is 2 * 5 + 3 * 7, its left
    # neighbour 2 * 7, its right one 3 * 5; there are no rows above and below.
    inputs = tf.reshape(tf.constant([2.0, 3.0]), [1, 1, 2, 1])
    upstream = tf.reshape(tf.constant([5.0, 7.0]), [1, 1, 2, 1])
    gradient = convolution.kernel_gradient(inputs, upstream)
    expected = [[0, 0, 0], [14, 31, 15], [0, 0, 0]]
    np.testing.assert_array_equal(gradient[..., 0, 0], expected)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_layer_has_the_outputs_and_gradients_of_a_convolution(dtype):
    policy = "float32" if dtype == tf.float32 else "mixed_bfloat16"
    settings = {"activation": "relu", "dtype": policy}
    plain = tf.keras.layers.Conv2D(512, 3, padding="same", **settings)
    ours = convolution.CpuConv2D(512, **settings)
    inputs = _values(tf.float32, 2, 5, 7, 512, seed=3)
    plain.build(inputs.shape)
    ours.build(inputs.shape)
    ours.set_weights(plain.get_weights())

    @tf.function
    def run(layer):
        with tf.device("/device:CPU:0"), tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
        watched = [inputs, *layer.trainable_variables]
        return outputs, tape.gradient(loss, watched)

    graph = run.get_concrete_function(ours).graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert "Conv2DBackpropFilter" not in kinds
    (expected, usual), (outputs, gradients) = run(plain), run(ours)
    # The same operations as Keras's: whatever this CPU rounds.
    np.testing.assert_array_equal(outputs, expected)
    np.testing.assert_array_equal(gradients[0], usual[0])
    # Of the sum of squares; 0 where the ReLU is.
    upstream = 2 * tf.cast(outputs, tf.float64)
    _check(gradients[1], _exact(tf.cast(inputs, dtype), upstream), dtype)
    _check(gradients[2], tf.reduce_sum(upstream, [0, 1, 2]), dtype)


@pytest.mark.parametrize(
    ("channels", "shape", "device"),
    [
        (512, (1, 4, 4), None),
        (512, (None, None, None), "/device:CPU:0"),
        (8, (1, 4, 4), "/device:CPU:0"),
        (512, (33, 4, 4), "/device:CPU:0"),
    ],
    ids=["unknown device", "unknown size", "few channels", "many parts"],
)
def test_usual_operation_where_ours_is_not_for(
    channels, shape, device, monkeypatch
):
    # An image of 4 x 4 is 12 pairs, a part of its own.
    monkeypatch.setattr(convolution, "_PART_BYTES", 12 * 4)
    layer = convolution.CpuConv2D(channels)
    layer.build([*shape, channels])

    @tf.function(
        input_signature=[tf.TensorSpec([*shape, channels], tf.float32)]
    )
    def gradient(inputs):
        with tf.device(device), tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(inputs) ** 2)
        return tape.gradient(loss, layer.kernel)

    operations = gradient.get_concrete_function().graph.get_operations()
    assert "Conv2DBackpropFilter" in {op.type for op in operations}
