from __future__ import annotations

import numpy as np
import picture_files as files
import pytest
from PIL import Image

from segnet.annotations import colours, label_map, reading
from segnet.errors import DataError

LABEL = files.labels(5)
ZERO = np.zeros_like(LABEL)


def image(*channels) -> Image.Image:
    return Image.fromarray(np.dstack(channels))


def painted(*palette) -> np.ndarray:
    return np.array(palette, np.uint8)[LABEL]


def blue(picture: Image.Image):
    return colours.blue_colours(picture, "a.png")


@pytest.mark.parametrize(
    "channels",
    [
        (ZERO, ZERO, LABEL),
        (ZERO + 99, ZERO + 3, LABEL),
        (LABEL, LABEL, LABEL),
        (LABEL, ZERO + 5, LABEL),
        (ZERO, ZERO, LABEL, 255 - LABEL),
        (ZERO, ZERO, ZERO),
        (ZERO + 2, ZERO + 2, ZERO + 2),
    ],
)
def test_red_and_green_that_say_nothing_are_not_looked_at(channels):
    assert blue(image(*channels)) == {}


def test_colours_that_follow_blue_are_given():
    assert blue(image(LABEL * 2, 7 - LABEL, LABEL)) == {
        0: (0, 7, 0),
        1: (2, 6, 1),
        2: (4, 5, 2),
    }
    # One colour alone may be one of several with this blue value.
    assert blue(image(ZERO + 4, ZERO, ZERO)) == {0: (4, 0, 0)}


@pytest.mark.parametrize("band", [1, 40, 10**6])
@pytest.mark.parametrize(
    ("palette", "shown"),
    [
        (((0, 0, 0), (0, 0, 9), (1, 0, 9)), "(0, 0, 9) and (1, 0, 9)"),
        (((5, 0, 0), (5, 1, 0), (5, 0, 1)), "(5, 0, 0) and (5, 1, 0)"),
    ],
)
def test_two_colours_of_one_blue_value_are_refused(
    monkeypatch, band, palette, shown
):
    """Also where they are in different bands of the picture."""
    monkeypatch.setattr(colours, "_BAND_PIXELS", band)
    with pytest.raises(DataError) as caught:
        blue(image(*np.rollaxis(painted(*palette), 2)))
    assert f"a.png: the colours {shown} (red, green" in str(caught.value)
    assert "--annotation_mode=color" in str(caught.value)


def test_the_hint_knows_data_sets_and_photographs():
    cityscapes = painted((128, 64, 128), (0, 0, 142), (0, 0, 70))
    assert "--label_map=cityscapes" in colours.colour_hint(
        Image.fromarray(cityscapes)
    )
    own = colours.colour_hint(Image.fromarray(painted(*np.eye(3) * 7)))
    assert "--label_map=FILE" in own
    photograph = Image.fromarray(files.picture())
    assert "is a photograph" in colours.colour_hint(photograph)


MAP = label_map.parse_label_map(
    "sky: #0000ff\nroad: #800000 #800001\nvoid: #000000\n", "map.txt"
)


def test_colours_are_looked_up(monkeypatch):
    monkeypatch.setattr(colours, "_BAND_PIXELS", 100)
    rgb = painted((0, 0, 255), (128, 0, 1), (0, 0, 0))
    expected = np.array([0, 1, 255], np.uint8)[LABEL]
    palette = Image.fromarray(rgb).quantize(3)
    with_alpha = Image.fromarray(np.dstack([rgb, 200 - LABEL]))
    for picture in (Image.fromarray(rgb), palette, with_alpha):
        found = colours.colours_to_labels(picture, "a.png", MAP)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)


def test_a_colour_that_is_not_listed_is_named_with_its_first_pixel():
    rgb = np.zeros((24, 40, 3), np.uint8)
    rgb[3, 5] = rgb[9, 1] = (0, 2, 255)
    with pytest.raises(DataError) as caught:
        colours.colours_to_labels(Image.fromarray(rgb), "a.png", MAP)
    assert str(caught.value) == (
        "a.png: the colour #0002ff (0, 2, 255) at pixel (x=5, y=3), 0.21% of "
        "the pixels, is not in --label_map=map.txt; add it to a class, or to a "
        "line 'void: #rrggbb'"
    )


def test_smoothed_borders_are_told_of():
    large = np.zeros((96, 160, 3), np.uint8)
    large[30:60, 40:90] = (0, 0, 255)
    small = Image.fromarray(large).resize((40, 23), Image.Resampling.BICUBIC)
    with pytest.raises(DataError, match="borders were smoothed"):
        colours.colours_to_labels(small, "a.png", MAP)


def test_mode_color_of_a_file(tmp_path):
    path = tmp_path / "a.png"
    rgb = painted((0, 0, 255), (128, 0, 0), (0, 0, 0))
    exif = files.orientation(3)
    path.write_bytes(files.saved(rgb, "PNG", exif=exif))
    found = reading.load_annotation(path, "color", MAP)
    expected = np.array([0, 1, 255], np.uint8)[LABEL][::-1, ::-1]
    np.testing.assert_array_equal(found.label, expected)
    assert found.turned
    with pytest.raises(ValueError, match="needs a label map"):
        reading.load_annotation(path, "color")


def test_black_and_white_files_need_a_label_map(tmp_path):
    path = tmp_path / "a.png"
    mask = files.labels(1, 2)
    Image.fromarray(mask * 255).convert("1").save(path)
    with pytest.raises(DataError, match="--label_map=binary"):
        reading.load_annotation(path)
    binary = label_map.load_label_map("binary")
    for mode, expected in (("blue", mask * 255), ("color", mask)):
        found = reading.load_annotation(path, mode, binary).label
        np.testing.assert_array_equal(found, expected)
