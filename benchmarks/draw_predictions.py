"""Draws what several networks make of the same pictures, side by side.

python -m benchmarks.draw_predictions --annotations_dir=DIR --output=FILE.png \
    --class_names=a,b,c --stems=STEM,STEM NAME=PREDICTIONS NAME=PREDICTIONS

PREDICTIONS is a folder that `main.py --mode=predict` wrote. For each picture
(a row) and network (two columns): its labels, and the pixels where they are
wrong, in the colour of the class that was missed; void is black.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segnet.constants import IGNORE_LABEL
from segnet.images.overlay import PALETTE, colour_labels

__all__ = ["colour_errors", "main"]

# Pixels.
_CELL_WIDTH = 200
_GAP = 4
_FONT_SIZE = 14
_LINE = 2 * _FONT_SIZE
_RIGHT = 245  # Grey of the pixels that are right.


def main(argv: Sequence[str]) -> int:
    """Reads the labels and writes the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--annotations_dir", required=True, type=Path)
    parser.add_argument("--output", required=True)
    parser.add_argument("--class_names", required=True)
    parser.add_argument("--stems", required=True)
    parser.add_argument("networks", nargs="+", metavar="NAME=PREDICTIONS")
    arguments = parser.parse_args(argv)
    names = arguments.class_names.split(",")
    networks = [pair.partition("=")[::2] for pair in arguments.networks]
    rows = []
    for stem in arguments.stems.split(","):
        truth = _read(arguments.annotations_dir / f"{stem}.png")
        truth[truth >= len(names)] = IGNORE_LABEL
        cells = []
        for _, folder in networks:
            labels = _read(Path(folder) / f"{stem}_labels.png")
            cells += [colour_labels(labels), colour_errors(truth, labels)]
        rows.append([_shrink(cell) for cell in cells])
    titles = [t for name, _ in networks for t in (name, "wrong pixels")]
    _draw(rows, titles, names).save(arguments.output)
    return 0


def _read(path: Path) -> np.ndarray:
    """Labels `[height, width]`, uint8: the blue channel."""
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))[..., 2]


def colour_errors(truth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Colours wrong pixels by their true class.

    Args:
      truth: uint8 `[height, width]`, class ids, 255 for void.
      labels: uint8 `[height, width]`, class ids.

    Returns:
      uint8 `[height, width, 3]`; void is black, what is right light grey.
    """
    colours = colour_labels(truth)
    colours[truth == labels] = _RIGHT
    return colours


def _shrink(pixels: np.ndarray) -> Image.Image:
    """A cell; thin things are not to vanish, so pixels are averaged."""
    height = round(_CELL_WIDTH * pixels.shape[0] / pixels.shape[1])
    return Image.fromarray(pixels).resize(
        (_CELL_WIDTH, height), Image.Resampling.BOX
    )


def _draw(
    rows: list[list[Image.Image]],
    titles: Sequence[str],
    class_names: Sequence[str],
) -> Image.Image:
    """Cells in rows, titles above, the colours of the classes below."""
    font = ImageFont.load_default(_FONT_SIZE)
    columns, step = len(titles), _CELL_WIDTH + _GAP
    height = rows[0][0].height + _GAP
    bottom = _LINE + height * len(rows)
    legend_rows = -(-len(class_names) // columns)
    picture = Image.new(
        "RGB", (step * columns, bottom + _LINE * legend_rows), "white"
    )
    pen = ImageDraw.Draw(picture)
    for column, title in enumerate(titles):
        pen.text((step * column, _GAP), title, fill="black", font=font)
        for row, cells in enumerate(rows):
            picture.paste(cells[column], (step * column, _LINE + height * row))
    for label, name in enumerate(class_names):
        row, column = divmod(label, columns)
        x, y = step * column, bottom + _LINE * row + _GAP
        pen.rectangle((x, y, x + _FONT_SIZE, y + _FONT_SIZE), PALETTE[label])
        pen.text((x + _LINE, y), name, fill="black", font=font)
    return picture


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
