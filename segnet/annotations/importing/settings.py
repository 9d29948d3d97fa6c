"""The importer's command line."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from collections.abc import Sequence

from segnet.annotations.importing.formats import FORMATS
from segnet.annotations.importing.name_map import NameMap, load_name_map
from segnet.annotations.importing.sources import Options
from segnet.constants import (
    MAX_PIXELS,
    MAX_RECORD_PIXELS,
    num_cores,
    parse_warnings,
)
from segnet.errors import ConfigError
from segnet.files import expand_path
from segnet.installation import named_as_here

__all__ = ["Settings", "create_parser", "parse_arguments"]

_DESCRIPTION = """\
Turns what a labelling tool wrote into a folder of images and one of
annotations, as tools/convert_to_tfrecord.py takes them, and prints the command
to go on with.

python tools/import_annotations.py --format=labelme --input=DIR --output_dir=DIR

Exit status: 0 done; 1 bad data or nothing could be written; 2 bad flags."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to do; each field is the flag of that name, checked.

    Attributes:
      images_dir: Where pictures are looked for; None leaves it to the format.
      name_map: Or None.
      link: Whether images are linked to.
      silence: Names of the warnings that are not shown.
    """

    format: str
    input: pathlib.Path
    images_dir: pathlib.Path | None
    output_dir: str
    name_map: NameMap | None
    options: Options
    empty_is_background: bool
    link: bool
    overwrite: bool
    num_workers: int
    max_pixels: int
    silence: frozenset[str]


def parse_arguments(argv: Sequence[str]) -> Settings:
    """Reads and checks the command line.

    Args:
      argv: The arguments, the program's name first.

    Raises:
      ConfigError: A value cannot be used.
      SystemExit: Of argparse: help was asked for, or a flag is unknown,
        missing or malformed.
    """
    given = create_parser().parse_args(argv[1:])
    images_dir = given.images_dir and pathlib.Path(
        expand_path(given.images_dir)
    )
    try:
        silence = parse_warnings(given.silence)
    except ValueError as error:
        raise ConfigError(f"--silence={given.silence}: {error}") from None
    return Settings(
        format=given.format,
        input=pathlib.Path(expand_path(given.input)),
        images_dir=images_dir or None,
        output_dir=expand_path(given.output_dir),
        name_map=load_name_map(given.label_map) if given.label_map else None,
        options=Options(given.line_width, given.point_size),
        empty_is_background=given.empty_is_background,
        link=given.images == "link",
        overwrite=given.overwrite,
        num_workers=given.num_workers or num_cores(),
        max_pixels=given.max_pixels,
        silence=silence,
    )


def create_parser() -> argparse.ArgumentParser:
    """The flags of the program."""
    parser = argparse.ArgumentParser(
        description=named_as_here(_DESCRIPTION),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--format", required=True, choices=sorted(FORMATS))
    add("--input", required=True, help="file or folder that the tool wrote")
    add("--output_dir", required=True, help="a new folder")
    add(
        "--images_dir",
        default="",
        help="folder of the pictures, if it is not inside --input",
    )
    add(
        "--label_map",
        default="",
        help="text file with a line 'class: name, name' for each class, whose "
        "ids follow the order of the lines; 'void: name' has pixels ignored, "
        "'drop: name' leaves objects out, 'background' is what no object "
        "covers (default: each name is a class)",
    )
    add(
        "--empty_is_background",
        action="store_true",
        help="take pictures without any object as all background (default: "
        "leave them out, since they may not have been labelled yet)",
    )
    add(
        "--images",
        choices=("copy", "link"),
        default="copy",
        help="copy images, or make symbolic links to them (default: copy)",
    )
    add(
        "--line_width",
        type=_whole(1, 1000),
        default=Options.line_width,
        help="pixels, of lines (default: %(default)s)",
    )
    add(
        "--point_size",
        type=_whole(0, 1000),
        default=Options.point_size,
        help="radius in pixels, of points (default: %(default)s)",
    )
    add("--overwrite", action="store_true", help="replace an earlier import")
    add(
        "--num_workers",
        type=_whole(1, 1024),
        help="processes (default: all cores)",
    )
    add(
        "--max_pixels",
        type=_whole(1, MAX_RECORD_PIXELS),
        default=MAX_PIXELS,
        help="that a picture may have (default: %(default)s)",
    )
    add("--silence", default="", help="warnings not to show: all, or names")
    return parser


class _whole:
    """A whole number in a range, as argparse takes types."""

    def __init__(self, low: int, high: int) -> None:
        self._low, self._high = low, high

    def __call__(self, text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) < 10:
            value = int(text)
            if self._low <= value <= self._high:
                return value
        raise argparse.ArgumentTypeError(
            f"'{text[:20]}' is not a whole number from {self._low} to "
            f"{self._high}"
        )
