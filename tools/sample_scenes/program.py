r"""Writes a small dataset of drawn street scenes, ready to be converted.

    python tools/make_sample_dataset.py --output_dir=/tmp/sample

makes `train/` and `val/`, each with `images/` (JPEG, PNG and BMP by turn) and
`annotations/` (RGB PNG, the class id in the blue channel), and last of all
`class_names.txt`. A scene depends on the seed, the split and its number alone:
making more of them, or running again, gives the same files byte for byte.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

from segnet.errors import ConfigError, DataError, UserError
from segnet.files import expand_path
from segnet.flagfiles import expand_flagfiles
from segnet.progress import Progress, command_line

from . import CLASS_NAMES, render_scene

__all__ = ["annotation_picture", "main", "write_dataset"]

_SPLITS = ("train", "val")
_FOLDERS = (
    "train/images", "train/annotations", "val/images", "val/annotations",
)  # fmt: skip
_NAMES_FILE = "class_names.txt"
_SUFFIXES = (".jpg", ".png", ".bmp")
_OWN_FILE = re.compile(r"(train|val)_\d{5}\.(jpg|png|bmp)")
# Red and green of an annotation, by class id, the last one for void. They make
# it readable to the eye and mean nothing: the blue channel alone counts.
_RED = np.array((90, 150, 110, 255, 230, 60, 20, 230, 250, 0), np.uint8)
_GREEN = np.array((170, 80, 60, 255, 150, 150, 60, 20, 200, 0), np.uint8)
# With --simple: large classes, which a short training tells apart. Class id by
# the name of each full class; void comes after them.
_SIMPLE_NAMES = ("sky", "ground", "upright")
_SIMPLE_IDS = {"sky": 0, "road": 1, "lane_marking": 1, "pavement": 1}
_SIMPLE = np.array(
    [*(_SIMPLE_IDS.get(name, 2) for name in CLASS_NAMES), 3], np.uint8
)


def annotation_picture(labels: np.ndarray) -> np.ndarray:
    """Returns labels as an annotation that a person can read, too.

    Args:
      labels: uint8 `[height, width]`, 0 to 9.

    Returns:
      uint8 RGB `[height, width, 3]`; blue is the label, red and green a hint.
    """
    return np.dstack([_RED[labels], _GREEN[labels], labels])


def _write_scene(
    folder: Path,
    split: str,
    index: int,
    size: tuple[int, int],
    seed: int,
    simple: bool,
) -> None:
    """Draws and writes one pair; the image format goes by turn."""
    key = [seed, _SPLITS.index(split), index]
    image, labels = render_scene(np.random.default_rng(key), *size)
    stem = f"{split}_{index:05d}"
    suffix = _SUFFIXES[index % len(_SUFFIXES)]
    options = {"quality": 90} if suffix == ".jpg" else {}
    path = folder / split / "images" / (stem + suffix)
    Image.fromarray(image).save(path, **options)
    labels = _SIMPLE[labels] if simple else labels
    picture = Image.fromarray(annotation_picture(labels))
    picture.save(folder / split / "annotations" / f"{stem}.png")


def _prepare(folder: Path, overwrite: bool) -> None:
    """Makes the folders and removes the scenes of an earlier run.

    Raises:
      DataError: The folder is in use, or holds what this program did not make.
    """
    if folder.exists() and any(folder.iterdir()) and not overwrite:
        raise DataError(
            f"{folder} is not empty: name another --output_dir, or replace "
            "the sample dataset in it with --overwrite"
        )
    places = [folder / name for name in _FOLDERS]
    old = [f for p in places if p.is_dir() for f in sorted(p.iterdir())]
    for file in old:
        if not _OWN_FILE.fullmatch(file.name) or not file.is_file():
            raise DataError(
                f"{file} is not a file of a sample dataset and is not "
                "overwritten: name another --output_dir, or move it away"
            )
    (folder / _NAMES_FILE).unlink(missing_ok=True)
    for file in old:
        file.unlink()
    for place in places:
        place.mkdir(parents=True, exist_ok=True)


def write_dataset(
    folder: Path,
    counts: Sequence[int],
    size: tuple[int, int],
    seed: int = 0,
    overwrite: bool = False,
    simple: bool = False,
) -> None:
    """Writes the whole dataset.

    Args:
      folder: Where to; made if need be.
      counts: Number of pairs in train and in val.
      size: Height and width of the images in pixels, each at least 16.
      seed: Other seeds give other scenes; at least 0.
      overwrite: Whether scenes of an earlier run are replaced.
      simple: Whether the annotations have three large classes, not nine.

    Raises:
      DataError: `folder` is in use, or holds files of another origin.
      OSError: A file cannot be written.
    """
    _prepare(folder, overwrite)
    scenes = [
        (split, index)
        for split, count in zip(_SPLITS, counts, strict=True)
        for index in range(count)
    ]
    with Progress(len(scenes), unit="scene", label="draw") as progress:
        for split, index in scenes:
            _write_scene(folder, split, index, size, seed, simple)
            progress.advance()
    # Last, so that it marks a dataset as complete.
    (folder / _NAMES_FILE).write_text("\n".join(_class_names(simple)) + "\n")


def _class_names(simple: bool) -> tuple[str, ...]:
    """Returns the names of the classes; the id of void is their number."""
    return _SIMPLE_NAMES if simple else CLASS_NAMES


def _define_flags() -> flags.FlagValues:
    """Returns the flags of this program, apart from those of any other."""
    values = flags.FlagValues()
    own = {"flag_values": values}
    flags.DEFINE_string("output_dir", None, "Folder to write to.", **own)
    for name, default, low, high, text in (
        ("num_train", 240, 1, 100_000, "Number of pairs to train with."),
        ("num_val", 60, 0, 100_000, "Number of pairs to validate with."),
        ("height", 128, 16, 4096, "Height of the images in pixels."),
        ("width", 256, 16, 4096, "Width of the images in pixels."),
        ("seed", 0, 0, 2**63 - 1, "Another seed gives other scenes."),
    ):
        flags.DEFINE_integer(name, default, text, low, high, **own)
    text = "Three large classes (sky, ground, upright) instead of nine."
    flags.DEFINE_boolean("simple", False, text, **own)
    text = "Replace the sample dataset that is in the folder."
    flags.DEFINE_boolean("overwrite", False, text, **own)
    flags.DEFINE_boolean(
        "help", False, "Show this help.", short_name="h", **own
    )
    return values


def _parse(argv: Sequence[str]) -> flags.FlagValues:
    """Returns the parsed flags; a ConfigError names what is wrong."""
    values = _define_flags()
    try:
        rest = values(expand_flagfiles(argv))[1:]
    except flags.Error as error:
        raise ConfigError(" ".join(str(error).split())) from error
    if rest:
        raise ConfigError(f"unexpected argument {rest[0]!r}: flags only")
    if not values.output_dir and not values.help:
        raise ConfigError("--output_dir is missing: name a folder to write to")
    return values


def _next_step(folder: Path, divide: bool, simple: bool) -> str:
    """Returns the command that converts the training scenes.

    Args:
      folder: That of the dataset.
      divide: Whether some of them are for validation, since no others are.
      simple: As `--simple`.
    """
    void = len(_class_names(simple))
    split = (
        ["--split=train,val", "--val_fraction=0.3"]
        if divide
        else ["--split=train"]
    )
    return command_line(
        "tools/convert_to_tfrecord.py",
        f"--images_dir={folder}/train/images",
        f"--annotations_dir={folder}/train/annotations",
        f"--output_dir={folder}/records", *split,
        f"--num_classes={void}",
        f"--class_names={folder / _NAMES_FILE}", f"--void_labels={void}",
    )  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Runs the program.

    Args:
      argv: The program's name and its flags, as in `sys.argv`.

    Returns:
      The exit status: 0 done, 1 cannot write, 2 bad flags, 130 interrupted.
    """
    try:
        values = _parse(argv)
        if values.help:
            print(f"{__doc__}\n{values.get_help()}")
            return 0
        folder = Path(expand_path(values.output_dir))
        counts = (values.num_train, values.num_val)
        size = (values.height, values.width)
        write_dataset(
            folder, counts, size, values.seed, values.overwrite, values.simple
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        where = f": {error.filename!r}" if error.filename else ""
        print(
            f"error: cannot write the dataset: {error.strerror}{where}",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("interrupted: the dataset is incomplete", file=sys.stderr)
        return 130
    pairs = f"{counts[0]} train and {counts[1]} val pairs in {folder}"
    next_step = _next_step(folder, counts[1] == 0, values.simple)
    print(f"{pairs}; next: {next_step}")
    return 0
