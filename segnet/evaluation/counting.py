"""Counts of one image, and what is summed up over images and workers."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.evaluation import boundary, calibration, inference, metrics
from segnet.evaluation.image_scores import (
    ImageScores,
    intervals,
    mean_known,
    rank_correlation,
)

__all__ = [
    "Prediction", "Score", "Table", "Total", "confusion_of", "score_image",
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What is known of an image, at the size of its annotation.

    Attributes:
      truth: uint8 `[height, width]`, 255 where it is ignored.
      labels: uint8 `[height, width]`, as predicted.
      confidence: float32 `[height, width]`, probability of the label.
      entropy: float32 `[height, width]`, 0 to 1.
    """

    truth: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray
    entropy: np.ndarray


@dataclasses.dataclass(frozen=True)
class Score:
    """Of one image.

    Attributes:
      confusion: int64 `[num_classes, num_classes]`, rows truth.
      bins: int64 `[num_classes, bins, 3]`; see `calibration.bin_pixels`.
      entropy: Mean of what is not ignored; NaN where all is.
      boundary_f1: float64 `[num_classes]`, NaN of what is not known.
      seconds: That the boundaries took.
    """

    confusion: np.ndarray
    bins: np.ndarray
    entropy: float
    boundary_f1: np.ndarray
    seconds: float


def confusion_of(
    index: int, logits: tf.Tensor, truth: np.ndarray, number: int
) -> np.ndarray:
    """The confusion matrix of one image.

    Args:
      index: Number of its record, which does not matter here.
      logits: float32 `[height, width, num_classes]` of the network's size.
      truth: uint8 `[height, width]` of the annotation's.
      number: Of classes.

    Returns:
      int64 `[num_classes, num_classes]`, rows truth, columns prediction.
    """
    labels = inference.labels_at(logits, *truth.shape)
    return metrics.confusion_matrix(truth, labels, number)


def score_image(seen: Prediction, number: int, boundaries: bool) -> Score:
    """Scores one image.

    Args:
      seen: What was predicted.
      number: Of classes.
      boundaries: Whether to score them, too; without that they are NaN.
    """
    truth, labels = seen.truth, seen.labels
    confusion = metrics.confusion_matrix(truth, labels, number)
    bins = calibration.bin_pixels(truth, labels, seen.confidence, number)
    pixels = confusion.sum()
    entropy = seen.entropy[truth < number].sum(dtype=np.float64)
    start = time.perf_counter()
    f1 = np.full([number], np.nan)
    if boundaries:
        f1 = boundary.boundary_f1_scores(truth, labels, number)
    seconds = time.perf_counter() - start
    mean = float(entropy / pixels) if pixels else float("nan")
    return Score(confusion, bins, mean, f1, seconds)


class Total:
    """Adds up the confusion matrices of images."""

    def __init__(self, num_classes: int) -> None:
        """Has no image yet."""
        self._confusion = np.zeros([num_classes, num_classes], np.int64)
        self._images = 0

    def add(self, confusion: np.ndarray) -> None:
        """Adds one image."""
        self._confusion += confusion
        self._images += 1

    def summarize(
        self,
        class_names: tuple[str, ...],
        reduce_sum: Callable[[np.ndarray, str], np.ndarray],
    ) -> dict[str, Any]:
        """Sums over the workers, then divides."""
        confusion = reduce_sum(self._confusion, "confusion")
        images = reduce_sum(np.array([self._images], np.int64), "images")
        return {
            "images": int(images[0]),
            **metrics.summarize(confusion, class_names),
            "confusion_matrix": confusion.tolist(),
        }


class Table:
    """Keeps the scores of each image.

    Every worker fills the rows of its share; their sum is the whole table, and
    means are taken of that, in its order. So they are the same to the last bit
    whatever the number of workers is.
    """

    def __init__(self, num_images: int, num_classes: int) -> None:
        """Has no image of so many yet."""
        bins = calibration.NUM_BINS
        self._counts = np.zeros([num_images, 3, num_classes], np.int64)
        self._bins = np.zeros([num_images, bins, 3], np.int64)
        self._class_bins = np.zeros([num_classes, bins, 3], np.int64)
        # Boundary F1 of each class, entropy.
        self._means = np.zeros([num_images, num_classes + 1])
        self._seconds = 0.0

    def add(self, index: int, score: Score) -> None:
        """Adds the image of a record."""
        matrix = score.confusion
        self._counts[index] = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
        self._bins[index] = score.bins.sum(0)
        self._class_bins += score.bins
        self._means[index] = np.append(score.boundary_f1, score.entropy)
        self._seconds += score.seconds

    def summarize(
        self,
        scores: dict[str, Any],
        class_names: tuple[str, ...],
        reduce_sum: Callable[[np.ndarray, str], np.ndarray],
    ) -> tuple[dict[str, Any], ImageScores]:
        """Sums over the workers, and adds to the scores of `Total`."""
        means = reduce_sum(self._means, "means")
        images = ImageScores(
            counts=reduce_sum(self._counts, "counts"),
            bins=reduce_sum(self._bins, "bins"),
            entropy=means[:, -1],
            boundary_f1=means[:, :-1],
        )
        class_bins = reduce_sum(self._class_bins, "class_bins")
        seconds = reduce_sum(np.array([self._seconds]), "seconds")
        of_split, of_classes = intervals(images)
        confidence = class_bins[..., 2].sum() / calibration.LEVELS
        scores = {
            **scores,
            "boundary_f1": _mean(images.mean_boundary_f1),
            "image_mean_iou": _mean(images.mean_iou),
            "mean_confidence": (
                float(confidence / scores["pixels"])
                if scores["pixels"]
                else None
            ),
            "mean_entropy": _mean(images.entropy),
            **calibration.summarize(class_bins.sum(0)),
            "uncertainty_rank_correlation": rank_correlation(
                images.entropy, 1 - images.pixel_accuracy
            ),
            "intervals": of_split,
            "boundary_f1_seconds": float(seconds[0]),
        }
        for index, name in enumerate(class_names):
            scores["per_class"][name] |= {
                "boundary_f1": _mean(images.boundary_f1[:, index]),
                "iou_interval": of_classes[index],
                **calibration.summarize(class_bins[index]),
            }
        return scores, images


def _mean(values: np.ndarray) -> float | None:
    """The mean of what is known."""
    mean = float(mean_known(values))
    return None if np.isnan(mean) else mean
