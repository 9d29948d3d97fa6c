"""Two runs on the same images: what differs, and how sure that is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from segnet.config import Config
from segnet.errors import ConfigError
from segnet.evaluation.image_scores import ImageScores, difference_intervals
from segnet.evaluation.metrics import MEANS
from segnet.report import pictures
from segnet.report.measured import Measured, Network

__all__ = [
    "check_comparable",
    "compare",
    "most_changed",
    "settings_that_differ",
]

_MOST_CHANGED = 16
# Fields that say where something lies, or what came of the data.
_NO_SETTINGS = frozenset({"workdir", "class_names", "images_digest"})


def check_comparable(config: Config, other: Config) -> None:
    """Refuses runs that cannot be compared.

    Args:
      config: Of the run of the report.
      other: Of the run of `--compare_to`.

    Raises:
      ConfigError: It has other classes.
    """
    if other.class_names != config.class_names:
        raise ConfigError(
            f"--compare_to={other.workdir}: has other classes "
            f"({', '.join(other.class_names)}) than {config.workdir} "
            f"({', '.join(config.class_names)}); give a run with the same ones"
        )


def settings_that_differ(
    config: Config, other: Config
) -> list[tuple[str, Any, Any]]:
    """Flag and both values, of each that is not the same."""
    one, two = dataclasses.asdict(config), dataclasses.asdict(other)
    return [
        (name, one[name], two[name])
        for name in one
        if name not in _NO_SETTINGS and one[name] != two[name]
    ]


def compare(
    network: Network,
    other: Network,
    val: Measured,
    others_config: Config,
    known_to_other: int | None,
) -> dict[str, Any]:
    """Scores the images of a split with another run, too.

    Args:
      network: Of the run of the report.
      other: Of the other run, reading the same records.
      val: What the first one made of them.
      others_config: As the other run was trained.
      known_to_other: How many of the images the other one was trained on;
        None if that is not known.

    Returns:
      What the template shows: `other`, `checkpoint`, `settings`, `scores`,
      `classes` (title, this run's, the other's, difference, its interval,
      whether that leaves 0 out), `cards` and `known`.
    """
    evaluation = other.evaluation(val.manifest)
    scores, images = evaluation.detailed(show_progress=True)
    of_split, of_classes = difference_intervals(val.images, images)
    return {
        "other": others_config.workdir,
        "checkpoint": other.checkpoint,
        "known": known_to_other,
        "settings": settings_that_differ(network.config, others_config),
        "scores": [
            _row(title, val.scores[key], scores[key], of_split[key])
            for title, key in MEANS
        ],
        "classes": [
            _row(
                name,
                val.scores["per_class"][name]["iou"],
                scores["per_class"][name]["iou"],
                of_classes[index],
            )
            for index, name in enumerate(network.config.class_names)
        ],
        "cards": _cards(network, other, val, images),
    }


def _row(
    title: str,
    one: float | None,
    two: float | None,
    interval: list[float] | None,
) -> dict[str, Any]:
    difference = None if one is None or two is None else one - two
    if difference is None:
        interval = None
    return {
        "title": title,
        "one": one,
        "two": two,
        "difference": difference,
        "interval": interval,
        "sure": interval is not None and interval[0] * interval[1] > 0,
    }


def most_changed(
    images: ImageScores, others: ImageScores, most: int
) -> list[tuple[int, float]]:
    """The images whose mean IoU differs most, with the difference."""
    change = images.mean_iou - others.mean_iou
    order = np.argsort(-np.abs(np.nan_to_num(change)), kind="stable")[:most]
    return [(int(i), float(change[i])) for i in order if change[i]]


def _cards(
    network: Network, other: Network, val: Measured, others: ImageScores
) -> list[dict[str, Any]]:
    """The pictures that changed most."""
    changed = most_changed(val.images, others, _MOST_CHANGED)
    known = [(index, by) for index, by in changed if not np.isnan(by)]
    indices: Sequence[int] = [index for index, _ in known]
    pairs = zip(
        network.predicted(val, indices),
        other.predicted(val, indices),
        strict=True,
    )
    cards = []
    for ((index, image, seen), (_, _, before)), (_, by) in zip(
        pairs, known, strict=True
    ):
        cards.append(
            {
                "name": val.names[index],
                "text": (
                    f"mean IoU {val.images.mean_iou[index]:.3f}, "
                    f"{abs(by):.3f} {'better' if by > 0 else 'worse'} than "
                    f"the other run's {others.mean_iou[index]:.3f}"
                ),
                "pictures": pictures.make_comparison(
                    image,
                    seen,
                    before,
                    val.manifest.num_classes,
                    network.palette,
                ),
            }
        )
    return cards
