"""Tests of segnet/evaluation/inference.py: what is averaged at test time."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.evaluation import inference


class _Network:
    """Logits that depend on place and colour; remembers what it was shown."""

    def __init__(self):
        self.shapes = []

    def __call__(self, images, training):
        assert training is False
        self.shapes.append(tuple(images.shape[1:3]))
        columns = tf.range(images.shape[2], dtype=tf.float32)
        red = tf.cast(images[..., 0], tf.float32) / 50
        return tf.stack([red, red * 0 + columns / 10], -1)


def _images(height=16, width=32):
    rng = np.random.default_rng(3)
    return tf.constant(
        rng.integers(0, 256, (2, height, width, 3)).astype(np.uint8)
    )


def _softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _step(network, **kwargs):
    return inference.create_eval_step(
        network, device_name="/device:CPU:0", **kwargs
    )


def test_once_and_as_it_is_by_default():
    network, images = _Network(), _images()
    logits = _step(network)(images)
    expected = network(images, training=False)
    np.testing.assert_allclose(logits, expected, rtol=1e-6)
    assert len(network.shapes) == 2


def test_sizes_are_multiples_and_each_is_seen_twice():
    network = _Network()
    _step(network, tta=True, size_multiple=16)(_images(16, 32))
    # 0.75 of 16 x 32 is 12 x 24, and 1.25 of it 20 x 40.
    assert network.shapes == [(16, 32)] * 6
    network = _Network()
    _step(network, tta=True, size_multiple=4)(_images(16, 32))
    assert network.shapes == [(12, 24)] * 2 + [(16, 32)] * 2 + [(20, 40)] * 2


def test_mean_of_probabilities_by_numpy(monkeypatch):
    monkeypatch.setattr(inference, "_TTA_SCALES", (1.0,))
    network, images = _Network(), _images()
    found = _step(network, tta=True)(images)
    plain = _softmax(network(images, training=False).numpy())
    mirrored = network(images[:, :, ::-1], training=False).numpy()
    expected = (plain + _softmax(mirrored)[:, :, ::-1]) / 2
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_mirror_image_gets_the_mirrored_answer(mirror):
    # True of the mean whatever the network is.
    network, images = _Network(), _images()
    step = _step(network, tta=True, size_multiple=4)
    seen = images[:, :, ::-1] if mirror else images
    found = step(seen).numpy()
    expected = step(images).numpy()
    if mirror:
        expected = expected[:, :, ::-1]
    # Resized colours are rounded, now and then to another side.
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert np.max(np.abs(found - expected[:, :, ::-1])) > 0.1
    np.testing.assert_allclose(found.sum(-1), 1.0, rtol=1e-5)


def test_one_trace_serves_any_number_of_images():
    network = _Network()
    step = _step(network, input_size=(16, 32))
    for count in (2, 1):
        assert (
            step(_images()[:1] if count == 1 else _images()).shape[0] == count
        )
    assert network.shapes == [(16, 32)]
