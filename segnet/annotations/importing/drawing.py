"""Importing a picture: its labels are drawn, and both files written.

No TensorFlow here: worker processes import this module.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from segnet.annotations.colours import colours_to_labels
from segnet.annotations.importing.name_map import DROPPED
from segnet.annotations.importing.shapes import Runs
from segnet.annotations.importing.sources import MaskFile, Picture
from segnet.annotations.label_map import LabelMap
from segnet.annotations.reading import load_annotation
from segnet.constants import MAX_PIXELS
from segnet.errors import DataError, RunError
from segnet.files import write_errors
from segnet.images.decoding import (
    decode_pixels,
    open_image,
    rotation,
    upright_size,
)
from segnet.images.image_files import encode_label

__all__ = ["Rules", "import_pictures"]

_EXIF_ORIENTATION = 0x0112


@dataclasses.dataclass(frozen=True)
class Rules:
    """How pictures are imported.

    Attributes:
      ids: Class id of each name, 255 for void, `DROPPED` for nothing.
      background: Class id of what no object covers.
      images_dir: Where images go.
      annotations_dir: Where annotations go.
      link: Whether images are linked to, not copied.
      max_pixels: That a picture may have.
    """

    ids: Mapping[str, int]
    background: int
    images_dir: pathlib.Path
    annotations_dir: pathlib.Path
    link: bool = False
    max_pixels: int = MAX_PIXELS


def import_pictures(
    rules: Rules,
    pictures: Sequence[tuple[str, Picture]],
    advance: Callable[[], None],
    shared: None = None,
) -> list[str]:
    """Imports pictures.

    Args:
      rules: How.
      pictures: With the stem that each is to have.
      advance: Called after each.
      shared: Nothing; see `pools.run_jobs`.

    Returns:
      A line for each that cannot be used.

    Raises:
      RunError: A file cannot be written.
    """
    problems = []
    for stem, picture in pictures:
        try:
            _import(stem, picture, rules)
        except RunError:
            raise
        except DataError as error:
            problems.append(str(error))
        advance()
    return problems


def _import(stem: str, picture: Picture, rules: Rules) -> None:
    image, data = open_image(picture.image, rules.max_pixels)
    upright = upright_size(image, data)
    if picture.mask:
        label = _read_mask(picture.mask, rules)
        if label.shape != upright:
            raise DataError(_wrong_size(picture, label.shape, upright))
    else:
        sideways = rotation(image, data) == "sideways"
        stored = upright[::-1] if sideways else upright
        label = _draw(picture, image, stored, upright, rules)
    suffix = picture.image.suffix
    target = rules.images_dir / f"{stem}{suffix}"
    with write_errors(str(target)):
        if rules.link:
            target.symlink_to(picture.image.resolve())
        else:
            target.write_bytes(data)
        annotation = rules.annotations_dir / f"{stem}.png"
        annotation.write_bytes(encode_label(label))


def _draw(
    picture: Picture,
    image: Image.Image,
    stored: tuple[int, int],
    upright: tuple[int, int],
    rules: Rules,
) -> np.ndarray:
    """Class ids of a picture, uint8, upright.

    A tool that heeds EXIF data has drawn on the upright picture, one that does
    not on the picture as it is stored: the size that it wrote tells which, and
    where there is none, or the sides are equal, upright is what tools show.
    """
    size = picture.size or upright
    if size not in (stored, upright):
        raise DataError(_wrong_size(picture, size, upright))
    # Run lengths go column by column, and so does the memory where there are
    # some: it saves half of the time.
    by_columns = any(isinstance(x.shape, Runs) for x in picture.items)
    order: Literal["C", "F"] = "F" if by_columns else "C"
    label = np.full(size, rules.background, np.uint8, order)
    for item in picture.items:
        value = rules.ids.get(item.name, DROPPED)
        if value == DROPPED:
            continue
        try:
            item.shape.draw(label, value)
        except (ValueError, OverflowError) as error:
            raise DataError(f"{picture.file}: {item.where}: {error}") from None
    label = np.ascontiguousarray(label)
    if size == upright:
        return label
    turned = Image.fromarray(label)
    turned.getexif()[_EXIF_ORIENTATION] = image.getexif()[_EXIF_ORIENTATION]
    return np.asarray(ImageOps.exif_transpose(turned))


def _wrong_size(
    picture: Picture, size: Sequence[int], upright: Sequence[int]
) -> str:
    return (
        f"{picture.file}: is for a picture of {size[1]}x{size[0]} (width x "
        f"height) but {picture.image} has {upright[1]}x{upright[0]}; get the "
        "picture that was labelled"
    )


def _read_mask(mask: MaskFile, rules: Rules) -> np.ndarray:
    """Class ids of a file that has a value for each pixel."""
    values = _values(mask, rules.max_pixels)
    there = np.unique(values)
    ids = np.empty([len(there)], np.uint8)
    for index, value in enumerate(map(int, there)):
        name = mask.names.get(value)
        if name is None or name not in rules.ids:
            y, x = np.argwhere(values == value)[0]
            what = f"value {value}" if name is None else f"class '{name}'"
            raise DataError(
                f"{mask.path}: the {what} at pixel (x={x}, y={y}) is of no "
                "known class; "
                + (
                    "check that labels and class list belong together"
                    if name is None
                    else "add it to a line of --label_map"
                )
            )
        found = rules.ids[name]
        ids[index] = rules.background if found == DROPPED else found
    return ids[np.searchsorted(there, values)]


def _values(mask: MaskFile, max_pixels: int) -> np.ndarray:
    if mask.mode == "index":
        return load_annotation(mask.path, "index", max_pixels=max_pixels).label
    image, data = open_image(mask.path, max_pixels)
    image = decode_pixels(image, data, mask.path)
    if mask.mode == "color":
        label_map = LabelMap(os.fspath(mask.path), (), {}, mask.colours)
        return colours_to_labels(image, mask.path, label_map)
    channels = np.asarray(image.convert("RGB")).astype(np.uint32)
    return channels @ np.array([1, 1 << 8, 1 << 16], np.uint32)
