from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import scipy.stats

from segnet.evaluation import calibration, image_scores, metrics
from segnet.evaluation.image_scores import (
    ImageScores,
    difference_intervals,
    intervals,
    rank_correlation,
)

CLASSES = 3
# Of the world: the rates at which each image's pixels fall into the matrix.
RATES = np.array([[30.0, 4, 2], [5, 20, 3], [1, 2, 8]])


def _images(number, rng, rates=RATES):
    """Images as different from each other as those of a data set."""
    scale = rng.gamma(4.0, 0.25, (number, CLASSES, CLASSES))
    matrices = rng.poisson(rates * scale)
    counts = np.stack(
        [
            np.diagonal(matrices, axis1=1, axis2=2),
            matrices.sum(2),
            matrices.sum(1),
        ],
        axis=1,
    )
    bins = np.zeros((number, calibration.NUM_BINS, 3), np.int64)
    right = counts[:, 0].sum(-1)
    pixels = counts[:, 1].sum(-1)
    bins[:, -3] = np.stack([pixels, right, pixels * 50000], 1)
    return ImageScores(
        counts,
        bins,
        entropy=rng.uniform(0, 1, number),
        boundary_f1=rng.uniform(0, 1, (number, CLASSES)),
    )


def test_intervals_hold_the_true_value_as_often_as_they_say():
    hits = RATES.diagonal()
    iou = hits / (RATES.sum(0) + RATES.sum(1) - hits)
    truth = {
        "mean_iou": iou.mean(),
        "pixel_accuracy": hits.sum() / RATES.sum(),
        "mean_class_accuracy": (hits / RATES.sum(1)).mean(),
        "boundary_f1": 0.5,
        "mean_entropy": 0.5,
    }
    held = dict.fromkeys([*truth, "iou"], 0)
    for repetition in range(500):
        images = _images(100, np.random.default_rng(repetition))
        found, of_classes = image_scores.intervals(images, seed=repetition)
        for name, value in truth.items():
            low, high = found[name]
            held[name] += low <= value <= high
        low, high = of_classes[2]
        held["iou"] += low <= iou[2] <= high
    for name, times in held.items():
        assert 0.93 <= times / 500 <= 0.97, (name, times / 500)


def test_the_scores_without_a_draw_are_those_of_the_split(monkeypatch):
    images = _images(40, np.random.default_rng(3))

    class EachOnce:
        def integers(self, low, high, shape):
            return np.tile(np.arange(high), (shape[0], 1))

    monkeypatch.setattr(np.random, "default_rng", lambda seed: EachOnce())
    found, of_classes = image_scores.intervals(images, resamples=2)
    hits, truth, predicted = images.counts.sum(0)
    iou = hits / (truth + predicted - hits)
    expected = {
        "mean_iou": iou.mean(),
        "mean_class_accuracy": (hits / truth).mean(),
        "pixel_accuracy": hits.sum() / truth.sum(),
        "frequency_weighted_iou": (truth * iou).sum() / truth.sum(),
        "boundary_f1": images.boundary_f1.mean(),
        "image_mean_iou": np.nanmean(images.mean_iou),
        "calibration_error": abs(hits.sum() / truth.sum() - 50000 / 65535),
        "mean_confidence": 50000 / 65535,
        "mean_entropy": images.entropy.mean(),
    }
    assert list(expected) == list(image_scores.SCORES)
    for name, value in expected.items():
        assert found[name] == pytest.approx([value, value])
    np.testing.assert_allclose(of_classes, np.stack([iou, iou], 1))


def test_the_same_images_are_drawn_for_two_runs():
    rng = np.random.default_rng(5)
    images = _images(60, rng)
    # The other run has one pixel in twenty of the second class right less.
    counts = images.counts.copy()
    less = counts[:, 0, 1] // 20
    counts[:, 0, 1] -= less
    counts[:, 2, 1] -= less
    counts[:, 2, 0] += less
    worse = ImageScores(counts, images.bins, images.entropy, images.boundary_f1)
    found, of_classes = image_scores.difference_intervals(images, worse)
    low, high = found["mean_iou"]
    assert 0 < low < high
    # Alone they overlap: the images differ more than the runs.
    one = image_scores.intervals(images)[0]["mean_iou"]
    assert high - low < (one[1] - one[0]) / 4
    assert found["boundary_f1"] == [0, 0]
    assert of_classes[2] == [0, 0]
    with pytest.raises(ValueError, match="60 and 59 images"):
        image_scores.difference_intervals(images, _images(59, rng))


def test_what_is_not_known_has_no_interval():
    images = ImageScores(
        np.zeros((2, 3, CLASSES), np.int64),
        np.zeros((2, calibration.NUM_BINS, 3), np.int64),
        np.full(2, np.nan),
        np.full((2, CLASSES), np.nan),
    )
    found, of_classes = image_scores.intervals(images)
    assert set(found.values()) == {None}
    assert of_classes == [None] * CLASSES


