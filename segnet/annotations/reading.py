"""Annotation files, read exactly: the class, value or colour of each pixel."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

import numpy as np
from PIL import Image

from segnet.annotations.colours import (
    blue_colours,
    colours_to_labels,
    palette_colours,
)
from segnet.annotations.label_map import Colour, LabelMap
from segnet.constants import MAX_PIXELS
from segnet.errors import DataError
from segnet.images.decoding import (
    bmp_bits,
    decode_grey,
    decode_pixels,
    open_image,
    rotation,
)
from segnet.images.depths import bits_of

__all__ = [
    "ANNOTATION_MODES",
    "ANNOTATION_SUFFIXES",
    "Annotation",
    "load_annotation",
]

ANNOTATION_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
ANNOTATION_MODES = ("blue", "index", "color")


@dataclasses.dataclass(frozen=True)
class Annotation:
    """A file's labels.

    Attributes:
      label: uint8 `[height, width]`, EXIF rotation applied.
      colours: Of a file in mode "blue" whose red and green change with blue:
        the colour of each blue value, in which files of a split have to agree.
        Of a palette file in mode "index": the colour of each index, in which
        they should agree.
      turned: Whether EXIF data turned it.
    """

    label: np.ndarray
    colours: Mapping[int, Colour] = dataclasses.field(default_factory=dict)
    turned: bool = False


def load_annotation(
    path: str | os.PathLike[str],
    mode: str = "blue",
    label_map: LabelMap | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Annotation:
    """Reads what an annotation says of each pixel.

    In mode "blue" that is the blue channel of an 8-bit RGB, RGBA or grey file
    (of a grey one: its value), which is what `cv2.imread(path, 1)[:, :, 0]`
    gives. A palette file is refused, since its colours are rarely what is
    meant, and so is one in which two colours share a blue value. In mode
    "index" it is the palette index; 8-bit grey files, which hold the class
    itself, are read as well (data sets mix the two), colour files are refused.
    In mode "color" it is the class id of the colour in the label map.

    Alpha says nothing. A file in which nothing else differs is refused.

    Other than 8-bit values are refused: decoders scale them, so that a class
    would change its number. Black and white files, whose values are 0 and 1 to
    some and 0 and 255 to others, are read with a label map, as 0 and 255.

    Args:
      path: A PNG, BMP or TIFF file.
      mode: One of `ANNOTATION_MODES`.
      label_map: Needed in mode "color". In the others values are given as they
        are in the file.
      max_pixels: That it may have.

    Raises:
      DataError: The file is damaged or of a kind refused above, or a colour is
        not in the label map.
      ValueError: The mode is none of them.
    """
    if mode not in ANNOTATION_MODES:
        raise ValueError(f"mode is {mode!r}, not one of {ANNOTATION_MODES}")
    image, data = open_image(path, max_pixels)
    _check_kind(path, image, data)
    if mode != "color":
        _check_mode(path, image, mode, label_map)
        label = decode_grey(data, path)
        if label is not None:
            return Annotation(label)
    turned = bool(rotation(image, data))
    image = decode_pixels(image, data, path)
    _check_alpha(path, image)
    if mode == "color":
        if label_map is None:
            raise ValueError("mode 'color' needs a label map")
        label = colours_to_labels(image, path, label_map)
        return Annotation(label, turned=turned)
    colours: Mapping[int, Colour] = {}
    if image.mode in _COLOUR:
        colours = blue_colours(image, path)
        image = image.getchannel("B")
    elif image.mode == "P":
        colours = palette_colours(image)
    else:
        image = image.convert("L")
    return Annotation(np.asarray(image), colours, turned)


_COLOUR = ("RGB", "RGBA")
_RUN_LENGTHS = (1, 2)  # of 8 and of 4 bits
# Inside of a TIFF file.
_LOSSY = ("jpeg", "tiff_jpeg", "webp")
_MODES = ("1", "L", "LA", "P", *_COLOUR)
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


def _check_kind(
    path: str | os.PathLike[str], image: Image.Image, data: bytes
) -> None:
    """Refuses files whose values are not sure."""
    bits = bits_of(image, data)
    if image.format not in ("PNG", "BMP", "TIFF") or (
        image.info.get("compression") in _LOSSY
    ):
        kind = {"WEBP": "WebP", "TIFF": "TIFF packed like a JPEG"}.get(
            image.format or "", "JPEG"
        )
        raise DataError(
            f"{path}: is a {kind}, whose compression changes labels; save the "
            "annotation as PNG from its source"
        )
    if image.mode not in ("P", "1") and bits not in (8, None):
        raise DataError(
            f"{path}: is a {bits}-bit annotation; save it as 8-bit grey "
            "PNG with the class of each pixel as its value"
        )
    if why := _not_exact(image, data):
        raise DataError(
            f"{path}: is a {why}; save it as 8-bit grey PNG with the class of "
            "each pixel as its value"
        )


def _not_exact(image: Image.Image, data: bytes) -> str:
    """Why programs read other labels from a file, if they do."""
    if getattr(image, "n_frames", 1) > 1:
        return f"PNG of {image.n_frames} pictures, of which one can be meant"
    if image.format == "TIFF":
        if image.mode not in _MODES:
            return f"TIFF of colours other than RGB ({image.mode})"
        if image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            return (
                "TIFF in which white is 0, of which programs read other values"
            )
    if image.format != "BMP":
        return ""
    if bmp_bits(data) == 16:
        return "16-bit BMP, whose 5 or 6 bits a colour are read as 8 others"
    if image.info.get("compression") in _RUN_LENGTHS:
        return "run-length encoded BMP, which few programs read alike"
    return ""


def _check_alpha(path: str | os.PathLike[str], image: Image.Image) -> None:
    """Refuses files whose classes are in their transparency."""
    if image.mode not in ("LA", "RGBA"):
        return
    flat = [low == high for low, high in image.getextrema()]
    if all(flat[:-1]) and not flat[-1]:
        raise DataError(
            f"{path}: is of one colour, and only its transparency (alpha) "
            "differs, which is no label; save it as 8-bit grey PNG with the "
            "class of each pixel as its value"
        )


def _check_mode(
    path: str | os.PathLike[str],
    image: Image.Image,
    mode: str,
    label_map: LabelMap | None,
) -> None:
    """Refuses files that are not what the mode takes."""
    if image.mode == "1" and label_map is None:
        raise DataError(
            f"{path}: is a 1-bit annotation; give --label_map=binary if black "
            "is the background and white the object, else save it as 8-bit "
            "grey PNG with the class of each pixel as its value"
        )
    if image.mode == "P" and mode == "blue":
        raise DataError(
            f"{path}: is a palette image; if the palette index is the label, "
            "give --annotation_mode=index, if its colour is, "
            "--annotation_mode=color with --label_map; else save it as RGB or "
            "grey PNG"
        )
    if mode == "index" and image.mode in _COLOUR:
        raise DataError(
            f"{path}: is a colour image without a palette; if its blue "
            "channel is the label, give --annotation_mode=blue, if its colour "
            "is, --annotation_mode=color with --label_map"
        )
