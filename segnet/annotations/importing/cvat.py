"""CVAT's "CVAT for images": one XML file."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree
from xml.parsers import expat

from segnet.annotations.importing import fields, runs, shapes
from segnet.annotations.importing.fields import FieldError
from segnet.annotations.importing.sources import (
    Item,
    Options,
    Picture,
    PictureFinder,
    Source,
    files_below,
    split_of,
)
from segnet.constants import MAX_PIXELS
from segnet.errors import DataError
from segnet.files import LARGE_TEXT_BYTES, read_text

__all__ = ["read_cvat"]

# Elements inside one another; CVAT's own files have six.
_MAX_DEPTH = 32


def read_cvat(
    path: pathlib.Path, finder: PictureFinder, options: Options
) -> Source:
    """Reads CVAT's files; objects are drawn by z_order, then in their order.

    Args:
      path: An XML file, or a folder with some.
      finder: Of the pictures.
      options: How lines and points are drawn.

    Raises:
      DataError: There is no such file.
    """
    source = Source()
    files = list(files_below(path, (".xml",))) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: has no .xml file; check --input")
    for file in files:
        try:
            root = _parse(file)
        except DataError as error:
            source.problems.append(str(error))
            continue
        source.names += [
            name.text.strip()
            for name in root.iterfind("./meta//labels/label/name")
            if name.text
        ]
        if root.find("track") is not None:
            source.problems.append(
                f"{file}: has tracks of a video; export it as 'CVAT for images'"
            )
            continue
        for number, image in enumerate(root.iterfind("image")):
            _read_image(file, number, image, finder, source, options)
    drawn = [item.name for each in source.pictures for item in each.items]
    source.names += sorted(set(drawn) - set(source.names))
    return source


def _parse(file: pathlib.Path) -> ElementTree.Element:
    """The root of an XML file without a document type, and so entities.

    Raises:
      DataError: It cannot be read, or is no such file.
    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    depth = 0

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise DataError(f"{file}: its elements are nested too deeply")
        builder.start(name, dict(attributes))

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*unused: object) -> None:
        raise DataError(
            f"{file}: has a document type (DOCTYPE), which CVAT's files have "
            "not; it could make a small file large"
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(read_text(file, limit=LARGE_TEXT_BYTES), True)
    except expat.ExpatError as error:
        raise DataError(f"{file}: is no XML ({error}); get it again") from None
    root = builder.close()
    if root.tag != "annotations":
        raise DataError(
            f"{file}: is not of the kind 'CVAT for images' (its root is "
            f"{root.tag[:40]}); check --format"
        )
    return root


def _read_image(
    file: pathlib.Path,
    number: int,
    image: ElementTree.Element,
    finder: PictureFinder,
    source: Source,
    options: Options,
) -> None:
    where = f"image[{number}]"
    try:
        split = split_of(image.get("subset", ""))
        found = finder.find(_text(image, "name", where), split)
        size = (
            int(_number(image, "height", where)),
            int(_number(image, "width", where)),
        )
    except ValueError as error:
        source.problems.append(f"{file}: {error}")
        return
    items = []
    for place, element in _in_order(file, where, image, source):
        try:
            name = _text(element, "label", place)
            items.append(Item(name, _shape(element, place, options), place))
        except ValueError as error:
            text = str(error)
            shown = text if text.startswith(place) else f"{place}: {text}"
            source.problems.append(f"{file}: {shown}")
    source.pictures.append(
        Picture(found, str(file), items, size=size, split=split)
    )


def _in_order(
    file: pathlib.Path,
    where: str,
    image: ElementTree.Element,
    source: Source,
) -> Iterator[tuple[str, ElementTree.Element]]:
    """The objects of a picture, the lowest first, and which each is."""
    found = []
    for number, element in enumerate(image):
        if element.tag == "tag":
            continue  # says something of the whole picture
        place = f"{where}: {element.tag}[{number}]"
        try:
            order = 0.0
            if "z_order" in element.attrib:
                order = _number(element, "z_order", place)
            found.append((order, place, element))
        except FieldError as error:
            source.problems.append(f"{file}: {error}")
    for _, place, element in sorted(found, key=lambda each: each[0]):
        yield place, element


def _shape(
    element: ElementTree.Element, where: str, options: Options
) -> shapes.Shape:
    """A shape as CVAT's export of masks has it: polygons as COCO's code."""
    kind = element.tag
    if kind == "polygon":
        points = _numbers(element, "points", where)
        points = fields.flat_points(points, "points", where)
        return shapes.RingPolygons([points])
    if kind == "box":
        return _box(element, where)
    if kind == "ellipse":
        return shapes.Ellipse(
            (_number(element, "cx", where), _number(element, "cy", where)),
            (_positive(element, "rx", where), _positive(element, "ry", where)),
            _rotation(element, where),
        )
    if kind == "mask":
        return _mask(element, where)
    if kind not in ("polyline", "points"):
        raise FieldError(
            f"{where}: a {kind[:20]} has no area; delete it, or draw a polygon"
        )
    values = _numbers(element, "points", where)
    low = 2 if kind == "polyline" else 1
    values = fields.flat_points(values, "points", where, low)
    points_there = list(zip(values[::2], values[1::2], strict=True))
    if kind == "polyline":
        return shapes.Line(points_there, options.line_width)
    return shapes.Points(points_there, options.point_size)


def _box(element: ElementTree.Element, where: str) -> shapes.Shape:
    left, top, right, bottom = (
        _number(element, name, where) for name in ("xtl", "ytl", "xbr", "ybr")
    )
    return shapes.turned_box(
        (left, top, right - left, bottom - top),
        ((left + right) / 2, (top + bottom) / 2),
        _rotation(element, where),
    )


def _mask(element: ElementTree.Element, where: str) -> shapes.Shape:
    left, top, width, height = (
        int(_number(element, name, where))
        for name in ("left", "top", "width", "height")
    )
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise FieldError(f"{where}: 'width' x 'height' is {width}x{height}")
    text = _text(element, "rle", where)
    parts = text.replace(",", " ").split()
    if not all(x.isascii() and x.isdigit() and len(x) < 10 for x in parts):
        raise FieldError(f"{where}: 'rle' has what is no number of pixels")
    counts = [int(each) for each in parts]
    return shapes.Mask(runs.row_mask(counts, height, width), left, top)


def _rotation(element: ElementTree.Element, where: str) -> float:
    if "rotation" not in element.attrib:
        return 0.0
    return math.fmod(_number(element, "rotation", where), 360)


def _text(element: ElementTree.Element, name: str, where: str) -> str:
    value = element.get(name)
    if value is None:
        raise FieldError(f"{where}: has no '{name}'")
    return value


def _numbers(
    element: ElementTree.Element, name: str, where: str
) -> list[float]:
    return fields.parsed_numbers(_text(element, name, where), name, where)


def _number(element: ElementTree.Element, name: str, where: str) -> float:
    found = _numbers(element, name, where)
    if len(found) != 1:
        raise FieldError(f"{where}: '{name}' is not one number")
    return found[0]


def _positive(element: ElementTree.Element, name: str, where: str) -> float:
    value = _number(element, name, where)
    if value <= 0:
        raise FieldError(f"{where}: '{name}' is {value:g}, not above 0")
    return value
