"""What a run shows while it works: progress, metrics.jsonl, TensorBoard.

Whether this process writes at all is decided by the caller (rank 0 does).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

import tensorflow as tf
from tqdm import tqdm

from segnet.files import write_errors

__all__ = ["MetricWriter", "Progress", "say"]

METRICS_FILE = "metrics.jsonl"


def say(message: str, stream: TextIO | None = None) -> None:
    """Prints one line at once, above a progress bar if there is one."""
    tqdm.write(message, file=stream or sys.stdout)
    (stream or sys.stdout).flush()


class MetricWriter:
    """Appends scalars to `metrics.jsonl` and to TensorBoard."""

    def __init__(self, workdir: str, *, enabled: bool, step: int) -> None:
        """Opens the files; what a killed run wrote after `step` is dropped.

        Args:
          workdir: Of the run.
          enabled: Whether this process writes.
          step: Steps done; later lines belong to work that is done again.
        """
        self._enabled = enabled
        self._path = os.path.join(workdir, METRICS_FILE)
        self._writer = None
        if not enabled:
            return
        with write_errors(self._path):
            _drop_lines_after(self._path, step)
            self._writer = tf.summary.create_file_writer(
                os.path.join(workdir, "tensorboard")
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
        if not self._enabled:
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
    with tf.io.gfile.GFile(path) as file:
        for line in file.read().splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (ValueError, KeyError, TypeError):
                continue  # A killed run can leave half a line.
    with tf.io.gfile.GFile(path + ".tmp", "w") as file:
        file.write("".join(kept))
    tf.io.gfile.rename(path + ".tmp", path, overwrite=True)


class Progress:
    """A bar on a terminal, plain lines elsewhere, nothing when disabled."""

    def __init__(
        self, total: int, *, done: int, enabled: bool, unit: str, label: str
    ) -> None:
        """Starts to show progress.

        Args:
          total: Number of units in all.
          done: Units done before.
          enabled: Whether this process shows anything.
          unit: What is counted, for example `step`.
          label: Printed before the bar.
        """
        self._enabled = enabled
        self._bar = None
        if enabled and sys.stderr.isatty():
            self._bar = tqdm(
                total=total, initial=done, unit=unit, desc=label,
                dynamic_ncols=True,
            )  # fmt: skip

    def advance(self, units: int = 1) -> None:
        """Counts units as done."""
        if self._bar is not None:
            self._bar.update(units)

    def log(self, message: str, postfix: str | None = None) -> None:
        """Shows where things stand: beside the bar, or as a line."""
        if self._bar is not None and postfix is not None:
            self._bar.set_postfix_str(postfix)
        elif self._enabled:
            say(message)

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()
