"""Values of more than 8 bits, brought to 8; what a TIFF file may be.

Of a value the upper 8 bits are kept: of the 16 that the file has, or of the
fewer that a sensor fills (`bit_depth`).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import math
import os

import numpy as np
import pyspng
import tifffile
from PIL import Image, _imaging

from segnet.errors import DataError
from segnet.images import png

__all__ = [
    "bits_of",
    "check_tiff",
    "colour_values",
    "grey_values",
    "has_several",
    "to_eight_bits",
]

_GREY_MODES = ("I;16", "I;16B", "I;16L", "I;16N")
# Of TIFF files; others hold whole numbers of 32 bits, negative ones, fractions,
# or colours that have no RGB.
_TIFF_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa",
               "CMYK", "YCbCr", *_GREY_MODES)  # fmt: skip
# Tags of TIFF files.
_HEIGHT, _BITS, _PHOTOMETRIC, _PLANES, _SUBFILE = 257, 258, 262, 284, 254
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_WHITE_IS_ZERO, _SEPARATE = 0, 2
# What a page is beside the first: a smaller copy, a mask (TIFF 6, tag 254).
_BESIDE = 1 | 4
# Of copies of a picture; there is one for each halving.
_MOST_PAGES = 64
# Of a pixel, as Pillow has it.
_MOST_VALUES = 6
# A tile lies at the border with most of its pixels outside.
_TILE_PIXELS = 1 << 22


def bits_of(image: Image.Image, data: bytes) -> int | None:
    """Bits a value of a PNG or TIFF file; None for other formats.

    Args:
      image: As Pillow opens it.
      data: The contents of the file.
    """
    if data.startswith(png.SIGNATURE):
        return data[24]
    if image.format == "TIFF":
        return max(image.tag_v2.get(_BITS, (1,)))
    return None


def has_several(image: Image.Image) -> bool:
    """Whether a file has several pages or frames.

    Smaller copies of a picture, as map programs write them, are none.
    """
    if image.format != "TIFF":
        return getattr(image, "n_frames", 1) > 1
    _quieten()
    try:
        for page in range(1, _MOST_PAGES):
            image.seek(page)
            if not image.tag_v2.get(_SUBFILE, 0) & _BESIDE:
                return True
    except EOFError:
        return False
    finally:
        image.seek(0)
    return True


@functools.cache
def _quieten() -> None:
    """Keeps libtiff from printing lines of its own about damaged files.

    What it finds wrong Pillow raises as well.
    """
    # Where Pillow was built in another way there may be no such functions.
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)


def check_tiff(path: str | os.PathLike[str], image: Image.Image) -> None:
    """Refuses a TIFF file of which nobody knows what colours it has.

    Raises:
      DataError: With the reason.
      ValueError: It is damaged.
    """
    _quieten()
    if image.mode not in _TIFF_MODES:
        raise DataError(
            f"{path}: is a TIFF of values that are no colours of 8 or 16 bits "
            f"({image.mode}); save it as 8-bit or 16-bit grey or RGB"
        )
    tile = [image.tag_v2.get(tag, 1) for tag in (_TILE_WIDTH, _TILE_HEIGHT)]
    if tile[0] * tile[1] > max(4 * image.width * image.height, _TILE_PIXELS):
        raise ValueError(f"tiles of {tile[0]}x{tile[1]} pixels")
    if image.use_load_libtiff:
        return
    # Not of the image: it may be turned.
    height = image.tag_v2[_HEIGHT]
    covered = sum(
        max(0, min(bottom, height) - top) * (right - left)
        for _, (left, top, right, bottom), _, _ in image.tile
    )
    separate = image.tag_v2.get(_PLANES, 1) == _SEPARATE
    layers = len(image.getbands()) if separate else 1
    if covered < layers * image.width * image.height:
        raise ValueError("strips are missing")


def to_eight_bits(
    values: np.ndarray, bits: int, bit_depth: int, path: str | os.PathLike[str]
) -> np.ndarray:
    """Keeps the upper 8 bits of each value.

    Args:
      values: uint16, any shape.
      bits: That the file has for a value, above 8.
      bit_depth: That are used of them; 0: all.
      path: Of the file, for the message.

    Returns:
      uint8 of the same shape.

    Raises:
      DataError: A value has more bits than that.
    """
    depth = bit_depth or bits
    if depth < bits:
        highest = int(values.max())
        if highest >> depth:
            raise DataError(
                f"{path}: has the value {highest}, which takes "
                f"{highest.bit_length()} bits; give --bit_depth="
                f"{highest.bit_length()} or leave it out"
            )
    return (values >> max(0, depth - 8)).astype(np.uint8)


def grey_values(image: Image.Image, decoded: Image.Image) -> np.ndarray | None:
    """Grey values of 16 bits, uint16 `[height, width]`; None of other files.

    Args:
      image: As Pillow opens it.
      decoded: The same with its pixels, upright.
    """
    if decoded.mode not in _GREY_MODES:
        return None
    values = np.asarray(decoded).astype(np.uint16)
    if image.format == "TIFF" and (
        image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    ):
        values = (1 << (bits_of(image, b"") or 16)) - 1 - values
    return values


def colour_values(
    image: Image.Image,
    data: bytes,
    path: str | os.PathLike[str],
    bit_depth: int,
) -> np.ndarray | None:
    """Colours of 16 bits, where the upper 8, which Pillow keeps, do not do.

    Args:
      image: As Pillow opens it.
      data: The contents of the file.
      path: Of the file, for the message.
      bit_depth: As for `to_eight_bits`.

    Returns:
      uint16 `[height, width]` or `[height, width, 3]`, not turned; None if
      Pillow's pixels are right.

    Raises:
      DataError: The file cannot be unpacked.
      ValueError: It is damaged.
    """
    bits = bits_of(image, data)
    if bits != 16 or image.mode in _GREY_MODES:
        return None
    if image.format == "TIFF":
        # Pillow reads separate planes as if they had 8 bits.
        separate = image.tag_v2.get(_PLANES, 1) == _SEPARATE
        if bit_depth in (0, bits) and not separate:
            return None
        values = _unpack_tiff(image, data, path)
    elif bit_depth in (0, bits):
        return None
    else:
        try:
            values = pyspng.load(data)
        except RuntimeError as error:
            raise ValueError(str(error)) from None
    if values.ndim == 2:
        return values
    # Alpha is dropped.
    kept = values[..., 0] if values.shape[2] < 3 else values[..., :3]
    return np.ascontiguousarray(kept)


def _unpack_tiff(
    image: Image.Image, data: bytes, path: str | os.PathLike[str]
) -> np.ndarray:
    """uint16 `[height, width, channels]` of a TIFF file with colours.

    Raises:
      DataError: It is packed in a way that tifffile cannot unpack alone.
      ValueError: It is damaged.
    """
    packed = "?"
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            packed = tifffile.COMPRESSION(page.compression).name
            if math.prod(page.shape) > _MOST_VALUES * math.prod(image.size):
                raise ValueError(f"{page.shape} values")
            values = page.asarray()
            if page.planarconfig == _SEPARATE:
                values = np.moveaxis(values, 0, -1)
    # It raises whatever there is.
    except Exception as error:
        if "imagecodecs" in str(error):
            raise DataError(
                f"{path}: is a TIFF with colours of 16 bits that is packed "
                f"with {packed}; save it unpacked or with Deflate, or pip "
                "install imagecodecs"
            ) from None
        raise ValueError(str(error)) from None
    if values.dtype != np.uint16 or values.ndim != 3:
        raise ValueError(f"{values.dtype} of {values.shape}")
    return values
