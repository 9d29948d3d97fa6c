"""How far a network's confidence can be trusted (Guo et al. 2017, ICML).

The confidence of a pixel is the probability of its label. Where a network is
calibrated, of the pixels with a confidence of 0.8 a share of 0.8 is right.
Pixels are put into bins by their confidence; the expected calibration error is
the mean, over the pixels, of the distance in their bin between the share that
is right and the mean confidence.

Confidences are added up as integers, so that sums do not depend on the order
and are the same whatever the number of workers is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "LEVELS",
    "NUM_BINS",
    "bin_pixels",
    "calibration_errors",
    "summarize",
]

NUM_BINS = 15
# A confidence is that number of parts of one.
LEVELS = 65535


def bin_pixels(
    truth: np.ndarray,
    labels: np.ndarray,
    confidence: np.ndarray,
    num_classes: int,
) -> np.ndarray:
    """Counts the pixels of an image by predicted class and confidence.

    Args:
      truth: uint8 of any shape; pixels not below `num_classes` are left out.
      labels: uint8, predicted class ids, of the same shape.
      confidence: float32, 0 to 1, likewise.
      num_classes: Number of classes.

    Returns:
      int64 `[num_classes, NUM_BINS, 3]`: pixels, those that are right, and the
      sum of their confidences in parts of `LEVELS`.
    """
    levels = (confidence * LEVELS + 0.5).astype(np.int64)
    bins = np.minimum(levels * NUM_BINS // LEVELS, NUM_BINS - 1)
    # Right ones, wrong ones, and ignored ones at the end.
    kind = np.where(truth < num_classes, truth != labels, 2)
    place = (kind * num_classes + labels) * NUM_BINS + bins
    size = 3 * num_classes * NUM_BINS
    shape = (3, num_classes, NUM_BINS)
    place, levels = place.ravel(), levels.ravel()
    counts = np.bincount(place, minlength=size).reshape(shape)
    # Sums of integers below 2^53 are exact.
    sums = np.bincount(place, weights=levels, minlength=size).reshape(shape)
    total = (sums[0] + sums[1]).astype(np.int64)
    return np.stack([counts[0] + counts[1], counts[0], total], axis=-1)


def calibration_errors(bins: np.ndarray) -> np.ndarray:
    """Expected calibration errors.

    Args:
      bins: Numbers `[..., NUM_BINS, 3]`, as from `bin_pixels`.

    Returns:
      float64 `[...]` in 0..1; NaN where there is no pixel.
    """
    pixels, right, levels = np.moveaxis(np.asarray(bins, np.float64), -1, 0)
    distance = np.abs(right - levels / LEVELS).sum(-1)
    total = pixels.sum(-1)
    return np.divide(
        distance, total, out=np.full(total.shape, np.nan), where=total > 0
    )


def summarize(bins: np.ndarray) -> dict[str, Any]:
    """Calibration of pixels, as JSON holds it.

    Args:
      bins: int64 `[NUM_BINS, 3]`.

    Returns:
      `calibration_error`, None without a pixel, and `reliability`: for each
      bin `pixels`, `confidence` (mean) and `accuracy` (share that is right),
      None where there is no pixel.
    """
    error = float(calibration_errors(bins))
    rows = []
    for pixels, right, levels in np.asarray(bins).tolist():
        rows.append(
            {
                "pixels": pixels,
                "confidence": levels / LEVELS / pixels if pixels else None,
                "accuracy": right / pixels if pixels else None,
            }
        )
    return {
        "calibration_error": None if np.isnan(error) else error,
        "reliability": rows,
    }
