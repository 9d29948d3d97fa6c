"""The scalars of a run: `metrics.jsonl` and TensorBoard."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from segnet.config.workdir import metrics_path, tensorboard_dir
from segnet.files import (
    LARGE_TEXT_BYTES,
    append_text,
    gfile,
    read_text,
    refuse_link,
    write_errors,
    write_text,
)
from segnet.json_text import parse_json
from segnet.training.loggers import Logger

__all__ = ["MetricWriter", "first_loss", "read_log", "step_known_saved"]


class MetricWriter:
    """Appends scalars to `metrics.jsonl` and to TensorBoard."""

    def __init__(
        self,
        workdir: str,
        *,
        enabled: bool,
        step: int,
        logger: Logger | None = None,
    ) -> None:
        """Opens the files; what a killed run wrote after `step` is dropped.

        Args:
          workdir: Of the run.
          enabled: Whether this process writes.
          step: Steps done; later lines belong to work that is done again.
          logger: Takes what TensorBoard gets, too.
        """
        self._logger = logger
        self._path = metrics_path(workdir)
        self._writer: tf.summary.SummaryWriter | None = None
        if not enabled:
            return
        with write_errors(self._path):
            refuse_link(self._path)  # Now rather than at the first line.
            _drop_lines_after(self._path, step)
        folder = tensorboard_dir(workdir)
        with write_errors(folder):
            self._writer = tf.summary.create_file_writer(folder)

    def write(self, step: int, epoch: int, scalars: dict[str, Any]) -> None:
        """Writes one line.

        Args:
          step: Steps done.
          epoch: Epochs done.
          scalars: Numbers; None is null in the file, left out in TensorBoard.
            A nested dict becomes `name/key` in TensorBoard.

        Raises:
          RunError: It cannot be written.
        """
        if self._writer is None:
            return
        line = json.dumps({"step": step, "epoch": epoch, **scalars})
        with write_errors(self._path):
            append_text(self._path, line + "\n")
            with self._writer.as_default(step=step):
                for name, value in _flatten(scalars):
                    tf.summary.scalar(name, value)
            self._writer.flush()
        if self._logger is not None:
            self._logger.write(step, dict(_flatten(scalars)))

    def show(
        self,
        step: int,
        pictures: dict[str, np.ndarray],
        variables: Sequence[tf.Variable] = (),
    ) -> None:
        """Shows pictures and weights in TensorBoard alone.

        Args:
          step: Steps done.
          pictures: uint8 `[height, width, 3]`, by name.
          variables: Of which histograms are shown.

        Raises:
          RunError: It cannot be written.
        """
        if self._writer is None:
            return
        with write_errors(self._path):
            with self._writer.as_default(step=step):
                for name, picture in pictures.items():
                    tf.summary.image(name, picture[None])
                for variable in variables:
                    name = variable.name.partition(":")[0]
                    tf.summary.histogram(f"weights/{name}", variable)
            self._writer.flush()
        if self._logger is not None:
            self._logger.show(step, pictures)

    def describe(self, settings: dict[str, Any]) -> None:
        """Shows the settings of the run in TensorBoard, as text and hparams.

        Args:
          settings: Value of each; truth values, numbers and texts.

        Raises:
          RunError: It cannot be written.
        """
        if self._writer is None:
            return
        rows = [f"| {name} | {value} |" for name, value in settings.items()]
        text = "\n".join(["| flag | value |", "|---|---|", *rows])
        with write_errors(self._path):
            with self._writer.as_default(step=0):
                tf.summary.text("settings", text)
                hparams.hparams(settings)
            self._writer.flush()

    def close(self) -> None:
        """Closes the TensorBoard file, and ends what is logged elsewhere."""
        if self._logger is not None:
            self._logger.close()
        if self._writer is not None:
            self._writer.close()


def _flatten(scalars: dict[str, Any], prefix: str = "") -> list[tuple]:
    """(name, number) of each scalar that has a value."""
    flat = []
    for name, value in scalars.items():
        if isinstance(value, dict):
            flat += _flatten(value, f"{prefix}{name}/")
        elif value is not None:
            flat.append((prefix + name, value))
    return flat


def step_known_saved(workdir: str, every_steps: int | None) -> int | None:
    """Last step in `metrics.jsonl`, if a checkpoint was saved before it.

    Args:
      workdir: Of a run of which no checkpoint is found.
      every_steps: Its `--checkpoint_every_steps`; None: once an epoch.

    Returns:
      The step; None where the run can have ended before its first checkpoint.

    Raises:
      DataError: The file cannot be read.
    """
    path = metrics_path(workdir)
    lines = [values for values, _ in _read_lines(path)]
    first = every_steps or min(
        (line["step"] for line in lines if line.get("epoch")),
        default=math.inf,
    )
    last = max((line["step"] for line in lines), default=0)
    # The best weights are saved before their score is written.
    scored = any(line.get("val_mean_iou") is not None for line in lines)
    later = not every_steps and any(line.get("epoch", 0) > 1 for line in lines)
    return last if scored or later or last > first else None


def read_log(workdir: str) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`, each with its `step`.

    Raises:
      DataError: The file cannot be read.
    """
    return [values for values, _ in _read_lines(metrics_path(workdir))]


def first_loss(workdir: str) -> float | None:
    """The first mean loss in `metrics.jsonl`; None where there is none.

    Raises:
      DataError: The file cannot be read.
    """
    lines = [values for values, _ in _read_lines(metrics_path(workdir))]
    return next(
        (line["loss"] for line in lines if isinstance(line.get("loss"), float)),
        None,
    )


def _drop_lines_after(path: str, step: int) -> None:
    """Keeps the lines of `metrics.jsonl` up to a step, whole ones only."""
    if not gfile(path).exists(path):
        return
    if not step and _read_lines(path):
        _set_aside(path)
        return
    kept = [
        line + "\n"
        for values, line in _read_lines(path)
        if values["step"] <= step
    ]
    write_text(path, "".join(kept))


def _set_aside(path: str) -> None:
    """Leaves the log of a run that began anew to a name of its own."""
    stem = path.removesuffix(".jsonl")
    number = 1
    while gfile(path).exists(aside := f"{stem}-before-{number}.jsonl"):
        number += 1
    gfile(path).rename(path, aside, overwrite=False)


def _read_lines(path: str) -> list[tuple[dict[str, Any], str]]:
    """The lines of `metrics.jsonl`, whole ones only: content and text."""
    if not gfile(path).exists(path):
        return []
    lines = []
    # After a crash of the machine there can be bytes that are no text.
    text = read_text(path, "replace", limit=LARGE_TEXT_BYTES)
    for line in text.splitlines():
        # A killed run can leave half a line; what is no line of a run goes
        # the same way.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            values = parse_json(line)
            if type(values["step"]) is int and _is_count(values.get("epoch")):
                lines.append((values, line))
    return lines


def _is_count(value: Any) -> bool:
    return value is None or type(value) in (int, float)
