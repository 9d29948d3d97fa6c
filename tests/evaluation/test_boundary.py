"""Tests of segnet.evaluation.boundary."""

from __future__ import annotations

import math

import numpy as np
import pytest

from segnet.evaluation import boundary

CLASSES = 4


def brute_force(label, prediction, num_classes, tolerance):
    """The definition, with all distances of all pairs of pixels."""
    height, width = label.shape
    valid = (label >= 0) & (label < num_classes)

    def contour(classes, c):
        pixels = []
        for y, x in zip(*np.nonzero(valid & (classes == c)), strict=True):
            for i, j in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= i < height and 0 <= j < width
                if inside and valid[i, j] and classes[i, j] != c:
                    pixels.append((y, x))
                    break
        return np.array(pixels, float).reshape(-1, 2)

    def share_near(these, those):
        if not len(these) or not len(those):
            return 0.0
        offsets = these[:, None] - those[None]
        distances = np.sqrt((offsets**2).sum(-1)).min(1)
        return np.mean(distances <= tolerance)

    scores = np.full(num_classes, np.nan)
    for c in range(num_classes):
        true, predicted = contour(label, c), contour(prediction, c)
        if not len(true):
            continue
        precision = share_near(predicted, true)
        recall = share_near(true, predicted)
        total = precision + recall
        scores[c] = 2 * precision * recall / total if total else 0.0
    return scores


def blobs(rng, shape, num_classes):
    """A map of regions: the class of the nearest of some random points."""
    points = rng.random((12, 2)) * shape
    classes = rng.integers(0, num_classes, len(points))
    grid = np.stack(np.indices(shape), -1)[:, :, None]
    nearest = ((grid - points) ** 2).sum(-1).argmin(-1)
    return classes[nearest]


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_brute_force(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(12, 30)), int(rng.integers(31, 48)))
    label = blobs(rng, shape, CLASSES).astype(np.uint8)
    prediction = np.roll(label, rng.integers(-2, 3, 2), (0, 1))
    noise = rng.random(shape) < 0.02
    prediction = np.where(noise, blobs(rng, shape, CLASSES), prediction)
    label[blobs(rng, shape, 8) == 0] = 255
    # Roots of integers: pixels exactly at the tolerance.
    tolerance = (None, 0.0, 1.0, math.sqrt(2), math.sqrt(13), 5.0)[seed % 6]
    actual = boundary.boundary_f1_scores(label, prediction, CLASSES, tolerance)
    if tolerance is None:
        tolerance = 0.0075 * math.hypot(*shape)
    expected = brute_force(label.astype(int), prediction, CLASSES, tolerance)
    assert np.nanmin(expected) < 1.0
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_more_classes_than_bits_in_a_word():
    rng = np.random.default_rng(0)
    label = np.arange(100).reshape(4, 25).repeat(3, 0).repeat(2, 1)
    prediction = np.where(rng.random(label.shape) < 0.1, 7, label)
    prediction = np.roll(prediction, 1, 1)
    actual = boundary.boundary_f1_scores(label, prediction, 101, 1.0)
    expected = brute_force(label, prediction, 101, 1.0)
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    assert len(np.unique(actual[:100])) > 3


def square(left):
    """Class 1 in 6x6 pixels on class 0, `[20, 30]`."""
    classes = np.zeros((20, 30), np.uint8)
    classes[7:13, left : left + 6] = 1
    return classes


def test_default_tolerance():
    assert boundary.default_tolerance(360, 480) == pytest.approx(4.5)


def test_shift_within_the_tolerance_is_perfect():
    scores = boundary.boundary_f1_scores(square(8), square(10), 2, 2.0)
    assert scores.tolist() == [1.0, 1.0]


def test_shift_beyond_the_tolerance_hand_computed():
    # Of the square's 20 boundary pixels, those within 1 of the square moved
    # by 2: 5 at the top, 5 at the bottom, none at the left, and the upmost
    # and lowest of the 4 between the corners at the right. The predicted
    # ones mirror that. Of the 24 pixels around it: 5, 5, 0 and 2 of 6 each.
    scores = boundary.boundary_f1_scores(square(8), square(10), 2, 1.0)
    np.testing.assert_allclose(scores, [12 / 24, 12 / 20])
    far = boundary.boundary_f1_scores(square(2), square(20), 2, 1.0)
    assert far.tolist() == [0.0, 0.0]


