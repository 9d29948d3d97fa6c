"""Tests of segnet/data/augment.py."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.data import augment


def _sample(height=36, width=52):
    """An image whose red channel is 20 times its label."""
    rng = np.random.default_rng(0)
    label = np.kron(
        rng.integers(0, 5, (height // 4, width // 4)), np.ones((4, 4))
    ).astype(np.uint8)
    image = np.stack([label * 20, label * 0 + 7, label * 0 + 99], -1)
    return image.astype(np.uint8), label


def _run(policy, seed, height=24, width=40, sample=None):
    image, label = sample or _sample()
    out = augment.augment(
        tf.constant(image),
        tf.constant(label),
        tf.constant([1, seed], tf.int64),
        height=height,
        width=width,
        policy=policy,
    )
    return [tensor.numpy() for tensor in out]


@pytest.mark.parametrize("policy", ["none", "basic"])
def test_shapes_and_types(policy):
    image, label = _run(policy, 3)
    assert image.shape == (24, 40, 3) and image.dtype == np.uint8
    assert label.shape == (24, 40) and label.dtype == np.int32
    assert set(np.unique(label)) <= set(range(5))


def test_none_at_the_own_size_changes_nothing():
    image, label = _sample()
    out_image, out_label = _run("none", 3, 36, 52)
    np.testing.assert_array_equal(out_image, image)
    np.testing.assert_array_equal(out_label, label)


def test_basic_is_a_function_of_the_seed():
    first, again, other = (_run("basic", seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert np.any(first[0] != other[0])


def test_basic_mirrors_about_half_of_the_samples():
    # Left half class 1, right half class 2: no crop swaps the sides.
    label = np.ones((16, 24), np.uint8)
    label[:, 12:] = 2
    sample = (np.zeros((16, 24, 3), np.uint8), label)
    mirrored = sum(
        int(_run("basic", seed, 16, 24, sample)[1][0, 0] == 2)
        for seed in range(60)
        if len(np.unique(_run("basic", seed, 16, 24, sample)[1])) == 2
    )
    assert 10 <= mirrored <= 50


def test_basic_moves_image_and_label_together():
    # Red is high exactly where the label is 1; colour changes keep order.
    label = np.zeros((32, 48), np.uint8)
    label[8:20, 10:30] = 1
    image = np.repeat(label[..., None] * 200, 3, -1).astype(np.uint8)
    for seed in range(20):
        out_image, out_label = _run("basic", seed, 32, 48, (image, label))
        inside = out_image[..., 0][out_label == 1].astype(float)
        outside = out_image[..., 0][out_label == 0].astype(float)
        if inside.size and outside.size:
            # Interpolation blurs only the border.
            assert np.median(inside) > np.median(outside) + 60


def test_a_window_is_seen_at_the_scale_of_the_whole():
    # The red channel numbers the columns: half of them, one pixel each.
    image = np.zeros((32, 48, 3), np.uint8)
    image[..., 0] = np.arange(48) * 5
    label = np.tile(np.arange(48, dtype=np.uint8), (32, 1))
    starts = set()
    for seed in range(20):
        out_image, out_label = augment.augment(
            tf.constant(image),
            tf.constant(label),
            tf.constant([1, seed], tf.int64),
            height=16,
            width=24,
            policy="none",
            window=(0.5, 0.5),
        )
        columns = out_label.numpy()[0]
        np.testing.assert_array_equal(np.diff(columns), 1)
        np.testing.assert_array_equal(out_image.numpy()[0, :, 0], columns * 5)
        starts.add(int(columns[0]))
    assert min(starts) >= 0 and max(starts) <= 24 and len(starts) > 8


def test_basic_scales_a_window_both_ways():
    label = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    image = np.zeros((100, 200, 3), np.uint8)
    spans = []
    for seed in range(40):
        _, out = augment.augment(
            tf.constant(image),
            tf.constant(label),
            tf.constant([1, seed], tf.int64),
            height=50,
            width=100,
            policy="basic",
            window=(0.5, 0.5),
        )
        spans.append(abs(int(out[0, -1]) - int(out[0, 0])))
    assert min(spans) < 85 and max(spans) > 115


def test_colour_is_the_formula_written_out():
    image, _ = _sample(32, 48)
    limits = augment.POLICIES["basic"]
    seed = tf.constant([1, 5], tf.int64)
    out = augment._random_colour(tf.constant(image, tf.float32), seed, limits)
    draw = tf.random.stateless_uniform([4], seed).numpy().astype(np.float64)
    saturation = 0.6 * (1.5 / 0.6) ** draw[0]
    contrast = 0.7 * (1.4 / 0.7) ** draw[1]
    brightness = 32.0 * (2.0 * draw[2] - 1.0)
    pixels = image.astype(np.float64)
    grey = pixels @ [0.299, 0.587, 0.114]
    mean = grey[::8, ::8].mean()
    expected = grey[..., None] + saturation * (pixels - grey[..., None])
    expected = mean + contrast * (expected - mean) + brightness
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("ratio", [2, 4])
def test_an_image_decoded_smaller_is_cut_where_its_label_is(ratio):
    # Red tells the column, and the label does too.
    label = np.tile(np.arange(96, dtype=np.uint8), (64, 1))
    image = np.zeros((64, 96, 3), np.uint8)
    image[..., 0] = 2 * label
    small = np.ascontiguousarray(
        image[ratio // 2 :: ratio, ratio // 2 :: ratio]
    )
    for seed in range(10):
        draw = tf.constant([1, seed], tf.int64)
        part, part_label = augment._random_crop(
            tf.constant(small), tf.constant(label), draw, (0.5, 0.5), 0.7, 1.1
        )
        assert part.shape[0] * ratio == part_label.shape[0]
        assert part.shape[1] * ratio == part_label.shape[1]
        columns = part_label.numpy()[0, ratio // 2 :: ratio]
        np.testing.assert_array_equal(part.numpy()[0, :, 0], 2 * columns)
