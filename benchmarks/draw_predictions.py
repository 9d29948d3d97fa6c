"""Draws what several networks make of the same pictures, side by side.

python -m benchmarks.draw_predictions --annotations_dir=DIR --output=FILE.png \
    --class_names=a,b,c --stems=STEM,STEM NAME=PREDICTIONS NAME=PREDICTIONS

PREDICTIONS is a folder that `main.py --mode=predict` wrote. For each picture
(a row) and network (two columns): its labels, and the pixels where they are
wrong, in the colour of the class that was missed; void is black. With
--images_dir the picture and its annotation come first; without it they are left
out, for data that may not be passed on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segnet.constants import IGNORE_LABEL
from segnet.images import list_images, load_image
from segnet.images.overlay import PALETTE, colour_labels

_CELL_WIDTH = 200
_GAP = 4
_FONT_SIZE = 14
_RIGHT = 245  # Grey of the pixels that are right.


def main() -> int:
    """Reads the labels and writes the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--annotations_dir", required=True, type=Path)
    parser.add_argument("--images_dir", type=Path)
    parser.add_argument("--output", required=True)
    parser.add_argument("--class_names", required=True)
    parser.add_argument("--stems", required=True)
    parser.add_argument("networks", nargs="+", metavar="NAME=PREDICTIONS")
    arguments = parser.parse_args()
    names = arguments.class_names.split(",")
    networks = [pair.partition("=")[::2] for pair in arguments.networks]
    rows = []
    for stem in arguments.stems.split(","):
        truth = _read(arguments.annotations_dir / f"{stem}.png").copy()
        truth[truth >= len(names)] = IGNORE_LABEL
        cells = []
        if arguments.images_dir:
            picture = load_image(_only(arguments.images_dir, stem))
            cells = [picture, colour_labels(truth)]
        for _, folder in networks:
            labels = _read(Path(folder) / f"{stem}_labels.png")
            cells += [colour_labels(labels), wrong(truth, labels, len(names))]
        rows.append([_shrink(cell) for cell in cells])
    titles = ["picture", "annotation"] if arguments.images_dir else []
    for name, _ in networks:
        titles += [name, "wrong pixels"]
    draw(rows, titles, names).save(arguments.output)
    return 0


def _only(folder: Path, stem: str) -> Path:
    """The image with a stem."""
    return next(path for path in list_images(folder) if path.stem == stem)


def _read(path: Path) -> np.ndarray:
    """Labels `[height, width]`, uint8; the blue channel of a colour file."""
    with Image.open(path) as image:
        pixels = np.asarray(image)
    return pixels if pixels.ndim == 2 else pixels[..., 2]


def wrong(
    truth: np.ndarray, labels: np.ndarray, num_classes: int
) -> np.ndarray:
    """Colours wrong pixels by their true class, uint8 `[height, width, 3]`."""
    colours = colour_labels(truth)
    colours[truth == labels] = _RIGHT
    colours[truth >= num_classes] = 0
    return colours


def _shrink(pixels: np.ndarray) -> Image.Image:
    """A cell; thin things are not to vanish, so pixels are averaged."""
    height = round(_CELL_WIDTH * pixels.shape[0] / pixels.shape[1])
    return Image.fromarray(pixels).resize(
        (_CELL_WIDTH, height), Image.Resampling.BOX
    )


def draw(
    rows: list[list[Image.Image]], titles: list[str], class_names: list[str]
) -> Image.Image:
    """Cells in rows, titles above, the colours of the classes below."""
    font = ImageFont.load_default(_FONT_SIZE)
    line = 2 * _FONT_SIZE
    step = _CELL_WIDTH + _GAP
    height = rows[0][0].height + _GAP
    width = step * len(rows[0])
    legend = _legend_places(class_names, width, font)
    legend_height = line * (1 + max(row for row, _ in legend))
    picture = Image.new(
        "RGB", (width, line + height * len(rows) + legend_height), "white"
    )
    pen = ImageDraw.Draw(picture)
    for column, title in enumerate(titles):
        place = (step * column + 2, _FONT_SIZE // 2)
        pen.text(place, title, fill="black", font=font)
    for index, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            picture.paste(cell, (step * column, line + height * index))
    top = line + height * len(rows) + _FONT_SIZE // 2
    for label, (row, x) in enumerate(legend):
        y = top + line * row
        box = (x, y, x + _FONT_SIZE, y + _FONT_SIZE)
        pen.rectangle(box, fill=PALETTE[label])
        place = (x + _FONT_SIZE + 6, y - 1)
        pen.text(place, class_names[label], fill="black", font=font)
    return picture


def _legend_places(
    class_names: list[str], width: int, font: ImageFont.FreeTypeFont
) -> list[tuple[int, int]]:
    """(row, x) of each class in the legend."""
    places, row, x = [], 0, 2
    for name in class_names:
        needed = _FONT_SIZE * 3 + int(font.getlength(name))
        if x + needed > width and x > 2:
            row, x = row + 1, 2
        places.append((row, x))
        x += needed
    return places


if __name__ == "__main__":
    sys.exit(main())
