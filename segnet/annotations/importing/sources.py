"""What a labelling tool has written, read: pictures and what is on them."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from segnet.annotations.importing.output import CONTENTS
from segnet.annotations.importing.shapes import Shape
from segnet.errors import DataError
from segnet.files import LARGE_TEXT_BYTES, read_text
from segnet.images.image_files import IMAGE_SUFFIXES
from segnet.json_text import parse_json

__all__ = [
    "Item",
    "MaskFile",
    "Options",
    "Picture",
    "PictureFinder",
    "Source",
    "files_below",
    "read_json",
    "split_of",
]

_SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val",
    "validation": "val", "test": "test", "testing": "test",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Options:
    """How things without an area are drawn.

    Attributes:
      line_width: Of lines, pixels.
      point_size: Radius of points, pixels.
    """

    line_width: int = 10
    point_size: int = 5


@dataclasses.dataclass(frozen=True)
class Item:
    """An object on a picture.

    Attributes:
      name: Of its class, as the tool has it.
      shape: What it covers.
      where: Which object of the file it is, for messages.
    """

    name: str
    shape: Shape
    where: str


@dataclasses.dataclass(frozen=True)
class MaskFile:
    """A file with a value for each pixel.

    Attributes:
      path: Of the file.
      mode: "index", "color" (values are the class ids of `colours`) or
        "panoptic" (values are red + 256 green + 65536 blue).
      names: Of the class of each value; pixels of others are errors.
      colours: In mode "color" the value of each colour.
    """

    path: pathlib.Path
    mode: str
    names: Mapping[int, str]
    colours: Mapping[tuple[int, int, int], int] = dataclasses.field(
        default_factory=dict
    )


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture and what is on it.

    Attributes:
      image: Its file.
      file: That says what is on it, for messages.
      items: Objects in the order in which they are drawn.
      mask: A file of all its pixels instead.
      size: (height, width) as the tool saw it; None if it does not say.
      split: It belongs to; may be empty.
      stem: Of its name; empty for that of the file.
    """

    image: pathlib.Path
    file: str
    items: Sequence[Item] = ()
    mask: MaskFile | None = None
    size: tuple[int, int] | None = None
    split: str = ""
    stem: str = ""


@dataclasses.dataclass
class Source:
    """All that was found.

    Attributes:
      names: Of classes, in the order of their ids if there is no label map.
      void_names: Further names that are void if there is no label map.
      background: Whether there are pixels that no object covers.
      pictures: Those that something is known of.
      problems: A line for each thing that cannot be used.
      lists: Further lists of stems, by the name of the split.
      others: Pictures of which nothing is known.
      notes: What the user should know.
    """

    names: list[str] = dataclasses.field(default_factory=list)
    void_names: list[str] = dataclasses.field(default_factory=list)
    background: bool = True
    pictures: list[Picture] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    lists: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    others: list[pathlib.Path] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


class PictureFinder:
    r"""Finds the pictures that a tool names, wherever it saw them.

    Only files below one folder are found: a name such as ../a.jpg or
    C:\photos\a.jpg means the a.jpg in there, and leads nowhere else.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Looks through a folder and those inside it."""
        self.folder = folder
        self.files = list(files_below(folder, IMAGE_SUFFIXES))
        self._known = set(self.files)
        self._by_name: dict[str, list[pathlib.Path]] = {}
        for file in self.files:
            self._by_name.setdefault(_nfc(file.name), []).append(file)

    def find(
        self, name: str, split: str = "", near: pathlib.Path | None = None
    ) -> pathlib.Path:
        """The picture of a name.

        Args:
          name: Path in any form; of several files that end in the same way
            that one is meant that has most of its folders.
          split: Where that does not tell: a folder of this name is meant.
          near: Folder from which the name may lead to the file.

        Raises:
          ValueError: There is none, or there are several.
        """
        if near is not None:
            file = pathlib.Path(os.path.normpath(near / name))
            if file in self._known:
                return file
        parts = [
            part
            for part in re.split(r"[/\\]", _nfc(name))
            if part not in ("", ".", "..")
        ]
        found = self._by_name.get(parts[-1], []) if parts else []
        if not found:
            raise ValueError(
                f"there is no picture '{name[:200]}' in {self.folder} "
                f"({', '.join(IMAGE_SUFFIXES)}); give its folder as "
                "--images_dir"
            )
        best = _best([(_common(file, parts), file) for file in found])
        if len(best) > 1 and split:
            best = [
                file
                for file in best
                if split in map(split_of, file.relative_to(self.folder).parts)
            ] or best
        if len(best) > 1:
            raise ValueError(
                f"'{name[:200]}' can be {best[0]} or {best[1]}; give the "
                "folder of one as --images_dir"
            )
        return best[0]


def _best(
    found: Sequence[tuple[int, pathlib.Path]],
) -> list[pathlib.Path]:
    most = max(count for count, _ in found)
    return [file for count, file in found if count == most]


def _common(file: pathlib.Path, parts: Sequence[str]) -> int:
    """How many parts, from the end, a path has in common with a name."""
    count = 0
    for own, other in zip(reversed(file.parts), reversed(parts), strict=False):
        if _nfc(own) != other:
            break
        count += 1
    return count


def files_below(
    folder: pathlib.Path, suffixes: Sequence[str]
) -> Iterator[pathlib.Path]:
    """Files of a folder and those inside it, in order, but no hidden ones.

    What an import has written is left out, too.

    Raises:
      DataError: There is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; check the path")
    for path, folders, names in os.walk(folder):
        if CONTENTS in names:
            folders.clear()
            continue
        folders[:] = sorted(
            name for name in folders if not name.startswith(".")
        )
        for name in sorted(names):
            suffix = os.path.splitext(name)[1].lower()
            if suffix in suffixes and not name.startswith("."):
                yield pathlib.Path(path, name)


def split_of(name: str) -> str:
    """The split that the name of a file or folder speaks of, or nothing."""
    for word in re.split(r"[^a-z]+", name.lower()):
        if word in _SPLITS:
            return _SPLITS[word]
    return ""


def read_json(path: pathlib.Path) -> Any:
    """The contents of a JSON file.

    Raises:
      DataError: It cannot be read, or is no such file.
    """
    text = read_text(path, limit=LARGE_TEXT_BYTES)
    try:
        return parse_json(text)
    except ValueError as error:
        raise DataError(f"{path}: is no usable JSON: {error}") from None


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
