"""Tests of benchmarks/draw_predictions.py."""

from __future__ import annotations

import numpy as np
from PIL import Image

from benchmarks import draw_predictions
from segnet.images.overlay import PALETTE


def test_wrong_pixels_have_the_colour_of_the_missed_class():
    truth = np.array([[0, 1, 2, 255]], np.uint8)
    labels = np.array([[0, 2, 2, 1]], np.uint8)
    colours = draw_predictions.colour_errors(truth, labels)
    right = [245, 245, 245]
    assert colours.tolist() == [[right, list(PALETTE[1]), right, [0, 0, 0]]]


def test_draws_a_row_for_each_picture(tmp_path):
    for folder in ("truth", "found"):
        (tmp_path / folder).mkdir()
    for stem in ("a", "b"):
        Image.new("L", (40, 24), 1).save(tmp_path / "truth" / f"{stem}.png")
        Image.new("L", (40, 24), 2).save(
            tmp_path / "found" / f"{stem}_labels.png"
        )
    output = tmp_path / "out.png"
    arguments = [
        f"--annotations_dir={tmp_path / 'truth'}",
        f"--output={output}",
        "--class_names=one,two,three",
        "--stems=a,b",
        f"network={tmp_path / 'found'}",
    ]
    assert draw_predictions.main(arguments) == 0
    with Image.open(output) as picture:
        pixels = np.asarray(picture)
    # Titles, two rows of two cells of 120x200 and their gaps, two of classes.
    assert pixels.shape == (28 + 2 * 124 + 2 * 28, 2 * 204, 3)
    for row in (0, 1):
        y = 28 + 124 * row + 60
        assert pixels[y, 100].tolist() == list(PALETTE[2])
        assert pixels[y, 304].tolist() == list(PALETTE[1])
    # The third class stands in the second row of the legend.
    assert pixels[28 + 2 * 124 + 28 + 4 + 7, 7].tolist() == list(PALETTE[2])
