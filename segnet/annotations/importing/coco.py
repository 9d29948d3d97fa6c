"""COCO: objects as polygons or run lengths, or panoptic PNG files."""

from __future__ import annotations

import collections
import functools
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from segnet.annotations.importing import fields, shapes
from segnet.annotations.importing.fields import FieldError
from segnet.annotations.importing.sources import (
    Item,
    MaskFile,
    Options,
    Picture,
    PictureFinder,
    Source,
    files_below,
    read_json,
    split_of,
)
from segnet.errors import DataError

__all__ = ["read_coco", "read_coco_panoptic"]

# Gives the fields of a `Picture`, from the file, the objects of a picture, the
# names of the categories, and where problems go.
_Reader = Callable[
    [pathlib.Path, list[tuple[str, Any]], Mapping[int, str], Source],
    dict[str, Any],
]
# What panoptic files call pixels of no segment.
_VOID = "void"


def read_coco(
    path: pathlib.Path, finder: PictureFinder, options: Options
) -> Source:
    """Reads files of COCO's kind "instances".

    Objects are drawn in the order of the file, crowds below all others. The
    name of a file (instances_train2017.json), or of its folder
    (train/_annotations.coco.json), tells the split.

    Args:
      path: A file, or a folder with one for each split.
      finder: Of the pictures.
      options: Not used; all shapes have an area.

    Raises:
      DataError: There is no such file.
    """
    source = Source()
    for file, data in _files(path, source):
        _each(file, data, finder, source, _items)
    return source


def read_coco_panoptic(
    path: pathlib.Path, finder: PictureFinder, options: Options
) -> Source:
    """Reads files of COCO's kind "panoptic", whose segments are in PNG files.

    Pixels of no segment are void. Arguments and errors as for `read_coco`; the
    PNG files are in the folder that has the name of the JSON file.
    """
    source = Source(background=False)
    for file, data in _files(path, source):
        pngs = PictureFinder(file.with_suffix(""))
        read = functools.partial(_panoptic, pngs)
        _each(file, data, finder, source, read)
    return source


def _files(
    path: pathlib.Path, source: Source
) -> Iterator[tuple[pathlib.Path, dict[str, Any]]]:
    """The files that have pictures, objects and categories."""
    single = not path.is_dir()
    files = [path] if single else list(files_below(path, (".json",)))
    count = 0
    for file in files:
        try:
            data = read_json(file)
        except DataError as error:
            source.problems.append(str(error))
            count += 1
            continue
        parts = ("images", "annotations", "categories")
        is_coco = isinstance(data, dict) and all(part in data for part in parts)
        if is_coco:
            count += 1
            yield file, data
        elif single:
            source.problems.append(
                f"{file}: has no {', '.join(parts)}, so it is not "
                "COCO's; check --format"
            )
            count += 1
    if not count:
        raise DataError(f"{path}: has no .json file of COCO's kind")


def _each(
    file: pathlib.Path,
    data: dict[str, Any],
    finder: PictureFinder,
    source: Source,
    read: _Reader,
) -> None:
    """Reads the pictures of a file with `_items` or `_panoptic`."""
    try:
        names = _categories(data)
        images = _images(data)
        objects = _objects(data)
    except FieldError as error:
        source.problems.append(f"{file}: {error}")
        return
    source.names += names.values()
    split = split_of(file.stem) or split_of(file.parent.name)
    for key, (where, image) in images.items():
        try:
            found = finder.find(
                fields.field(image, "file_name", str, where),
                split,
                file.parent,
            )
            size = (
                fields.whole(image, "height", where, 1),
                fields.whole(image, "width", where, 1),
            )
        except ValueError as error:
            source.problems.append(f"{file}: {error}")
            continue
        more = read(file, objects.pop(key, []), names, source)
        source.pictures.append(
            Picture(found, str(file), size=size, split=split, **more)
        )
    for left in objects.values():
        if left[0][1].get("image_id") not in images:
            source.problems.append(
                f"{file}: {left[0][0]}: 'image_id' is that of no image"
            )


