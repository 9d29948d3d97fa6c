"""Pictures of labels: a blend over the image, with a legend. Pillow only."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from segnet.constants import IGNORE_LABEL
from segnet.images import png
from segnet.images.fonts import font_for, has_all_glyphs
from segnet.images.palettes import DEFAULT, Palette

__all__ = [
    "blend_labels",
    "colour_labels",
    "draw_classes",
    "encode_overlay",
]

_OPACITY = 0.5
# A smaller image is enlarged, so that it can be looked at beside its legend.
_SMALLEST_WIDTH = 480
_LARGEST_HEIGHT = 4096
_LARGEST_TEXT = 200
_BAND_PIXELS = 1 << 20
_IGNORED_COLOUR = (0, 0, 0)


def colour_labels(label: np.ndarray, palette: Palette = DEFAULT) -> np.ndarray:
    """Colours a label map.

    Args:
      label: uint8 `[height, width]`, class ids, 255 for ignored pixels.
      palette: Colour of each class.

    Returns:
      uint8 `[height, width, 3]`.
    """
    table = np.zeros([256, 3], np.uint8)
    table[: len(palette)] = palette
    table[IGNORE_LABEL] = _IGNORED_COLOUR
    return np.take(table, label, axis=0)  # a quarter of the time of indexing


def encode_overlay(
    image: np.ndarray,
    label: np.ndarray,
    class_names: tuple[str, ...],
    software: str = "",
    palette: Palette = DEFAULT,
) -> bytes:
    """Blends the class colours over an image, a legend beneath.

    The legend lists the classes that occur, the largest first, with their
    share of the pixels.

    Args:
      image: uint8 `[height, width, 3]`, RGB.
      label: uint8 `[height, width]`, class ids.
      class_names: One for each class.
      software: As for `png.encode`.
      palette: Colour of each class.

    Returns:
      An RGB PNG file; images narrower than 480 pixels are enlarged by a whole
      factor.
    """
    height, width = label.shape
    factor = min(
        math.ceil(_SMALLEST_WIDTH / width), max(1, _LARGEST_HEIGHT // height)
    )
    legend = np.asarray(
        _draw_legend(label, class_names, width * factor, palette)
    )
    bands = itertools.chain(_blend(image, label, factor, palette), [legend])
    return png.encode_bands(
        (band.reshape(len(band), -1) for band in bands),
        height * factor + len(legend),
        width * factor,
        png.RGB,
        software,
    )


def _blend(
    image: np.ndarray, label: np.ndarray, factor: int, palette: Palette
) -> Iterator[np.ndarray]:
    """Some rows at a time: several copies of a large image need gigabytes."""
    height, width = label.shape
    step = max(1, _BAND_PIXELS // width)
    for top in range(0, height, step):
        blended = Image.blend(
            Image.fromarray(image[top : top + step]),
            Image.fromarray(colour_labels(label[top : top + step], palette)),
            _OPACITY,
        )
        if factor > 1:
            size = (width * factor, blended.height * factor)
            blended = blended.resize(size, Image.Resampling.NEAREST)
        yield np.asarray(blended)


def _draw_legend(
    label: np.ndarray,
    class_names: tuple[str, ...],
    width: int,
    palette: Palette,
) -> Image.Image:
    """Colour, name and share of the classes that occur, in columns."""
    counts = np.array(Image.fromarray(label).histogram())
    present = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
    size = min(max(12, width // 50), _LARGEST_TEXT)
    entries = []
    for index in present:
        name = "ignored"
        if index < len(class_names):
            name = _shown_name(class_names[index], index)
        share = _share(counts, index)
        entries.append(
            (int(index), _text(f"{name} ", size), _text(share, size))
        )
    cell = 2 * size + max(
        name.width + share.width for _, name, share in entries
    )
    columns = max(1, (width - size) // (cell + size))
    rows = math.ceil(len(entries) / columns)
    row_height = size * 3 // 2
    legend = Image.new("RGB", (width, rows * row_height + size), "white")
    draw = ImageDraw.Draw(legend)
    for position, (index, name, share) in enumerate(entries):
        row, column = divmod(position, columns)
        x = size + column * (cell + size)
        y = size // 2 + row * row_height
        colour = _IGNORED_COLOUR if index == IGNORE_LABEL else palette[index]
        draw.rectangle((x, y + 2, x + size, y + 2 + size), fill=colour)
        x += size * 3 // 2
        legend.paste("black", (x, y), name)
        legend.paste("black", (x + name.width, y), share)
    return legend


def _shown_name(name: str, index: int) -> str:
    """The name of a class, with its id where no font has all its letters."""
    return name if has_all_glyphs(name) else f"{index}: {name}"


@functools.lru_cache(maxsize=1024)
def _text(text: str, size: int) -> Image.Image:
    """A text as a mask; drawn once, since the same few come in every legend."""
    font = font_for(text, size)
    mask = Image.new("L", (math.ceil(font.getlength(text)), 2 * size))
    ImageDraw.Draw(mask).text((0, 0), text, fill=255, font=font)
    return mask


def _share(counts: np.ndarray, index: int) -> str:
    """Share of the pixels in per cent; small ones do not become 0."""
    share = 100 * counts[index] / counts.sum()
    return f"{share:.0f} %" if share >= 1 else "<1 %"


def blend_labels(
    image: np.ndarray, label: np.ndarray, palette: Palette = DEFAULT
) -> np.ndarray:
    """Blends the class colours over an image, without a legend.

    Args:
      image: uint8 `[height, width, 3]`, RGB.
      label: uint8 `[height, width]`, class ids.
      palette: Colour of each class.

    Returns:
      uint8 `[height, width, 3]`.
    """
    return np.concatenate(list(_blend(image, label, 1, palette)))


def draw_classes(
    class_names: tuple[str, ...], width: int, palette: Palette = DEFAULT
) -> np.ndarray:
    """A legend of all classes, for pictures that are shown one after another.

    Args:
      class_names: One for each class.
      width: Of the legend, pixels.
      palette: Colour of each class.

    Returns:
      uint8 `[rows, width, 3]`.
    """
    size = min(max(12, width // 50), _LARGEST_TEXT)
    names = [
        _text(f"{_shown_name(name, index)} ", size)
        for index, name in enumerate(class_names)
    ]
    cell = 2 * size + max(name.width for name in names)
    columns = max(1, (width - size) // (cell + size))
    rows, row_height = math.ceil(len(names) / columns), size * 3 // 2
    legend = Image.new("RGB", (width, rows * row_height + size), "white")
    draw = ImageDraw.Draw(legend)
    for index, name in enumerate(names):
        row, column = divmod(index, columns)
        x = size + column * (cell + size)
        y = size // 2 + row * row_height
        draw.rectangle((x, y + 2, x + size, y + 2 + size), fill=palette[index])
        legend.paste("black", (x + size * 3 // 2, y), name)
    return np.asarray(legend)
