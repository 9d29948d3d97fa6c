"""Image and annotation files: reading them exactly, writing them as PNG.

Pillow, numpy and the standard library only. The converter's worker processes
and the predictor import this module, so TensorFlow must stay out of it.

What a file becomes:

* An image is 8-bit RGB. Grey, palette and CMYK images are converted, alpha
  is dropped, and of 16-bit values the high byte is kept: what
  `cv2.imread(path, 1)` and TensorFlow's decoders do too.
* An annotation is the 8-bit class of each pixel (see `load_annotation`).
* A rotation in the EXIF data is applied, to images and annotations alike.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib

import numpy as np
from PIL import Image

from segnet.errors import DataError
from segnet.images import png
from segnet.images.decoding import (
    bit_depth_of,
    check_pixels,
    decode_grey,
    decode_pixels,
    open_image,
    rotation,
)

__all__ = [
    "ANNOTATION_MODES",
    "ANNOTATION_SUFFIXES",
    "IMAGE_SUFFIXES",
    "EncodedImage",
    "encode_image_png",
    "encode_label",
    "list_images",
    "load_annotation",
    "load_image",
    "read_image",
]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
ANNOTATION_SUFFIXES = (".png", ".bmp")
ANNOTATION_MODES = ("blue", "index")


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
    """

    data: bytes
    format: str
    height: int
    width: int
    source_height: int
    source_width: int


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


def load_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Decodes an image file completely.

    Args:
      path: A JPEG, PNG or BMP file of any colour mode and size.

    Returns:
      uint8 RGB `[height, width, 3]`, EXIF rotation applied.

    Raises:
      DataError: The file cannot be read, is not such an image, is damaged or
        incomplete, or has more pixels than Pillow's limit.
    """
    image, data = open_image(path)
    return np.asarray(
        _rgb(decode_pixels(image, data, path), bit_depth_of(data))
    )


def read_image(
    path: str | os.PathLike[str], resize: tuple[int, int] | None = None
) -> EncodedImage:
    """Checks an image file and gives what a record holds of it.

    JPEG and 8-bit RGB PNG contents are returned as they are unless rotation
    or resizing changes the pixels; anything else becomes an 8-bit RGB PNG.

    Args:
      path: As for `load_image`.
      resize: (height, width) to bring the image to, bilinear with
        antialiasing; None keeps its size.

    Raises:
      DataError: As for `load_image`.
    """
    image, data = open_image(path)
    rotated = rotation(image)
    width, height = image.size[::-1] if rotated == "sideways" else image.size
    size = resize or (height, width)
    kind = _passes_through(image, data)
    if kind and not rotated and size == (height, width):
        check_pixels(image, data, path)
        return EncodedImage(data, kind, height, width, height, width)
    image = _rgb(decode_pixels(image, data, path), bit_depth_of(data))
    if size != (height, width):
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    encoded = encode_image_png(np.asarray(image))
    return EncodedImage(encoded, "png", size[0], size[1], height, width)


def load_annotation(
    path: str | os.PathLike[str], mode: str = "blue"
) -> np.ndarray:
    """Reads the class of each pixel.

    In mode "blue" the label is the blue channel of an 8-bit RGB, RGBA or grey
    file (of a grey one: its value), which is what
    `cv2.imread(path, 1)[:, :, 0]` gives. A palette file is refused, since its
    colours are rarely what is meant. In mode "index" the label is the
    palette index; 8-bit grey files, which hold the class itself, are read as
    well (data sets mix the two), colour files are refused.

    Other than 8-bit values are refused in both modes: decoders scale them, so
    that a class would change its number.

    Args:
      path: A PNG or BMP file.
      mode: "blue" or "index".

    Returns:
      uint8 `[height, width]`, EXIF rotation applied.

    Raises:
      DataError: The file is damaged or of a kind refused above.
      ValueError: `mode` is neither.
    """
    if mode not in ANNOTATION_MODES:
        raise ValueError(f"mode is {mode!r}, not one of {ANNOTATION_MODES}")
    image, data = open_image(path)
    _check_annotation(path, image, bit_depth_of(data), mode)
    label = decode_grey(data, path)
    if label is not None:
        return label
    image = decode_pixels(image, data, path)
    if image.mode in ("RGB", "RGBA"):
        image = image.getchannel("B")
    elif image.mode == "LA":
        image = image.getchannel("L")
    return np.asarray(image)


def encode_label(label: np.ndarray) -> bytes:
    """Encodes labels, uint8 `[height, width]`, as 8-bit greyscale PNG."""
    if label.ndim != 2 or label.dtype != np.uint8:
        raise ValueError(
            f"a label is uint8 [height, width], not {label.dtype} {label.shape}"
        )
    return png.encode(label, label.shape[1], png.GREY)


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
    plain = bit_depth_of(data) == 8 and data[25] == png.RGB
    if image.format == "PNG" and plain and "transparency" not in image.info:
        return "png"
    return None


def _rgb(image: Image.Image, bit_depth: int | None) -> Image.Image:
    """Any mode to 8-bit RGB."""
    if bit_depth == 16 and image.mode.startswith("I"):
        high_bytes = np.asarray(image).astype(np.uint16) >> 8
        image = Image.fromarray(high_bytes.astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        # Straight to RGB gives the same colours, and a warning.
        image = image.convert("RGBA")
    return image if image.mode == "RGB" else image.convert("RGB")


def _check_annotation(
    path: str | os.PathLike[str],
    image: Image.Image,
    bit_depth: int | None,
    mode: str,
) -> None:
    """Refuses what `load_annotation` says it refuses."""
    palette = image.mode == "P"
    if image.format not in ("PNG", "BMP"):
        raise DataError(
            f"{path}: is a JPEG, whose compression changes labels; save the "
            "annotation as PNG from its source"
        )
    if image.mode == "1" or (not palette and bit_depth not in (8, None)):
        bits = bit_depth or 1
        raise DataError(
            f"{path}: is a {bits}-bit annotation; save it as 8-bit grey PNG "
            "with the class of each pixel as its value"
        )
    if palette and mode == "blue":
        raise DataError(
            f"{path}: is a palette image; if the palette index is the label, "
            "give --annotation_mode=index, else save it as RGB or grey PNG"
        )
    if mode == "index" and image.mode in ("RGB", "RGBA"):
        raise DataError(
            f"{path}: is a colour image without a palette; if its blue "
            "channel is the label, give --annotation_mode=blue"
        )