def _categories(data: dict[str, Any]) -> dict[int, str]:
    """The name of each category, in the order of their ids."""
    found: dict[int, str] = {}
    categories = fields.field(data, "categories", list, "the file")
    for number, category in enumerate(categories):
        where = f"categories[{number}]"
        key = fields.whole(category, "id", where)
        name = fields.field(category, "name", str, where)
        if found.setdefault(key, name) != name:
            raise FieldError(f"{where}: 'id' is that of another category, too")
    return dict(sorted(found.items()))


def _images(data: dict[str, Any]) -> dict[int, tuple[str, Any]]:
    images = {}
    for number, image in enumerate(
        fields.field(data, "images", list, "the file")
    ):
        where = f"images[{number}]"
        key = fields.whole(image, "id", where)
        if key in images:
            raise FieldError(f"{where}: 'id' is that of another image, too")
        images[key] = where, image
    return images


def _objects(data: dict[str, Any]) -> dict[int, list[tuple[str, Any]]]:
    """The objects of each picture, crowds first."""
    objects = collections.defaultdict(list)
    for number, each in enumerate(
        fields.field(data, "annotations", list, "the file")
    ):
        where = f"annotations[{number}]"
        objects[fields.whole(each, "image_id", where)].append((where, each))
    for listed in objects.values():
        listed.sort(key=lambda pair: not pair[1].get("iscrowd"))
    return objects


def _items(
    file: pathlib.Path,
    objects: list[tuple[str, Any]],
    names: Mapping[int, str],
    source: Source,
) -> dict[str, Any]:
    items = []
    for where, each in objects:
        try:
            name = _name(each, names, where)
            items.append(Item(name, _shape(each, where), where))
        except FieldError as error:
            source.problems.append(f"{file}: {error}")
    return {"items": items}


def _name(thing: Any, names: Mapping[int, str], where: str) -> str:
    category = fields.whole(thing, "category_id", where)
    if category not in names:
        raise FieldError(
            f"{where}: 'category_id' is {category}, which no category has"
        )
    return names[category]


def _shape(each: Any, where: str) -> shapes.Shape:
    """What an object covers, as COCO's own code has it."""
    found = each.get("segmentation")
    if isinstance(found, dict):
        return _runs(found, f"{where}: segmentation")
    if not isinstance(found, list) or not found:
        raise FieldError(
            f"{where}: 'segmentation' is neither a list of polygons nor run "
            "lengths; boxes alone do not tell pixels"
        )
    polygons = [
        fields.flat_points(
            fields.numbers({"segmentation": each}, "segmentation", where),
            "segmentation",
            where,
        )
        for each in found
    ]
    return shapes.RingPolygons(polygons)


def _runs(found: dict[str, Any], where: str) -> shapes.Runs:
    size = fields.numbers(found, "size", where)
    counts = found.get("counts")
    if len(size) != 2:
        raise FieldError(f"{where}: 'size' is not height and width")
    if isinstance(counts, str):
        packed: Any = counts.encode("utf-8")
    elif isinstance(counts, list) and all(type(x) is int for x in counts):
        packed = counts
    else:
        raise FieldError(f"{where}: 'counts' is neither a text nor numbers")
    return shapes.Runs(packed, (int(size[0]), int(size[1])))


def _panoptic(
    pngs: PictureFinder,
    file: pathlib.Path,
    objects: list[tuple[str, Any]],
    names: Mapping[int, str],
    source: Source,
) -> dict[str, Any]:
    try:
        if len(objects) != 1:
            raise FieldError(
                f"annotations: {len(objects)} are of one image, not 1"
            )
        where, each = objects[0]
        name = fields.field(each, "file_name", str, where)
        png = pngs.find(name, near=pngs.folder)
        segments = {0: _VOID}
        infos = fields.field(each, "segments_info", list, where)
        for number, info in enumerate(infos):
            place = f"{where}: segments_info[{number}]"
            key = fields.whole(info, "id", place, 0, 2**24 - 1)
            segments[key] = _name(info, names, place)
    except ValueError as error:
        source.problems.append(f"{file}: {error}")
        return {}
    return {"mask": MaskFile(png, "panoptic", segments)}
