"""What is odd about pairs that are valid, summed up over a split.

No TensorFlow here: worker processes import this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from segnet.annotations.label_map import Colour
from segnet.errors import DataError

__all__ = [
    "DARK",
    "DARK_DEEP",
    "DEEP",
    "MENDED",
    "ROTATED",
    "Findings",
    "ValueColours",
]

DARK = "dark"
DARK_DEEP = "dark, of more than 8 bits"
DEEP = "of more than 8 bits"
MENDED = "mended"
ROTATED = "rotated"
# Of each kind, the warning's name and what is said after file and count.
_KINDS = {
    DARK: (
        "dark_images",
        "nearly black; check the pictures, and whether the folders are right",
    ),
    DARK_DEEP: (
        "dark_images",
        "nearly black: the upper 8 of the bits of --bit_depth are kept, and "
        "these values are low, as where 12-bit values were saved; give the "
        "bits that are used, such as --bit_depth=12",
    ),
    MENDED: (
        "jpeg_damage",
        "JPEG with damage that decoders mend, so a part of the picture may be "
        "grey or shifted; look at it, or get the file again",
    ),
    ROTATED: (
        "exif_rotation",
        "turned by EXIF data, unlike the annotation of the same size; check "
        "that it was drawn on the turned picture, else turn it as well or "
        "remove the EXIF orientation",
    ),
}


class Findings:
    """Counts of what is odd, with the first file of each kind."""

    def __init__(self) -> None:
        """Starts with nothing."""
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, file: str, count: int = 1) -> None:
        """Counts files of a kind; the first one is remembered."""
        before, first = self._found.get(kind, (0, file))
        self._found[kind] = before + count, first

    def merge(self, other: Findings) -> None:
        """Adds those of later files."""
        for kind, (count, file) in other._found.items():
            self.add(kind, file, count)

    def to_list(self) -> list[Any]:
        """What `from_list` takes; nothing in it that JSON has not."""
        return [[kind, *found] for kind, found in self._found.items()]

    @classmethod
    def from_list(cls, items: Iterable[Any]) -> Findings:
        """The counts that `to_list` gave."""
        findings = cls()
        for kind, count, file in items:
            findings.add(kind, file, count)
        return findings

    def warnings(self, total: int) -> Iterator[tuple[str, str]]:
        """Name and message of the warning for each kind.

        Args:
          total: Images of the split.
        """
        for kind, (count, file) in self._found.items():
            if kind not in _KINDS:
                continue
            name, text = _KINDS[kind]
            many = f"and {count - 1} more of {total} images are"
            yield name, f"{file}: {many if count > 1 else 'is'} {text}"

    def notes(self, total: int, bit_depth: int) -> Iterator[str]:
        """What there is to say that is nothing to worry about.

        Args:
          total: Images of the split.
          bit_depth: The flag of that name.
        """
        if DEEP in self._found:
            count, file = self._found[DEEP]
            many = f"and {count - 1} more of {total} images have"
            used = f"the lower {bit_depth} bits" if bit_depth else "all bits"
            yield (
                f"{file}: {many if count > 1 else 'has'} values of more than "
                f"8 bits; the upper 8 of {used} are kept (--bit_depth)"
            )


class ValueColours:
    """The colours of values over a split, in which they should agree.

    Attributes:
      clash: The first two that do not and their value; or None.
    """

    def __init__(self) -> None:
        """Starts with no file."""
        self.clash: tuple[str, int] | None = None
        self._known: dict[int, tuple[Colour, str]] = {}

    def add(self, colours: Mapping[int, Colour], file: str) -> None:
        """Adds those of a file, as `reading.Annotation` has them."""
        for value, colour in colours.items():
            self._add(value, colour, file)

    def merge(self, other: ValueColours) -> None:
        """Adds those of later files."""
        self.clash = self.clash or other.clash
        for value, (colour, file) in other._known.items():
            self._add(value, colour, file)

    def to_list(self) -> list[Any]:
        """What `from_list` takes; nothing in it that JSON has not."""
        known = [[value, *found] for value, found in self._known.items()]
        return [self.clash, known]

    @classmethod
    def from_list(cls, items: Iterable[Any]) -> ValueColours:
        """The colours that `to_list` gave."""
        clash, known = items
        colours = cls()
        for value, (red, green, blue), file in known:
            colours._add(value, (red, green, blue), file)
        if clash:
            both, value = clash
            colours.clash = both, value
        return colours

    def _add(self, value: int, colour: Colour, file: str) -> None:
        first, first_file = self._known.setdefault(value, (colour, file))
        if first != colour and not self.clash:
            both = (
                f"{file}: has the colour {colour} (red, green, blue) and "
                f"{first_file} the colour {first}"
            )
            self.clash = both, value

    def check_blue(self) -> None:
        """Checks colours whose blue is the class.

        Raises:
          DataError: They do not agree.
        """
        if self.clash:
            both, value = self.clash
            raise DataError(
                f"{both}, which share the blue value {value}, so that "
                "--annotation_mode=blue would take them for one class; if "
                "each class has a colour, give --annotation_mode=color and "
                "--label_map=FILE; nothing was written"
            )

    def index_warnings(self) -> Iterator[tuple[str, str]]:
        """Name and message of the warning about palettes, if there is one."""
        if self.clash:
            both, value = self.clash
            yield (
                "palettes",
                f"{both} at the palette index {value}; check that an index is "
                "the same class in all files; if its colour is instead, give "
                "--annotation_mode=color and --label_map=FILE",
            )
