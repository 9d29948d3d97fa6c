"""Confusion matrix, and the scores that are derived from it.

Counts are added up over all images (and workers) and divided once, at the
end: a mean of per-image scores would be another number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from segnet.errors import one_line

__all__ = [
    "MEANS",
    "align",
    "confusion_matrix",
    "format_confusion",
    "format_score",
    "format_table",
    "only_prediction",
    "summarize",
]

_PAIRS = 1 << 22  # counted at a time
# Of more classes the matrix is too wide to read; so many pairs are shown.
_MAX_MATRIX = 12
_NUM_WORST = 5
_COLUMNS = (
    ("IoU", "iou"),
    ("accuracy", "accuracy"),
    ("precision", "precision"),
    ("F1", "f1"),
    ("boundary F1", "boundary_f1"),
)
MEANS = (
    ("mean IoU", "mean_iou"),
    ("mean class accuracy", "mean_class_accuracy"),
    ("pixel accuracy", "pixel_accuracy"),
    ("frequency-weighted IoU", "frequency_weighted_iou"),
    ("boundary F1", "boundary_f1"),
    ("mean IoU of an image", "image_mean_iou"),
    ("calibration error", "calibration_error"),
    ("mean confidence", "mean_confidence"),
    ("mean entropy", "mean_entropy"),
)


def confusion_matrix(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int
) -> np.ndarray:
    """Counts pixels by true and predicted class.

    Args:
      labels: Integers of any shape, for example `[height, width]`. Pixels
        outside `0..num_classes - 1`, 255 above all, are left out.
      predictions: Class ids, of the same shape.
      num_classes: Number of classes.

    Returns:
      int64 `[num_classes, num_classes]`: rows truth, columns prediction.

    Raises:
      ValueError: If the shapes differ, or where the label is valid a
        prediction is no class id.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape:
        raise ValueError(
            f"labels have shape {labels.shape}, predictions "
            f"{predictions.shape}; they must be equal"
        )
    counts = _count_pairs(_bytes(labels), _bytes(predictions), num_classes)
    if np.any(counts[:, num_classes:]):
        valid = (labels >= 0) & (labels < num_classes)
        found = predictions[valid]
        wrong = found[(found < 0) | (found >= num_classes)]
        raise ValueError(
            f"prediction {wrong[0]} is no class id; they are 0 to "
            f"{num_classes - 1}"
        )
    return counts[:, :num_classes]


def _count_pairs(
    rows: np.ndarray, columns: np.ndarray, num_rows: int
) -> np.ndarray:
    """Counts pairs of bytes; selecting pixels first would take longer.

    Args:
      rows: uint8 of any shape.
      columns: uint8, likewise.
      num_rows: Pairs whose first byte is not below it are left out.

    Returns:
      int64 `[num_rows, 256]`, or `[num_rows, 16]` if that is all there is.
    """
    if num_rows < 16 and columns.max(initial=0) < 16:
        # Both fit into one byte, which Pillow counts in a third of the time.
        pairs = np.minimum(rows, 15) << 4 | columns
        counts = Image.fromarray(pairs.reshape(1, -1)).histogram()
        return np.array(counts, np.int64).reshape(16, 16)[:num_rows]
    rows, columns = rows.ravel(), columns.ravel()
    total = np.zeros([256 * 256], np.int64)
    # Of a large image some at a time: each is an integer of 8 bytes here.
    for start in range(0, rows.size, _PAIRS):
        pairs = rows[start : start + _PAIRS].astype(np.intp) * 256
        pairs += columns[start : start + _PAIRS]
        total += np.bincount(pairs, minlength=256 * 256)
    return total.reshape(256, 256)[:num_rows]


def _bytes(values: np.ndarray) -> np.ndarray:
    """Integers as uint8; 255, which is no class, for what is none."""
    if values.dtype == np.uint8:
        return values
    return np.where((values < 0) | (values > 255), 255, values).astype(np.uint8)


