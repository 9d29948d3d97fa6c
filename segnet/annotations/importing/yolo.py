"""YOLO's segmentation labels: a text beside, or parallel to, each picture."""

from __future__ import annotations

import csv
import pathlib
import re

from segnet.annotations.importing import fields, shapes
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
from segnet.errors import DataError
from segnet.files import read_text

__all__ = ["read_yolo"]

# Folders in whose place the other one is, for labels.
_PARALLEL = {"images", "labels"}
_LISTS = ("classes.txt", "obj.names")
_ENTRY = re.compile(r"\s*(?:-|(\d+)\s*:)\s*(.*?)\s*")


def read_yolo(
    folder: pathlib.Path, finder: PictureFinder, options: Options
) -> Source:
    """Reads lines `class x1 y1 x2 y2 ...`, the rest from 0 to 1.

    Names of the classes come from data.yaml (or another .yaml), else from
    classes.txt; folders called train, val or test tell the split.

    Args:
      folder: With labels, and the file of names.
      finder: Of the pictures.
      options: Not used; all shapes have an area.

    Raises:
      DataError: There are no names, or no labels.
    """
    source = Source(names=_names(folder))
    texts = {
        _key(file, folder): file
        for file in files_below(folder, (".txt",))
        if file.name not in _LISTS
    }
    by_stem: dict[str, list[pathlib.Path]] = {}
    for file in texts.values():
        by_stem.setdefault(file.stem, []).append(file)
    used = set()
    for image in finder.files:
        same = by_stem.get(image.stem, [])
        found = texts.get(_key(image, finder.folder))
        if found is None and len(same) == 1:
            found = same[0]
        items = _items(found, source) if found else []
        if found:
            used.add(found)
        place = (found or image).relative_to(folder if found else finder.folder)
        split = next(filter(None, map(split_of, place.parts[:-1])), "")
        source.pictures.append(
            Picture(image, str(found or image), items, split=split)
        )
    for file in texts.values():
        if file not in used and "labels" in file.parts:
            source.problems.append(
                f"{file}: there is no picture {file.stem}.* in "
                f"{finder.folder}; give its folder as --images_dir"
            )
    if not used and not source.problems:
        raise DataError(f"{folder}: has no labels (.txt); check --input")
    return source


def _key(file: pathlib.Path, folder: pathlib.Path) -> tuple[str, ...]:
    """What labels and their picture have in common."""
    parts = file.relative_to(folder).with_suffix("").parts
    return tuple(part for part in parts if part not in _PARALLEL)


def _items(file: pathlib.Path, source: Source) -> list[Item]:
    items = []
    try:
        lines = read_text(file).splitlines()
    except DataError as error:
        source.problems.append(str(error))
        lines = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            items.append(_item(line, f"line {number}", source.names))
        except FieldError as error:
            source.problems.append(f"{file}: {error}")
    return items


def _item(line: str, where: str, names: list[str]) -> Item:
    label, *values = fields.parsed_numbers(line, "class x y ...", where)
    if label != int(label) or not 0 <= label < len(names):
        raise FieldError(
            f"{where}: the class is {label:g}, but there are names for 0 to "
            f"{len(names) - 1}"
        )
    if len(values) == 4:
        raise FieldError(
            f"{where}: is a box, which does not tell pixels; export polygons "
            "(segmentation)"
        )
    values = fields.flat_points(values, "x y ...", where)
    if not all(-1 <= value <= 2 for value in values):
        raise FieldError(f"{where}: its points are in pixels, not from 0 to 1")
    points = list(zip(values[::2], values[1::2], strict=True))
    return Item(names[int(label)], shapes.RelativePolygon(points), where)


def _names(folder: pathlib.Path) -> list[str]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; check --input")
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        if names := _yaml_names(read_text(path)):
            return names
    for path in (folder / name for name in _LISTS):
        if path.exists():
            lines = [line.strip() for line in read_text(path).splitlines()]
            return [line for line in lines if line]
    raise DataError(
        f"{folder}: has no data.yaml with names, and no classes.txt; write "
        "classes.txt with a name a line, in the order of the numbers"
    )


def _yaml_names(text: str) -> list[str]:
    """The entry `names` in one of the three forms that are in use.

    [a, b] on its line, or a line each, `- a` or `0: a`. No YAML beyond that.
    """
    lines = text.splitlines()
    starts = [n for n, line in enumerate(lines) if line.startswith("names:")]
    if not starts:
        return []
    rest = "".join(lines[starts[0]].split(":", 1)[1:])
    rest = re.sub(r"\s#.*", "", rest).strip()
    following = lines[starts[0] + 1 :]
    if rest.startswith("["):
        while not rest.endswith("]") and following:
            rest += following.pop(0).strip()
        quote = "'" if "'" in rest else '"'
        inside = rest.strip("[]").strip().rstrip(",")
        reader = csv.reader([inside], quotechar=quote, skipinitialspace=True)
        return [name.strip() for name in next(reader, [])]
    found: list[str] = []
    for line in following:
        if not line.strip() or line.strip().startswith("#"):
            continue
        match = _ENTRY.fullmatch(re.sub(r"\s#.*", "", line))
        if not match or (match[1] and int(match[1][:9]) != len(found)):
            break
        found.append(match[2].strip("'\""))
    return found
