"""The scalars of a run: `metrics.jsonl` and TensorBoard."""

from __future__ import annotations

import json
from typing import Any

import tensorflow as tf

from segnet.config.workdir import metrics_path, tensorboard_dir
from segnet.files import read_text, write_errors, write_text

__all__ = ["MetricWriter"]


class MetricWriter:
    """Appends scalars to `metrics.jsonl` and to TensorBoard."""

    def __init__(self, workdir: str, *, enabled: bool, step: int) -> None:
        """Opens the files; what a killed run wrote after `step` is dropped.

        Args:
          workdir: Of the run.
          enabled: Whether this process writes.
          step: Steps done; later lines belong to work that is done again.
        """
        self._path = metrics_path(workdir)
        self._writer: tf.summary.SummaryWriter | None = None
        if not enabled:
            return
        with write_errors(self._path):
            _drop_lines_after(self._path, step)
            self._writer = tf.summary.create_file_writer(
                tensorboard_dir(workdir)
            )

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
            with tf.io.gfile.GFile(self._path, "a") as file:
                file.write(line + "\n")
            with self._writer.as_default(step=step):
                for name, value in _flatten(scalars):
                    tf.summary.scalar(name, value)
            self._writer.flush()

    def close(self) -> None:
        """Closes the TensorBoard file."""
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


def _drop_lines_after(path: str, step: int) -> None:
    """Keeps the lines of `metrics.jsonl` up to a step, whole ones only."""
    if not tf.io.gfile.exists(path):
        return
    kept = []
    # After a crash of the machine there can be bytes that are no text.
    for line in read_text(path, "replace").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue  # A killed run can leave half a line.
    write_text(path, "".join(kept))
