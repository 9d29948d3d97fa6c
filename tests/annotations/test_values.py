from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from segnet.annotations import values
from segnet.annotations.label_map import parse_label_map
from segnet.errors import DataError


def stripes(*numbers: int) -> np.ndarray:
    """uint8 [5, 7 * n]: seven columns of each value."""
    return np.tile(np.repeat(np.array(numbers, np.uint8), 7), (5, 1))


def refused(label: np.ndarray, num_classes: int, void=()) -> str:
    counts = np.bincount(label.ravel(), minlength=256)
    with pytest.raises(DataError) as caught:
        values.check_values("a.png", label, counts, num_classes, void)
    return str(caught.value)


@pytest.mark.parametrize(
    ("numbers", "num_classes", "remedy"),
    [
        ((0, 255), 2, "--label_map=binary"),
        ((255,), 5, "--label_map=binary"),
        ((0, 85, 170, 255), 4, "--label_map=FILE"),
        ((0, 128), 2, "--label_map=FILE"),
        ((0, 38, 75, 113), 4, "--label_map=FILE"),
        ((0, 1, 2, 255), 3, "list it in --void_labels to have it ignored"),
        ((0, 1, 2, 3), 3, "raise --num_classes"),
        ((0, 40), 30, "raise --num_classes"),
    ],
)
def test_the_remedy_suits_the_values(numbers, num_classes, remedy):
    line = refused(stripes(*numbers), num_classes)
    assert remedy in line
    grey = "raise" not in remedy
    assert ("raise --num_classes" not in line) == grey


def test_label_and_first_pixel_are_named():
    line = refused(stripes(0, 9, 8, *range(20, 28)), 3)
    assert line.startswith(
        "a.png: label 9 at pixel (x=7, y=0) is not below --num_classes=3 "
        "(also 8, 20, 21, 22, 23, 4 more); "
    )


def test_classes_and_void_labels_are_right():
    label = stripes(0, 2, 7, 255)
    counts = np.bincount(label.ravel(), minlength=256)
    values.check_values("a.png", label, counts, 3, (7, 255))
    assert "label 7" in refused(label, 3, (255,))


def smoothed() -> np.ndarray:
    large = np.zeros((96, 160), np.uint8)
    large[30:60, 40:90] = 255
    return np.asarray(Image.fromarray(large).resize((41, 23)))


def test_smoothed_masks_are_told_of():
    assert "borders were smoothed" in refused(smoothed(), 2)
    # Many classes with few pixels each are none.
    label = np.zeros((50, 50), np.uint8)
    label[0, :40] = range(40)
    assert "raise --num_classes" in refused(label, 19)


def mapped(label: np.ndarray, text: str, void=()) -> np.ndarray:
    counts = np.bincount(label.ravel(), minlength=256)
    label_map = parse_label_map(text, "map.txt")
    return values.map_values("a.png", label, counts, label_map, void)


def test_values_become_classes():
    found = mapped(stripes(7, 26, 0, 3), "a: 26\nb: 7\nvoid: 0\n", (3,))
    np.testing.assert_array_equal(found, stripes(1, 0, 255, 255))
    assert found.dtype == np.uint8


def test_a_value_that_is_not_mapped_is_named():
    with pytest.raises(DataError) as caught:
        mapped(stripes(7, 4), "a: 26\nb: 7\n")
    assert str(caught.value) == (
        "a.png: value 4 at pixel (x=7, y=0) is not in --label_map=map.txt; add "
        "it to a class, or to a line 'void: ...'"
    )
    with pytest.raises(DataError, match="borders were smoothed"):
        mapped(smoothed(), "a: 0\nb: 255\n")