def test_draws_in_parts_are_of_all_resamples(monkeypatch):
    images = _images(10, np.random.default_rng(1))
    whole = image_scores.intervals(images)[0]["mean_iou"]
    monkeypatch.setattr(image_scores, "_MAX_DRAWS", 70)
    parts = image_scores.intervals(images)[0]["mean_iou"]
    assert parts == pytest.approx(whole)


def test_calibration_error_is_that_of_a_loop_over_pixels():
    rng = np.random.default_rng(2)
    shape = (37, 53)
    truth = rng.integers(0, CLASSES, shape).astype(np.uint8)
    confidence = rng.uniform(1 / CLASSES, 1, shape).astype(np.float32)
    wrong = rng.uniform(size=shape) > confidence**2
    labels = np.where(wrong, (truth + 1) % CLASSES, truth).astype(np.uint8)
    truth[:3] = 255
    bins = calibration.bin_pixels(truth, labels, confidence, CLASSES)
    for index in [None, *range(CLASSES)]:
        rows = [[] for _ in range(15)]
        for t, label, c in zip(
            truth.flat, labels.flat, confidence.flat, strict=True
        ):
            if t != 255 and index in (None, label):
                rows[min(int(c * 15), 14)].append((t == label, c))
        total = sum(map(len, rows))
        expected = 0.0
        for row in rows:
            if row:
                right, sure = np.mean(row, 0)
                expected += len(row) / total * abs(right - sure)
        found = bins.sum(0) if index is None else bins[index]
        summary = calibration.summarize(found)
        assert summary["calibration_error"] == pytest.approx(expected, abs=1e-4)
        assert [x["pixels"] for x in summary["reliability"]] == pytest.approx(
            list(map(len, rows)), abs=1
        )


def test_calibration_of_four_pixels():
    # Sure and right, sure and wrong; half sure, one of two right.
    truth = np.array([[0, 1, 0, 255]], np.uint8)
    labels = np.array([[0, 0, 1, 1]], np.uint8)
    confidence = np.array([[1.0, 1.0, 0.5, 0.9]], np.float32)
    bins = calibration.bin_pixels(truth, labels, confidence, 2)
    summary = calibration.summarize(bins.sum(0))
    # In the last bin half is right, in that of 0.5 nothing.
    assert summary["calibration_error"] == pytest.approx(0.5, abs=1e-5)
    assert summary["reliability"][14] == {
        "pixels": 2, "confidence": 1.0, "accuracy": 0.5
    }  # fmt: skip
    assert summary["reliability"][0]["accuracy"] is None
    nothing = calibration.summarize(np.zeros((15, 3), np.int64))
    assert nothing["calibration_error"] is None


def test_the_table_has_a_line_for_each_image():
    counts = np.array([[[3, 0, 0], [4, 0, 0], [3, 1, 0]]])
    bins = np.zeros((1, 15, 3), np.int64)
    bins[0, 7] = 4, 3, 2 * 65535
    images = ImageScores(
        counts, bins, np.array([0.25]), np.array([[0.5, np.nan, np.nan]])
    )
    text = image_scores.to_csv(images, ["a, b.png"], ["sky", "road", "car"])
    (row,) = csv.DictReader(io.StringIO(text))
    assert row == {
        "image": "a, b.png", "pixels": "4", "mean_iou": "0.375000",
        "pixel_accuracy": "0.750000", "boundary_f1": "0.500000",
        "mean_confidence": "0.500000", "mean_entropy": "0.250000",
        "iou sky": "0.750000", "iou road": "0.000000", "iou car": "",
    }  # fmt: skip


def test_the_table_of_a_split_shows_intervals():
    summary = metrics.summarize(np.diag([3, 1]), ["sky", "road"])
    summary["intervals"] = {"mean_iou": [0.9, 1.0], "pixel_accuracy": None}
    lines = metrics.format_table(summary).splitlines()
    assert lines[4].endswith("95 % interval")
    assert lines[5].endswith("  1.0000  0.9000 to 1.0000")


def test_rank_correlation_is_that_of_scipy():
    rng = np.random.default_rng(5)
    one = rng.integers(0, 8, 40).astype(float)
    two = one + rng.normal(0, 3, 40)
    two[3] = one[7] = np.nan
    known = ~(np.isnan(one) | np.isnan(two))
    expected = scipy.stats.spearmanr(one[known], two[known]).statistic
    assert rank_correlation(one, two) == pytest.approx(expected)
    assert rank_correlation(one, -one) == pytest.approx(-1)
    assert rank_correlation(one[:2], two[:2]) is None
    assert rank_correlation(one, np.ones(40)) is None


def test_one_image_says_nothing_of_others():
    images = _images(1, np.random.default_rng(1))
    of_split, of_classes = intervals(images)
    assert set(of_split) == set(image_scores.SCORES)
    assert set(of_split.values()) == {None}
    assert of_classes == [None] * CLASSES
    assert difference_intervals(images, images) == (of_split, of_classes)