def summarize(
    confusion: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Derives all scores from the confusion matrix of a split.

    A score without anything to divide by is None (null in JSON), never NaN,
    and is left out of means. So a class absent from truth and prediction
    counts nowhere; one that is only predicted has IoU, F1 and precision 0,
    which lowers `mean_iou`, and no accuracy, so `mean_class_accuracy` does
    not know of it.

    Args:
      confusion: `[classes, classes]`, rows truth, columns prediction.
      class_names: One for each class.

    Returns:
      `pixels` (scored), `pixel_accuracy`, `mean_class_accuracy`, `mean_iou`,
      `frequency_weighted_iou` (by pixels of the truth) and `per_class`: for
      each name `iou`, `accuracy` (recall), `precision`, `f1`, `pixels` (of
      the truth). Scores are Python floats in 0..1, or None.

    Raises:
      ValueError: If the matrix does not fit the names.
    """
    confusion = np.asarray(confusion)
    if confusion.shape != (len(class_names), len(class_names)):
        raise ValueError(
            f"the confusion matrix has shape {confusion.shape}, but there "
            f"are {len(class_names)} class names"
        )
    hits = np.diagonal(confusion)
    truth, predicted = confusion.sum(1), confusion.sum(0)
    pixels = truth.sum()
    iou = _ratios(hits, truth + predicted - hits)
    accuracy = _ratios(hits, truth)
    scores = {
        "iou": iou,
        "accuracy": accuracy,
        "precision": _ratios(hits, predicted),
        "f1": _ratios(2 * hits, truth + predicted),
    }
    weighted = sum(
        count * (score or 0.0) for count, score in zip(truth, iou, strict=True)
    )
    return {
        "pixels": int(pixels),
        "pixel_accuracy": _ratio(hits.sum(), pixels),
        "mean_class_accuracy": _mean(accuracy),
        "mean_iou": _mean(iou),
        "frequency_weighted_iou": _ratio(weighted, pixels),
        "per_class": {
            name: {
                **{key: values[index] for key, values in scores.items()},
                "pixels": int(truth[index]),
            }
            for index, name in enumerate(class_names)
        },
    }


def _ratio(numerator: float, denominator: float) -> float | None:
    """Divides; None for a denominator of 0."""
    return float(numerator) / float(denominator) if denominator else None


def _ratios(
    numerators: np.ndarray, denominators: np.ndarray
) -> list[float | None]:
    """Divides one by one; see `_ratio`."""
    return list(map(_ratio, numerators, denominators))


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are not None; None if there is none."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def only_prediction(scores: dict[str, Any]) -> str | None:
    """The class that is predicted everywhere though the truth has others.

    Args:
      scores: As from `summarize`, with `confusion_matrix` (rows truth, columns
        prediction).

    Returns:
      Its name; None if more than one class is predicted, or there is only one.
    """
    confusion = np.asarray(scores["confusion_matrix"])
    predicted = np.flatnonzero(confusion.sum(0))
    if len(predicted) != 1 or np.count_nonzero(confusion.sum(1)) < 2:
        return None
    return list(scores["per_class"])[predicted[0]]


def format_table(summary: dict[str, Any]) -> str:
    """Lays out a summary for people.

    Args:
      summary: As from `summarize`; `boundary_f1`, of the split and of the
        classes, `intervals` and what else of an evaluation is there is shown.

    Returns:
      Lines of equal columns: the classes, then the means.
    """
    per_class = summary["per_class"]
    columns = [
        (title, key)
        for title, key in _COLUMNS
        if any(key in row for row in per_class.values())
    ]
    rows = [["class", *(title for title, _ in columns), "pixels"]]
    for name, row in per_class.items():
        scores = [format_score(row.get(key)) for _, key in columns]
        rows.append([name, *scores, str(row["pixels"])])
    lines = align(rows)
    intervals = summary.get("intervals", {})
    means = [
        [title, format_score(summary[key]), _format_interval(intervals, key)]
        for title, key in MEANS
        if key in summary
    ]
    if intervals:
        means.insert(0, ["", "", "95 % interval"])
    means.append(["pixels", str(summary["pixels"]), ""])
    means = [row if intervals else row[:2] for row in means]
    return "\n".join([*lines, "-" * len(lines[0]), *align(means)])


def _format_interval(intervals: dict[str, Any], key: str) -> str:
    low_high = intervals.get(key)
    return "" if low_high is None else "{:.4f} to {:.4f}".format(*low_high)


def format_confusion(confusion: np.ndarray, class_names: Sequence[str]) -> str:
    """Lays out a confusion matrix: what became of each class's pixels.

    Args:
      confusion: `[classes, classes]`, rows truth, columns prediction.
      class_names: One for each class.

    Returns:
      A heading and lines of equal columns: the whole matrix, or of many classes
      the pairs that are confused most. Entries are shares of the pixels of a
      class, in 0..1; classes without a pixel in the truth have dashes.
    """
    confusion = np.asarray(confusion)
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    if len(class_names) > _MAX_MATRIX:
        return _format_worst(confusion, shares, class_names)
    rows = [["truth \\ predicted", *class_names]]
    for name, counts, row in zip(class_names, confusion, shares, strict=True):
        known = counts.any()
        rows.append([name, *(format_score(x if known else None) for x in row)])
    heading = "confusion, shares of the truth"
    return "\n".join([heading, *align(rows)])


def _format_worst(
    confusion: np.ndarray, shares: np.ndarray, class_names: Sequence[str]
) -> str:
    """The pairs of classes of which the largest share is taken for another."""
    wrong = shares * (1 - np.eye(len(shares)))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_NUM_WORST]
    rows = [["truth -> predicted", "share", "pixels"]]
    for truth, predicted in np.transpose(np.unravel_index(order, wrong.shape)):
        if wrong[truth, predicted]:
            names = f"{class_names[truth]} -> {class_names[predicted]}"
            share = format_score(wrong[truth, predicted])
            rows.append([names, share, str(confusion[truth, predicted])])
    heading = "worst confusions, shares of the truth"
    return "\n".join([heading, *align(rows)])


def format_score(value: float | None) -> str:
    """A score, in 0..1, as people read it."""
    return "-" if value is None else f"{value:.4f}"


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pads the cells of each column; the first to the left, others right."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(
                zip(row, widths, strict=True)
            )
        )
        for row in rows
    ]
