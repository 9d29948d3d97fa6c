"""The files that predict writes: their names, and what tells its own apart."""

from __future__ import annotations

import csv
import dataclasses
import errno
import io
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from segnet.constants import MAX_PIXELS
from segnet.errors import DataError
from segnet.evaluation import polygon_files
from segnet.files import gfile, read_errors, write_bytes
from segnet.images import png
from segnet.images.films import MARK
from segnet.images.palettes import DEFAULT, Palette

__all__ = [
    "FILM",
    "LABELS",
    "OVERLAY",
    "PROBABILITIES",
    "SOFTWARE",
    "TABLE",
    "UNCERTAINTY",
    "Options",
    "Row",
    "check_own",
    "check_targets",
    "encode_probabilities",
    "is_result",
    "may_write",
    "result_path",
    "shares_of",
    "write_table",
]

# Named in each picture, by which it is known again.
SOFTWARE = "segnet"
# What the names of results end in.
LABELS = "_labels.png"
OVERLAY = "_overlay.png"
PROBABILITIES = "_probabilities.npz"
UNCERTAINTY = "_uncertainty.png"
# Of a film as a whole.
FILM = "_overlay.mp4"
# The name of the table of all pictures.
TABLE = "predictions.csv"
_COLUMNS = ("file", "height", "width", "confidence")
# How the files of each kind begin, from the byte at which that is told. COCO's
# come before LabelMe's, whose names end in less.
_MARKS = {
    PROBABILITIES: (30, b"probabilities.npy"),
    TABLE: (0, ",".join(_COLUMNS).encode()),
    **{
        ending: (0, polygon_files.MARKS[ending])
        for ending in sorted(polygon_files.MARKS, key=len, reverse=True)
    },
}
_HEAD_BYTES = 100
# Of a film: its index, at whose end it is named, is in front.
_FILM_HEAD_BYTES = 1 << 23


@dataclasses.dataclass(frozen=True)
class Options:
    """What is written, and of what.

    Attributes:
      probabilities: Whether also `NAME_probabilities.npz`.
      uncertainty: Whether also `NAME_uncertainty.png`, and a column.
      polygons: Format of polygons, of `constants.POLYGON_FORMATS`; empty: none.
      polygon_tolerance: See `polygons.find_polygons`.
      overlay_video: Whether a film gets one film as overlay, in the place of a
        picture for each frame.
      max_pixels: That a picture may have.
      palette: Colour of each class in overlays.
      bit_depth: See `image_files.load_image`.
    """

    probabilities: bool = False
    uncertainty: bool = False
    polygons: str = ""
    polygon_tolerance: float = 1.0
    overlay_video: bool = False
    max_pixels: int = MAX_PIXELS
    palette: Palette = DEFAULT
    bit_depth: int = 0

    @property
    def endings(self) -> tuple[str, ...]:
        """Of the names of the results of a picture."""
        more = {
            PROBABILITIES: self.probabilities,
            UNCERTAINTY: self.uncertainty,
        }
        return (LABELS, OVERLAY, *(x for x, wanted in more.items() if wanted))


def result_path(output_dir: str, name: str, ending: str) -> str:
    """Where a result of a picture goes.

    Args:
      output_dir: Folder of all results.
      name: Of the picture's results; see `inputs.Source`.
      ending: `LABELS` or another one.
    """
    return os.path.join(output_dir, name + ending)


def is_result(path: str) -> bool:
    """Whether a file is named like a result, and is one.

    Raises:
      DataError: It cannot be read.
    """
    if path.endswith(FILM):
        return os.path.isfile(path) and _is_own_film(path)
    is_picture = path.endswith((LABELS, OVERLAY, UNCERTAINTY))
    mark = next((_MARKS[x] for x in _MARKS if path.endswith(x)), None)
    if not (is_picture or mark) or gfile(path).isdir(path):
        return False
    with read_errors(path), gfile(path).GFile(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    if mark:
        start, begin = mark
        return head[start:].startswith(begin)
    return png.written_by(SOFTWARE, head)


def _is_own_film(path: str) -> bool:
    with read_errors(path), gfile(path).GFile(path, "rb") as file:
        return MARK in file.read(_FILM_HEAD_BYTES)


def may_write(path: str) -> bool:
    """Whether nothing is there, or a result that may be replaced.

    Raises:
      DataError: What is there cannot be read, or nothing can have that name.
    """
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise DataError(
                f"{path}: is too long a name for a result; rename the picture"
            ) from None
    if os.path.islink(path) or gfile(path).isdir(path):
        return False
    return not gfile(path).exists(path) or is_result(path)


def check_targets(path: str, targets: Sequence[str]) -> None:
    """Refuses a picture whose results would replace files that are none.

    Args:
      path: Of the picture.
      targets: Its results.

    Raises:
      DataError: One is there, or cannot be.
    """
    for target in targets:
        if not may_write(target):
            raise DataError(
                f"{path}: is not labelled, because {target} is there and no "
                "result of an earlier prediction; move it away or give "
                "another --output_dir"
            )


@dataclasses.dataclass(frozen=True)
class Row:
    """What the table says of a picture.

    Attributes:
      file: Of the picture, from the folder that was named.
      height: Pixels.
      width: Likewise.
      confidence: Mean probability of the label, 0 to 1.
      shares: Of the pixels, for each class, 0 to 1.
      uncertainty: Mean entropy, 0 to 1; None where it was not asked for.
      is_frame: Whether it is a frame of a film.
    """

    file: str
    height: int
    width: int
    confidence: float
    shares: tuple[float, ...]
    uncertainty: float | None = None
    is_frame: bool = False


def shares_of(label: np.ndarray, num_classes: int) -> tuple[float, ...]:
    """The share of each class in labels, uint8 `[height, width]`."""
    counts = Image.fromarray(label).histogram()[:num_classes]
    return tuple(count / label.size for count in counts)


def check_own(path: str) -> None:
    """Refuses to replace a file of all pictures that is none of ours.

    Raises:
      DataError: Something else has this name.
    """
    if not may_write(path):
        raise DataError(
            f"{path}: is not written, because a file that is no result of an "
            "earlier prediction is there; move it away or give another "
            "--output_dir"
        )


def write_table(
    output_dir: str, rows: Sequence[Row], class_names: Sequence[str]
) -> None:
    """Writes `predictions.csv`: a line for each picture.

    Raises:
      DataError: Another file has this name.
      RunError: It cannot be written.
    """
    path = os.path.join(output_dir, TABLE)
    check_own(path)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    more = any(row.uncertainty is not None for row in rows)
    writer.writerow([*_COLUMNS, *["uncertainty"] * more, *class_names])
    for row in rows:
        undecided = () if row.uncertainty is None else (row.uncertainty,)
        numbers = (row.confidence, *undecided, *row.shares)
        writer.writerow([row.file, row.height, row.width,
                         *(f"{number:.6f}" for number in numbers)])  # fmt: skip
    # A name that is no text is written with the bytes that it has.
    write_bytes(path, text.getvalue().encode(errors="surrogateescape"))


def encode_probabilities(
    probabilities: np.ndarray, class_names: Sequence[str]
) -> bytes:
    """A `.npz` file.

    Args:
      probabilities: uint8 `[height, width, classes]`, 255 for 1.
      class_names: One for each class.
    """
    data = io.BytesIO()
    np.savez_compressed(
        data, probabilities=probabilities, class_names=np.array(class_names)
    )
    return data.getvalue()
