"""Tests of segnet/data/resizing.py."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from segnet.data import resizing


def test_resize_image_to_half_is_the_mean_of_blocks():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (32, 48, 3), np.uint8)
    out = resizing.resize_image(tf.constant(image), 16, 24).numpy()
    blocks = image.reshape(16, 2, 24, 2, 3).mean((1, 3))
    np.testing.assert_allclose(out, blocks, atol=1e-4)


def test_resize_image_agrees_with_pillow_when_enlarging():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (16, 24, 3), np.uint8)
    out = resizing.resize_image(tf.constant(image), 24, 40).numpy()
    expected = Image.fromarray(image).resize((40, 24), Image.BILINEAR)
    np.testing.assert_allclose(out, np.asarray(expected), atol=1.01)


def test_resize_image_far_down_uses_every_pixel():
    # Every eighth column is white: sampling alone would see all or nothing.
    image = np.zeros((40, 64, 3), np.uint8)
    image[:, ::8] = 240
    out = resizing.resize_image(tf.constant(image), 5, 8).numpy()
    np.testing.assert_allclose(out, 30.0, atol=1e-3)


def test_resize_label_takes_the_nearest_value():
    label = np.array([[0, 255], [7, 3]], np.uint8)
    out = resizing.resize_label(tf.constant(label), 4, 6).numpy()
    np.testing.assert_array_equal(out, np.kron(label, np.ones((2, 3))))


@pytest.mark.parametrize(
    ("old", "new"),
    [((30, 41), (32, 48)), ((33, 17), (7, 90)), ((5, 8), (5, 8)),
     ((360, 480), (96, 128)), ((1, 3), (4, 2))],
)  # fmt: skip
def test_resize_label_agrees_with_tensorflow(old, new):
    label = np.random.default_rng(0).integers(0, 256, old, np.uint8)
    expected = tf.image.resize(label[..., None], new, "nearest")[..., 0]
    out = resizing.resize_label(tf.constant(label), *new)
    assert out.dtype == tf.uint8
    np.testing.assert_array_equal(out, expected)


def test_to_uint8_rounds_and_clips():
    values = [-300.0, -0.4, 0.4, 0.6, 7.0, 127.4, 254.6, 255.4, 900.0]
    out = resizing.to_uint8(tf.constant(values))
    assert out.dtype == tf.uint8
    np.testing.assert_array_equal(out, [0, 0, 0, 1, 7, 127, 255, 255, 255])


def test_to_uint8_keeps_whole_numbers():
    values = np.arange(256, dtype=np.float32)
    np.testing.assert_array_equal(
        resizing.to_uint8(tf.constant(values)), values
    )
