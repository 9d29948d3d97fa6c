"""--mode=evaluate."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from segnet.commands.trained import load_trained
from segnet.config import Config
from segnet.config.flags import Command
from segnet.config.workdir import evaluation_path, image_scores_path
from segnet.data import sources
from segnet.evaluation import metrics
from segnet.evaluation.evaluate import Evaluation
from segnet.evaluation.image_scores import ImageScores, to_csv
from segnet.files import gfile, write_bytes, write_errors, write_text
from segnet.progress import say
from segnet.records.splits import read_manifest
from segnet.runtime import distributed

__all__ = ["Scored", "run", "score"]


@dataclasses.dataclass(frozen=True)
class Scored:
    """A split that was scored.

    Attributes:
      config: Of the run, with the flags of the command.
      scores: The content of `evaluation-SPLIT.json`.
      images: Scores of each image.
      names: File names of the images; empty on other workers than rank 0.
    """

    config: Config
    scores: dict[str, Any]
    images: ImageScores
    names: list[str]


def score(command: Command) -> Scored:
    """Scores a split: as `Evaluation`, with what they are of."""
    trained = load_trained(command)
    config = trained.config
    manifest = read_manifest(
        config.data_dir,
        config.eval_split,
        whole=config.shard_placement == "all",
    )
    sources.check_classes(manifest, config.class_names, config.data_dir)
    evaluation = Evaluation(
        trained.predictor,
        manifest,
        config,
        pad=trained.runtime.needs_static_shapes,
        are_logits=not trained.predictor.gives_probabilities,
    )
    if distributed.is_chief():
        say(f"weights: {trained.weights}")
    scores, images = evaluation.detailed(show_progress=True)
    scores = {
        "split": config.eval_split,
        **scores,
        "checkpoint": trained.checkpoint,
        "tta": command.tta,
        "mc_samples": command.mc_samples or 0,
    }
    names = evaluation.image_names()
    return Scored(config, scores, images, names)


def run(command: Command) -> int:
    """Scores a split, prints and writes the scores; returns the exit status."""
    scored = score(command)
    if not distributed.is_chief():
        return 0
    config = scored.config
    _show(scored.scores, config.class_names)
    # Last, since it can fail.
    folder = command.output_dir or config.workdir
    with write_errors(folder):
        gfile(folder).makedirs(folder)
    target = evaluation_path(folder, config.eval_split)
    write_text(target, json.dumps(scored.scores, indent=2) + "\n")
    table = image_scores_path(folder, config.eval_split)
    text = to_csv(scored.images, scored.names, config.class_names)
    # A name that is no text is written with the bytes that it has.
    write_bytes(table, text.encode(errors="surrogateescape"))
    say(f"written to {target} and {table}")
    return 0


def _show(scores: dict[str, Any], class_names: tuple[str, ...]) -> None:
    """Prints the scores, and what classes are taken for."""
    confusion = metrics.format_confusion(
        scores["confusion_matrix"], class_names
    )
    for line in f"{metrics.format_table(scores)}\n\n{confusion}".split("\n"):
        say(line)
    correlation = scores["uncertainty_rank_correlation"]
    if correlation is not None:
        say(
            "rank correlation of an image's entropy with its share of wrong "
            f"pixels: {correlation:.2f}"
        )
    say(
        f"boundary F1 took {scores['boundary_f1_seconds']:.1f} s of "
        f"computing for {scores['images']} images"
    )
