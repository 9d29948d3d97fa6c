"""Boundary F1: how well contours agree (Csurka et al. 2013, BMVC).

The score that the SegNet paper (arXiv:1511.00561) calls BF. For each class,
precision is the share of the predicted boundary pixels that lie within a
tolerance of the true boundary of the class, recall the share of the true ones
within the tolerance of the predicted boundary, F1 their harmonic mean. An
image's score is the mean over the classes that have a boundary in its truth,
that of a split the mean over images.

Choices where the sources leave room:

- A boundary pixel of a class has a pixel of another class above, below, left
  or right of it. The frame of the image makes no boundary.
- Ignored pixels are removed from truth and prediction alike: they are
  nobody's boundary, and make none of their neighbours.
- A class without a true boundary in an image has no score there: its recall
  would be a division by zero. So it is with a class that covers the image, or
  that ignored pixels surround. A true boundary without a predicted one scores
  0.
- Only the distance counts, as Csurka et al. define it. The script that the
  SegNet authors published matches pixels one to one instead, and also
  averages over classes that are only predicted, unlike their paper.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["boundary_f1", "boundary_f1_scores", "default_tolerance"]

# Of the diagonal of the image, as in the SegNet paper.
_TOLERANCE = 0.0075
# Classes are handled together, each as one bit of an integer.
_WORDS = (np.uint8, np.uint16, np.uint32, np.uint64)
_MAX_BITS = 64


def default_tolerance(height: int, width: int) -> float:
    """0.75 % of the diagonal of the image, pixels."""
    return _TOLERANCE * math.hypot(height, width)


def boundary_f1(
    label: np.ndarray,
    prediction: np.ndarray,
    num_classes: int,
    tolerance: float | None = None,
) -> float | None:
    """Mean of `boundary_f1_scores` over the classes that have one.

    Returns:
      In 0..1; None if no class has a score.
    """
    scores = boundary_f1_scores(label, prediction, num_classes, tolerance)
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if known.size else None


def boundary_f1_scores(
    label: np.ndarray,
    prediction: np.ndarray,
    num_classes: int,
    tolerance: float | None = None,
) -> np.ndarray:
    """Boundary F1 of each class of one image.

    Args:
      label: Integers `[height, width]`; ignored outside
        `0..num_classes - 1`.
      prediction: Class ids `[height, width]`.
      num_classes: Number of classes.
      tolerance: Largest Euclidean distance between the centres of pixels
        that match, pixels; None: `default_tolerance`.

    Returns:
      float64 `[num_classes]` in 0..1. NaN for a class that has no boundary
      in the truth; 0 for one that has none in the prediction only.

    Raises:
      ValueError: If the shapes differ or are not two-dimensional, the
        tolerance is negative, or where the label is valid a prediction is
        no class id.
    """
    label, prediction = np.asarray(label), np.asarray(prediction)
    if label.ndim != 2 or label.shape != prediction.shape:
        raise ValueError(
            f"label has shape {label.shape}, prediction {prediction.shape}; "
            "they must be equal, [height, width]"
        )
    if tolerance is None:
        tolerance = default_tolerance(*label.shape)
    if not tolerance >= 0.0:
        raise ValueError(f"tolerance {tolerance} must be at least 0")
    valid = (label >= 0) & (label < num_classes)
    outside = valid & ((prediction < 0) | (prediction >= num_classes))
    if np.any(outside):
        raise ValueError(
            f"prediction {prediction[outside][0]} is no class id; they are "
            f"0 to {num_classes - 1}"
        )
    true_edge = _Edge(label, valid)
    predicted_edge = _Edge(prediction, valid)
    scores = np.full(num_classes, np.nan)
    pixels = np.bincount(np.where(valid, label, num_classes).ravel())
    present = np.flatnonzero(pixels[:num_classes])
    for first in range(0, present.size, _MAX_BITS):
        classes = present[first : first + _MAX_BITS]
        # Every class gets a bit; classes without one stay 0.
        word = next(w for w in _WORDS if 8 * w().itemsize >= classes.size)
        bits = np.zeros(num_classes, word)
        bits[classes] = word(1) << np.arange(classes.size, dtype=word)
        recall = true_edge.share_near(predicted_edge, bits, tolerance)
        precision = predicted_edge.share_near(true_edge, bits, tolerance)
        scores[classes] = _f1(precision, recall)[classes]
    return scores


class _Edge:
    """The boundary pixels of a map of classes."""

    def __init__(self, classes: np.ndarray, valid: np.ndarray) -> None:
        """Finds valid pixels with a valid neighbour of another class."""
        edge = np.zeros(classes.shape, bool)
        down = (classes[1:] != classes[:-1]) & valid[1:] & valid[:-1]
        edge[1:] |= down
        edge[:-1] |= down
        right = classes[:, 1:] != classes[:, :-1]
        right &= valid[:, 1:] & valid[:, :-1]
        edge[:, 1:] |= right
        edge[:, :-1] |= right
        self.shape = classes.shape
        self.pixels = np.flatnonzero(edge)
        self.classes = classes.ravel()[self.pixels].astype(np.intp)

    def share_near(
        self, other: _Edge, bits: np.ndarray, tolerance: float
    ) -> np.ndarray:
        """Share of a class's pixels that have one of `other` near them.

        Args:
          other: The boundary to compare with, of the same class.
          bits: The bit of each class, `[num_classes]`.
          tolerance: In pixels.

        Returns:
          float64 `[num_classes]`; NaN for a class without a pixel here.
        """
        words = np.zeros(self.shape, bits.dtype)
        words.ravel()[other.pixels] = bits[other.classes]
        around = _dilate(words, tolerance).ravel()[self.pixels]
        near = self.classes[(around & bits[self.classes]) != 0]
        pixels = np.bincount(self.classes, minlength=bits.size)
        shares = np.full(bits.size, np.nan)
        np.divide(
            np.bincount(near, minlength=bits.size),
            pixels,
            out=shares,
            where=pixels > 0,
        )
        return shares


def _f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """Harmonic means; NaN without a recall, 0 without a precision alone."""
    precision = np.nan_to_num(precision)
    total = precision + recall
    return 2.0 * precision * recall / np.where(total == 0.0, 1.0, total)


def _dilate(words: np.ndarray, tolerance: float) -> np.ndarray:
    """Spreads every bit over the disk of pixels within the tolerance.

    The disk is built row by row: the further a row is from the centre, the
    narrower it is, so going inwards the rows are widened step by step.
    """
    height, width = words.shape
    # A little more, since the square of a root may round below the integer.
    tolerance = min(tolerance * (1.0 + 1e-9), math.hypot(height, width))
    square = tolerance * tolerance
    wide = words.copy()
    result = np.zeros_like(words)
    reached = 0
    for dy in range(min(int(tolerance), height - 1), -1, -1):
        reach = min(math.isqrt(int(square - dy * dy)), width - 1)
        for dx in range(reached + 1, reach + 1):
            wide[:, dx:] |= words[:, : width - dx]
            wide[:, : width - dx] |= words[:, dx:]
        reached = reach
        result[dy:] |= wide[: height - dy]
        result[: height - dy] |= wide[dy:]
    return result
