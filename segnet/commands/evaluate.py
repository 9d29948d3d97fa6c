"""--mode=evaluate."""

from __future__ import annotations

import json
from typing import Any

from segnet.commands.trained import load_trained
from segnet.config import Config
from segnet.config.flags import Command
from segnet.config.workdir import evaluation_path
from segnet.data import sources
from segnet.evaluation import metrics
from segnet.evaluation.evaluate import Evaluation
from segnet.files import gfile, write_errors, write_text
from segnet.progress import say
from segnet.records.splits import read_manifest
from segnet.runtime import distributed

__all__ = ["run", "score"]


def score(command: Command) -> tuple[Config, dict[str, Any]]:
    """Scores a split.

    Returns:
      The config of the run with the flags of the command, and the scores, as
      `Evaluation` gives them, with the split, the checkpoint and `tta`.
    """
    trained = load_trained(command)
    config = trained.config
    manifest = read_manifest(config.data_dir, config.eval_split)
    sources.check_classes(manifest, config.class_names, config.data_dir)
    evaluation = Evaluation(
        trained.predictor,
        manifest,
        config,
        pad=trained.runtime.needs_static_shapes,
    )
    if distributed.is_chief():
        say(f"weights: {trained.weights}")
    scores = evaluation(with_boundary_f1=True, show_progress=True)
    return config, {
        "split": config.eval_split,
        **scores,
        "checkpoint": trained.checkpoint,
        "tta": command.tta,
    }


def run(command: Command) -> int:
    """Scores a split, prints and writes the scores; returns the exit status."""
    config, scores = score(command)
    if not distributed.is_chief():
        return 0
    _show(scores, config.class_names)
    # Last, since it can fail.
    folder = command.output_dir or config.workdir
    target = evaluation_path(folder, config.eval_split)
    with write_errors(folder):
        gfile(folder).makedirs(folder)
    write_text(target, json.dumps(scores, indent=2) + "\n")
    say(f"written to {target}")
    return 0


def _show(scores: dict[str, Any], class_names: tuple[str, ...]) -> None:
    """Prints the scores, and what classes are taken for."""
    confusion = metrics.format_confusion(
        scores["confusion_matrix"], class_names
    )
    for line in f"{metrics.format_table(scores)}\n\n{confusion}".split("\n"):
        say(line)
    say(
        f"boundary F1 took {scores['boundary_f1_seconds']:.1f} s of "
        f"computing for {scores['images']} images"
    )
