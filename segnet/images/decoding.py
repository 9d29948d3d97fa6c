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
from PIL import Image, ImageOps, UnidentifiedImageError

from segnet.constants import MAX_PIXELS, MAX_RECORD_PIXELS
from segnet.errors import DataError
from segnet.files import open_regular
from segnet.images import depths, jpeg, png

__all__ = [
    "FORMATS",
    "IMAGE_SUFFIXES",
    "Checked",
    "bmp_bits",
    "check_jpeg",
    "check_pixels",
    "count_pixels",
    "decode_grey",
    "decode_pixels",
    "decode_rgb",
    "is_dark",
    "is_lfs_pointer",
    "is_mended",
    "open_image",
    "rotation",
    "upright_size",
]

# For half of what is refused; a filter set for each picture would not suit
# threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# What it says of metadata that is damaged, which changes no pixel.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
# As people call them.
FORMATS = "JPEG, PNG, BMP, TIFF or WebP"
_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
_JPEG = ("JPEG", "MPO")
# Those that may hold several pictures, but for PNG: of that one is the first.
_PAGED = ("TIFF", "WEBP")
# Of the largest files there are: four 16-bit values a pixel, and metadata.
_MAX_BYTES_A_PIXEL, _MAX_BYTES_BESIDE = 8, 64 * 1024**2
# Of the height of a JPEG; so much is only told of (`Checked.mended`).
_MAX_MISSING = 0.1
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
    AttributeError,
    ArithmeticError,
    RuntimeError,
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


def open_image(
    path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS
) -> tuple[Image.Image, bytes]:
    """Reads a file and its image header; pixels are not decoded yet.

    Args:
      path: Of the file.
      max_pixels: That it may have.

    Returns:
      The picture and the contents of the file.

    Raises:
      DataError: Empty, not a picture, damaged, too large, or a JPEG with more
        than `jpeg.MAX_SCANS` scans.
    """
    most = _MAX_BYTES_A_PIXEL * max_pixels + _MAX_BYTES_BESIDE
    try:
        with open_regular(os.fspath(path)) as file:
            if os.fstat(file.fileno()).st_size > most:
                raise DataError(_too_large(path, max_pixels))
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
            if image.format == "TIFF":
                depths.check_tiff(path, image)
            several = image.format in _PAGED and depths.has_several(image)
    except Image.DecompressionBombError:
        raise DataError(_too_large(path, max_pixels)) from None
    if image.width * image.height > max_pixels:
        raise DataError(_too_large(path, max_pixels))
    if several:
        raise DataError(
            f"{path}: is a {image.format} of several pictures, of which one "
            "can be meant; save each as a file of its own"
        )
    if image.format in _JPEG:
        check_jpeg(path, image, data)
    # Pillow unpacks other than these wrongly where the palette is grey.
    bits = bmp_bits(data)
    if bits and {"1": 1, "L": 8}.get(image.mode, bits) != bits:
        raise DataError(
            f"{path}: is a {bits}-bit BMP with a grey palette, of which "
            "Pillow reads other values; save it as PNG"
        )
    return image, data


def bmp_bits(data: bytes) -> int | None:
    """Bits a pixel of a BMP; None for other formats."""
    if not data.startswith(b"BM"):
        return None
    # The header of OS/2 has sizes of two bytes.
    at = 24 if data[14:18] == b"\x0c\0\0\0" else 28
    return int.from_bytes(data[at : at + 2], "little")


def _too_large(path: str | os.PathLike[str], max_pixels: int) -> str:
    most = min(max_pixels, MAX_RECORD_PIXELS)
    raised = " (or raise --max_pixels)" if most < MAX_RECORD_PIXELS else ""
    return (
        f"{path}: has more than {most:,} pixels; cut it into tiles or make it "
        f"smaller{raised}"
    )


def is_lfs_pointer(path: str | os.PathLike[str]) -> bool:
    """Whether a file is what git leaves of one that it keeps elsewhere."""
    try:
        with open_regular(os.fspath(path)) as file:
            return file.read(len(_LFS_POINTER)) == _LFS_POINTER
    except OSError:
        return False


def check_jpeg(
    path: str | os.PathLike[str], image: Image.Image, data: bytes
) -> None:
    """Refuses what would take memory or time for nothing.

    Args:
      path: Of the file, for the message.
      image: As Pillow opens it.
      data: The contents of the file.

    Raises:
      DataError: It has too few bytes for its pixels, or too many scans.
    """
    if image.width * image.height > _JPEG_PIXELS_A_BYTE * len(data):
        raise DataError(
            f"{path}: is damaged or incomplete ({len(data)} bytes for "
            f"{image.width}x{image.height} pixels); get it again"
        )
    if jpeg.count_scans(data) > jpeg.MAX_SCANS:
        raise DataError(
            f"{path}: is a JPEG with more than {jpeg.MAX_SCANS} scans, each of "
            "which takes as long as a whole picture to decode; save it again"
        )


