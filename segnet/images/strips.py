"""Pictures some rows at a time, from the top: for those larger than memory."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO

import numpy as np
import simplejpeg
from PIL import JpegImagePlugin

from segnet.constants import MAX_RECORD_PIXELS
from segnet.errors import DataError
from segnet.files import open_regular, read_errors, write_errors
from segnet.images import decoding, image_files
from segnet.images.png_rows import PngRows

__all__ = ["Strips", "open_strips"]

_JPEG = b"\xff\xd8\xff"
_RELEASE_SECONDS = 0.02


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
def open_strips(
    path: str, max_pixels: int, bit_depth: int = 0
) -> Iterator[Strips]:
    """Opens a picture.

    An 8-bit PNG that is not interlaced is read row by row, a JPEG from a
    temporary file with its pixels; others, and those that EXIF data turns, are
    decoded whole.

    Args:
      path: Of the file.
      max_pixels: That it may have.
      bit_depth: As for `decoding.decode_rgb`.

    Raises:
      DataError: It cannot be read, or has more pixels.
      RunError: There is no room for temporary files.
    """
    with read_errors(path):
        file = open_regular(path)
    with file, contextlib.ExitStack() as stack:
        found = _open_png(path, file) or _open_jpeg(path, file, stack)
        if found is None:
            most = min(max_pixels, MAX_RECORD_PIXELS)
            found = _whole(image_files.load_image(path, most, bit_depth))
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


def _open_jpeg(
    path: str, file: BinaryIO, stack: contextlib.ExitStack
) -> Strips | None:
    """Likewise: it is decoded into a file.

    Raises:
      RunError: There is no room for temporary files.
    """
    file.seek(0)
    if file.read(len(_JPEG)) != _JPEG:
        return None
    file.seek(0)
    data = file.read()
    try:
        # Not Image.open, which refuses a size that is none to worry about here.
        header = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    except (OSError, SyntaxError, ValueError):
        return None
    if header.mode not in ("L", "RGB") or decoding.rotation(header, data):
        return None
    decoding.check_jpeg(path, header, data)
    width, height = header.size
    with write_errors(tempfile.gettempdir()):
        # Closed by the stack: "Use a context manager for opening files".
        decoded = tempfile.TemporaryFile()  # noqa: SIM115
        stack.enter_context(decoded)
        # Else a full disk would end the process.
        os.posix_fallocate(decoded.fileno(), 0, height * width * 3)
    if not _decode_into(decoded, data):
        if width * height > MAX_RECORD_PIXELS:
            raise _damaged(path, "its pixels cannot be decoded")
        return None  # Judged by who decodes it whole.

    def read(count: int) -> np.ndarray:
        rows = np.fromfile(decoded, np.uint8, count * width * 3)
        return rows.reshape(count, width, 3)

    return Strips(height, width, read)


def _decode_into(file: IO[bytes], data: bytes) -> bool:
    """Puts the pixels of a JPEG into a file of their size, unless damaged."""
    with mmap.mmap(file.fileno(), 0) as pixels, _let_go(pixels):
        try:
            simplejpeg.decode_jpeg(data, "RGB", buffer=pixels)
        except ValueError:
            return False
    return True


@contextlib.contextmanager
def _let_go(pixels: mmap.mmap) -> Iterator[None]:
    """Keeps what is written to a file from staying in this process's memory.

    The system has it, and writes it to the disk when it needs the room.
    """
    done = threading.Event()

    def release() -> None:
        while not done.wait(_RELEASE_SECONDS):
            pixels.madvise(mmap.MADV_DONTNEED)

    thread = threading.Thread(target=release, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _damaged(path: str, why: str) -> DataError:
    return DataError(f"{path}: is damaged or incomplete ({why}); get it again")
