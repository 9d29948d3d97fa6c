"""Label Studio's JSON export: a list of tasks."""

from __future__ import annotations

import pathlib
import re
import urllib.parse
from typing import Any

from segnet.annotations.importing import fields, runs, shapes
from segnet.annotations.importing.fields import FieldError
from segnet.annotations.importing.sources import (
    Item,
    Options,
    Picture,
    PictureFinder,
    Source,
    read_json,
)
from segnet.constants import MAX_RECORD_PIXELS
from segnet.errors import DataError
from segnet.images.image_files import IMAGE_SUFFIXES

__all__ = ["read_label_studio"]

_AREAS = ("brush", "ellipse", "keypoint", "polygon", "rectangle")
# What an upload puts before the name of a file.
_UPLOAD = re.compile(r"[0-9a-f]{8}-")


def read_label_studio(
    path: pathlib.Path, finder: PictureFinder, options: Options
) -> Source:
    """Reads an export; objects are drawn in their order.

    Of several annotations of a task the first that was not cancelled counts.

    Args:
      path: The JSON file, or a folder with it alone.
      finder: Of the pictures.
      options: Not used: points have a size of their own.

    Raises:
      DataError: There is no such file.
    """
    if path.is_dir():
        files = sorted(path.glob("*.json"))
        if len(files) != 1:
            raise DataError(
                f"{path}: has {len(files)} .json files; give the one to import "
                "as --input, and the folder of the pictures as --images_dir"
            )
        path = files[0]
    tasks = read_json(path)
    if not isinstance(tasks, list):
        raise DataError(
            f"{path}: is not a list of tasks; export as JSON (not JSON-MIN)"
        )
    source = Source()
    for number, task in enumerate(tasks):
        try:
            _read_task(path, task, f"task[{number}]", finder, source)
        except ValueError as error:
            source.problems.append(f"{path}: {error}")
    names = {item.name for each in source.pictures for item in each.items}
    source.names = sorted(names)
    return source


def _read_task(
    path: pathlib.Path,
    task: Any,
    where: str,
    finder: PictureFinder,
    source: Source,
) -> None:
    image = _image(fields.field(task, "data", dict, where), where, finder)
    annotations = fields.field(task, "annotations", list, where)
    kept = [
        (number, each)
        for number, each in enumerate(annotations)
        if isinstance(each, dict) and not each.get("was_cancelled")
    ]
    items, size = [], None
    for number, annotation in kept[:1]:
        place = f"{where}: annotations[{number}]"
        for index, result in enumerate(
            fields.field(annotation, "result", list, place)
        ):
            spot = f"{place}: result[{index}]"
            try:
                found = _result(result, spot)
            except ValueError as error:
                text = str(error)
                shown = text if text.startswith(spot) else f"{spot}: {text}"
                source.problems.append(f"{path}: {shown}")
                continue
            if found:
                item, size = found
                items.append(item)
    source.pictures.append(Picture(image, str(path), items, size=size))


def _image(
    data: dict[str, Any], where: str, finder: PictureFinder
) -> pathlib.Path:
    """The picture that the data of a task name, by address or path."""
    for value in data.values():
        if not isinstance(value, str):
            continue
        name = urllib.parse.unquote(value)
        name = name.partition("?d=")[2] or name.partition("?")[0]
        if not name.lower().endswith(IMAGE_SUFFIXES):
            continue
        base = re.split(r"[/\\]", name)[-1]
        try:
            return finder.find(name)
        except ValueError:
            if not _UPLOAD.match(base):
                raise
            return finder.find(base[9:])
    raise FieldError(
        f"{where}: 'data' names no picture ({', '.join(IMAGE_SUFFIXES)})"
    )


def _result(result: Any, where: str) -> tuple[Item, tuple[int, int]] | None:
    """An object and the size of its picture; None if it covers nothing."""
    kind = fields.field(result, "type", str, where)
    area = kind.removesuffix("labels")
    if area not in _AREAS:
        return None
    size = (
        fields.whole(result, "original_height", where, 1, 100_000),
        fields.whole(result, "original_width", where, 1, 100_000),
    )
    if size[0] * size[1] > MAX_RECORD_PIXELS:
        raise FieldError(f"{where}: 'original_width' is too large")
    value = fields.field(result, "value", dict, where)
    labels = value.get(kind)
    if not isinstance(labels, list) or not labels:
        raise FieldError(f"{where}: 'value' has no '{kind}'")
    name = fields.field({"label": labels[0]}, "label", str, where)
    return Item(name, _shape(area, value, size, where), where), size


def _shape(
    area: str, value: dict[str, Any], size: tuple[int, int], where: str
) -> shapes.Shape:
    """A shape; lengths are in per cent of the picture."""
    height, width = size

    def x(name: str) -> float:
        return fields.number(value, name, where) * width / 100

    def y(name: str) -> float:
        return fields.number(value, name, where) * height / 100

    if area == "brush":
        return shapes.Mask(_brush(value, size, where), 0, 0)
    if area == "polygon":
        points = fields.points(value, "points", where, 3)
        flat = [
            part
            for across, down in points
            for part in (across * width / 100, down * height / 100)
        ]
        return shapes.RingPolygons([fields.flat_points(flat, "points", where)])
    if area == "keypoint":
        return shapes.Circle((x("x"), y("y")), max(x("width") / 2, 0.0))
    degrees = 0.0
    if value.get("rotation") is not None:
        degrees = fields.number(value, "rotation", where)
    if area == "rectangle":
        corner = x("x"), y("y")
        box = (*corner, x("width"), y("height"))
        return shapes.turned_box(box, corner, degrees)
    radii = x("radiusX"), y("radiusY")
    if min(radii) <= 0:
        raise FieldError(f"{where}: 'radiusX' or 'radiusY' is not above 0")
    return shapes.Ellipse((x("x"), y("y")), radii, degrees)


def _brush(value: dict[str, Any], size: tuple[int, int], where: str) -> Any:
    rle = fields.field(value, "rle", list, where)
    if not all(type(each) is int and 0 <= each <= 255 for each in rle):
        raise FieldError(f"{where}: 'rle' is not a list of bytes")
    return runs.decode_bits(rle, *size)
