"""Label maps by name: which names in labelling tools are which class."""

from __future__ import annotations

import csv
import dataclasses
import unicodedata
from collections.abc import Iterable, Mapping

from segnet.annotations.label_map import VOID_NAMES
from segnet.constants import IGNORE_LABEL, MAX_CLASSES
from segnet.errors import ConfigError, DataError
from segnet.files import expand_path, is_readable, read_text

__all__ = [
    "BACKGROUND",
    "DROPPED",
    "NameMap",
    "default_name_map",
    "load_name_map",
    "normal_name",
    "parse_name_map",
]

# What pixels are called that no object covers; labelme writes it otherwise.
BACKGROUND = "background"
_BACKGROUNDS = (BACKGROUND, "_background_", "__background__")
# Objects of this class are left out, and what lies below them is seen.
_DROP_NAME = "drop"
DROPPED = -1


@dataclasses.dataclass(frozen=True)
class NameMap:
    """Classes, and the names that stand for them.

    Attributes:
      source: Where it comes from, for messages.
      names: One for each class, in the order of their ids.
      ids: Class id of each known name, 255 for void, `DROPPED` for objects to
        be left out.
    """

    source: str
    names: tuple[str, ...]
    ids: Mapping[str, int]

    def find(self, name: str) -> int | None:
        """The class id of a name, also of void and the background."""
        name = normal_name(name)
        if name in self.ids:
            return self.ids[name]
        if name in _BACKGROUNDS:
            known = [each for each in _BACKGROUNDS if each in self.ids]
            return self.ids[known[0]] if known else None
        return IGNORE_LABEL if name.lower() in VOID_NAMES else None


def normal_name(name: str) -> str:
    """A name so that two that look alike are equal (NFC), in one line."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def default_name_map(
    names: Iterable[str], background: bool, void_names: Iterable[str] = ()
) -> NameMap:
    """Makes a class of each name, in their order.

    Args:
      names: As the labels have them; some may be there several times, and those
        of void are no class.
      background: Whether there are pixels that no object covers; they are the
        first class.
      void_names: Further names of void.

    Raises:
      DataError: There are too few or too many.
    """
    found = dict.fromkeys(map(normal_name, names))
    classes = [name for name in found if name.lower() not in VOID_NAMES]
    if background and not set(classes) & set(_BACKGROUNDS):
        classes.insert(0, BACKGROUND)
    if not 2 <= len(classes) <= MAX_CLASSES:
        raise DataError(
            f"the labels have {len(classes)} classes, background included, not "
            f"2 to {MAX_CLASSES}; check --input, or merge some with --label_map"
        )
    ids = {name: number for number, name in enumerate(classes)}
    ids |= dict.fromkeys(map(normal_name, void_names), IGNORE_LABEL)
    return NameMap("the labels", tuple(classes), ids)


def load_name_map(source: str) -> NameMap:
    """Reads a label map by name.

    Raises:
      ConfigError: There is no such file, or its text is no such map.
    """
    path = expand_path(source)
    if not is_readable(path):
        raise ConfigError(
            f"--label_map={source}: there is no such file; write one with a "
            "line 'class: name, name' for each class"
        )
    try:
        return parse_name_map(read_text(path), source)
    except DataError as error:
        raise ConfigError(f"--label_map={error}") from None


def parse_name_map(text: str, source: str) -> NameMap:
    """Parses the text of a label map by name.

    A line is `class: name, name, ...`, or a name alone that is its own class.
    Names with a comma stand in double quotes. Lines of the class void (or
    ignore) are ignored pixels, those of `drop` objects to be left out.

    Args:
      text: Of the file; lines that begin with # are comments.
      source: The value of the flag, for messages.

    Raises:
      ConfigError: A name is in two classes, or there are too few or too many
        classes.
    """
    classes: dict[str, int] = {}
    ids: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.strip().startswith("#"):
            continue
        name, names = _parse_line(line)
        if not name or not names:
            raise ConfigError(
                f"--label_map={source}: line {number}: '{line.strip()[:40]}' "
                "is not 'class: name, name', such as 'vehicle: car, truck'"
            )
        if name.lower() in VOID_NAMES:
            label = IGNORE_LABEL
        elif name.lower() == _DROP_NAME:
            label = DROPPED
        else:
            label = classes.setdefault(name, len(classes))
        for each in names:
            if ids.setdefault(each, label) != label:
                raise ConfigError(
                    f"--label_map={source}: line {number}: '{each}' is in two "
                    "classes; leave it in one"
                )
    if not 2 <= len(classes) <= MAX_CLASSES:
        raise ConfigError(
            f"--label_map={source}: has {len(classes)} classes, not 2 to "
            f"{MAX_CLASSES}; write one a line, 'class: name, name'"
        )
    return NameMap(f"--label_map={source}", tuple(classes), ids)


def _parse_line(line: str) -> tuple[str, list[str]]:
    """The class of a line, and the names that stand for it."""
    name, colon, rest = line.partition(":")
    name = normal_name(name)
    if not colon:
        return name, [name]
    items = next(csv.reader([rest.strip()], skipinitialspace=True), [])
    return name, [each for item in items if (each := normal_name(item))]
