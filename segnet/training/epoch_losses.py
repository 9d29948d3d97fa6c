"""Mean losses of log lines and of epochs, and whether an epoch's has risen."""

from __future__ import annotations

import numpy as np

__all__ = ["EpochLosses"]

# An epoch's loss has risen when it is so many times the largest of the last
# few, and more than that by so much of the first. Small epochs are noisy: with
# one step each, losses of neighbours differ by a third, and more when they are
# small already; none of the recipes came near this bound.
_RISE = 1.5
_EPOCHS_BEFORE = 3
_SHARE_OF_FIRST = 0.25
# The loss of so few images follows their augmentation: with one a run that
# learned well had epochs at ten times the loss of those before.
_FEW_IMAGES = 4


class EpochLosses:
    """Adds up the losses of a run, whichever way it is cut into parts."""

    def __init__(self, first: float | None = None) -> None:
        """Starts with no step.

        Args:
          first: What the run began with, if it is resumed.
        """
        # Loss sum and weight of the pixels.
        self._line = np.zeros(2)
        self._epoch = np.zeros(2)
        self._means: list[float] = []
        self._first = first

    def add(self, sums: np.ndarray) -> None:
        """Takes (loss sum, weight) of some steps in."""
        self._line += sums
        self._epoch += sums

    def take_line(self) -> float | None:
        """Mean loss since the last call; None without a labelled pixel."""
        mean, self._line = _mean(self._line), np.zeros(2)
        return mean

    def end_epoch(self, num_images: int) -> tuple[float, float] | None:
        """Ends an epoch.

        Args:
          num_images: Images of it.

        Returns:
          (mean loss of the epoch before, that of this one) if it has risen by
          more than noise explains.
        """
        mean, self._epoch = _mean(self._epoch), np.zeros(2)
        if mean is None or num_images < _FEW_IMAGES:
            return None
        before, self._means = self._means, [*self._means, mean]
        if self._first is None:
            self._first = mean
        if not before:
            return None
        highest = max(before[-_EPOCHS_BEFORE:])
        least = max(_RISE * highest, highest + _SHARE_OF_FIRST * self._first)
        return (before[-1], mean) if mean > least else None

    def begin_stage(self) -> None:
        """Forgets the epochs: inputs of another size have another loss."""
        self._means = []


def _mean(sums: np.ndarray) -> float | None:
    """Sum over weight; None for a weight of 0."""
    return float(sums[0] / sums[1]) if sums[1] else None
