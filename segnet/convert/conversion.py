"""Converting a pair of files: decode, check, encode.

No TensorFlow here: worker processes import this module.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from PIL import Image

from segnet.annotations.label_map import Colour, LabelMap
from segnet.annotations.reading import Annotation, load_annotation
from segnet.annotations.values import check_values, map_values
from segnet.constants import IGNORE_LABEL, MAX_PIXELS
from segnet.convert.findings import DARK, DARK_DEEP, DEEP, MENDED, ROTATED
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
        With a label map in mode "blue" or "index" they are values of the
        files, else class ids.
      annotation_mode: See `reading.load_annotation`.
      label_map: Likewise.
      resize: (height, width), or None to keep the sizes.
      skip_invalid: Whether pairs are of use when others are not.
      max_pixels: That a picture may have.
      bit_depth: See `image_files.load_image`.
    """

    num_classes: int
    void_labels: tuple[int, ...] = ()
    annotation_mode: str = "blue"
    label_map: LabelMap | None = None
    resize: tuple[int, int] | None = None
    skip_invalid: bool = False
    max_pixels: int = MAX_PIXELS
    bit_depth: int = 0


@dataclasses.dataclass(frozen=True)
class Converted:
    """A checked pair.

    Attributes:
      record: Serialized.
      histogram: 256 pixel counts of its labels.
      height: Of image and labels, pixels.
      width: Likewise.
      digest: `encoding.image_digest` of the image.
      colours: See `reading.Annotation`.
      findings: What is odd about it: kinds of `findings`.
    """

    record: bytes
    histogram: tuple[int, ...]
    height: int
    width: int
    digest: str
    colours: Mapping[int, Colour]
    findings: tuple[str, ...]


def convert_pair(pair: Pair, rules: Rules) -> Converted | tuple[Problem, ...]:
    """Decodes, checks and encodes a pair.

    Returns:
      The result, or what is wrong with either file.
    """
    problems = []
    image = label = None
    try:
        image = image_files.read_image(
            pair.image, rules.resize, rules.max_pixels, rules.bit_depth
        )
    except DataError as error:
        problems.append(Problem(str(pair.image), str(error)))
    try:
        annotation = load_annotation(
            pair.annotation,
            rules.annotation_mode,
            rules.label_map,
            rules.max_pixels,
        )
        label, histogram = _class_ids(pair, annotation, rules)
        if image is not None:
            _check_sizes(pair, image, annotation)
    except DataError as error:
        problems.append(Problem(str(pair.annotation), str(error)))
    if problems or image is None or label is None:
        return tuple(problems)
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
    return Converted(
        record,
        tuple(histogram),
        image.height,
        image.width,
        encoding.image_digest(image.data),
        annotation.colours,
        tuple(_findings(image, annotation)),
    )


def _class_ids(
    pair: Pair, annotation: Annotation, rules: Rules
) -> tuple[np.ndarray, list[int]]:
    """The class ids of an annotation, 255 for void, and their histogram.

    Raises:
      DataError: A value is no class.
    """
    label = annotation.label
    histogram = _histogram(label)
    if rules.label_map is None:
        check_values(
            pair.annotation,
            label,
            histogram,
            rules.num_classes,
            rules.void_labels,
        )
    elif rules.annotation_mode != "color":
        label = map_values(
            pair.annotation,
            label,
            histogram,
            rules.label_map,
            rules.void_labels,
        )
        return label, _histogram(label)
    if any(histogram[value] for value in rules.void_labels):
        label = _void(label, histogram, rules.void_labels)
    return label, histogram


def _findings(
    image: image_files.EncodedImage, annotation: Annotation
) -> Iterator[str]:
    """What is odd about a valid pair."""
    deep = (image.bits or 0) > 8
    if deep:
        yield DEEP
    if image.dark:
        yield DARK_DEEP if deep else DARK
    if image.mended:
        yield MENDED
    # Where width and height changed places, the annotation's size has shown
    # that it is turned.
    square = image.source_height == image.source_width
    sideways = image.rotation == "sideways" and not square
    if image.rotation and not sideways and not annotation.turned:
        yield ROTATED


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


def _check_sizes(
    pair: Pair, image: image_files.EncodedImage, annotation: Annotation
) -> None:
    height, width = annotation.label.shape
    size = (image.source_height, image.source_width)
    if (height, width) == size:
        return
    hint = "they must be of one size"
    if (width, height) == size:
        hint = (
            f"EXIF data turns {pair.image.name}, its annotation is as before: "
            "turn the annotation too, or remove the image's EXIF orientation"
            if image.rotation == "sideways" and not annotation.turned
            else "turn one of them (EXIF rotation is already applied)"
        )
    raise DataError(
        f"{pair.annotation}: is {width}x{height} (width x height) but "
        f"{pair.image.name} is {size[1]}x{size[0]}; {hint}"
    )
