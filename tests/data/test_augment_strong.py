"""Tests of what only `--augment=strong` does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from segnet.data import augment

SIZE = (40, 64)
NOTHING = augment.Policy(
    smallest_crop=1.0,
    aspect_jitter=1.0,
    brightness=0.0,
    contrast=(1.0, 1.0),
    saturation=(1.0, 1.0),
)


def _sample():
    """Blocks of 8 pixels in three classes; red is 50 times the class."""
    rng = np.random.default_rng(0)
    label = np.kron(rng.integers(0, 3, (5, 8)), np.ones((8, 8)))
    label = label.astype(np.uint8)
    image = np.stack([label * 50, label * 0 + 90, label * 0 + 30], -1)
    return image.astype(np.uint8), label


def _run(monkeypatch, seed, **limits):
    """A sample changed by one kind of change alone; flips undone."""
    policy = dataclasses.replace(NOTHING, **limits)
    monkeypatch.setitem(augment.POLICIES, "one", policy)
    image, label = (tf.constant(part) for part in _sample())
    out = augment.augment(
        image,
        label,
        tf.constant([1, seed], tf.int64),
        height=SIZE[0],
        width=SIZE[1],
        policy="one",
    )
    plain = augment.augment(
        image, label, tf.constant([1, seed], tf.int64),
        height=SIZE[0], width=SIZE[1], policy="nothing",
    )  # fmt: skip
    return [part.numpy() for part in out], [part.numpy() for part in plain]


@pytest.fixture(autouse=True)
def nothing(monkeypatch):
    monkeypatch.setitem(augment.POLICIES, "nothing", NOTHING)


def _seeds_that_change(monkeypatch, count=30, **limits):
    for seed in range(count):
        (image, label), (plain, plain_label) = _run(monkeypatch, seed, **limits)
        if np.any(image != plain):
            yield (image, label), (plain, plain_label)


def test_shapes_types_and_labels():
    image, label = _sample()
    seen = set()
    for seed in range(12):
        out_image, out_label = augment.augment(
            tf.constant(image),
            tf.constant(label),
            tf.constant([1, seed], tf.int64),
            height=24,
            width=32,
            policy="strong",
        )
        assert out_image.shape == (24, 32, 3) and out_image.dtype == tf.uint8
        assert out_label.shape == (24, 32) and out_label.dtype == tf.int32
        seen |= set(np.unique(out_label))
    assert seen == {0, 1, 2, 255}


def test_is_a_function_of_the_seed():
    image, label = (tf.constant(part) for part in _sample())
    runs = [
        augment.augment(
            image, label, tf.constant([1, seed], tf.int64),
            height=24, width=32, policy="strong",
        )
        for seed in (4, 4, 5)
    ]  # fmt: skip
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    np.testing.assert_array_equal(runs[0][1], runs[1][1])
    assert np.any(runs[0][0] != runs[2][0])


def test_some_samples_stay_as_they_are(monkeypatch):
    for limits in ({"rotation": 0.1}, {"blur": 1.0}, {"cutout": 0.4}):
        changed = len(list(_seeds_that_change(monkeypatch, 40, **limits)))
        assert 8 <= changed <= 32


def test_rotation_against_scipy(monkeypatch):
    """Some angle explains both the image and the label."""
    tried = 0
    for (image, label), (_, plain_label) in _seeds_that_change(
        monkeypatch, 12, rotation=0.3
    ):
        agreement = [
            np.mean(label == _turned(plain_label, angle))
            for angle in np.linspace(-0.3, 0.3, 121)
        ]
        angle = np.linspace(-0.3, 0.3, 121)[np.argmax(agreement)]
        assert max(agreement) > 0.95
        # Every label is one that was there, or 255 where nothing was.
        assert set(np.unique(label)) <= {0, 1, 2, 255}
        outside = _turned(np.zeros(SIZE), angle) == 255
        assert np.mean((label == 255) == outside) > 0.97
        # Away from borders of classes the image has turned alike.
        inner = ndimage.generic_filter(
            label, np.ptp, 5, mode="constant", cval=255
        )
        inner = inner == 0
        inner &= label != 255
        np.testing.assert_allclose(
            image[..., 0][inner], label[inner] * 50, atol=2
        )
        tried += 1
    assert tried >= 3


def _turned(label, angle):
    """Nearest rotation about the centre by SciPy; 255 from outside."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    rows -= (SIZE[0] - 1) / 2
    columns -= (SIZE[1] - 1) / 2
    source = [
        np.sin(angle) * columns + np.cos(angle) * rows + (SIZE[0] - 1) / 2,
        np.cos(angle) * columns - np.sin(angle) * rows + (SIZE[1] - 1) / 2,
    ]
    return ndimage.map_coordinates(
        label.astype(float), source, order=0, cval=255.0
    )


def test_what_is_covered_is_grey_and_ignored(monkeypatch):
    heights = set()
    for (image, label), (plain, plain_label) in _seeds_that_change(
        monkeypatch, cutout=0.5
    ):
        covered = label == 255
        rows, columns = np.any(covered, 1), np.any(covered, 0)
        assert np.all(covered == rows[:, None] & columns[None])
        assert rows.sum() <= 20 and columns.sum() <= 32
        assert np.all(image[covered] == 127)
        np.testing.assert_array_equal(image[~covered], plain[~covered])
        np.testing.assert_array_equal(label[~covered], plain_label[~covered])
        heights.add(rows.sum())
    assert len(heights) > 3


def test_blur_smooths_and_keeps_labels(monkeypatch):
    for (image, label), (plain, plain_label) in _seeds_that_change(
        monkeypatch, blur=1.0
    ):
        np.testing.assert_array_equal(label, plain_label)
        steps, plain_steps = (
            np.abs(np.diff(part[..., 0].astype(float), axis=1)).max()
            for part in (image, plain)
        )
        assert steps < plain_steps
        assert abs(image.mean() - plain.mean()) < 2


def test_hue_turns_and_all_else_stays(monkeypatch):
    changed = list(_seeds_that_change(monkeypatch, 8, hue=0.1))
    assert len(changed) > 4
    for (image, label), (plain, plain_label) in changed:
        np.testing.assert_array_equal(label, plain_label)
        # Value and saturation of HSV: largest and smallest channel.
        for extreme in (np.max, np.min):
            np.testing.assert_allclose(
                extreme(image.astype(int), -1), extreme(plain.astype(int), -1),
                atol=1,
            )  # fmt: skip
