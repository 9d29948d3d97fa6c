"""--mode=evaluate."""

from __future__ import annotations

import json

from segnet.commands.trained import load_trained
from segnet.config.flags import Command
from segnet.config.workdir import evaluation_path
from segnet.data import sources
from segnet.evaluation import metrics
from segnet.evaluation.evaluate import Evaluation
from segnet.files import write_text
from segnet.progress import say
from segnet.records.splits import read_manifest
from segnet.runtime import distributed

__all__ = ["run"]


def run(command: Command) -> int:
    """Scores a split; returns the exit status."""
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
    scores = evaluation(with_boundary_f1=True, show_progress=True)
    if not distributed.is_chief():
        return 0
    target = evaluation_path(config.workdir, config.eval_split)
    result = {
        "split": config.eval_split,
        **scores,
        "checkpoint": trained.checkpoint,
        "tta": command.tta,
    }
    write_text(target, json.dumps(result, indent=2) + "\n")
    confusion = metrics.format_confusion(
        scores["confusion_matrix"], config.class_names
    )
    say(
        f"{metrics.format_table(scores)}\n\n"
        f"confusion, percent of the truth\n{confusion}"
    )
    say(
        f"boundary F1 took {scores['boundary_f1_seconds']:.1f} s of "
        f"computing for {scores['images']} images"
    )
    say(f"written to {target}")
    return 0
