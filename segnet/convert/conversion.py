"""Converting a pair of files: decode, check, encode.

No TensorFlow here: worker processes import this module.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from segnet.constants import IGNORE_LABEL
from segnet.convert.pairs import Pair, Problem
from segnet.errors import DataError
from segnet.images import image_files
from segnet.records import encoding

__all__ = ["Converted", "Rules", "convert_pair"]


@dataclasses.dataclass(frozen=True)
class Rules:
    """How pairs are converted.

    Attributes:
      num_classes: Labels are below it.
      void_labels: Labels written as 255 (ignore), also below `num_classes`.
      annotation_mode: "blue" or "index", see `image_files.load_annotation`.
      resize: (height, width), or None to keep the sizes.
      skip_invalid: Whether pairs are of use when others are not.
    """

    num_classes: int
    void_labels: tuple[int, ...] = ()
    annotation_mode: str = "blue"
    resize: tuple[int, int] | None = None
    skip_invalid: bool = False


@dataclasses.dataclass(frozen=True)
class Converted:
    """A checked pair.

    Attributes:
      record: Serialized.
      histogram: 256 pixel counts of its labels.
      height: Of image and labels, pixels.
      width: Likewise.
    """

    record: bytes
    histogram: tuple[int, ...]
    height: int
    width: int


def convert_pair(pair: Pair, rules: Rules) -> Converted | tuple[Problem, ...]:
    """Decodes, checks and encodes a pair.

    Returns:
      The result, or what is wrong with either file.
    """
    problems = []
    image = label = None
    try:
        image = image_files.read_image(pair.image, rules.resize)
    except DataError as error:
        problems.append(Problem(str(pair.image), str(error)))
    try:
        label = image_files.load_annotation(
            pair.annotation, rules.annotation_mode
        )
        histogram = _histogram(label)
        _check_labels(pair.annotation, label, histogram, rules)
        if image is not None:
            _check_sizes(pair, image, label)
    except DataError as error:
        problems.append(Problem(str(pair.annotation), str(error)))
    if problems or image is None or label is None:
        return tuple(problems)
    if any(histogram[value] for value in rules.void_labels):
        label = _void(label, histogram, rules.void_labels)
    if label.shape != (image.height, image.width):
        label = _resize(label, (image.height, image.width))
        histogram = _histogram(label)
    record = encoding.encode_record(
        image=image.data,
        image_format=image.format,
        label=image_files.encode_label(label),
        height=image.height,
        width=image.width,
        filename=os.fsencode(pair.image.name),
        source_id=os.fsencode(pair.image.stem),
    )
    return Converted(record, tuple(histogram), image.height, image.width)


def _histogram(label: np.ndarray) -> list[int]:
    """How many pixels have each of the 256 values."""
    return Image.fromarray(label).histogram()


def _resize(label: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """To (height, width); each pixel takes the label of the nearest."""
    image = Image.fromarray(label)
    return np.asarray(image.resize(size[::-1], Image.Resampling.NEAREST))


def _void(
    label: np.ndarray, histogram: list[int], void_labels: Sequence[int]
) -> np.ndarray:
    """Writes void labels as 255, in the histogram too, which is changed."""
    for value in void_labels:
        count, histogram[value] = histogram[value], 0
        histogram[IGNORE_LABEL] += count
        # 1 where it is to be void, so minus that is 255 there: a third of the
        # time that assignment by a mask takes.
        hit = (label == value).view(np.uint8)
        label = np.bitwise_or(label, np.negative(hit, out=hit), out=hit)
    return label


def _check_labels(
    path: pathlib.Path, label: np.ndarray, histogram: list[int], rules: Rules
) -> None:
    bad = [
        value
        for value in range(rules.num_classes, 256)
        if histogram[value] and value not in rules.void_labels
    ]
    if not bad:
        return
    y, x = np.argwhere(np.isin(label, bad))[0]
    first = int(label[y, x])
    others = [str(value) for value in bad if value != first]
    more = f" (also {', '.join(others)})" if others else ""
    raise DataError(
        f"{path}: label {first} at pixel (x={x}, y={y}) is not below "
        f"--num_classes={rules.num_classes}{more}; correct it, raise "
        "--num_classes, or list it in --void_labels to have it ignored"
    )


def _check_sizes(
    pair: Pair, image: image_files.EncodedImage, label: np.ndarray
) -> None:
    height, width = label.shape
    size = (image.source_height, image.source_width)
    if (height, width) == size:
        return
    hint = (
        "turn one of them (EXIF rotation is already applied)"
        if (width, height) == size
        else "they must be of one size"
    )
    raise DataError(
        f"{pair.annotation}: is {width}x{height} (width x height) but "
        f"{pair.image.name} is {size[1]}x{size[0]}; {hint}"
    )