def test_precision_and_recall_hand_computed():
    # Truth: a vertical border. Prediction: the border, and a lone pixel far
    # from it.
    label = np.zeros((5, 12), int)
    label[:, 6:] = 1
    prediction = label.copy()
    prediction[2, 1] = 1
    scores = boundary.boundary_f1_scores(label, prediction, 2, 1.0)
    # Class 1: 5 of 6 predicted pixels are right; class 0: 5 of 9.
    expected = [2 * (5 / 9) / (5 / 9 + 1), 2 * (5 / 6) / (5 / 6 + 1)]
    np.testing.assert_allclose(scores, expected)
    mean = boundary.boundary_f1(label, prediction, 2, 1.0)
    assert mean == pytest.approx(np.mean(expected))


def test_same_map_is_perfect_whatever_the_tolerance():
    label = square(8)
    for tolerance in (None, 0.0, 1e6, math.inf):
        assert boundary.boundary_f1(label, label, 3, tolerance) == 1.0


def test_class_only_predicted_is_left_out():
    prediction = square(8)
    prediction[0, 0] = 2
    scores = boundary.boundary_f1_scores(square(8), prediction, 3, 1.0)
    assert scores[1] == 1.0
    assert scores[0] < 1.0
    assert np.isnan(scores[2])


def test_missed_class_scores_zero():
    scores = boundary.boundary_f1_scores(square(8), np.zeros((20, 30)), 2)
    assert scores.tolist() == [0.0, 0.0]


def test_class_that_covers_the_image():
    full = np.zeros((20, 30), np.uint8)
    for prediction in (full, square(8)):
        assert boundary.boundary_f1(full, prediction, 2) is None
        scores = boundary.boundary_f1_scores(full, prediction, 2)
        np.testing.assert_array_equal(scores, [np.nan, np.nan])


def test_class_without_a_true_boundary_is_left_out_hand_computed():
    # Truth: class 0 left of class 1; class 2 below a row to ignore.
    label = np.zeros((9, 12), int)
    label[:, 6:] = 1
    label[5] = 255
    label[6:] = 2
    # Prediction: the border between 0 and 1 is 2 pixels off, and class 2
    # has a boundary that the truth has not.
    prediction = np.roll(label, 2, 1)
    prediction[:5, :2] = 0
    prediction[5:, 4:] = 1
    scores = boundary.boundary_f1_scores(label, prediction, 3, 2.0)
    # Of class 1, whose 5 true pixels are found, 3 pixels are predicted at the
    # bottom, 2 columns and at least 2 rows from those: 5 of 8 are right.
    # Class 0 is right everywhere.
    expected = [1.0, 2 * (5 / 8) / (5 / 8 + 1), np.nan]
    np.testing.assert_allclose(scores, expected)
    mean = boundary.boundary_f1(label, prediction, 3, 2.0)
    assert mean == pytest.approx(np.mean(expected[:2]))


def test_all_ignored():
    label = np.full((20, 30), 255, np.uint8)
    assert boundary.boundary_f1(label, square(8), 2) is None
    scores = boundary.boundary_f1_scores(label, square(8), 2)
    np.testing.assert_array_equal(scores, [np.nan, np.nan])


def test_ignored_pixels_make_no_boundary():
    label = square(8)
    label[:, 20:] = 255
    prediction = square(8)
    # Whatever is predicted there, and any value.
    prediction[3:9, 22:] = 1
    prediction[15:, 22:] = 9
    assert boundary.boundary_f1(label, prediction, 2, 0.0) == 1.0
    # A ring to ignore around the square takes all its boundary away.
    label = square(8)
    label[6:14, 7:15] = np.where(label[6:14, 7:15] == 1, 1, 255)
    assert boundary.boundary_f1(label, square(8), 2) is None


def test_refuses():
    label = square(8)
    with pytest.raises(ValueError, match="must be equal"):
        boundary.boundary_f1(label, label[1:], 2)
    with pytest.raises(ValueError, match="must be equal"):
        boundary.boundary_f1(label[None], label[None], 2)
    with pytest.raises(ValueError, match="prediction 1 is no class id"):
        boundary.boundary_f1(np.zeros_like(label), label, 1)
    for tolerance in (-1.0, math.nan):
        with pytest.raises(ValueError, match="must be at least 0"):
            boundary.boundary_f1(label, label, 2, tolerance)
