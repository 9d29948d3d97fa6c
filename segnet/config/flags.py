"""Command-line flags: made from the fields of `Config`, turned back into one.

With `main.py` and `tools/`, the only place that knows absl flags. Each
program has a `FlagValues` of its own, so nothing global is read or set.
"""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from segnet.config import flag_paths, foreign_flags
from segnet.config.config import Config
from segnet.config.config_file import has_config
from segnet.config.help_text import help_text
from segnet.config.validate import check_values, validate
from segnet.constants import (
    EXPORT_FORMATS,
    MAX_INPUT_SIDE,
    MAX_PIXELS,
    MAX_RECORD_PIXELS,
    MAX_TILED_PIXELS,
    MC_SAMPLES,
    POLYGON_FORMATS,
    VGG16_WEIGHTS,
    parse_bit_depth,
)
from segnet.errors import ConfigError
from segnet.files import expand_path
from segnet.flagfiles import expand_flagfiles, explain_flag_error
from segnet.installation import named_as_here

__all__ = [
    "MODES",
    "Command",
    "check_command",
    "define_flags",
    "parse_command",
    "parse_flags",
]

# Of `--encoder_weights`.
_AUTO = "auto"

MODES = ("train", "evaluate", "predict", "export", "report")


@dataclasses.dataclass(frozen=True)
class Command:
    """What the user asked for.

    Attributes:
      mode: One of `MODES`.
      config: All flags, defaults filled in.
      given: The flags that the user gave, by name.
      typed: Names of those that stand on the command line itself, not in a
        file of flags.
      image_path: Predict, report: a file, a folder or a pattern.
      recursive: Predict: whether to look into the folders of a folder.
      probabilities: Predict: whether to write those, too.
      uncertainty: Predict: whether to write that, too.
      format: Predict: of polygons, one of `POLYGON_FORMATS`, or empty.
      polygon_tolerance: Predict: pixels that they may be off.
      overlay_video: Predict: whether a film gets a film as overlay.
      tile_size: Predict: pixels of a tile's sides; None: whole pictures.
      tile_scale: Predict: factor from the picture to what the network sees of
        it; None: as of the training images.
      output_dir: Evaluate, predict: where results go; empty for the workdir.
      checkpoint: Which weights evaluate and predict use.
      tta: Whether evaluate and predict see each image several times.
      mc_samples: Dropout samples; None: as many as the rest asks for.
      max_pixels: Predict: that a picture may have.
      bit_depth: Predict: bits that values of more than 8 bits use; None: as
        in training.
      report: Train: whether the report is made at the end.
      palette: Predict, report: colours of the classes.
      compare_to: Report: workdir of another run; empty: none.
      export_formats: Export: of `EXPORT_FORMATS`.
      export_force: Export: whether files are kept that do not agree with the
        network.
    """

    mode: str
    config: Config
    given: dict[str, Any]
    typed: frozenset[str]
    image_path: str
    recursive: bool
    probabilities: bool
    uncertainty: bool
    format: str
    polygon_tolerance: float
    overlay_video: bool
    tile_size: int | None
    tile_scale: float | None
    output_dir: str
    checkpoint: str
    tta: bool
    mc_samples: int | None
    max_pixels: int
    bit_depth: int | None
    report: bool
    palette: str
    compare_to: str
    export_formats: tuple[str, ...]
    export_force: bool

    def bits_of(self, config: Config) -> int:
        """Bits that deep pictures use: those given, or those of a run."""
        return config.bit_depth if self.bit_depth is None else self.bit_depth


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of `main.py` on `values`."""
    flags.DEFINE_enum(
        "mode",
        "train",
        MODES,
        "train, evaluate, predict, export or report.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "image_path",
        "",
        "predict: an image file, a video, a folder, or a pattern in quotes "
        "such as 'photos/**/*.jpg'. report: pictures without labels, which it "
        "sorts by what to label next.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "recursive",
        False,
        "predict: look into the folders of a folder, too; the results are in "
        "folders of the same names.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "probabilities",
        False,
        "predict: also write NAME_probabilities.npz, uint8 [height, width, "
        "classes], 255 for 1.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "output_dir",
        "",
        "evaluate, predict: where results go. Default: WORKDIR, and "
        "WORKDIR/predictions.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "checkpoint",
        "best",
        "evaluate, predict: 'best', 'latest' or the path of a checkpoint.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "tta",
        None,
        "evaluate, predict, report: average over mirror images and sizes "
        "(0.75, 1 and 1.25 of the input); takes 7 times as long. Default: with "
        "--uncertainty.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "mc_samples",
        None,
        "evaluate, predict, report: average over so many passes with dropout "
        "(Bayesian SegNet), of a run with --dropout; with --tta, its six views "
        f"share them. Default: 0, and {MC_SAMPLES} with --uncertainty.",
        lower_bound=0,
        upper_bound=10_000,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "uncertainty",
        False,
        "predict: also write NAME_uncertainty.png, how undecided the network "
        "is (entropy: white where all classes are as likely), and its mean "
        "in predictions.csv; of the mean over --tta, unless --notta is given, "
        "and --mc_samples, where the run has dropout.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "format",
        "",
        ("", *POLYGON_FORMATS),
        "predict: also write the labels as polygons, to correct them in a "
        "labelling tool: geojson and labelme a file for each picture, coco one "
        f"for all. One of: {', '.join(POLYGON_FORMATS)}.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "polygon_tolerance",
        1.0,
        "predict: with --format, how far polygons may be from the borders of "
        "the labels, pixels; 0 follows every pixel.",
        lower_bound=0.0,
        upper_bound=1000.0,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "overlay_video",
        False,
        "predict: for a film one film, NAME_overlay.mp4, in the place of an "
        "overlay for each frame.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "tile_size",
        None,
        "predict: cut pictures into overlapping tiles of about so many pixels "
        "a side, for those larger than memory or than the training images. "
        "Default: whole pictures, made as large as the network's input.",
        lower_bound=16,
        upper_bound=MAX_INPUT_SIDE,
        flag_values=values,
    )
    flags.DEFINE_float(
        "tile_scale",
        None,
        "predict: with --tile_size, the factor from the picture to what the "
        "network sees of it. Default: that of the training images, where "
        "their records are there, else 1.",
        lower_bound=0.01,
        upper_bound=100.0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_pixels",
        None,
        "predict: pixels that an image may have; more are refused before they "
        f"are decoded. Default: {MAX_PIXELS}, for which 2 GB of memory are "
        "enough, and so many times as much for more; with --tile_size "
        f"{MAX_TILED_PIXELS}.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "bit_depth",
        None,
        "predict: bits that images of more than 8 bits a value use, such as "
        "12; the upper 8 of them are kept. 0: all that a file has. Default: "
        "as in the conversion of the training images.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "export_format",
        EXPORT_FORMATS[0],
        f"export: one or several of {', '.join(EXPORT_FORMATS)}, with commas.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "export_force",
        False,
        "export: keep files that do not give the network's labels, too.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "report",
        True,
        "train: at the end, also make the report of the run (of one process).",
        flag_values=values,
    )
    flags.DEFINE_string(
        "palette",
        "",
        "predict, report: colours of the classes: colourblind (20 that stay "
        "apart for everybody), voc (by class id), camvid, cityscapes or a FILE "
        "(by class name; a line for each, 'name: #rrggbb').",
        flag_values=values,
    )
    flags.DEFINE_string(
        "compare_to",
        "",
        "report: workdir of another run of the same classes; settings, scores "
        "and pictures that differ.",
        flag_values=values,
    )
    for field in dataclasses.fields(Config):
        if field.metadata.get("flag", True):
            _define_field(values, field)


_DEFINE: dict[type, Callable[..., Any]] = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_boolean,
    str: flags.DEFINE_string,
}


def _define_field(values: flags.FlagValues, field: dataclasses.Field) -> None:
    """Defines the flag of one field."""
    kind = typing.get_type_hints(Config)[field.name]
    kinds = [part for part in typing.get_args(kind) if part is not type(None)]
    help_text = field.metadata["help"]
    if "choices" in field.metadata:
        help_text += f" One of: {', '.join(field.metadata['choices'])}."
    define = _DEFINE[kinds[0] if kinds else kind]
    define(field.name, field.default, help_text, flag_values=values)


def parse_flags(values: flags.FlagValues, argv: Sequence[str]) -> list[str]:
    """Parses a command line.

    Args:
      values: Where the flags are defined.
      argv: Command line, the program's name first.

    Returns:
      The names of the flags that were given.

    Raises:
      ConfigError: In one line, for an unknown flag, a value of the wrong
        kind, a flagfile that cannot be read, or a stray argument.
    """
    try:
        rest = values(expand_flagfiles(argv))
    except flags.Error as error:
        message = explain_flag_error(error)
        raise ConfigError(f"{message}; --help lists all flags") from error
    if len(rest) > 1:
        raise ConfigError(
            f"'{rest[1]}' is not a flag; flags start with --, for example "
            f"--{rest[1].lstrip('-')}; a value with spaces needs quotes"
        )
    return [name for name in values if values[name].present]


def parse_command(argv: Sequence[str]) -> Command | str:
    """Turns a command line into a `Command`.

    Args:
      argv: Command line, the program's name first.

    Returns:
      The command, or the help text when --help is given.

    Raises:
      ConfigError: In one line, if the command line cannot be read.
    """
    values = flags.FlagValues()
    define_flags(values)
    if {"--help", "-help", "-h", "--helpfull"} & set(argv[1:]):
        return help_text(values)
    argv = _with_mode(argv)
    foreign = foreign_flags.explain(argv[1:], tuple(values))
    if foreign:
        raise ConfigError(foreign)
    present = parse_flags(values, argv)
    fields: dict[str, Any] = {
        field.name: flag_paths.resolve(field, values[field.name].value)
        for field in dataclasses.fields(Config)
        if field.metadata.get("flag", True)
    }
    if values.encoder_weights == _AUTO:
        fields["encoder_weights"] = _weights_at_hand(values)
        # Like a default: a run that is resumed goes on with what it had.
        present.remove("encoder_weights")
    return Command(
        mode=values.mode,
        config=Config(**fields),
        given={name: fields[name] for name in present if name in fields},
        typed=frozenset(
            word.lstrip("-").partition("=")[0] for word in argv[1:]
        ),
        image_path=expand_path(values.image_path),
        recursive=values.recursive,
        probabilities=values.probabilities,
        uncertainty=values.uncertainty,
        format=values.format,
        polygon_tolerance=values.polygon_tolerance,
        overlay_video=values.overlay_video,
        tile_size=values.tile_size,
        tile_scale=values.tile_scale,
        output_dir=expand_path(values.output_dir),
        checkpoint=expand_path(values.checkpoint),
        tta=_tta(values),
        mc_samples=values.mc_samples,
        max_pixels=_max_pixels(values),
        bit_depth=_bit_depth(values.bit_depth),
        report=values.report,
        palette=expand_path(values.palette),
        compare_to=expand_path(values.compare_to),
        export_formats=_export_formats(values.export_format),
        export_force=values.export_force,
    )


def _weights_at_hand(values: flags.FlagValues) -> str:
    """What `--encoder_weights=auto` means: a path, or nothing.

    Nothing, too, where the network's weights come from elsewhere, or it is not
    as wide as VGG16.
    """
    other = values.init_from or values.width_multiplier != 1.0
    there = os.path.isfile(VGG16_WEIGHTS) and not other
    return os.path.abspath(VGG16_WEIGHTS) if there else ""


def _export_formats(text: str) -> tuple[str, ...]:
    """The formats that `--export_format` names.

    Raises:
      ConfigError: One is not known.
    """
    formats = tuple(dict.fromkeys(filter(None, text.split(","))))
    for name in formats or ("",):
        if name not in EXPORT_FORMATS:
            raise ConfigError(
                f"--export_format={text}: '{name}' is not known; use "
                f"{', '.join(EXPORT_FORMATS)}"
            )
    return formats


def _tta(values: flags.FlagValues) -> bool:
    """Whether to look several times: where looks disagree, all is uncertain."""
    if values.tta is None:
        return values.uncertainty and values.mode == "predict"
    return values.tta


def _max_pixels(values: flags.FlagValues) -> int:
    """What a picture may have at most.

    Raises:
      ConfigError: More than can be decoded whole.
    """
    tiled = values.tile_size is not None
    most = MAX_TILED_PIXELS if tiled else MAX_PIXELS
    given = values.max_pixels
    if given is not None and given > MAX_RECORD_PIXELS and not tiled:
        raise ConfigError(
            f"--max_pixels={given}: whole pictures have at most "
            f"{MAX_RECORD_PIXELS}; give --tile_size for larger ones"
        )
    return most if given is None else given


def _bit_depth(given: int | None) -> int | None:
    try:
        return None if given is None else parse_bit_depth(given)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _with_mode(argv: Sequence[str]) -> list[str]:
    """The command line, a mode that stands first made a flag.

    Raises:
      ConfigError: It is a mode of another program.
    """
    program, *arguments = argv
    if arguments and arguments[0] in MODES:
        arguments[0] = f"--mode={arguments[0]}"
    elif arguments and arguments[0] in foreign_flags.MODES_ELSEWHERE:
        elsewhere = foreign_flags.MODES_ELSEWHERE[arguments[0]]
        raise ConfigError(
            f"'{arguments[0]}' is a command of image-segmentation-keras; here "
            f"it is {named_as_here(elsewhere)} (docs/migration.md)"
        )
    return [program, *arguments]


def check_command(command: Command) -> None:
    """Refuses a command that cannot run, before any work.

    Raises:
      ConfigError: Naming the flag, its value and a remedy.
    """
    of_data = command.mode == "report" and command.config.data_dir
    if not command.config.workdir and not of_data:
        raise ConfigError(
            "--workdir is missing: the folder for everything that a run "
            "writes, for example --workdir=runs/first"
        )
    if command.mode == "predict" and not command.image_path:
        raise ConfigError(
            "--mode=predict needs --image_path: an image file or a folder"
        )
    if command.tile_scale is not None and command.tile_size is None:
        raise ConfigError(
            f"--tile_scale={command.tile_scale} is of use with --tile_size, "
            "which cuts pictures into tiles; give both"
        )
    if command.compare_to and command.mode != "report":
        raise ConfigError(
            f"--compare_to={command.compare_to} is for --mode=report"
        )
    flag_paths.check_names({
        **command.given, "checkpoint": command.checkpoint,
        "compare_to": command.compare_to, "palette": command.palette,
    })  # fmt: skip
    check_values(command.config)
    # In a workdir that holds a run, flags that are not given are the run's: the
    # rules between flags are checked once those are read, as for a remote one.
    workdir = command.config.workdir
    if "://" not in workdir and not has_config(workdir):
        validate(command.config)
