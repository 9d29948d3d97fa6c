"""Pictures some rows at a time, from the top: for those larger than memory."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
import tensorflow as tf
from PIL import JpegImagePlugin

from segnet.constants import MAX_RECORD_PIXELS
from segnet.errors import DataError
from segnet.files import open_regular, read_errors, reason
from segnet.images import decoding, image_files
from segnet.images.png_rows import PngRows

__all__ = ["Strips", "open_strips"]

# Of a JPEG, decoded at a time: each time it is unpacked from the top.
_DECODED_BYTES = 1 << 26
_JPEG = b"\xff\xd8\xff"


class Strips:
    """A picture of which some rows are there at a time.

    Attributes:
      height: Pixels.
      width: Likewise.
    """

    def __init__(
        self, height: int, width: int, read: Callable[[int], np.ndarray]
    ) -> None:
        """Begins at the top.

        Args:
          height: Pixels.
          width: Likewise.
          read: Gives the next rows, uint8 RGB `[count, width, 3]`.
        """
        self.height, self.width, self._read = height, width, read
        self._top = 0
        self._rows = np.empty([0, width, 3], np.uint8)

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """Some rows; those above them are given up.

        Args:
          top: The first, not above one that was asked for before.
          bottom: The end.

        Returns:
          uint8 RGB `[bottom - top, width, 3]`.

        Raises:
          DataError: The file is damaged.
        """
        kept = self._rows[max(0, top - self._top) :]
        end = self._top + len(self._rows)
        while end < top:  # None of these are wanted.
            end += len(self._read(min(bottom - top, top - end)))
        parts = [kept]
        if end < bottom:
            parts.append(self._read(bottom - end))
        self._rows = np.concatenate(parts)
        self._top = top
        return self._rows[: bottom - top]


@contextlib.contextmanager
def open_strips(path: str, max_pixels: int) -> Iterator[Strips]:
    """Opens a picture.

    An 8-bit PNG that is not interlaced and a JPEG are read row by row; others,
    and those that EXIF data turns, are decoded whole.

    Args:
      path: Of the file.
      max_pixels: That it may have.

    Raises:
      DataError: It cannot be read, or has more pixels.
    """
    with read_errors(path):
        file = open_regular(path)
    with file:
        found = _open_png(path, file) or _open_jpeg(path, file)
        if found is None:
            most = min(max_pixels, MAX_RECORD_PIXELS)
            found = _whole(image_files.load_image(path, most))
        if found.height * found.width > max_pixels:
            raise DataError(
                f"{path}: has more than {max_pixels:,} pixels; cut it into "
                "parts or raise --max_pixels"
            )
        yield found


def _whole(image: np.ndarray) -> Strips:
    """A picture that is there, uint8 RGB `[height, width, 3]`."""
    top = 0

    def read(count: int) -> np.ndarray:
        nonlocal top
        top += count
        return image[top - count : top]

    return Strips(image.shape[0], image.shape[1], read)


def _open_png(path: str, file: BinaryIO) -> Strips | None:
    """None if it is of a kind that is decoded whole, or damaged."""
    try:
        rows = PngRows(file)
    except ValueError:
        return None

    def read(count: int) -> np.ndarray:
        try:
            return rows.read(count)
        except ValueError as error:
            raise _damaged(path, str(error)) from None

    return Strips(rows.height, rows.width, read)


def _open_jpeg(path: str, file: BinaryIO) -> Strips | None:
    """Likewise."""
    file.seek(0)
    if file.read(len(_JPEG)) != _JPEG:
        return None
    data = _JPEG + file.read()
    try:
        # Not Image.open, which refuses a size that is none to worry about here.
        header = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    except (OSError, SyntaxError, ValueError):
        return None
    if header.mode not in ("L", "RGB") or decoding.rotation(header, data):
        return None
    width, height = header.size
    contents = tf.constant(data)
    step = max(1, _DECODED_BYTES // (3 * width))
    rows, top = np.empty([0, width, 3], np.uint8), 0

    def read(count: int) -> np.ndarray:
        nonlocal rows, top
        if len(rows) < count:
            number = min(max(step, count - len(rows)), height - top)
            window = [top, 0, number, width]
            rows = np.concatenate([rows, _decode(path, contents, window)])
            top += number
        taken, rows = rows[:count], rows[count:]
        return taken

    return Strips(height, width, read)


def _damaged(path: str, why: str) -> DataError:
    return DataError(f"{path}: is damaged or incomplete ({why}); get it again")


def _decode(path: str, contents: tf.Tensor, window: list[int]) -> np.ndarray:
    """A part of a JPEG: first row, first column, number of both."""
    try:
        with tf.device("/device:CPU:0"):
            return tf.io.decode_and_crop_jpeg(
                contents, window, channels=3, dct_method="INTEGER_ACCURATE"
            ).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise _damaged(path, reason(error)) from None
