"""The converter's command line: flags to checked settings.

No TensorFlow here, so that `--help` and a mistyped flag are answered at once.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import textwrap
from collections.abc import Sequence
from typing import Any

from absl import flags

from segnet.constants import (
    MAX_CLASSES,
    WARNINGS,
    num_cores,
    parse_size,
    parse_warnings,
)
from segnet.errors import ConfigError
from segnet.flagfiles import expand_flagfiles

__all__ = ["Settings", "help_text", "parse_flags"]

_USAGE = """\
Packs a folder of images and a folder of annotations into TFRecord shards.

python tools/convert_to_tfrecord.py --images_dir=DIR --annotations_dir=DIR \\
  --output_dir=DIR --split=train --num_classes=11 [flags]

Exit status: 0 done; 1 bad data or nothing could be written; 2 bad flags."""

_HELP = {
    "images_dir": "folder of images: .jpg .jpeg .png .bmp",
    "annotations_dir": "folder of annotations, .png or .bmp, each with the "
    "stem and size of its image; the blue channel is the label",
    "output_dir": "folder for the shards and the manifest",
    "split": "name of the split, such as train or val",
    "num_classes": f"labels are 0 to N-1 (2 to {MAX_CLASSES})",
    "class_names": "names of the classes: a,b,c or a file with one per line "
    "(default: class_0,class_1,...)",
    "void_labels": "labels to write as 255, which training and scores "
    "ignore: 11 or 11,255; they may be below --num_classes",
    "annotation_mode": "where the label is: blue channel, or palette index "
    "(8-bit grey files are read in both modes)",
    "num_shards": "number of files (default: 8, more for over 800 MB), never "
    "more than there are images",
    "num_workers": "processes (default: all cores); any number gives the "
    "same bytes",
    "resize": "HxW: bring images (bilinear, antialiased) and labels "
    "(nearest) to this size",
    "skip_invalid": "leave bad pairs out and list them in the manifest",
    "overwrite": "replace the split if it is there",
    "silence": "warnings not to show: all, or names with commas between them: "
    f"{', '.join(WARNINGS)}",
    "verify_only": "write nothing: check the input folders completely, and, "
    "if --output_dir has the split, all its records; either may be left out",
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to do; each field is the flag of that name, checked.

    Attributes:
      resize: (height, width) in pixels, or None.
      silence: Names of the warnings that are not shown.
      num_shards: None leaves it to the size of the data.
    """

    images_dir: str
    annotations_dir: str
    output_dir: str
    split: str
    num_classes: int
    class_names: tuple[str, ...]
    void_labels: tuple[int, ...]
    annotation_mode: str
    num_shards: int | None
    num_workers: int
    resize: tuple[int, int] | None
    skip_invalid: bool
    overwrite: bool
    verify_only: bool
    silence: frozenset[str]


def parse_flags(argv: Sequence[str]) -> Settings:
    """Reads and checks the command line.

    Args:
      argv: The arguments, the program's name first.

    Raises:
      ConfigError: A flag is unknown, missing, malformed or out of range.
    """
    values = _define()
    try:
        rest = values(expand_flagfiles(argv))[1:]
    except flags.Error as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"{text}; --help lists the flags") from None
    if rest:
        raise ConfigError(
            f"'{rest[0]}' is not a flag; write --name=value (--help lists "
            "the flags)"
        )
    given = values.flag_values_dict()
    _check_required(given)
    num_classes = given["num_classes"] or MAX_CLASSES
    return Settings(
        **{
            **given,
            "num_classes": num_classes,
            "class_names": _class_names(given["class_names"], num_classes),
            "void_labels": _void_labels(given["void_labels"]),
            "num_workers": given["num_workers"] or num_cores(),
            "resize": _resize(given["resize"]),
            "silence": _silence(given["silence"]),
        }
    )


