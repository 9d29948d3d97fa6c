"""The values of an annotation: held against the classes, or mapped to them."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

import numpy as np

from segnet.annotations.label_map import LabelMap
from segnet.annotations.presets import PRESETS
from segnet.constants import IGNORE_LABEL
from segnet.errors import DataError

__all__ = ["check_values", "map_values"]

# Of a smoothed mask, most pixels have one of two values.
_SMOOTHED_VALUES = 8
_SMOOTHED_SHARE = 0.7
# Classes are counted from 0, so they have no values as high as these unless
# there are many of them.
_GREY_LEVEL = 64


def check_values(
    path: str | os.PathLike[str],
    label: np.ndarray,
    histogram: Sequence[int],
    num_classes: int,
    void_labels: Collection[int],
) -> None:
    """Checks that each value is a class or void.

    Args:
      path: Of the file, for the message.
      label: uint8 `[height, width]`.
      histogram: Its pixels of each of the 256 values.
      num_classes: Values are to be below it.
      void_labels: Values that are right as well.

    Raises:
      DataError: A value is neither, with the likely remedy.
    """
    bad = [
        value
        for value in range(num_classes, 256)
        if histogram[value] and value not in void_labels
    ]
    if not bad:
        return
    where, more = _first(label, bad)
    raise DataError(
        f"{path}: label {where} is not below --num_classes={num_classes}"
        f"{more}; {_remedy(histogram, bad, num_classes)}"
    )


def map_values(
    path: str | os.PathLike[str],
    label: np.ndarray,
    histogram: Sequence[int],
    label_map: LabelMap,
    void_labels: Collection[int],
) -> np.ndarray:
    """Gives the class of each value.

    Args:
      path: Of the file, for the message.
      label: uint8 `[height, width]`, values of the file.
      histogram: Its pixels of each of the 256 values.
      label_map: Which values are which class.
      void_labels: Further values that are void.

    Returns:
      uint8 `[height, width]`: class ids, 255 for void.

    Raises:
      DataError: A value is not in the label map.
    """
    known = {**label_map.values, **dict.fromkeys(void_labels, IGNORE_LABEL)}
    bad = [
        value for value in range(256) if histogram[value] and value not in known
    ]
    if bad:
        where, more = _first(label, bad)
        remedy = _smoothed(histogram, bad) or (
            "add it to a class, or to a line 'void: ...'"
            if label_map.source not in PRESETS
            else "leave the flag out if the values are the numbers of the "
            "classes, else give --label_map=FILE, a text file with a line "
            "'name: value' for each class"
        )
        raise DataError(
            f"{path}: value {where} is not in --label_map={label_map.source}"
            f"{more}; {remedy}"
        )
    table = np.full([256], IGNORE_LABEL, np.uint8)
    table[list(known)] = list(known.values())
    return np.take(table, label)


def _first(label: np.ndarray, bad: Sequence[int]) -> tuple[str, str]:
    """The first bad value with its pixel, and the others in brackets."""
    y, x = np.argwhere(np.isin(label, bad))[0]
    first = int(label[y, x])
    others = [str(value) for value in bad if value != first]
    if len(others) > 5:
        others[5:] = [f"{len(others) - 5} more"]
    more = f" (also {', '.join(others)})" if others else ""
    return f"{first} at pixel (x={x}, y={y})", more


def _remedy(
    histogram: Sequence[int], bad: Sequence[int], num_classes: int
) -> str:
    """What most likely mends labels that are too high."""
    if smoothed := _smoothed(histogram, bad):
        return smoothed
    there = [value for value in range(256) if histogram[value]]
    if set(there) <= {0, IGNORE_LABEL}:
        return (
            "the mask is black and white (0 and 255): give "
            "--label_map=binary to make 255 the class 1, or "
            "--void_labels=255 to have it ignored"
        )
    if max(bad) >= max(_GREY_LEVEL, 2 * num_classes) and not any(
        histogram[1:num_classes]
    ):
        values = ", ".join(map(str, there[:6]))
        return (
            f"values such as {values} are grey levels, not numbers of classes: "
            "give --label_map=FILE, a text file with a line 'name: value' for "
            "each class"
        )
    if IGNORE_LABEL in bad:
        return (
            "correct it, or list it in --void_labels to have it ignored, as "
            "255 mostly is"
        )
    return (
        "correct it, raise --num_classes, or list it in --void_labels to have "
        "it ignored"
    )


def _smoothed(histogram: Sequence[int], bad: Sequence[int]) -> str:
    """A remedy if few values have most pixels and many bad ones the rest."""
    counts = sorted(filter(None, histogram), reverse=True)
    rare = [value for value in bad if histogram[value] * 100 < sum(counts)]
    most = sum(counts[:2]) >= _SMOOTHED_SHARE * sum(counts)
    if len(rare) < _SMOOTHED_VALUES or max(bad) < _GREY_LEVEL or not most:
        return ""
    return (
        f"so many values ({len(counts)}), most on few pixels, mean that "
        "borders were smoothed (anti-aliased, resized with interpolation, or a "
        "JPEG): export the mask without smoothing"
    )
