"""Tests of segnet/images/overlay.py."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from segnet import constants
from segnet.images import overlay, palettes


def draw(image, label, class_names) -> np.ndarray:
    data = overlay.encode_overlay(image, label, class_names)
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture)


def test_colours_are_those_of_the_palette():
    label = np.array([[0, 3], [255, 11]], np.uint8)
    coloured = overlay.colour_labels(label)
    assert coloured.shape == (2, 2, 3)
    assert tuple(coloured[0, 1]) == palettes.DEFAULT[3]
    assert tuple(coloured[1, 0]) == (0, 0, 0)
    assert tuple(coloured[1, 1]) == palettes.DEFAULT[11]


def test_the_palette_has_a_colour_of_its_own_for_each_class():
    assert len(palettes.DEFAULT) == constants.MAX_CLASSES
    assert len(set(palettes.DEFAULT)) == constants.MAX_CLASSES
    assert all(0 <= value <= 255 for c in palettes.DEFAULT for value in c)


def test_overlay_is_the_mean_of_image_and_colour():
    image = np.full((48, 640, 3), 100, np.uint8)
    label = np.zeros((48, 640), np.uint8)
    label[:, 320:] = 1
    picture = draw(image, label, ("sky", "car"))
    # Wide enough: not enlarged; the legend stands beneath.
    assert picture.shape[1] == 640 and picture.shape[0] > 48
    for column, index in ((5, 0), (600, 1)):
        expected = (np.array(palettes.DEFAULT[index]) + 100) / 2
        np.testing.assert_allclose(picture[5, column], expected, atol=0.51)
    legend = picture[48:].reshape(-1, 3)
    for index in (0, 1):
        assert np.any(np.all(legend == palettes.DEFAULT[index], -1))
    assert not np.any(np.all(legend == palettes.DEFAULT[2], -1))


def test_small_images_are_enlarged_by_a_whole_factor():
    image = np.zeros((30, 200, 3), np.uint8)
    picture = draw(image, np.zeros((30, 200), np.uint8), ("a",))
    assert picture.shape[1] == 600


def test_an_overlay_is_drawn_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (31, 200, 3), np.uint8)
    label = rng.integers(0, 2, (31, 200), np.uint8)
    whole = draw(image, label, ("a", "b"))
    monkeypatch.setattr(overlay, "_BAND_PIXELS", 7 * 200)
    parts = draw(image, label, ("a", "b"))
    np.testing.assert_array_equal(parts, whole)
    # A pixel of the image is three by three there.
    np.testing.assert_array_equal(whole[0:93:3], whole[2:93:3])


def test_the_legend_of_a_wide_picture_is_small():
    label = np.zeros((1, 100_000), np.uint8)
    image = np.zeros((1, 100_000, 3), np.uint8)
    assert draw(image, label, ("road",)).shape[0] < 1000
