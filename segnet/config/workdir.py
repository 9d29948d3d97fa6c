"""Where everything in a workdir is: the only place that spells its paths."""

from __future__ import annotations

import os

__all__ = [
    "aside_checkpoint_dir",
    "best_checkpoint_dir",
    "checkpoint_dir",
    "config_path",
    "evaluation_path",
    "export_dir",
    "image_scores_path",
    "label_next_path",
    "lock_path",
    "metrics_path",
    "predictions_dir",
    "report_path",
    "tensorboard_dir",
]


def config_path(workdir: str) -> str:
    """All flags of the run and the names of its classes."""
    return os.path.join(workdir, "config.json")


def export_dir(workdir: str) -> str:
    """Where `--mode=export` writes."""
    return os.path.join(workdir, "export")


def lock_path(workdir: str) -> str:
    """What a training has while it runs, so that there is no second one."""
    return os.path.join(workdir, "run.lock")


def checkpoint_dir(workdir: str) -> str:
    """The newest checkpoints."""
    return os.path.join(workdir, "checkpoints")


def best_checkpoint_dir(workdir: str) -> str:
    """The checkpoint with the best score."""
    return os.path.join(checkpoint_dir(workdir), "best")


def aside_checkpoint_dir(workdir: str) -> str:
    """A copy of a checkpoint while its own files are replaced."""
    return os.path.join(checkpoint_dir(workdir), "aside")


def metrics_path(workdir: str) -> str:
    """One JSON object a line: losses and scores over time."""
    return os.path.join(workdir, "metrics.jsonl")


def tensorboard_dir(workdir: str) -> str:
    """The same for TensorBoard, and profiles."""
    return os.path.join(workdir, "tensorboard")


def evaluation_path(workdir: str, split: str) -> str:
    """The scores of `--mode=evaluate` on a split."""
    return os.path.join(workdir, f"evaluation-{split}.json")


def image_scores_path(workdir: str, split: str) -> str:
    """The same of each image."""
    return os.path.join(workdir, f"evaluation-{split}.csv")


def report_path(workdir: str) -> str:
    """The page that `--mode=report` writes."""
    return os.path.join(workdir, "report", "index.html")


def label_next_path(workdir: str) -> str:
    """The pictures without labels, the most uncertain first."""
    return os.path.join(workdir, "report", "label_next.csv")


def predictions_dir(workdir: str) -> str:
    """Where `--mode=predict` writes by default."""
    return os.path.join(workdir, "predictions")
