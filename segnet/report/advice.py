"""What to do next, by rules that look at what a run has measured.

Each rule says something only where its number is beyond its threshold, and
says the number with it. A run of which nothing can be said gets no advice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["Advice", "Facts", "advise", "speck_share"]

# A class is rare below this share of the training pixels, and weak so far
# below the mean IoU.
_RARE = 0.01
_WEAK = 0.1
# Of train above val, mean IoU.
_GAP = 0.12
# A run was still improving if the last fifth of its evaluations brought so
# much mean IoU or, where there are too few, of its log lines so much less loss.
_RISE = 0.01
_FALL = 0.05
_FEWEST_SCORES, _FEWEST_LOSSES = 5, 20
# Calibration error.
_MISCALIBRATED = 0.05
# Share of a class's pixels that is taken for one other class.
_CONFUSED = 0.2
_MOST_CONFUSIONS = 3
# Share of pixels in specks, and how many times that of the annotations.
_SPECKS = 0.005
_SPECKS_RATIO = 2.0


@dataclasses.dataclass(frozen=True)
class Advice:
    """One thing to do.

    Attributes:
      kind: Name of the rule.
      text: What was seen, and what to do, for people to read.
    """

    kind: str
    text: str


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the rules look at.

    Attributes:
      scores: Of the evaluation split, as `Evaluation.detailed` gives them.
      train_mean_iou: Of the training split; None where it is not known.
      train_pixels: Of each class in the training split.
      history: Mean IoUs of the evaluation split in the order of the run.
      losses: Losses of the log lines, likewise.
      specks: `speck_share` of the predictions, and of the annotations.
      weighted: Whether the classes have weights in the loss.
    """

    scores: dict[str, Any]
    train_mean_iou: float | None
    train_pixels: Sequence[int]
    history: Sequence[float]
    losses: Sequence[float]
    specks: tuple[float, float]
    weighted: bool = False


def speck_share(label: np.ndarray) -> float:
    """Share of the pixels that are in no square of 3x3 pixels of one class.

    Args:
      label: uint8 `[height, width]`, at least 3x3.
    """
    same = np.ones(np.subtract(label.shape, 2), bool)
    height, width = same.shape
    centre = label[1:-1, 1:-1]
    for dy in range(3):
        for dx in range(3):
            same &= label[dy : dy + height, dx : dx + width] == centre
    covered = np.zeros(label.shape, bool)
    for dy in range(3):
        for dx in range(3):
            covered[dy : dy + height, dx : dx + width] |= same
    return float(1.0 - covered.mean())


def advise(facts: Facts) -> list[Advice]:
    """All that the rules have to say, the most useful first."""
    return [Advice(kind, text) for kind, rule in _RULES for text in rule(facts)]


def _still_improving(facts: Facts) -> list[str]:
    scores, losses = facts.history, facts.losses
    if len(scores) >= _FEWEST_SCORES:
        last = -(-len(scores) // 5)
        rise = scores[-1] - max(scores[:-last])
        if rise > _RISE:
            return [
                f"It was still improving at the end: the last fifth of the run "
                f"brought {rise:.3f} of mean IoU. Train longer: raise --epochs."
            ]
    elif len(losses) >= _FEWEST_LOSSES:
        fifth = len(losses) // 5
        before = float(np.mean(losses[-2 * fifth : -fifth]))
        fall = (before - float(np.mean(losses[-fifth:]))) / before
        if fall > _FALL:
            return [
                f"It was still improving at the end: the loss of the last "
                f"fifth of the run is {fall:.0%} below that of the fifth "
                "before. Train longer: raise --epochs."
            ]
    return []


def _overfitted(facts: Facts) -> list[str]:
    train, val = facts.train_mean_iou, facts.scores["mean_iou"]
    if train is None or val is None or train - val <= _GAP:
        return []
    return [
        f"Mean IoU is {train:.3f} on the training images and {val:.3f} on "
        "these: it has learnt them by heart. More images help most; then "
        "--augment=strong, --dropout and --weight_decay."
    ]


def _rare_classes(facts: Facts) -> list[str]:
    total, mean = sum(facts.train_pixels), facts.scores["mean_iou"]
    found = []
    for (name, row), pixels in zip(
        facts.scores["per_class"].items(), facts.train_pixels, strict=True
    ):
        share = pixels / total if total else 0.0
        iou = row["iou"]
        if iou is None or share >= _RARE or iou >= mean - _WEAK:
            continue
        remedy = "label more images that show it"
        if not facts.weighted:
            remedy += ", and give --class_weights=median_frequency"
        found.append(
            f"'{name}' is weak (IoU {iou:.3f}) and rare: {share:.2%} of the "
            f"training pixels. Remedy: {remedy}."
        )
    return found


def _confused(facts: Facts) -> list[str]:
    confusion = np.asarray(facts.scores["confusion_matrix"], np.float64)
    names = list(facts.scores["per_class"])
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    np.fill_diagonal(shares, 0.0)
    # What each class is taken for most.
    pairs = enumerate(shares.argmax(1).tolist())
    order = sorted(
        (pair for pair in pairs if shares[pair] > _CONFUSED),
        key=lambda pair: -shares[pair],
    )
    return [
        f"{shares[truth, seen]:.0%} of '{names[truth]}' is taken for "
        f"'{names[seen]}'. Look below at images where it is missed: are the "
        "annotations consistent? If so, label more that show both."
        for truth, seen in order[:_MOST_CONFUSIONS]
    ]


def _over_confident(facts: Facts) -> list[str]:
    error = facts.scores["calibration_error"]
    sure = facts.scores["mean_confidence"]
    right = facts.scores["pixel_accuracy"]
    # Where it is unsure here and too sure there, neither is true of it.
    if error is None or error <= _MISCALIBRATED or sure - right < error / 2:
        return []
    return [
        f"It is over-confident: {sure:.1%} sure on average, and {right:.1%} "
        "right. Do not take its confidence for a probability; "
        "--label_smoothing=0.1 and --augment help."
    ]


def _specks(facts: Facts) -> list[str]:
    predicted, annotated = facts.specks
    if predicted <= max(_SPECKS, _SPECKS_RATIO * annotated):
        return []
    return [
        f"Its labels have specks: {predicted:.1%} of the pixels are in areas "
        f"less than 3 pixels wide, against {annotated:.1%} of the annotations. "
        "--loss=cross_entropy_dice, a larger input size, longer training and "
        "--tta make them fewer."
    ]


_RULES: tuple[tuple[str, Callable[[Facts], list[str]]], ...] = (
    ("improving", _still_improving),
    ("overfitted", _overfitted),
    ("rare", _rare_classes),
    ("confused", _confused),
    ("confident", _over_confident),
    ("specks", _specks),
)
