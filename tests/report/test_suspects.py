from __future__ import annotations

import numpy as np

from segnet.report.suspects import SuspectList, find_suspects

SHAPE = (40, 64)


def _image():
    truth = np.zeros(SHAPE, np.uint8)
    labels = truth.copy()
    return truth, labels, np.full(SHAPE, 0.9, np.float32)


def test_a_region_that_is_annotated_wrongly_is_found():
    truth, labels, confidence = _image()
    truth[10:20, 8:30] = 2  # road, drawn as a car
    (found,) = find_suspects(7, truth, labels, confidence, 3)
    assert (found.index, found.truth, found.predicted) == (7, 2, 0)
    assert found.box == (8, 10, 30, 20)
    # Without the pixel along its border.
    assert found.pixels == 8 * 20
    assert found.confidence == np.float32(0.9)


def test_borders_doubts_and_ignored_pixels_are_no_suspects():
    truth, labels, confidence = _image()
    labels[:, 30:32] = 1  # a border, two pixels off
    truth[:10, :10] = 255
    labels[:10, :10] = 1
    truth[20:30, 40:50] = 2
    confidence[20:30, 40:50] = 0.6
    assert find_suspects(0, truth, labels, confidence, 3) == []


def test_regions_that_touch_are_apart_by_what_is_seen():
    truth, labels, confidence = _image()
    truth[10:30, 10:50] = 2
    labels[10:30, 30:50] = 1
    found = find_suspects(0, truth, labels, confidence, 3)
    assert sorted(x.predicted for x in found) == [0, 1]
    assert [x.truth for x in found] == [2, 2]


def test_the_largest_are_kept_whatever_the_order():
    sizes = (5, 12, 8, 20)
    images = []
    for index, size in enumerate(sizes):
        truth, labels, confidence = _image()
        truth[3 : 3 + size, 3 : 3 + size] = 1
        images.append(find_suspects(index, truth, labels, confidence, 3))
    kept = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        suspects = SuspectList(2)
        for index in order:
            suspects.add(images[index])
        kept.append(suspects.largest())
    assert kept[0] == kept[1]
    assert [suspect.index for suspect in kept[0]] == [3, 1]
