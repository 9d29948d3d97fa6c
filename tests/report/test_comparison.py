from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from segnet.config import Config
from segnet.errors import ConfigError
from segnet.evaluation import calibration
from segnet.evaluation.counting import Prediction
from segnet.evaluation.image_scores import ImageScores
from segnet.report import comparison, pictures

CONFIG = Config(workdir="runs/one", class_names=("road", "sky"), epochs=10)


def _images(hits):
    """Images of 10 pixels, all road; some of them are taken for sky."""
    counts = np.zeros((len(hits), 3, 2), np.int64)
    counts[:, 0, 0] = counts[:, 2, 0] = hits
    counts[:, 1, 0] = 10
    counts[:, 2, 1] = 10 - np.array(hits)
    bins = np.zeros((len(hits), calibration.NUM_BINS, 3), np.int64)
    return ImageScores(
        counts, bins, np.zeros(len(hits)), np.zeros((len(hits), 2))
    )


def test_the_images_that_changed_most_come_first():
    # Where no pixel is wrong, sky is neither there nor predicted.
    now, before = _images([8, 6, 9, 5]), _images([8, 9, 7, 5])
    changed = comparison.most_changed(now, before, 3)
    assert [index for index, _ in changed] == [1, 2]
    # Mean IoU of road and sky: 0.6 / 2 and 0.9 / 2; 0.9 / 2 and 0.7 / 2.
    assert [by for _, by in changed] == pytest.approx([-0.15, 0.1])
    assert len(comparison.most_changed(now, before, 1)) == 1


def test_settings_that_differ_are_those_of_the_training():
    other = dataclasses.replace(CONFIG, workdir="runs/two", epochs=20)
    found = comparison.settings_that_differ(CONFIG, other)
    assert found == [("epochs", 10, 20)]


def test_other_classes_cannot_be_compared():
    other = dataclasses.replace(
        CONFIG, workdir="runs/two", class_names=("road", "car")
    )
    with pytest.raises(ConfigError, match=r"runs/two: has other .*\(road, car"):
        comparison.check_comparable(CONFIG, other)
    comparison.check_comparable(CONFIG, CONFIG)


@pytest.mark.parametrize(
    ("one", "two", "interval", "difference", "sure"),
    [
        (0.7, 0.5, [0.1, 0.3], 0.2, True),
        (0.5, 0.7, [-0.3, -0.1], -0.2, True),
        (0.7, 0.6, [-0.1, 0.3], 0.1, False),
        (None, 0.6, None, None, False),
        (0.7, 0.7, [0.0, 0.0], 0.0, False),
    ],
)
def test_a_difference_is_sure_where_its_interval_leaves_0_out(
    one, two, interval, difference, sure
):
    row = comparison._row("x", one, two, interval)
    assert row["sure"] is sure
    if difference is None:
        assert row["difference"] is None
    else:
        assert row["difference"] == pytest.approx(difference)


def test_pictures_of_a_comparison():
    shape = (20, 30)
    truth = np.zeros(shape, np.uint8)
    truth[:, 0] = 255
    sure = np.ones(shape, np.float32)
    seen = [
        Prediction(truth, np.full(shape, label, np.uint8), sure, sure)
        for label in (0, 1)
    ]
    image = np.zeros((*shape, 3), np.uint8)
    made = pictures.make_comparison(image, *seen, 2)
    assert [what for _, what in made] == [
        "image", "annotation", "change", "this run", "other run"
    ]  # fmt: skip
    assert all(uri.startswith("data:image/") for uri, _ in made)