def _check_rest(
    path: str | os.PathLike[str], image: Image.Image, data: bytes
) -> None:
    """Refuses a decoded JPEG whose lower part is what decoders fill in.

    That is grey. Files that are in order may be, too.
    """
    if image.format not in _JPEG or image.mode not in ("L", "RGB"):
        return
    missing = jpeg.filled_share(image)
    if missing > _MAX_MISSING and jpeg.is_damaged(data):
        raise DataError(
            f"{path}: is incomplete: the lower {missing:.0%} of its pixels are "
            "missing; get it again"
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
            f"{path}: is not a {FORMATS} image of a kind that is read; save it "
            "as 8-bit PNG"
        ) from None
    except _DAMAGED as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: is damaged or incomplete ({reason}); get it again"
        ) from None


def rotation(image: Image.Image, data: bytes) -> str:
    """Says "" (upright), "turned" or, if the sides swap, "sideways"."""
    orientation = _orientation(image, data)
    if orientation in (5, 6, 7, 8):
        return "sideways"
    return "turned" if orientation in (2, 3, 4) else ""


def upright_size(image: Image.Image, data: bytes) -> tuple[int, int]:
    """Height and width of what `open_image` gives, once it is upright."""
    # Of a TIFF Pillow says the size that it will have.
    swapped = image.format != "TIFF" and rotation(image, data) == "sideways"
    height, width = image.height, image.width
    return (width, height) if swapped else (height, width)


def _orientation(image: Image.Image, data: bytes) -> int:
    """What the EXIF data says, 1 to 8; 1 is upright."""
    if data.startswith(png.SIGNATURE) and not png.has_metadata(data):
        return 1  # Pillow would decode all pixels to find none
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except _DAMAGED:
        return 1  # unreadable metadata says nothing about the pixels


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
    _check_rest(path, image, data)
    with _damage_named(path):
        return (
            ImageOps.exif_transpose(image) if rotation(image, data) else image
        )


def decode_rgb(
    image: Image.Image,
    data: bytes,
    path: str | os.PathLike[str],
    bit_depth: int = 0,
) -> Image.Image:
    """As `decode_pixels`, and as 8-bit RGB.

    Args:
      image: As `open_image` gives it.
      data: Likewise.
      path: Of the file, for the message.
      bit_depth: Bits that values of more than 8 bits use; 0: all that there
        are. The upper 8 of them are kept.

    Raises:
      DataError: The file is damaged or incomplete, or its values have more
        bits than that.
    """
    bits = depths.bits_of(image, data) or 8
    orientation = _orientation(image, data)
    with _damage_named(path):
        if data.startswith(png.SIGNATURE):
            png.check_pixels(data)
        values = depths.colour_values(image, data, path, bit_depth)
    if values is not None:
        found = Image.fromarray(
            depths.to_eight_bits(values, bits, bit_depth, path)
        )
        found.getexif()[_EXIF_ORIENTATION] = orientation
        return _rgb(ImageOps.exif_transpose(found))
    decoded = decode_pixels(image, data, path)
    with _damage_named(path):
        values = depths.grey_values(image, decoded)
        if values is not None:
            decoded = Image.fromarray(
                depths.to_eight_bits(values, bits, bit_depth, path)
            )
        return _rgb(decoded)


def _rgb(image: Image.Image) -> Image.Image:
    """Any mode to 8-bit RGB."""
    if image.mode == "P" and "transparency" in image.info:
        # Straight to RGB gives the same colours, and a warning.
        image = image.convert("RGBA")
    return image if image.mode == "RGB" else image.convert("RGB")


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
        elif (small := jpeg.reduced(data)) is not None:
            # Pillow knows from the header whether there can be several.
            if "progressive" in image.info:
                mended = jpeg.lacks_scans(data)
            may_be_dark = is_dark(Image.fromarray(small))
        else:
            mended = jpeg.is_damaged(data)
            width, height = image.size
            image.draft("L", (max(width // 8, 1), max(height // 8, 1)))
            image.load()
            _check_rest(path, image, data)
            may_be_dark = is_dark(image)
        # Grey or unfiltered values do not tell for sure: pure blue is dark.
        dark = may_be_dark and is_dark(
            Image.open(io.BytesIO(data), formats=_FORMATS)
        )
        return Checked(dark, mended)


def is_mended(image: Image.Image, data: bytes) -> bool:
    """Whether a file that decodes is a JPEG with damage that decoders mend.

    Not told of files that are printed in four colours (CMYK), or sampled in a
    rare way.
    """
    if image.format not in _JPEG or image.mode not in ("L", "RGB"):
        return False
    return jpeg.is_damaged(data) or jpeg.lacks_scans(data)


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
