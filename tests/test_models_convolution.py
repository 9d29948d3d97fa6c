"""The faster kernel gradient equals the usual one."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.models import convolution


def _values(dtype, *shape, seed):
    rng = np.random.default_rng(seed)
    return tf.cast(rng.normal(size=shape), dtype)


def _usual(inputs, upstream):
    return tf.raw_ops.Conv2DBackpropFilter(
        input=inputs,
        filter_sizes=[3, 3, inputs.shape[-1], upstream.shape[-1]],
        out_backprop=upstream,
        strides=[1, 1, 1, 1],
        padding="SAME",
    )


@pytest.mark.parametrize("size", [(1, 4, 6), (3, 5, 7), (2, 1, 1), (2, 2, 9)])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_kernel_gradient_is_the_usual_one(size, dtype):
    inputs = _values(dtype, *size, 5, seed=1)
    upstream = _values(dtype, *size, 3, seed=2)
    ours = convolution.kernel_gradient(inputs, upstream)
    assert ours.dtype == dtype
    # In float32 from the same rounded values: what both should be.
    usual = _usual(tf.cast(inputs, tf.float32), tf.cast(upstream, tf.float32))
    tolerance = 1e-5 if dtype == tf.float32 else 2**-8
    scale = float(tf.reduce_max(tf.abs(usual)))
    np.testing.assert_allclose(
        tf.cast(ours, tf.float32), usual, rtol=0, atol=tolerance * scale
    )


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_layer_has_the_outputs_and_gradients_of_keras(dtype):
    settings = {"activation": "relu", "dtype": dtype}
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
    expected, actual = run(plain), run(ours)
    np.testing.assert_array_equal(actual[0], expected[0])
    tolerance = 1e-5 if dtype == "float32" else 2**-7
    for mine, usual in zip(actual[1], expected[1], strict=True):
        scale = float(tf.reduce_max(tf.abs(usual)))
        assert scale > 0.0
        np.testing.assert_allclose(mine, usual, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize(
    ("channels", "shape", "device"),
    [
        (512, (1, 4, 4), None),
        (512, (None, None, None), "/device:CPU:0"),
        (8, (1, 4, 4), "/device:CPU:0"),
    ],
    ids=["unknown device", "unknown size", "few channels"],
)
def test_usual_operation_where_ours_is_not_for(channels, shape, device):
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


def test_layer_is_made_again_from_its_config():
    layer = convolution.CpuConv2D(4, name="one", activation="relu")
    again = convolution.CpuConv2D.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.kernel_size == (3, 3) and again.padding == "same"
