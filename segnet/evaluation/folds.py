"""Scores over the folds of a cross-validation, from what each run wrote."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from segnet.config.config_file import load_config
from segnet.config.workdir import evaluation_path
from segnet.errors import DataError
from segnet.evaluation import metrics
from segnet.files import gfile, read_errors, read_text
from segnet.json_text import parse_json
from segnet.progress import command_line

__all__ = ["FoldScores", "format_folds", "load_fold", "summarize_folds"]

_MEANS = (
    ("mean IoU", "mean_iou"),
    ("mean class accuracy", "mean_class_accuracy"),
    ("pixel accuracy", "pixel_accuracy"),
    ("frequency-weighted IoU", "frequency_weighted_iou"),
)


@dataclasses.dataclass(frozen=True)
class FoldScores:
    """What a run scored on the fold that it had not seen.

    Attributes:
      workdir: Of the run.
      split: The fold.
      class_names: One for each class.
      confusion: int64 `[classes, classes]`, rows truth, columns prediction.
    """

    workdir: str
    split: str
    class_names: tuple[str, ...]
    confusion: np.ndarray


def load_fold(workdir: str) -> FoldScores:
    """Reads the scores that `--mode=evaluate` wrote for a run's eval split.

    Raises:
      DataError: There is no run or no score, or it is malformed.
      ConfigError: The run's config is malformed.
    """
    config = load_config(workdir)
    if config is None:
        raise DataError(f"{workdir}: has no config.json, so it is no run")
    path = evaluation_path(workdir, config.eval_split)
    with read_errors(path):
        is_there = gfile(path).exists(path)
    if not is_there:
        command = command_line(
            "main.py", "--mode=evaluate", f"--workdir={workdir}"
        )
        raise DataError(f"{path}: is not there; make it with {command}")
    try:
        content = parse_json(read_text(path))
        confusion = _confusion(content["confusion_matrix"])
        names = tuple(content["per_class"])
    except (KeyError, TypeError, ValueError):
        confusion, names = np.zeros([0, 0], np.int64), ()
    if not names or confusion.shape != (len(names), len(names)):
        raise DataError(
            f"{path}: does not hold scores that --mode=evaluate wrote; "
            "evaluate again"
        )
    return FoldScores(workdir, config.eval_split, names, confusion)


def _confusion(rows: Any) -> np.ndarray:
    """The matrix as integers.

    Raises:
      ValueError: It is not of counts.
    """
    confusion = np.array(rows)
    if confusion.dtype != np.int64 or confusion.min(initial=0) < 0:
        raise ValueError("not all counts")
    return confusion


def summarize_folds(folds: Sequence[FoldScores]) -> dict[str, Any]:
    """Sums up the scores of several runs.

    Args:
      folds: Of each run.

    Returns:
      `folds`: for each its `workdir`, `split` and the scores of
      `metrics.summarize`; `mean` and `standard_deviation` (of the sample,
      divided by n - 1) of each score over the folds that have it, None where
      fewer than one or two have, with the IoU alone in `per_class`; `pooled`:
      the scores of all pixels of all folds together, by the sum of the
      confusion matrices.

    Raises:
      DataError: Two are of one fold, or of different classes.
    """
    for number, fold in enumerate(folds):
        for other in folds[:number]:
            _check_comparable(other, fold)
    names = folds[0].class_names
    each = [metrics.summarize(fold.confusion, names) for fold in folds]
    total = np.sum([fold.confusion for fold in folds], axis=0)
    return {
        "folds": [
            {"workdir": fold.workdir, "split": fold.split, **scores}
            for fold, scores in zip(folds, each, strict=True)
        ],
        "mean": _over_folds(each, names, 1, statistics.fmean),
        "standard_deviation": _over_folds(each, names, 2, statistics.stdev),
        "pooled": metrics.summarize(total, names),
    }


def _check_comparable(one: FoldScores, other: FoldScores) -> None:
    if one.class_names != other.class_names:
        raise DataError(
            f"{other.workdir}: has other classes than {one.workdir}; give the "
            "runs of one cross-validation"
        )
    if one.split == other.split:
        raise DataError(
            f"{other.workdir}: was scored on {one.split} like {one.workdir}; "
            "give one run for each fold"
        )


def _over_folds(
    each: Sequence[dict[str, Any]],
    names: Sequence[str],
    needed: int,
    function: Any,
) -> dict[str, Any]:
    """A function of each score over the folds; None if too few have it."""

    def over(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return function(known) if len(known) >= needed else None

    result: dict[str, Any] = {
        key: over([scores[key] for scores in each]) for _, key in _MEANS
    }
    result["per_class"] = {
        name: {"iou": over([x["per_class"][name]["iou"] for x in each])}
        for name in names
    }
    return result


def format_folds(summary: dict[str, Any]) -> str:
    """Lays out what `summarize_folds` gives: a column for each fold."""
    columns = [
        *((fold["split"], fold) for fold in summary["folds"]),
        ("mean", summary["mean"]),
        ("std", summary["standard_deviation"]),
        ("pooled", summary["pooled"]),
    ]
    rows = [["IoU of", *(title for title, _ in columns)]]
    for name in summary["pooled"]["per_class"]:
        scores = [column["per_class"][name]["iou"] for _, column in columns]
        rows.append([name, *map(metrics.format_score, scores)])
    lines = len(rows)
    for title, key in _MEANS:
        scores = [column[key] for _, column in columns]
        rows.append([title, *map(metrics.format_score, scores)])
    aligned = metrics.align(rows)
    aligned.insert(lines, "-" * len(aligned[0]))
    return "\n".join(aligned)