def help_text() -> str:
    """What `--help` prints."""
    values = _define()
    lines = [_USAGE, ""]
    for name, text in _HELP.items():
        default = values[name].default
        is_switch = isinstance(default, bool)
        shown = f" (default: {default})" if default and not is_switch else ""
        lines.append(f"--{name}" + ("" if is_switch else "=..."))
        lines.append(textwrap.indent(textwrap.fill(text + shown, 72), "    "))
    return "\n".join(lines)


def _define() -> flags.FlagValues:
    """The flags, in a set of their own: the tests call the tool in process."""
    values = flags.FlagValues()
    for name in ("images_dir", "annotations_dir", "output_dir", "split"):
        flags.DEFINE_string(name, "", _HELP[name], flag_values=values)
    for name in ("class_names", "void_labels", "resize", "silence"):
        flags.DEFINE_string(name, "", _HELP[name], flag_values=values)
    for name, low, high in (
        ("num_classes", 2, MAX_CLASSES),
        ("num_shards", 1, 99999),
        ("num_workers", 1, 1024),
    ):
        flags.DEFINE_integer(
            name,
            None,
            _HELP[name],
            lower_bound=low,
            upper_bound=high,
            flag_values=values,
        )
    flags.DEFINE_enum(
        "annotation_mode",
        "blue",
        ["blue", "index"],
        _HELP["annotation_mode"],
        flag_values=values,
    )
    for name in ("skip_invalid", "overwrite", "verify_only"):
        flags.DEFINE_boolean(name, False, _HELP[name], flag_values=values)
    return values


def _check_required(given: dict[str, Any]) -> None:
    inputs = ("images_dir", "annotations_dir", "num_classes")
    outputs = ("output_dir", "split")
    required = [*inputs, *outputs]
    if given["verify_only"]:
        required = []
        if given["images_dir"] or given["annotations_dir"]:
            required += inputs
        if given["output_dir"] or not required:
            required += outputs
    missing = [f"--{name}" for name in required if not given[name]]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} must be given; --help lists the flags"
        )
    split = given["split"]
    if split and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", split):
        raise ConfigError(
            f"--split={split}: may only have letters, digits, '_', '-' and "
            "'.', for it begins the names of files"
        )


def _class_names(text: str, num_classes: int) -> tuple[str, ...]:
    if not text:
        return tuple(f"class_{label}" for label in range(num_classes))
    try:
        is_file = os.path.isfile(text)
        content = pathlib.Path(text).read_text("utf-8") if is_file else text
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--class_names={text}: cannot be read as text ({error})"
        ) from None
    if not is_file and ("/" in text or text.endswith(".txt")):
        raise ConfigError(f"--class_names={text}: there is no such file")
    lines = content.splitlines() if is_file else content.split(",")
    names = [line.strip() for line in lines]
    if is_file:
        names = [name for name in names if name]
    if len(names) != num_classes or not all(names):
        raise ConfigError(
            f"--class_names={text}: has {len(list(filter(None, names)))} "
            f"names, --num_classes is {num_classes}; give one for each class"
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(
            f"--class_names={text}: '{twice}' is there twice; names must differ"
        )
    return tuple(names)


def _void_labels(text: str) -> tuple[int, ...]:
    labels = [part.strip() for part in text.split(",")] if text else []
    for part in labels:
        if not (part.isascii() and part.isdigit() and int(part) <= 255):
            raise ConfigError(
                f"--void_labels={text}: '{part}' is not a label from 0 to 255"
            )
    return tuple(sorted({int(part) for part in labels}))


def _resize(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    try:
        return parse_size(text)
    except ValueError:
        raise ConfigError(
            f"--resize={text}: is not HEIGHTxWIDTH in pixels, such as 320x640"
        ) from None


def _silence(text: str) -> frozenset[str]:
    try:
        return parse_warnings(text)
    except ValueError as error:
        raise ConfigError(f"--silence={text}: {error}") from None
