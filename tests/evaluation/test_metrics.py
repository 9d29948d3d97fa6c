"""Tests of segnet.evaluation.metrics."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sklearn.metrics

from segnet.evaluation import metrics

NAMES = ("sky", "road", "pole", "car")
# Car is absent from truth and prediction, pole is only predicted.
CONFUSION = np.array(
    [[6, 2, 0, 0], [1, 10, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]], np.int64
)


def test_confusion_hand_computed():
    labels = np.array([[0, 0, 1, 255], [2, 2, 1, 3]], np.uint8)
    predictions = np.array([[0, 1, 1, 2], [2, 0, 1, 1]], np.uint8)
    # 3 is no class: left out, as 255 is.
    confusion = metrics.confusion_matrix(labels, predictions, 3)
    assert confusion.dtype == np.int64
    assert confusion.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("num_classes", [2, 11, 15, 16, 254])
def test_confusion_agrees_with_sklearn(dtype, num_classes):
    rng = np.random.default_rng(num_classes)
    labels = rng.integers(0, num_classes, (24, 40)).astype(dtype)
    predictions = rng.integers(0, num_classes, (24, 40)).astype(dtype)
    ignored = rng.random(labels.shape) < 0.2
    labels[ignored] = 255
    expected = sklearn.metrics.confusion_matrix(
        labels[~ignored], predictions[~ignored], labels=range(num_classes)
    )
    actual = metrics.confusion_matrix(labels, predictions, num_classes)
    np.testing.assert_array_equal(actual, expected)


def test_confusion_of_ignored_pixels_is_empty():
    labels = np.array([[255, -1, 3]])
    # Where nothing is asked, any prediction will do.
    confusion = metrics.confusion_matrix(labels, np.array([[0, 1, 255]]), 3)
    assert not confusion.any()


def test_confusion_refuses():
    with pytest.raises(ValueError, match=r"labels have shape \(2,\)"):
        metrics.confusion_matrix(np.zeros(2, int), np.zeros(3, int), 2)
    for wrong in (2, -1):
        with pytest.raises(ValueError, match=f"prediction {wrong} is no"):
            metrics.confusion_matrix(np.array([1]), np.array([wrong]), 2)


def test_summary_hand_computed():
    summary = metrics.summarize(CONFUSION, NAMES)
    per_class = summary.pop("per_class")
    assert summary == pytest.approx(
        {
            "pixels": 20,
            "pixel_accuracy": 16 / 20,
            "mean_class_accuracy": (6 / 8 + 10 / 12) / 2,
            "mean_iou": (6 / 9 + 10 / 14 + 0) / 3,
            "frequency_weighted_iou": (8 * 6 / 9 + 12 * 10 / 14) / 20,
        }
    )
    assert list(per_class) == list(NAMES)
    assert per_class["sky"] == pytest.approx(
        {
            "iou": 6 / 9,
            "accuracy": 6 / 8,
            "precision": 6 / 7,
            "f1": 12 / 15,
            "pixels": 8,
        }
    )
    assert per_class["pole"] == {
        "iou": 0.0,
        "accuracy": None,
        "precision": 0.0,
        "f1": 0.0,
        "pixels": 0,
    }
    assert per_class["car"] == {
        "iou": None,
        "accuracy": None,
        "precision": None,
        "f1": None,
        "pixels": 0,
    }


def test_summary_agrees_with_sklearn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 960)
    predictions = np.where(
        rng.random(960) < 0.6, labels, rng.integers(0, 4, 960)
    )
    summary = metrics.summarize(
        metrics.confusion_matrix(labels, predictions, 4), NAMES
    )
    pair = labels, predictions
    rows = summary["per_class"].values()
    for key, score in (
        ("iou", sklearn.metrics.jaccard_score),
        ("accuracy", sklearn.metrics.recall_score),
        ("precision", sklearn.metrics.precision_score),
        ("f1", sklearn.metrics.f1_score),
    ):
        expected = score(*pair, average=None)
        np.testing.assert_allclose([row[key] for row in rows], expected)
    for key, score in (
        ("pixel_accuracy", sklearn.metrics.accuracy_score(*pair)),
        (
            "mean_class_accuracy",
            sklearn.metrics.balanced_accuracy_score(*pair),
        ),
        ("mean_iou", sklearn.metrics.jaccard_score(*pair, average="macro")),
        (
            "frequency_weighted_iou",
            sklearn.metrics.jaccard_score(*pair, average="weighted"),
        ),
    ):
        assert summary[key] == pytest.approx(score)


def test_summary_is_plain_json_without_nan():
    for confusion in (CONFUSION, np.zeros_like(CONFUSION), CONFUSION * 1.0):
        summary = metrics.summarize(confusion, NAMES)
        text = json.dumps(summary, allow_nan=False)
        assert json.loads(text) == summary


def test_summary_of_nothing():
    summary = metrics.summarize(np.zeros([4, 4], np.int64), NAMES)
    assert summary.pop("pixels") == 0
    rows = summary.pop("per_class").values()
    assert set(summary.values()) == {None}
    assert all(row["iou"] is None for row in rows)


def test_summary_is_exact_for_counts_beyond_32_bits():
    big = CONFUSION * 10**10
    summary = metrics.summarize(big, NAMES)
    expected = metrics.summarize(CONFUSION, NAMES)
    assert summary["pixels"] == 20 * 10**10
    for key in ("mean_iou", "frequency_weighted_iou", "pixel_accuracy"):
        assert summary[key] == pytest.approx(expected[key])


def test_summary_refuses_other_names():
    with pytest.raises(ValueError, match="3 class names"):
        metrics.summarize(CONFUSION, NAMES[:3])


def test_table():
    summary = metrics.summarize(CONFUSION, NAMES)
    table = metrics.format_table(summary)
    assert table == "\n".join(
        [
            "class     IoU  accuracy  precision      F1  pixels",
            "sky    0.6667    0.7500     0.8571  0.8000       8",
            "road   0.7143    0.8333     0.8333  0.8333      12",
            "pole   0.0000         -     0.0000  0.0000       0",
            "car         -         -          -       -       0",
            "-" * 50,
            "mean IoU                0.4603",
            "mean class accuracy     0.7917",
            "pixel accuracy          0.8000",
            "frequency-weighted IoU  0.6952",
            "pixels                      20",
        ]
    )


def test_table_with_boundary_f1():
    summary = metrics.summarize(CONFUSION, NAMES)
    summary["boundary_f1"] = 0.5
    for name, score in zip(NAMES, (0.25, 0.75, None, None), strict=True):
        summary["per_class"][name]["boundary_f1"] = score
    lines = metrics.format_table(summary).splitlines()
    assert lines[0].split()[-3:] == ["boundary", "F1", "pixels"]
    assert lines[1].split()[-2:] == ["0.2500", "8"]
    assert lines[4].split()[-2:] == ["-", "0"]
    assert lines[-2].split() == ["boundary", "F1", "0.5000"]
    # A split in which nothing borders on anything.
    summary["boundary_f1"] = None
    lines = metrics.format_table(summary).splitlines()
    assert lines[-2].split() == ["boundary", "F1", "-"]


def test_confusion_table():
    table = metrics.format_confusion(CONFUSION[:3, :3], NAMES[:3])
    assert table == "\n".join(
        [
            "confusion, shares of the truth",
            "truth \\ predicted     sky    road    pole",
            "sky                0.7500  0.2500  0.0000",
            "road               0.0833  0.8333  0.0833",
            "pole                    -       -       -",
        ]
    )


def test_many_classes_are_shown_by_their_worst_confusions():
    confusion = 100 * np.eye(13, dtype=np.int64)
    confusion[3, 4], confusion[3, 5] = 100, 200  # of 400
    confusion[12, 0] = 300  # of 400
    names = [f"class_{number}" for number in range(13)]
    assert metrics.format_confusion(confusion, names) == "\n".join(
        [
            "worst confusions, shares of the truth",
            "truth -> predicted    share  pixels",
            "class_12 -> class_0  0.7500     300",
            "class_3 -> class_5   0.5000     200",
            "class_3 -> class_4   0.2500     100",
        ]
    )
    confusion[:, 7] += 25  # a fifth of the other classes, an eighth of two
    lines = metrics.format_confusion(confusion, names).splitlines()
    assert len(lines) == 2 + 5
    assert lines[4:6] == [
        "class_3 -> class_4   0.2353     100",
        "class_0 -> class_7   0.2000      25",
    ]


def test_a_large_image_is_counted_in_parts(monkeypatch):
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 30, (40, 31), np.uint8)
    labels = rng.integers(0, 20, (40, 31), np.uint8)
    whole = metrics.confusion_matrix(truth, labels, 20)
    assert whole.sum() == (truth < 20).sum()
    monkeypatch.setattr(metrics, "_PAIRS", 100)
    parts = metrics.confusion_matrix(truth, labels, 20)
    np.testing.assert_array_equal(parts, whole)
