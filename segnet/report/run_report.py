"""The report of a run: what is on its page, from what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from segnet.config import Config
from segnet.config.schedule import create_schedule
from segnet.evaluation.counting import Prediction
from segnet.evaluation.image_scores import ImageScores
from segnet.evaluation.metrics import MEANS
from segnet.images.palettes import Palette
from segnet.report import page, pictures
from segnet.report.advice import Facts, advise
from segnet.report.measured import MOST_SUSPECTS, Measured, Network, choose
from segnet.report.suspects import Suspect
from segnet.report.unlabelled import Ranking
from segnet.training.class_weights import resolve_class_weights

__all__ = ["make_page"]

# Images that are shown of a split.
_MOST_PICTURES = 110
_PARTS = (
    ("scores", "Scores"),
    ("training", "Training"),
    ("confidence", "Confidence"),
    ("pictures", "Pictures"),
    ("labels", "Labels that look wrong"),
    ("next", "What to label next"),
    ("comparison", "Compared"),
    ("settings", "Settings"),
)
_ORDERS = (
    ("mean_iou", "mean IoU", False),
    ("pixel_accuracy", "pixel accuracy", False),
    ("boundary_f1", "boundary F1", False),
    ("mean_confidence", "confidence", False),
    ("mean_entropy", "entropy", True),
)


def make_page(
    network: Network,
    splits: tuple[Measured, Measured],
    log: Sequence[dict[str, Any]],
    *,
    comparison: dict[str, Any] | None = None,
    ranking: Ranking | None = None,
) -> str:
    """Makes the page of a run.

    Args:
      network: Of the run.
      splits: The evaluation split, and the training split.
      log: The lines of `metrics.jsonl`.
      comparison: With another run, as `comparison.compare` gives it.
      ranking: Of pictures without labels.

    Returns:
      HTML.
    """
    val, train = splits
    config = network.config
    weights = resolve_class_weights(
        config.class_weights,
        train.manifest.pixel_counts,
        train.manifest.present_pixels,
    )
    shown = {"comparison": comparison, "next": ranking}
    return page.render(
        "run.html",
        title=f"Report of {config.workdir}",
        parts=[part for part in _PARTS if shown.get(part[0], True) is not None],
        config=config,
        checkpoint=network.checkpoint,
        comparison=comparison,
        ranking=ranking,
        split=val.manifest.split,
        scores=val.scores,
        train_mean_iou=train.scores["mean_iou"],
        train_images=train.scores["images"],
        num_train=train.manifest.num_records,
        advice=advise(_facts(val, train, log, config)),
        means=MEANS,
        plots=_plots(val, log),
        confusion=_confusion(val),
        classes=_classes(val, train, weights),
        weakest=_weakest(val),
        names=config.class_names,
        orders=_orders(config.class_names),
        layers=list(pictures.LAYERS.items()),
        legend=[
            (name, "#{:02x}{:02x}{:02x}".format(*colour))
            for name, colour in zip(
                config.class_names, network.palette, strict=False
            )
        ],
        cards=_cards(val, network),
        suspects=_suspect_cards(val, train, network),
        settings=[
            (name, value)
            for name, value in dataclasses.asdict(config).items()
            if name != "class_names"
        ],
        **_training(log, config, train.manifest.num_records),
    )


def _facts(
    val: Measured,
    train: Measured,
    log: Sequence[dict[str, Any]],
    config: Config,
) -> Facts:
    return Facts(
        scores=val.scores,
        train_mean_iou=train.scores["mean_iou"],
        train_pixels=train.manifest.pixel_counts,
        history=[y for _, y in _curve(log, "val_mean_iou")],
        losses=[y for _, y in _curve(log, "loss")],
        specks=val.specks,
        weighted=config.class_weights != "none",
    )


def _curve(
    log: Sequence[dict[str, Any]], key: str
) -> list[tuple[float, float]]:
    """Step and value of the lines that have one."""
    return [
        (float(line["step"]), float(line[key]))
        for line in log
        if isinstance(line.get(key), (int, float))
    ]


def _training(
    log: Sequence[dict[str, Any]], config: Config, num_train: int
) -> dict[str, Any]:
    """How long the run was: steps, epochs, minutes as far as is known."""
    step = max((line["step"] for line in log), default=0)
    epoch = max((line.get("epoch") or 0 for line in log), default=0)
    schedule = create_schedule(config, num_train, 1)
    seconds, before = 0.0, 0.0
    for now, rate in _curve(log, "images_per_second"):
        batch = schedule.stage_at(int(now) - 1).batch_size
        seconds += (now - before) * batch / rate if rate else 0.0
        before = now
    return {"steps": step, "epochs": epoch, "minutes": round(seconds / 60)}


def _plots(val: Measured, log: Sequence[dict[str, Any]]) -> dict[str, Any]:
    scores = val.scores
    rows = [
        (name, row["iou"], row["iou_interval"])
        for name, row in scores["per_class"].items()
    ]
    curves = {
        "loss": "loss",
        "history": "val_mean_iou",
        "rate": "learning_rate",
        "speed": "images_per_second",
    }
    return {
        "iou": page.bars(rows, "IoU of each class; the table has the numbers"),
        "reliability": page.reliability(
            scores["reliability"], "Share that is right, by confidence"
        ),
        **{
            name: page.lines({key: _curve(log, key)}, f"{key} over the steps")
            for name, key in curves.items()
        },
    }


def _confusion(val: Measured) -> list[tuple[str, list[float | None]]]:
    """Shares of each class's pixels."""
    matrix = val.scores["confusion_matrix"]
    return [
        (name, [x / sum(row) if sum(row) else None for x in row])
        for name, row in zip(val.scores["per_class"], matrix, strict=True)
    ]


