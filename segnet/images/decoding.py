"""Picture files: opened strictly, decoded fully, turned upright.

What `image_files` builds on. Pillow, numpy and the standard library only.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from segnet.errors import DataError
from segnet.images import png

__all__ = [
    "Checked",
    "bit_depth_of",
    "check_pixels",
    "count_pixels",
    "decode_grey",
    "decode_pixels",
    "is_dark",
    "is_lfs_pointer",
    "is_mended",
    "open_image",
    "rotation",
]

# For half of what is refused; a filter set for each picture would not suit
# threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_FORMATS = ("JPEG", "PNG", "BMP")
_EXIF_ORIENTATION = 0x0112
# A JPEG has at least a bit for each block of 64 values of one of its channels,
# which has half of the picture's pixels or more: its entry in the DC scan.
_JPEG_PIXELS_A_BYTE = 1024
# What git leaves in place of a file that it keeps elsewhere.
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# Of an image that is nearly black, at most one value in a thousand is higher.
_DARK = 31
# What Pillow raises on files that are damaged, one way or another.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)


class Checked(NamedTuple):
    """What `check_pixels` finds of a file that is in order.

    Attributes:
      dark: Whether the image is nearly black.
      mended: Whether it is a JPEG with damage that decoders mend.
    """

    dark: bool
    mended: bool


def open_image(path: str | os.PathLike[str]) -> tuple[Image.Image, bytes]:
    """Reads a file and its image header; pixels are not decoded yet.

    Returns:
      The picture and the contents of the file.

    Raises:
      DataError: Empty, not a picture, damaged or far too large.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            data = file.read()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if not data:
        raise DataError(f"{path}: is empty (0 bytes); get it again")
    if data.startswith(_LFS_POINTER):
        raise DataError(
            f"{path}: is a git-LFS pointer, not the picture itself; get the "
            "pictures with 'git lfs pull'"
        )
    try:
        with _damage_named(path):
            if data.startswith(png.SIGNATURE):
                # Pillow reads on past some damage where TensorFlow's decoder
                # gives up, so such a file would pass and stop the training.
                png.check(data)
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
        if image.width * image.height > _JPEG_PIXELS_A_BYTE * len(data):
            _check_size(path, image, data)
        return image, data
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # above it, Pillow refuses
        raise DataError(
            f"{path}: has more than {limit:,} pixels; cut it into tiles or "
            "make it smaller"
        ) from None


def is_lfs_pointer(path: str | os.PathLike[str]) -> bool:
    """Whether a file is what git leaves of one that it keeps elsewhere."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(len(_LFS_POINTER)) == _LFS_POINTER
    except OSError:
        return False


def _check_size(
    path: str | os.PathLike[str], image: Image.Image, data: bytes
) -> None:
    """Refuses a JPEG far too small for its size, before memory is taken."""
    if image.format in ("JPEG", "MPO"):
        raise DataError(
            f"{path}: is damaged or incomplete ({len(data)} bytes for "
            f"{image.width}x{image.height} pixels); get it again"
        )


def count_pixels(path: str | os.PathLike[str]) -> int:
    """The pixels that a file says it has; 0 if it is no picture."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            return image.width * image.height
    except (*_DAMAGED, Image.DecompressionBombError):
        return 0


