"""LabelMe: a JSON file beside each picture."""

from __future__ import annotations

import base64
import binascii
import io
import math
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from segnet.annotations.importing import fields, shapes
from segnet.annotations.importing.fields import FieldError
from segnet.annotations.importing.sources import (
    Item,
    Options,
    Picture,
    PictureFinder,
    Source,
    files_below,
    read_json,
)
from segnet.constants import MAX_PIXELS
from segnet.errors import DataError

__all__ = ["read_labelme"]


def read_labelme(
    folder: pathlib.Path, finder: PictureFinder, options: Options
) -> Source:
    """Reads LabelMe's files; objects are drawn in their order.

    Args:
      folder: Of the JSON files; folders inside it are searched, too.
      finder: Of the pictures.
      options: How lines and points are drawn.

    Raises:
      DataError: There is no such file.
    """
    source = Source()
    files = list(files_below(folder, (".json",)))
    if not files:
        raise DataError(
            f"{folder}: has no .json file of LabelMe; check --input"
        )
    for file in files:
        try:
            source.pictures.append(_picture(file, finder, options, source))
        except DataError as error:
            source.problems.append(str(error))
        except ValueError as error:
            source.problems.append(f"{file}: {error}")
    names = {item.name for each in source.pictures for item in each.items}
    source.names = sorted(names)
    return source


def _picture(
    file: pathlib.Path, finder: PictureFinder, options: Options, source: Source
) -> Picture:
    data = read_json(file)
    name = fields.field(data, "imagePath", str, "the file")
    image = finder.find(name, near=file.parent)
    size = None
    if data.get("imageHeight") is not None:
        size = (
            fields.whole(data, "imageHeight", "the file", 1),
            fields.whole(data, "imageWidth", "the file", 1),
        )
    items = []
    for number, shape in enumerate(
        fields.field(data, "shapes", list, "the file")
    ):
        where = f"shapes[{number}]"
        try:
            label = fields.field(shape, "label", str, where)
            items.append(Item(label, _shape(shape, where, options), where))
        except FieldError as error:
            source.problems.append(f"{file}: {error}")
    return Picture(image, str(file), items, size=size)


def _shape(shape: Any, where: str, options: Options) -> shapes.Shape:
    """A shape as LabelMe's own scripts draw it, with Pillow."""
    kind = shape.get("shape_type") or "polygon"
    if kind == "polygon":
        return shapes.Polygon(fields.points(shape, "points", where, 3))
    if kind == "rectangle":
        return shapes.Box(fields.points(shape, "points", where, 2, 2))
    if kind == "circle":
        centre, edge = fields.points(shape, "points", where, 2, 2)
        return shapes.Circle(centre, math.dist(centre, edge))
    if kind in ("line", "linestrip"):
        points = fields.points(shape, "points", where, 2)
        return shapes.Line(points, options.line_width)
    if kind in ("point", "points"):
        points = fields.points(shape, "points", where)
        return shapes.Points(points, options.point_size)
    if kind == "mask":
        (left, top), _ = fields.points(shape, "points", where, 2, 2)
        return shapes.Mask(_mask(shape, where), int(left), int(top))
    raise FieldError(
        f"{where}: 'shape_type' is '{str(kind)[:20]}', not polygon, rectangle, "
        "circle, line, linestrip, point or mask"
    )


def _mask(shape: Any, where: str) -> np.ndarray:
    """The PNG file that stands in the JSON as a text, bool."""
    text = fields.field(shape, "mask", str, where)
    try:
        data = base64.b64decode(text, validate=True)
        image = Image.open(io.BytesIO(data), formats=("PNG",))
        if image.width * image.height > MAX_PIXELS:
            raise ValueError("it has too many pixels")
        return np.asarray(image.convert("L")) > 0
    except (
        binascii.Error,
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
        raise FieldError(
            f"{where}: 'mask' is no PNG in base64 ({error})"
        ) from None
