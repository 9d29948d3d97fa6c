"""Colours of annotations: looked up in a label map, or found where none suit.

Colours are handled as codes, one uint32 a pixel: red, green times 256, blue
times 65536. Alpha, which says nothing about the class, is masked out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image, ImageChops

from segnet.annotations.label_map import (
    Colour,
    LabelMap,
    parse_label_map,
    to_hex,
)
from segnet.annotations.presets import PRESETS
from segnet.errors import DataError

__all__ = [
    "blue_colours",
    "colour_hint",
    "colours_to_labels",
    "palette_colours",
]

# Pixels handled at a time, which bounds the memory that large files take.
_BAND_PIXELS = 1 << 20
# More colours than this are no classes.
_MANY = 256
# Drawn borders that were smoothed have many colours, each on few pixels.
_SMOOTHED_COLOURS = 4
_SMOOTHED_SHARE = 0.3


def blue_colours(
    image: Image.Image, path: str | os.PathLike[str]
) -> Mapping[int, Colour]:
    """Checks that the blue channel alone tells the colours apart.

    Args:
      image: 8-bit RGB or RGBA.
      path: Of the file, for the message.

    Returns:
      The colour of each blue value, or nothing where red and green say nothing:
      each is constant or equal to blue, while blue has several values.

    Raises:
      DataError: Two colours share a blue value.
    """
    if _says_nothing(image):
        return {}
    known = np.full([256], -1, np.int32)
    for _, codes in _coded(image):
        blue, others = codes >> 16, (codes & 0xFFFF).astype(np.int32)
        found = np.full([256], -1, np.int32)
        found[blue] = others
        clash = found[blue] != others
        if clash.any():
            y, x = np.argwhere(clash)[0]
            _refuse(image, path, blue[y, x], others[y, x], found[blue[y, x]])
        both = (known >= 0) & (found >= 0) & (known != found)
        for value in np.flatnonzero(both)[:1]:
            _refuse(image, path, value, known[value], found[value])
        known = np.maximum(known, found)
    return {
        int(blue): (int(known[blue]) & 255, int(known[blue]) >> 8, int(blue))
        for blue in np.flatnonzero(known >= 0)
    }


def palette_colours(image: Image.Image) -> Mapping[int, Colour]:
    """The colour of each index that a palette image uses."""
    values = image.getpalette("RGB") or []
    colours = zip(values[::3], values[1::3], values[2::3], strict=True)
    there = image.histogram()
    return {
        index: colour for index, colour in enumerate(colours) if there[index]
    }


def _says_nothing(image: Image.Image) -> bool:
    """Whether red and green are each constant or equal to a changing blue."""
    extrema = image.getextrema()[:3]
    if extrema[2][0] == extrema[2][1]:
        red, green, blue = (low for low, _ in extrema)
        flat = all(low == high for low, high in extrema)
        return flat and red == green and red in (0, blue)
    return all(
        low == high or _equals_blue(image, channel)
        for channel, (low, high) in zip("RG", extrema, strict=False)
    )


def _equals_blue(image: Image.Image, channel: str) -> bool:
    return all(
        ImageChops.difference(
            band.getchannel(channel), band.getchannel("B")
        ).getbbox()
        is None
        for _, band in _bands(image)
    )


def _refuse(
    image: Image.Image,
    path: str | os.PathLike[str],
    blue: np.integer,
    first: np.integer,
    second: np.integer,
) -> None:
    shown = " and ".join(
        f"({int(each) & 255}, {int(each) >> 8}, {int(blue)})"
        for each in sorted((first, second))
    )
    raise DataError(
        f"{path}: the colours {shown} (red, green, blue) share the blue value "
        f"{blue}, which --annotation_mode=blue takes for the class; "
        f"{colour_hint(image)}"
    )


def colour_hint(image: Image.Image) -> str:
    """What to do with an annotation whose colours are the classes."""
    counted = image.convert("RGB").getcolors(_MANY)
    if counted is None:
        return (
            f"it has more than {_MANY} colours: it is a photograph (are the "
            "folders swapped?), or a mask that was smoothed or once a JPEG, "
            "to be exported again; masks with a colour for each class need "
            "--annotation_mode=color --label_map=FILE"
        )
    there = {colour for _, colour in counted}
    for name in ("voc", "cityscapes", "camvid"):
        if there <= parse_label_map(PRESETS[name], name).colours.keys():
            return (
                f"if each class has a colour (all of these are in {name}'s "
                f"map), give --annotation_mode=color --label_map={name}"
            )
    return (
        "if each class has a colour, give --annotation_mode=color and "
        "--label_map=FILE with lines such as 'car: #00008e'"
    )


def colours_to_labels(
    image: Image.Image, path: str | os.PathLike[str], label_map: LabelMap
) -> np.ndarray:
    """Looks up the colour of each pixel.

    Args:
      image: Of any 8-bit mode; palettes are applied, alpha is not.
      path: Of the file, for the message.
      label_map: Which colours are which class.

    Returns:
      uint8 `[height, width]`: class ids, 255 for void.

    Raises:
      DataError: A colour is not in the label map.
    """
    table = sorted(
        (red | green << 8 | blue << 16, label)
        for (red, green, blue), label in label_map.colours.items()
    )
    known = np.array([code for code, _ in table], np.uint32)
    labels = np.array([label for _, label in table], np.uint8)
    result = np.empty(image.size[::-1], np.uint8)
    unknown = False
    for rows, codes in _coded(image):
        index = np.searchsorted(known, codes).clip(max=len(known) - 1)
        result[rows] = labels[index]
        unknown = unknown or not np.array_equal(known[index], codes)
    if unknown:
        raise DataError(_unknown_colour(image, path, label_map, known))
    return result


def _unknown_colour(
    image: Image.Image,
    path: str | os.PathLike[str],
    label_map: LabelMap,
    known: np.ndarray,
) -> str:
    """The line about colours that are not in the label map."""
    first, counts = "", dict[int, int]()
    for rows, codes in _coded(image):
        strange = ~np.isin(codes, known)
        if strange.any() and not first:
            y, x = np.argwhere(strange)[0]
            colour = _rgb(int(codes[y, x]))
            first = f"{colour} at pixel (x={x}, y={rows.start + y})"
        for code, count in zip(
            *np.unique(codes[strange], return_counts=True), strict=True
        ):
            counts[int(code)] = counts.get(int(code), 0) + int(count)
    share = sum(counts.values()) / (image.width * image.height)
    others = f" and {len(counts) - 1} other colours" if len(counts) > 1 else ""
    line = (
        f"{path}: the colour {first}{others}, {share:.2%} of the pixels, "
        f"{'are' if others else 'is'} not in --label_map={label_map.source}; "
    )
    if len(counts) >= _SMOOTHED_COLOURS and share < _SMOOTHED_SHARE:
        return line + (
            "so many colours on so few pixels mean that borders were smoothed "
            "(anti-aliased, resized with interpolation, or a JPEG): export the "
            "mask without smoothing"
        )
    return line + "add it to a class, or to a line 'void: #rrggbb'"


def _rgb(code: int) -> str:
    colour = code & 255, code >> 8 & 255, code >> 16
    return f"{to_hex(colour)} {colour}"


def _bands(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """Rows, and the part of the image that they are."""
    step = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, step):
        bottom = min(top + step, image.height)
        yield slice(top, bottom), image.crop((0, top, image.width, bottom))


def _coded(image: Image.Image) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows, and the codes of their colours, uint32 `[rows, width]`."""
    for rows, band in _bands(image):
        codes = np.asarray(band.convert("RGBA")).view("<u4")[..., 0]
        yield rows, codes & 0xFFFFFF
