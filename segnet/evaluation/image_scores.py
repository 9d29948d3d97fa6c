"""Scores of each image, and how sure the scores of a split are.

The images are what a split has been drawn from a larger world of, so the
interval of a score is found by drawing images anew, with replacement, and
scoring each such split (the bootstrap, Efron and Tibshirani 1993, chapter 13).
All scores are sums over the images that are divided once, so a drawn split
costs a row of a matrix product.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from segnet.evaluation import calibration

__all__ = [
    "SCORES",
    "ImageScores",
    "difference_intervals",
    "intervals",
    "mean_known",
    "rank_correlation",
    "to_csv",
]

# That have an interval, of the split as a whole; IoUs of classes have one too.
SCORES = (
    "mean_iou",
    "mean_class_accuracy",
    "pixel_accuracy",
    "frequency_weighted_iou",
    "boundary_f1",
    "image_mean_iou",
    "calibration_error",
    "mean_confidence",
    "mean_entropy",
)
_NUM_RESAMPLES = 1000
_LEVEL = 0.95
# Numbers of the draws that are held at a time.
_MAX_DRAWS = 1 << 24


@dataclasses.dataclass(frozen=True)
class ImageScores:
    """What was counted in each image of a split, in the order of its records.

    Attributes:
      counts: int64 `[images, 3, classes]`: pixels that are rightly of a class,
        that are of it in truth, and in prediction.
      bins: int64 `[images, NUM_BINS, 3]`, of `calibration.bin_pixels`, all
        classes together.
      entropy: float64 `[images]`, mean over the scored pixels, 0 to 1 (all
        classes are as likely); NaN without such a pixel.
      boundary_f1: float64 `[images, classes]`, NaN where there is none.
    """

    counts: np.ndarray
    bins: np.ndarray
    entropy: np.ndarray
    boundary_f1: np.ndarray

    def __len__(self) -> int:
        """Number of images."""
        return len(self.counts)

    @property
    def pixels(self) -> np.ndarray:
        """int64 `[images]`, scored ones."""
        return self.counts[:, 1].sum(-1)

    @property
    def iou(self) -> np.ndarray:
        """float64 `[images, classes]`, NaN where a class is not present."""
        hits, truth, predicted = np.moveaxis(self.counts, 1, 0)
        return _divide(hits, truth + predicted - hits)

    @property
    def mean_iou(self) -> np.ndarray:
        """float64 `[images]`, over the classes of each."""
        return mean_known(self.iou)

    @property
    def pixel_accuracy(self) -> np.ndarray:
        """float64 `[images]`."""
        return _divide(self.counts[:, 0].sum(-1), self.pixels)

    @property
    def mean_boundary_f1(self) -> np.ndarray:
        """float64 `[images]`, over the classes that have one."""
        return mean_known(self.boundary_f1)

    @property
    def mean_confidence(self) -> np.ndarray:
        """float64 `[images]`, over the scored pixels."""
        return _divide(
            self.bins[..., 2].sum(-1) / calibration.LEVELS, self.pixels
        )


def mean_known(values: np.ndarray) -> np.ndarray:
    """Means along the last axis of what is not NaN; NaN if there is none."""
    known = ~np.isnan(values)
    return _divide(np.where(known, values, 0.0).sum(-1), known.sum(-1))


def rank_correlation(one: np.ndarray, two: np.ndarray) -> float | None:
    """Spearman's rank correlation, over the pairs of which both are known.

    Args:
      one: float64 `[number]`; NaN where it is not known.
      two: Likewise.

    Returns:
      -1 to 1; None of less than three pairs, or where all are the same.
    """
    known = ~(np.isnan(one) | np.isnan(two))
    ranks = [_ranks(values[known]) for values in (one, two)]
    if known.sum() < 3 or any(np.ptp(values) == 0 for values in ranks):
        return None
    return float(np.corrcoef(np.stack(ranks))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0; equal values have the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count) - 1.0
    return (last - (count - 1) / 2)[place]


def _divide(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """float64, NaN where the denominator is 0."""
    return np.divide(
        numerators,
        denominators,
        out=np.full(np.shape(denominators), np.nan),
        where=denominators > 0,
    )


def intervals(
    images: ImageScores, *, seed: int = 0, resamples: int = _NUM_RESAMPLES
) -> tuple[dict[str, Any], list[list[float] | None]]:
    """95 % bootstrap intervals, over images, of all scores of a split.

    Args:
      images: Of the split.
      seed: Of the draws.
      resamples: Number of splits that are drawn.

    Returns:
      For each of `SCORES` (low, high), None where the score is not known and
      of a single image, from which nothing follows for others; and
      a list of the same for the IoU of each class.
    """
    found = _resampled(images, seed, resamples)
    return _intervals(found, len(images))


def difference_intervals(
    images: ImageScores,
    others: ImageScores,
    *,
    seed: int = 0,
    resamples: int = _NUM_RESAMPLES,
) -> tuple[dict[str, Any], list[list[float] | None]]:
    """95 % intervals of the differences between two runs on the same images.

    The same images are drawn for both, so that what is hard in an image for
    both does not count.

    Args:
      images: Of one run.
      others: Of another run; its scores are taken away.
      seed: As for `intervals`.
      resamples: Likewise.

    Returns:
      As `intervals`.

    Raises:
      ValueError: The runs have not the same number of images.
    """
    if len(images) != len(others):
        raise ValueError(f"{len(images)} and {len(others)} images")
    one = _resampled(images, seed, resamples)
    two = _resampled(others, seed, resamples)
    return _intervals({key: one[key] - two[key] for key in one}, len(images))


def _intervals(
    found: dict[str, np.ndarray], number: int
) -> tuple[dict[str, Any], list[list[float] | None]]:
    """Of scores in the draws; none of a single image, which says nothing."""
    columns = found["iou"].T
    if number < 2:
        return dict.fromkeys(SCORES), [None] * len(columns)
    low_high = {name: _interval(found[name]) for name in SCORES}
    return low_high, [_interval(column) for column in columns]


def _interval(values: np.ndarray) -> list[float] | None:
    """The middle 95 % of what was found in the draws."""
    values = values[~np.isnan(values)]
    if not values.size:
        return None
    tail = (1 - _LEVEL) / 2
    return [float(np.quantile(values, x)) for x in (tail, 1 - tail)]


def _resampled(
    images: ImageScores, seed: int, resamples: int
) -> dict[str, np.ndarray]:
    """The scores of splits that are drawn.

    Returns:
      For each of `SCORES` float64 `[resamples]`, for `iou` `[resamples,
      classes]`; NaN where there is nothing to divide by.
    """
    number = len(images)
    columns = _columns(images)
    table = np.concatenate(list(columns.values()), 1)
    ends = np.cumsum([part.shape[1] for part in columns.values()])
    rng = np.random.default_rng(seed)
    step = max(1, _MAX_DRAWS // max(number, 1))
    sums = []
    for first in range(0, resamples, step):
        rows = min(step, resamples - first)
        drawn = rng.integers(0, number, [rows, number])
        drawn += number * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * number)
        sums.append(times.reshape(rows, number).astype(np.float64) @ table)
    parts = np.split(np.concatenate(sums), ends[:-1], 1)
    return _scores(dict(zip(columns, parts, strict=True)))


def _columns(images: ImageScores) -> dict[str, np.ndarray]:
    """What is added up over images, float64 `[images, ...]` each."""
    hits, truth, predicted = np.moveaxis(images.counts, 1, 0)
    means = np.stack(
        [images.mean_boundary_f1, images.mean_iou, images.entropy], 1
    )
    return {
        "hits": hits,
        "truth": truth,
        "predicted": predicted,
        "bins": images.bins.reshape(len(images), -1),
        "means": np.nan_to_num(means),
        "known": ~np.isnan(means),
    }


def _scores(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The scores of splits, from what was added up over their images."""
    hits, truth = sums["hits"], sums["truth"]
    pixels = truth.sum(1)
    iou = _divide(hits, truth + sums["predicted"] - hits)
    bins = sums["bins"].reshape(len(hits), calibration.NUM_BINS, 3)
    means = _divide(sums["means"], sums["known"])
    return {
        "iou": iou,
        "mean_iou": mean_known(iou),
        "mean_class_accuracy": mean_known(_divide(hits, truth)),
        "pixel_accuracy": _divide(hits.sum(1), pixels),
        "frequency_weighted_iou": _divide(
            (truth * np.nan_to_num(iou)).sum(1), pixels
        ),
        "boundary_f1": means[:, 0],
        "image_mean_iou": means[:, 1],
        "mean_entropy": means[:, 2],
        "calibration_error": calibration.calibration_errors(bins),
        "mean_confidence": _divide(
            bins[..., 2].sum(1) / calibration.LEVELS, pixels
        ),
    }


def to_csv(
    images: ImageScores, names: Sequence[str], class_names: Sequence[str]
) -> str:
    """A line for each image; empty where a class is not present.

    Args:
      images: The scores.
      names: Of the images, in their order.
      class_names: One for each class.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["image", "pixels", "mean_iou", "pixel_accuracy", "boundary_f1",
         "mean_confidence", "mean_entropy",
         *(f"iou {name}" for name in class_names)]
    )  # fmt: skip
    columns = (
        images.mean_iou,
        images.pixel_accuracy,
        images.mean_boundary_f1,
        images.mean_confidence,
        images.entropy,
    )
    numbers = np.concatenate([np.stack(columns, 1), images.iou], 1).tolist()
    for name, pixels, row in zip(
        names, images.pixels.tolist(), numbers, strict=True
    ):
        cells = ["" if math.isnan(value) else f"{value:.6f}" for value in row]
        writer.writerow([name, pixels, *cells])
    return text.getvalue()
