"""The files that predict writes: their names, and what tells its own apart."""

from __future__ import annotations

import errno
import os

from segnet.errors import DataError
from segnet.files import gfile, read_errors
from segnet.images import png

__all__ = ["SOFTWARE", "is_result", "may_write", "result_paths"]

# Named in each file, by which it is known again.
SOFTWARE = "segnet"
_SUFFIXES = ("_labels.png", "_overlay.png")
_HEAD_BYTES = 100


def result_paths(output_dir: str, picture: str) -> tuple[str, str]:
    """Where the labels and the overlay of a picture go."""
    stem = os.path.splitext(os.path.basename(picture))[0]
    labels, overlay = (
        os.path.join(output_dir, stem + suffix) for suffix in _SUFFIXES
    )
    return labels, overlay


def is_result(path: str) -> bool:
    """Whether a file is named like a result, and is one.

    Raises:
      DataError: It cannot be read.
    """
    if not path.endswith(_SUFFIXES):
        return False
    with read_errors(path), gfile(path).GFile(path, "rb") as file:
        return png.written_by(SOFTWARE, file.read(_HEAD_BYTES))


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
