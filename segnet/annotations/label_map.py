"""Label maps: which values or colours of annotations are which class.

Three formats, told apart line by line:

* `name: values or #colours`, a class a line: `car: 26, 27 #00008e`;
* CVAT's labelmap.txt, `name:red,green,blue:parts:actions`;
* CamVid's label_colors.txt, `red green blue name`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping

from segnet.annotations.presets import PRESETS
from segnet.constants import IGNORE_LABEL, MAX_CLASSES
from segnet.errors import ConfigError, DataError
from segnet.files import is_readable, read_text

__all__ = [
    "VOID_NAMES",
    "Colour",
    "LabelMap",
    "load_label_map",
    "parse_label_map",
    "to_hex",
]

# Red, green, blue.
Colour = tuple[int, int, int]

# A class of this name is none: its pixels are ignored.
VOID_NAMES = {"void", "ignore", "__ignore__"}
_CVAT = re.compile(r"(.+):\s*(\d+),\s*(\d+),\s*(\d+)\s*:[^:]*:[^:]*")
_CAMVID = re.compile(r"(\d+)[\s,]+(\d+)[\s,]+(\d+)\s+(\S.*)")
_OURS = re.compile(r"([^:]+):(.*)")


@dataclasses.dataclass(frozen=True)
class LabelMap:
    """What annotations hold, as class ids.

    Attributes:
      source: The value of `--label_map`.
      names: One for each class, in the order of their ids.
      values: Class id, or 255 for void, of each known value.
      colours: Class id, or 255 for void, of each known colour.
    """

    source: str
    names: tuple[str, ...]
    values: Mapping[int, int]
    colours: Mapping[Colour, int]


def load_label_map(source: str) -> LabelMap:
    """Reads a label map.

    Args:
      source: Path of a text file, or the name of a preset.

    Raises:
      ConfigError: There is neither, or the text is no label map.
    """
    if source in PRESETS:
        return parse_label_map(PRESETS[source], source)
    if not is_readable(source):
        raise ConfigError(
            f"--label_map={source}: is neither a file nor one of "
            f"{', '.join(PRESETS)}"
        )
    try:
        return parse_label_map(read_text(source), source)
    except DataError as error:
        raise ConfigError(f"--label_map={error}") from None


def parse_label_map(text: str, source: str) -> LabelMap:
    """Parses the text of a label map.

    Classes get their ids in the order of their first lines; further lines of
    the same name add to it. Lines that begin with # are comments.

    Args:
      text: In one of the three formats.
      source: The value of the flag, for messages.

    Raises:
      ConfigError: A line is of no format, a value or colour is in two classes,
        or there are too few or too many classes.
    """
    ids: dict[str, int] = {}
    values: dict[int, int] = {}
    colours: dict[Colour, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        where = f"--label_map={source}: line {number}"
        if not line.strip() or line.strip().startswith("#"):
            continue
        name, items = _parse_line(line.strip(), where)
        is_void = name.lower() in VOID_NAMES
        label = IGNORE_LABEL if is_void else ids.setdefault(name, len(ids))
        for item in items:
            if isinstance(item, int):
                other = values.setdefault(item, label)
            else:
                other = colours.setdefault(item, label)
            if other != label:
                shown = item if isinstance(item, int) else to_hex(item)
                raise ConfigError(
                    f"{where}: {shown} is in two classes; leave it in one"
                )
    if not 2 <= len(ids) <= MAX_CLASSES:
        raise ConfigError(
            f"--label_map={source}: has {len(ids)} classes, not 2 to "
            f"{MAX_CLASSES}; write one a line, 'name: values or #colours'"
        )
    return LabelMap(source, tuple(ids), values, colours)


def to_hex(colour: Colour) -> str:
    """A colour as #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _parse_line(line: str, where: str) -> tuple[str, list[int | Colour]]:
    """The name on a line, and its values and colours."""
    if match := _CVAT.fullmatch(line):
        return match[1].strip(), [_colour(match.groups()[1:], where)]
    if match := _CAMVID.fullmatch(line):
        return match[4].strip(), [_colour(match.groups()[:3], where)]
    match = _OURS.fullmatch(line)
    if not match or not match[1].strip():
        raise ConfigError(
            f"{where}: '{line[:40]}' is not 'name: values or #colours', such "
            "as 'car: 26' or 'car: #00008e'"
        )
    items = list(_parse_items(match[2], where))
    if not items:
        raise ConfigError(
            f"{where}: '{match[1].strip()}' has no value and no colour; write "
            "some, or remove the line"
        )
    return match[1].strip(), items


def _parse_items(text: str, where: str) -> Iterator[int | Colour]:
    for item in re.split(r"[\s,;]+", text.strip()):
        if not item:
            continue
        if re.fullmatch(r"#[0-9a-fA-F]{6}", item):
            red, green, blue = bytes.fromhex(item[1:])
            yield red, green, blue
        elif re.fullmatch(r"[0-9]{1,3}", item) and int(item) <= 255:
            yield int(item)
        else:
            raise ConfigError(
                f"{where}: '{item[:20]}' is neither a value from 0 to 255 nor "
                "a colour such as #00008e"
            )


def _colour(parts: tuple[str, ...], where: str) -> Colour:
    red, green, blue = (int(part) for part in parts)
    if max(red, green, blue) > 255:
        raise ConfigError(
            f"{where}: {red} {green} {blue} is no colour; its parts are from 0 "
            "to 255"
        )
    return red, green, blue