def _classes(
    val: Measured, train: Measured, weights: tuple[float, ...] | None
) -> list[dict[str, Any]]:
    """A row of the table for each class."""
    all_train = sum(train.manifest.pixel_counts) or 1
    all_val = val.scores["pixels"] or 1
    return [
        {
            "name": name,
            **row,
            "train_share": train.manifest.pixel_counts[index] / all_train,
            "share": row["pixels"] / all_val,
            "weight": weights[index] if weights else 1.0,
        }
        for index, (name, row) in enumerate(val.scores["per_class"].items())
    ]


def _weakest(val: Measured) -> list[tuple[str, float]]:
    known = [
        (name, row["iou"])
        for name, row in val.scores["per_class"].items()
        if row["iou"] is not None
    ]
    return sorted(known, key=lambda item: item[1])[:3]


def _orders(names: Sequence[str]) -> list[tuple[str, list[tuple]]]:
    """By what pictures can be sorted, in groups: key, text, largest first."""
    return [
        ("scores", list(_ORDERS)),
        ("missed most", [(f"missed {i}", f"{name} missed", True)
                         for i, name in enumerate(names)]),
        ("invented most", [(f"invented {i}", f"{name} invented", True)
                           for i, name in enumerate(names)]),
        ("IoU of a class", [(f"iou {i}", f"IoU of {name}", False)
                            for i, name in enumerate(names)]),
    ]  # fmt: skip


def _cards(val: Measured, network: Network) -> list[dict[str, Any]]:
    """The pictures of the gallery."""
    chosen = choose(val.images, _MOST_PICTURES)
    cards = []
    for index, image, seen in val.seen(network, chosen):
        scores = _scores_of(val.images, index)
        shown = ", ".join(
            f"{text} {scores[key]:.3f}"
            for key, text, _ in _ORDERS
            if scores[key] is not None
        )
        cards.append(
            {
                "name": val.names[index],
                "text": shown,
                "scores": scores,
                "picture": pictures.make_picture(
                    image, seen, val.manifest.num_classes, network.palette
                ),
            }
        )
    return cards


def _scores_of(images: ImageScores, index: int) -> dict[str, float | None]:
    """By the keys of `_orders`; None where there is none."""
    hits, truth, predicted = images.counts[index]
    total = max(1, int(truth.sum()))
    numbers = {
        "mean_iou": images.mean_iou[index],
        "pixel_accuracy": images.pixel_accuracy[index],
        "boundary_f1": images.mean_boundary_f1[index],
        "mean_confidence": images.mean_confidence[index],
        "mean_entropy": images.entropy[index],
    }
    for name in range(len(truth)):
        numbers[f"missed {name}"] = (truth[name] - hits[name]) / total
        numbers[f"invented {name}"] = (predicted[name] - hits[name]) / total
        numbers[f"iou {name}"] = images.iou[index, name]
    return {
        key: None if np.isnan(x) else round(float(x), 5)
        for key, x in numbers.items()
    }


def _suspect_cards(
    val: Measured, train: Measured, network: Network
) -> list[dict[str, Any]]:
    """What a person should look at again, of both splits."""
    both = [(x, m) for m in (train, val) for x in m.suspects]
    both.sort(key=lambda item: item[0].pixels, reverse=True)
    both = both[:MOST_SUSPECTS]
    cards: dict[tuple[int, Suspect], dict[str, Any]] = {}
    for measured in (train, val):
        own = [x for x, m in both if m is measured]
        indices = sorted({x.index for x in own})
        for index, image, seen in measured.seen(network, indices):
            for suspect in own:
                if suspect.index == index:
                    cards[id(measured), suspect] = _suspect_card(
                        measured, suspect, image, seen, network.palette
                    )
    return [cards[id(measured), suspect] for suspect, measured in both]


def _suspect_card(
    measured: Measured,
    suspect: Suspect,
    image: np.ndarray,
    seen: Prediction,
    palette: Palette,
) -> dict[str, Any]:
    names = measured.manifest.class_names
    cut = pictures.cut_out(image, seen, suspect.box, palette)
    kinds = ("image", "annotation", "prediction")
    return {
        "name": measured.names[suspect.index],
        "text": (
            f"annotated {names[suspect.truth]}, seen "
            f"{names[suspect.predicted]} ({suspect.confidence:.0%} sure), "
            f"at x {suspect.box[0]}, y {suspect.box[1]}, in "
            f"'{measured.manifest.split}'"
        ),
        "pictures": list(zip(cut, kinds, strict=True)),
    }
