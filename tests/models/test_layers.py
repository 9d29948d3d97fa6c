"""The layers of the networks against what they are said to equal."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tensorflow as tf

from segnet.models import layers

_SIZES = [(6, 10), (5, 7), (1, 3), (8, 1)]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def mixed_bfloat16():
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    yield
    tf.keras.mixed_precision.set_global_policy("float32")


def _run(layer, values, upstream):
    """Output, gradient of the input and gradients of the weights."""
    values = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = layer(values)
    gradients = tape.gradient(
        outputs, [values, *layer.trainable_variables], tf.constant(upstream)
    )
    return [outputs.numpy(), *(gradient.numpy() for gradient in gradients)]


@pytest.mark.parametrize(("height", "width"), _SIZES)
def test_folded_upsampling_equals_upsampling_and_convolution(
    rng, height, width
):
    values = rng.normal(size=(2, height, width, 6)).astype(np.float32)
    upstream = rng.normal(size=(2, 2 * height, 2 * width, 4))
    folded = layers.UpsampledConv2D(4, activation="tanh")
    plain = tf.keras.Sequential(
        [
            tf.keras.layers.UpSampling2D(),
            tf.keras.layers.Conv2D(4, 3, padding="same", activation="tanh"),
        ]
    )
    for network in (folded, plain):
        network.build(values.shape)
        network.set_weights(
            [
                np.random.default_rng(1).normal(size=weight.shape) * 0.2
                for weight in network.weights
            ]
        )
    upstream = upstream.astype(np.float32)
    for ours, theirs in zip(
        _run(folded, values, upstream),
        _run(plain, values, upstream),
        strict=True,
    ):
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * scale)


@pytest.mark.usefixtures("mixed_bfloat16")
def test_folded_kernel_is_rounded_once(rng):
    layer = layers.UpsampledConv2D(1, use_bias=False)
    values = np.zeros((1, 1, 1, 1), np.float32)
    values[0, 0, 0, 0] = 1
    layer.build(values.shape)
    taps = rng.normal(size=(3, 3, 1, 1)).astype(np.float32)
    layer.set_weights([taps])
    assert layer.kernel.dtype == tf.float32
    # One pixel becomes 2x2 of which each meets four taps.
    sums = [taps[a : a + 2, b : b + 2].sum() for a in (1, 0) for b in (1, 0)]
    expected = tf.cast(tf.reshape(sums, (1, 2, 2, 1)), tf.bfloat16)
    np.testing.assert_array_equal(layer(values), expected)


def test_gradient_of_the_weights_reaches_them_under_bfloat16(mixed_bfloat16):
    layer = layers.UpsampledConv2D(1)
    _, _, kernel, bias = _run(
        layer,
        np.ones((1, 2, 2, 1), np.float32),
        tf.ones((1, 4, 4, 1), tf.bfloat16),
    )
    # The middle tap meets all 16 outputs, a corner tap 9 of them.
    expected = [[9, 12, 9], [12, 16, 12], [9, 12, 9]]
    np.testing.assert_array_equal(kernel[..., 0, 0], expected)
    assert bias == [16]


def test_normalization_gives_bgr_minus_means(rng):
    images = rng.integers(0, 256, (2, 3, 5, 3), np.uint8)
    np.testing.assert_allclose(
        layers.VggNormalization()(images),
        tf.keras.applications.vgg16.preprocess_input(images.astype(float)),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.usefixtures("mixed_bfloat16")
def test_normalization_subtracts_before_rounding():
    image = np.uint8([[[[123, 117, 104]]]])
    normalized = layers.VggNormalization()(image)
    assert normalized.dtype == tf.bfloat16
    np.testing.assert_allclose(
        tf.cast(normalized, tf.float32)[0, 0, 0],
        [104 - 103.939, 117 - 116.779, 123 - 123.68],
        rtol=2**-8,
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_ties_have_exactly_one_winner(rng, dtype):
    # Three values only, zeros as after a ReLU among them: ties abound.
    values = rng.integers(0, 3, (3, 12, 20, 8)).astype(np.float32)
    values[0] = 0
    layer = layers.MaxPoolWithMask(dtype=dtype)
    pooled, mask = layer(tf.cast(values, dtype))
    windows = tf.cast(mask, tf.float32).numpy().reshape(3, 6, 2, 10, 2, 8)
    np.testing.assert_array_equal(np.unique(windows), [0, 1])
    np.testing.assert_array_equal(windows.sum((2, 4)), np.ones((3, 6, 10, 8)))
    at_winner = (windows * values.reshape(windows.shape)).sum((2, 4))
    np.testing.assert_array_equal(tf.cast(pooled, tf.float32), at_winner)
    portable = layers.MaxPoolWithMask(dtype=dtype, portable=True)
    for ours, theirs in zip(
        (pooled, mask), portable(tf.cast(values, dtype)), strict=True
    ):
        np.testing.assert_array_equal(
            tf.cast(ours, tf.float32), tf.cast(theirs, tf.float32)
        )


def test_unpooling_equals_that_of_tensorflow_addons(rng):
    with warnings.catch_warnings():
        # "TensorFlow Addons (TFA) has ended development"
        warnings.filterwarnings("ignore", category=UserWarning)
        import tensorflow_addons as tfa
    values = rng.permutation(2 * 6 * 10 * 3).reshape(2, 6, 10, 3)
    values = tf.constant(values, tf.float32)
    other = rng.normal(size=(2, 3, 5, 3)).astype(np.float32)
    pooled, argmax = tf.nn.max_pool_with_argmax(values, 2, 2, "VALID")
    ours, mask = layers.MaxPoolWithMask()(values)
    np.testing.assert_array_equal(ours, pooled)
    np.testing.assert_array_equal(
        layers.MaskUnpooling()((other, mask)),
        tfa.layers.MaxUnpooling2D()(other, argmax),
    )


def test_gradients_of_unpooling_agree_with_finite_differences(rng):
    pooling = layers.MaxPoolWithMask(dtype="float64")
    unpooling = layers.MaskUnpooling(dtype="float64")
    weights = rng.normal(size=(2, 4, 6, 2))

    def score(values):
        pooled, mask = pooling(values)
        return tf.reduce_sum(weights * unpooling((tf.sin(pooled), mask)))

    # Distinct values far enough apart to keep their winners.
    values = rng.permutation(96).reshape(2, 4, 6, 2) / 10
    (theory,), (difference,) = tf.test.compute_gradient(
        score, [tf.constant(values)], delta=1e-5
    )
    np.testing.assert_allclose(theory, difference, atol=1e-8)
    assert np.count_nonzero(theory) == 24


@pytest.mark.parametrize(("height", "width"), _SIZES)
def test_bilinear_upsampling_equals_image_resize(rng, height, width):
    values = rng.normal(size=(2, height, width, 3)).astype(np.float32)
    upstream = rng.normal(size=(2, 2 * height, 2 * width, 3))
    upstream = upstream.astype(np.float32)
    layer = layers.BilinearUpsampling()
    resize = tf.keras.layers.Resizing(2 * height, 2 * width)
    for ours, theirs in zip(
        _run(layer, values, upstream),
        _run(resize, values, upstream),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
