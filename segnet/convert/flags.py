"""The converter's command line: flags to checked settings.

No TensorFlow here, so that `--help` and a mistyped flag are answered at once.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import Any

from absl import flags

from segnet.annotations.label_map import LabelMap
from segnet.annotations.reading import ANNOTATION_MODES
from segnet.constants import (
    MAX_CLASSES,
    MAX_PIXELS,
    MAX_RECORD_PIXELS,
    num_cores,
    parse_bit_depth,
    parse_size,
    parse_warnings,
)
from segnet.convert.beam_options import Runner, parse_runner
from segnet.convert.classes import read_label_map, resolve_names
from segnet.convert.help_texts import HELP, USAGE
from segnet.convert.split_choice import SplitChoice
from segnet.convert.split_flags import MAX_FOLDS, list_files, parse_choice
from segnet.errors import ConfigError
from segnet.files import expand_path
from segnet.flagfiles import expand_flagfiles, explain_flag_error
from segnet.installation import named_as_here

__all__ = ["Settings", "help_text", "parse_flags"]

_TEXTS = ("images_dir", "annotations_dir", "output_dir", "list_file", "split",
          "group_by", "class_names", "label_map", "void_labels", "resize",
          "silence", "runner", "beam_options")  # fmt: skip
_SWITCHES = ("skip_invalid", "overwrite", "verify_only", "report")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to do; each field is the flag of that name, checked.

    Attributes:
      choice: The splits, and how files are divided between them.
      list_files: One for each split, or one for all, or none.
      label_map: Or None.
      resize: (height, width) in pixels, or None.
      bit_depth: Bits that values of more than 8 bits use; 0: all of them.
      silence: Names of the warnings that are not shown.
      num_shards: None leaves it to the size of the data.
      runner: Of Apache Beam; None converts on this machine.
    """

    images_dir: str
    annotations_dir: str
    output_dir: str
    choice: SplitChoice
    list_files: tuple[str, ...]
    num_classes: int
    class_names: tuple[str, ...]
    void_labels: tuple[int, ...]
    annotation_mode: str
    label_map: LabelMap | None
    num_shards: int | None
    num_workers: int
    resize: tuple[int, int] | None
    max_pixels: int
    bit_depth: int
    skip_invalid: bool
    overwrite: bool
    verify_only: bool
    report: bool
    silence: frozenset[str]
    runner: Runner | None = None


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
        text = explain_flag_error(error)
        raise ConfigError(f"{text}; --help lists the flags") from None
    if rest:
        raise ConfigError(
            f"'{rest[0]}' is not a flag; write --name=value (--help lists "
            "the flags)"
        )
    given = values.flag_values_dict()
    _check_required(given)
    runner = _runner(given)
    label_map = read_label_map(given["label_map"], given["annotation_mode"])
    num_classes = given["num_classes"]
    if num_classes is None and label_map is None:
        num_classes = MAX_CLASSES  # not asked for: no folders are read
    names = resolve_names(num_classes, given["class_names"], label_map)
    return Settings(
        images_dir=expand_path(given["images_dir"]),
        annotations_dir=expand_path(given["annotations_dir"]),
        output_dir=expand_path(given["output_dir"]),
        list_files=list_files(given),
        annotation_mode=given["annotation_mode"],
        num_shards=given["num_shards"],
        max_pixels=given["max_pixels"],
        bit_depth=_bit_depth(given["bit_depth"]),
        skip_invalid=given["skip_invalid"],
        overwrite=given["overwrite"],
        verify_only=given["verify_only"],
        report=given["report"],
        choice=parse_choice(given),
        num_classes=len(names),
        class_names=names,
        label_map=label_map,
        void_labels=_void_labels(given["void_labels"]),
        num_workers=given["num_workers"] or (1 if runner else num_cores()),
        resize=_resize(given["resize"]),
        silence=_silence(given["silence"]),
        runner=runner,
    )


def help_text() -> str:
    """What `--help` prints."""
    values = _define()
    lines = [USAGE, ""]
    for name, text in HELP.items():
        default = values[name].default
        is_switch = isinstance(default, bool)
        shown = f" (default: {default})" if default and not is_switch else ""
        lines.append(f"--{name}" + ("" if is_switch else "=..."))
        lines.append(textwrap.indent(textwrap.fill(text + shown, 72), "    "))
    return named_as_here("\n".join(lines))


def _define() -> flags.FlagValues:
    """The flags, in a set of their own: the tests call the tool in process."""
    values = flags.FlagValues()
    for name in _TEXTS:
        flags.DEFINE_string(name, "", HELP[name], flag_values=values)
    for name in ("val_fraction", "test_fraction"):
        flags.DEFINE_float(name, None, HELP[name], flag_values=values)
    for name, default, low, high in (
        ("num_folds", None, 2, MAX_FOLDS),
        ("split_seed", None, 0, 2**31 - 1),
        ("num_classes", None, 2, MAX_CLASSES),
        ("num_shards", None, 1, 99999),
        ("num_workers", None, 1, 1024),
        ("max_pixels", MAX_PIXELS, 1, MAX_RECORD_PIXELS),
        ("bit_depth", 0, 0, 16),
    ):
        flags.DEFINE_integer(
            name,
            default,
            HELP[name],
            lower_bound=low,
            upper_bound=high,
            flag_values=values,
        )
    flags.DEFINE_enum(
        "annotation_mode",
        "blue",
        list(ANNOTATION_MODES),
        HELP["annotation_mode"],
        flag_values=values,
    )
    for name in _SWITCHES:
        flags.DEFINE_boolean(name, False, HELP[name], flag_values=values)
    return values


def _check_required(given: dict[str, Any]) -> None:
    if given["verify_only"] and given["report"]:
        raise ConfigError(
            "--verify_only writes nothing, --report a page: leave one out, or "
            "make the page with main.py --mode=report --data_dir=..."
        )
    inputs = ["images_dir", "annotations_dir"]
    if not given["label_map"]:
        inputs.append("num_classes")
    outputs = ["output_dir"]
    if not given["num_folds"]:
        outputs.append("split")
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


def _runner(given: dict[str, Any]) -> Runner | None:
    """Who converts, if it is Apache Beam."""
    name, options = given["runner"], given["beam_options"]
    if not name:
        if options:
            raise ConfigError(
                f"--beam_options={options}: is for Apache Beam; give --runner, "
                "such as --runner=DirectRunner, or leave it out"
            )
        return None
    if given["verify_only"]:
        raise ConfigError(
            "--verify_only writes nothing, and workers of --runner write what "
            "they find; leave one out"
        )
    if given["report"]:
        raise ConfigError(
            "--report needs TensorFlow, which is not beside Apache Beam; leave "
            "it out, and make the page with main.py --mode=report "
            "--data_dir=..."
        )
    return parse_runner(name, options, given["num_workers"])


def _void_labels(text: str) -> tuple[int, ...]:
    labels = [part.strip() for part in text.split(",")] if text else []
    for part in labels:
        if not (part.isascii() and part.isdigit() and int(part) <= 255):
            raise ConfigError(
                f"--void_labels={text}: '{part}' is not a label from 0 to 255"
            )
    return tuple(sorted({int(part) for part in labels}))


def _bit_depth(value: int) -> int:
    try:
        return parse_bit_depth(value)
    except ValueError as error:
        raise ConfigError(str(error)) from None


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
