from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from segnet.evaluation import metrics
from segnet.report.advice import Facts, advise, speck_share

NAMES = ("road", "sky", "pole")


def _scores(matrix, *, error=0.02, confidence=0.9):
    return {
        **metrics.summarize(np.array(matrix), NAMES),
        "confusion_matrix": matrix,
        "calibration_error": error,
        "mean_confidence": confidence,
    }


# A good run: of 1,000 pixels 970 are right.
GOOD = Facts(
    scores=_scores([[585, 10, 5], [5, 290, 5], [3, 2, 95]], confidence=0.97),
    train_mean_iou=0.93,
    train_pixels=(6000, 3000, 1000),
    history=(0.5, 0.7, 0.8, 0.87, 0.872),
    losses=(1.0,) * 30,
    specks=(0.004, 0.003),
)
WEAK_POLE = _scores([[590, 5, 5], [5, 290, 5], [10, 8, 12]])


def test_a_good_run_gets_no_advice():
    assert advise(GOOD) == []


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("improving", {"history": (0.5, 0.7, 0.8, 0.82, 0.85)}, "0.030"),
        ("improving",
         {"history": (0.8,), "losses": (*[1.0] * 24, *[0.9] * 6)}, "10%"),
        ("overfitted", {"train_mean_iou": 0.99, "scores": WEAK_POLE}, "0.990"),
        ("rare", {"scores": WEAK_POLE, "train_pixels": (6000, 3000, 40)},
         "'pole' is weak"),
        ("confused", {"scores": WEAK_POLE}, "33% of 'pole' is taken for"),
        ("confident",
         {"scores": _scores([[800, 100, 0], [50, 50, 0], [0, 0, 0]],
                            error=0.1, confidence=0.95)}, "95.0% sure"),
        ("specks", {"specks": (0.03, 0.01)}, "3.0%"),
    ],
)  # fmt: skip
def test_what_is_weak_is_named(kind, changes, said):
    found = advise(dataclasses.replace(GOOD, **changes))
    texts = [advice.text for advice in found if advice.kind == kind]
    assert len(texts) >= 1
    assert said in texts[0]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        # What came late in the run was no more than noise.
        ("improving", {"history": (0.5, 0.86, 0.87, 0.86, 0.875)}),
        # It has fallen, but less than one in twenty.
        ("improving",
         {"history": (), "losses": (*[1.0] * 24, *[0.96] * 6)}),
        # Too short a run to say.
        ("improving", {"history": (0.2, 0.4), "losses": (2.0, 1.0)}),
        ("overfitted", {"train_mean_iou": None}),
        # Rare but found; weak but not rare.
        ("rare", {"train_pixels": (6000, 3000, 40)}),
        ("rare", {"scores": WEAK_POLE}),
        # Wrong about its confidence, but too modest.
        ("confident",
         {"scores": _scores([[600, 0, 0], [0, 300, 0], [0, 0, 100]],
                            error=0.2, confidence=0.8)}),
        # Too sure of some, too modest about others.
        ("confident",
         {"scores": _scores([[600, 0, 0], [0, 300, 0], [50, 50, 0]],
                            error=0.1, confidence=0.92)}),
        # As many as there are in the annotations.
        ("specks", {"specks": (0.03, 0.025)}),
        ("specks", {"specks": (0.004, 0.0)}),
    ],
)  # fmt: skip
def test_what_is_not_weak_is_left_alone(kind, changes):
    found = advise(dataclasses.replace(GOOD, **changes))
    assert kind not in [advice.kind for advice in found]


def test_weights_are_advised_only_where_there_are_none():
    facts = dataclasses.replace(
        GOOD, scores=WEAK_POLE, train_pixels=(6000, 3000, 40)
    )
    (rare,) = [x for x in advise(facts) if x.kind == "rare"]
    assert "--class_weights" in rare.text
    facts = dataclasses.replace(facts, weighted=True)
    (rare,) = [x for x in advise(facts) if x.kind == "rare"]
    assert "--class_weights" not in rare.text


def test_specks_are_what_no_square_of_three_covers():
    label = np.zeros((9, 10), np.uint8)
    assert speck_share(label) == 0
    label[4, 4] = 1  # All around it is in some square still.
    assert speck_share(label) == pytest.approx(1 / 90)
    label[:, 9] = 2  # A line of one pixel.
    assert speck_share(label) == pytest.approx(10 / 90)
