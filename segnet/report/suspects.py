"""Annotations that look wrong: where a network is sure and disagrees.

A network that has seen hundreds of roads is rarely sure of a road where there
is none. So where it gives a class of its own a high probability, over an area
and not just along a border, a person should look at the annotation again (the
idea of confident learning, Northcutt et al. 2021, for regions).
"""

from __future__ import annotations

import dataclasses
import heapq
import math
import threading

import numpy as np

from segnet.constants import IGNORE_LABEL
from segnet.evaluation.polygons import find_polygons

__all__ = ["Suspect", "SuspectList", "find_suspects"]

# Probability from which a network counts as sure.
_SURE = 0.7
# Of the diagonal: how far from its border the inside of a region is. Borders
# of objects are drawn and predicted a little beside each other everywhere.
_MARGIN = 0.004


@dataclasses.dataclass(frozen=True, order=True)
class Suspect:
    """A region whose annotation looks wrong.

    Attributes:
      pixels: Of the inside of the region, by which it is ranked.
      index: Number of the record.
      box: Left, top, right and bottom of the whole region, pixels.
      truth: Class id that is annotated in most of it.
      predicted: Class id that the network sees.
      confidence: Mean of its probability.
    """

    pixels: int
    index: int
    box: tuple[int, int, int, int]
    truth: int
    predicted: int
    confidence: float


class SuspectList:
    """The largest suspects of a split; images may come from several threads."""

    def __init__(self, limit: int) -> None:
        """Keeps no more than a number of them."""
        self._limit = limit
        self._heap: list[Suspect] = []
        self._lock = threading.Lock()

    def add(self, suspects: list[Suspect]) -> None:
        """Adds those of an image."""
        with self._lock:
            for suspect in suspects:
                heapq.heappush(self._heap, suspect)
                if len(self._heap) > self._limit:
                    heapq.heappop(self._heap)

    def largest(self) -> list[Suspect]:
        """The largest first; the order of the images does not matter."""
        return sorted(self._heap, reverse=True)


def find_suspects(
    index: int,
    truth: np.ndarray,
    labels: np.ndarray,
    confidence: np.ndarray,
    num_classes: int,
) -> list[Suspect]:
    """Finds the regions of an image where a sure network disagrees.

    Args:
      index: Number of the record.
      truth: uint8 `[height, width]`; not below `num_classes` where ignored.
      labels: uint8 `[height, width]`, as predicted.
      confidence: float32 `[height, width]`, probability of the label.
      num_classes: Number of classes.

    Returns:
      The regions, each of one predicted class.
    """
    wrong = (truth < num_classes) & (labels != truth) & (confidence >= _SURE)
    margin = max(1, round(_MARGIN * math.hypot(*truth.shape)))
    inside = _eroded(wrong, margin)
    if not inside.any():
        return []
    seen = np.where(inside, labels, IGNORE_LABEL).astype(np.uint8)
    suspects = []
    for polygon in find_polygons(seen, 0.0):
        if polygon.label == IGNORE_LABEL:
            continue
        left, top = polygon.corners.min(0).astype(int)
        right, bottom = polygon.corners.max(0).astype(int)
        part = np.s_[top:bottom, left:right]
        # Others that lie in the same box hardly change what is said of it.
        own = seen[part] == polygon.label
        suspects.append(
            Suspect(
                pixels=int(own.sum()),
                index=index,
                box=(
                    max(0, int(left) - margin),
                    max(0, int(top) - margin),
                    min(truth.shape[1], int(right) + margin),
                    min(truth.shape[0], int(bottom) + margin),
                ),
                truth=int(np.bincount(truth[part][own]).argmax()),
                predicted=polygon.label,
                confidence=float(confidence[part][own].mean()),
            )
        )
    return suspects


def _eroded(mask: np.ndarray, margin: int) -> np.ndarray:
    """Where a mask holds for all pixels of a square around, in the image."""
    result = mask.copy()
    for axis in (0, 1):
        padded = np.moveaxis(result, axis, 0)
        kept = padded.copy()
        for shift in range(1, margin + 1):
            kept[shift:] &= padded[:-shift]
            kept[:-shift] &= padded[shift:]
        result = np.moveaxis(kept, 0, axis)
    return result