@contextlib.contextmanager
def _damage_named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns what decoders raise into one line."""
    try:
        yield
    except UnidentifiedImageError:
        raise DataError(
            f"{path}: is not a JPEG, PNG or BMP image; save it as one"
        ) from None
    except _DAMAGED as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: is damaged or incomplete ({reason}); get it again"
        ) from None


def bit_depth_of(data: bytes) -> int | None:
    """Bits a value of a PNG; None for other formats."""
    return data[24] if data.startswith(png.SIGNATURE) else None


def rotation(image: Image.Image, data: bytes) -> str:
    """Says "" (upright), "turned" or, if the sides swap, "sideways"."""
    if data.startswith(png.SIGNATURE) and not png.has_metadata(data):
        return ""  # Pillow would decode all pixels to find none
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except _DAMAGED:
        return ""  # unreadable metadata says nothing about the pixels
    if orientation in (5, 6, 7, 8):
        return "sideways"
    return "turned" if orientation in (2, 3, 4) else ""


def decode_pixels(
    image: Image.Image, data: bytes, path: str | os.PathLike[str]
) -> Image.Image:
    """Decodes all pixels and applies the EXIF rotation.

    Args:
      image: As `open_image` gives it.
      data: Likewise.
      path: Of the file, for the message.

    Raises:
      DataError: The file is damaged or incomplete.
    """
    with _damage_named(path):
        if data.startswith(png.SIGNATURE):
            png.check_pixels(data)
        image.load()
        return (
            ImageOps.exif_transpose(image) if rotation(image, data) else image
        )


def check_pixels(
    image: Image.Image, data: bytes, path: str | os.PathLike[str]
) -> Checked:
    """Finds what `decode_pixels` would find, in less time.

    Args:
      image: As `open_image` gives it; its pixels are of no use afterwards.
      data: Likewise.
      path: Of the file, for the message.

    Raises:
      DataError: The file is damaged or incomplete.
    """
    mended = False
    with _damage_named(path):
        if data.startswith(png.SIGNATURE):
            filtered = png.check_pixels(data)
            may_be_dark = png.may_be_below(data, filtered, _DARK)
        elif (small := _reduced_jpeg(data)) is not None:
            may_be_dark = is_dark(Image.fromarray(small))
        else:
            mended = _is_known(data)
            width, height = image.size
            image.draft("L", (max(width // 8, 1), max(height // 8, 1)))
            image.load()
            may_be_dark = is_dark(image)
        # Grey or unfiltered values do not tell for sure: pure blue is dark.
        dark = may_be_dark and is_dark(
            Image.open(io.BytesIO(data), formats=_FORMATS)
        )
        return Checked(dark, mended)


def _reduced_jpeg(data: bytes) -> np.ndarray | None:
    """Grey values of a JPEG at an eighth; None if there is damage.

    Of each block only the mean is reconstructed: every byte is still decoded,
    so damage is found just the same (the tests compare the two), without the
    arithmetic that cannot fail. What libjpeg only warns of counts as damage;
    Pillow and TensorFlow do not pass such warnings on.
    """
    try:
        return simplejpeg.decode_jpeg(
            data, "GRAY", min_height=1, min_width=1, min_factor=8, strict=True
        )[..., 0]
    except ValueError:
        return None


def _is_known(data: bytes) -> bool:
    """Whether simplejpeg can say something about damage of a JPEG.

    It refuses those whose channels are sampled in rare ways, which other
    decoders read.
    """
    try:
        simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return False
    return True


def is_mended(image: Image.Image, data: bytes) -> bool:
    """Whether a file that decodes is a JPEG with damage that decoders mend.

    Not told of files that are printed in four colours (CMYK), or sampled in a
    rare way.
    """
    is_jpeg = image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB")
    return is_jpeg and _reduced_jpeg(data) is None and _is_known(data)


def is_dark(image: Image.Image) -> bool:
    """Whether a picture, 8-bit grey or RGB, has next to no bright values."""
    counts = image.histogram()
    bright = sum(
        sum(counts[first + _DARK + 1 : first + 256])
        for first in range(0, len(counts), 256)
    )
    return bright * 1000 <= sum(counts)


def decode_grey(data: bytes, path: str | os.PathLike[str]) -> np.ndarray | None:
    """uint8 `[height, width]` of a plain grey PNG, None for other files.

    Raises:
      DataError: The file is damaged or incomplete.
    """
    if not data.startswith(png.SIGNATURE):
        return None
    with _damage_named(path):
        return png.decode_grey(data)
