"""Image files: reading them exactly; writing images and labels as PNG.

Pillow, numpy and the standard library only. The converter's worker processes
and the predictor import this module, so TensorFlow must stay out of it.

An image becomes 8-bit RGB. Grey, palette and CMYK images are converted, alpha
is dropped, and of 16-bit values the high byte is kept, unless another bit depth
says that fewer bits are used: what `cv2.imread(path, 1)` and TensorFlow's
decoders do too. A rotation in the EXIF data is applied.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib

import numpy as np
from PIL import Image

from segnet.constants import MAX_PIXELS
from segnet.errors import DataError
from segnet.images import png
from segnet.images.decoding import (
    IMAGE_SUFFIXES,
    check_pixels,
    count_pixels,
    decode_rgb,
    is_dark,
    is_mended,
    open_image,
    rotation,
    upright_size,
)
from segnet.images.depths import bits_of

__all__ = [
    "IMAGE_SUFFIXES",
    "EncodedImage",
    "count_pixels",
    "encode_image_png",
    "encode_label",
    "list_images",
    "load_image",
    "read_image",
]

_BAND_PIXELS = 1 << 22  # copied at a time


@dataclasses.dataclass(frozen=True)
class EncodedImage:
    """An image as a record holds it.

    Attributes:
      data: JPEG or 8-bit RGB PNG file contents.
      format: "jpeg" or "png".
      height: Pixels, after any rotation and resizing.
      width: Pixels, after any rotation and resizing.
      source_height: Pixels, after any rotation, before any resizing.
      source_width: Likewise.
      rotation: What EXIF data did to it: "", "turned" or, where width and
        height changed places, "sideways".
      dark: Whether it is nearly black.
      mended: Whether it is a JPEG with damage that decoders mend.
      bits: Of a value of a PNG or TIFF file, None for other formats.
    """

    data: bytes
    format: str
    height: int
    width: int
    source_height: int
    source_width: int
    rotation: str = ""
    dark: bool = False
    mended: bool = False
    bits: int | None = None


def list_images(
    folder: str | os.PathLike[str],
    suffixes: tuple[str, ...] = IMAGE_SUFFIXES,
) -> list[pathlib.Path]:
    """The image files of a folder in the order of their names.

    Hidden files are left out; folders inside it are not searched.

    Args:
      folder: Where to look.
      suffixes: Lower-case suffixes to take; the files' may be in any case.

    Raises:
      DataError: There is no such folder, or it cannot be listed.
    """
    root = pathlib.Path(folder)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; check the path")
    try:
        # `scandir` knows without another call what is a file.
        with os.scandir(root) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if os.path.splitext(entry.name)[1].lower() in suffixes
                and not entry.name.startswith(".")
                and _is_file(entry)
            )
    except OSError as error:
        raise DataError(f"{root}: cannot be listed: {error.strerror}") from None
    return [root / name for name in names]


def _is_file(entry: os.DirEntry) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def load_image(
    path: str | os.PathLike[str],
    max_pixels: int = MAX_PIXELS,
    bit_depth: int = 0,
) -> np.ndarray:
    """Decodes an image file completely.

    Args:
      path: A file of one of `IMAGE_SUFFIXES`, of any colour mode.
      max_pixels: That it may have.
      bit_depth: As for `decoding.decode_rgb`.

    Returns:
      uint8 RGB `[height, width, 3]`, EXIF rotation applied.

    Raises:
      DataError: The file cannot be read, is not such an image, is damaged or
        incomplete, or as `decoding.open_image` refuses it.
    """
    image, data = open_image(path, max_pixels)
    return _pixels(decode_rgb(image, data, path, bit_depth))


def _pixels(image: Image.Image) -> np.ndarray:
    """The pixels of an RGB image, without a second copy of large ones."""
    width, height = image.size
    step = max(1, _BAND_PIXELS // width)
    if step >= height:
        return np.asarray(image)
    pixels = np.empty([height, width, 3], np.uint8)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels


def read_image(
    path: str | os.PathLike[str],
    resize: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
    bit_depth: int = 0,
) -> EncodedImage:
    """Checks an image file and gives what a record holds of it.

    JPEG and 8-bit RGB PNG contents are returned as they are unless rotation
    or resizing changes the pixels; anything else becomes an 8-bit RGB PNG.

    Args:
      path: As for `load_image`.
      resize: (height, width) to bring the image to, bilinear with
        antialiasing; None keeps its size.
      max_pixels: That it may have before.
      bit_depth: As for `decoding.decode_rgb`.

    Raises:
      DataError: As for `load_image`.
    """
    image, data = open_image(path, max_pixels)
    rotated = rotation(image, data)
    height, width = upright_size(image, data)
    size = resize or (height, width)
    kind = _passes_through(image, data)
    bits = bits_of(image, data)
    if kind and not rotated and size == (height, width):
        checked = check_pixels(image, data, path)
        return EncodedImage(
            data, kind, height, width, height, width, "", *checked, bits
        )
    mended = is_mended(image, data)
    image = decode_rgb(image, data, path, bit_depth)
    dark = is_dark(image)
    if size != (height, width):
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    encoded = encode_image_png(np.asarray(image))
    return EncodedImage(
        encoded,
        "png",
        size[0],
        size[1],
        height,
        width,
        rotated,
        dark,
        mended,
        bits,
    )


def encode_label(label: np.ndarray, software: str = "") -> bytes:
    """Encodes labels, uint8 `[height, width]`, as 8-bit greyscale PNG.

    `software` is the program that the file names, if any.
    """
    if label.ndim != 2 or label.dtype != np.uint8:
        raise ValueError(
            f"a label is uint8 [height, width], not {label.dtype} {label.shape}"
        )
    return png.encode(label, label.shape[1], png.GREY, software)


def encode_image_png(image: np.ndarray) -> bytes:
    """Encodes an image, uint8 RGB `[height, width, 3]`, as 8-bit RGB PNG."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            "an image is uint8 [height, width, 3], not "
            f"{image.dtype} {image.shape}"
        )
    rows = image.reshape(image.shape[0], -1)
    return png.encode(rows, image.shape[1], png.RGB)


def _passes_through(image: Image.Image, data: bytes) -> str | None:
    """The record's format if the contents can be kept, None otherwise."""
    if image.mode != "RGB":
        return None
    # A phone's JPEG with a second picture behind it calls itself MPO;
    # decoders read the first one.
    if image.format in ("JPEG", "MPO"):
        return "jpeg"
    plain = image.format == "PNG" and data[24:26] == bytes((8, png.RGB))
    if plain and "transparency" not in image.info:
        return "png"
    return None
