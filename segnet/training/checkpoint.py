"""Checkpoints: everything that the future of a run depends on, and its config.

`WORKDIR/checkpoints/` holds the newest ones (`tf.train.latest_checkpoint`
finds them), `WORKDIR/checkpoints/best/` the best one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from segnet.config import Config, config_file
from segnet.errors import ConfigError, DataError, RunError
from segnet.files import write_errors, write_text
from segnet.training.weight_averages import WeightAverages

__all__ = [
    "Checkpoints",
    "RunState",
    "checkpoint_dir",
    "has_checkpoint",
    "load_config",
    "restore_weights",
    "save_config",
    "saved_checkpoint",
    "write_json",
]

CONFIG_FILE = "config.json"
# Name of the moving averages within a checkpoint.
_AVERAGES = "averages"
# What TensorFlow raises for a damaged file or one of other objects.
_UNREADABLE = (tf.errors.OpError, ValueError, IndexError, AssertionError)


def checkpoint_dir(workdir: str) -> str:
    """Folder of the newest checkpoints of a workdir."""
    return os.path.join(workdir, "checkpoints")


def save_config(workdir: str, config: Config) -> None:
    """Writes `WORKDIR/config.json`, aside and renamed.

    Raises:
      RunError: It cannot be written.
    """
    path = os.path.join(workdir, CONFIG_FILE)
    with write_errors(workdir):
        tf.io.gfile.makedirs(workdir)
    write_text(path, config_file.to_json(config))


def load_config(workdir: str) -> Config | None:
    """Reads `WORKDIR/config.json`; None where there is none.

    Raises:
      ConfigError: If the file is not a config of this version.
    """
    path = os.path.join(workdir, CONFIG_FILE)
    if not tf.io.gfile.exists(path):
        return None
    try:
        with tf.io.gfile.GFile(path) as file:
            text = file.read()
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({_first_line(error)}); use another "
            "--workdir"
        ) from error
    return config_file.from_json(text, path)


def has_checkpoint(workdir: str) -> bool:
    """Whether a run in this workdir has come to its first checkpoint."""
    return tf.train.latest_checkpoint(checkpoint_dir(workdir)) is not None


class RunState(tf.Module):
    """Where a run stands, apart from weights and optimizer.

    Attributes:
      step: int64, steps done.
      workers: int64, workers at that step; 0 before the first.
      records: int64, records of the training split then.
      offset: int64, see `segnet.config.schedule.Schedule`.
      best_score: float64, best evaluation score so far; -1 before the first.
      best_step: int64, step of that score.
      best_epoch: int64, epochs done at that score.
      evaluated_step: int64, step of the last evaluation; -1 before the first.
    """

    def __init__(self) -> None:
        """Creates the state of a run that has not begun."""
        super().__init__()
        self.step = tf.Variable(0, dtype=tf.int64, name="step")
        self.workers = tf.Variable(0, dtype=tf.int64)
        self.records = tf.Variable(0, dtype=tf.int64)
        self.offset = tf.Variable(0, dtype=tf.int64)
        self.best_score = tf.Variable(-1.0, dtype=tf.float64)
        self.best_step = tf.Variable(0, dtype=tf.int64)
        self.best_epoch = tf.Variable(0, dtype=tf.int64)
        self.evaluated_step = tf.Variable(-1, dtype=tf.int64)

    def record(self, score: float, epoch: int) -> bool:
        """Notes an evaluation at this step; returns whether it is the best."""
        self.evaluated_step.assign(self.step)
        best = score > float(self.best_score.numpy())
        if best:
            self.best_score.assign(score)
            self.best_step.assign(self.step)
            self.best_epoch.assign(epoch)
        return best


class Checkpoints:
    """Saves and restores a run."""

    def __init__(
        self,
        workdir: str,
        model: tf.keras.Model,
        optimizer: tf.keras.optimizers.Optimizer,
        state: RunState,
        keep: int,
        averages: WeightAverages | None = None,
    ) -> None:
        """Ties checkpoints in `workdir` to the objects of a run.

        Args:
          workdir: Of the run.
          model: Its network.
          optimizer: Its optimizer, built.
          state: Its state.
          keep: How many of the newest checkpoints are kept.
          averages: Moving averages of the weights, if the run keeps any.
        """
        self._state = state
        # What this process has written; of other files only the name is known.
        self._written: set[str] = set()
        more = {} if averages is None else {_AVERAGES: averages}
        self._checkpoint = tf.train.Checkpoint(
            model=model, optimizer=optimizer, state=state, **more
        )
        folder = checkpoint_dir(workdir)
        self._newest = tf.train.CheckpointManager(
            self._checkpoint, folder, max_to_keep=keep
        )
        self._best = tf.train.CheckpointManager(
            self._checkpoint, os.path.join(folder, "best"), max_to_keep=1
        )

    def save(self) -> None:
        """Saves the run unless its newest checkpoint is of this step.

        Raises:
          RunError: If it cannot be written; older checkpoints stay.
        """
        self._save(self._newest)

    def save_best(self) -> None:
        """Saves the run as the best one so far; raises as `save`."""
        self._save(self._best)

    def _save(self, manager: tf.train.CheckpointManager) -> None:
        step = int(self._state.step.numpy())
        newest = manager.latest_checkpoint
        if newest in self._written and newest.endswith(f"-{step}"):
            return
        try:
            self._written.add(manager.save(checkpoint_number=step))
        except (tf.errors.OpError, OSError) as error:
            raise RunError(
                f"{manager.directory}: the checkpoint of step {step} cannot "
                f"be written ({_first_line(error)}); earlier checkpoints are "
                "kept: make room and run the same command again"
            ) from error

    def restore_newest(self, warn: Callable[[str], None]) -> str | None:
        """Restores the newest checkpoint that can be read.

        Args:
          warn: Called with one line for each damaged checkpoint passed over.

        Returns:
          Path of the checkpoint restored, or None where there is none.

        Raises:
          DataError: If there are checkpoints but none can be read.
        """
        paths = list(reversed(self._newest.checkpoints))
        for path in paths:
            try:
                self._checkpoint.restore(path).assert_existing_objects_matched()
            except _UNREADABLE as error:
                warn(
                    f"checkpoint {path} cannot be read "
                    f"({_first_line(error)}); trying the one before"
                )
                continue
            return path
        if paths:
            raise DataError(
                f"{self._newest.directory}: none of the {len(paths)} "
                "checkpoints can be read; use another --workdir"
            )
        return None


def _first_line(error: Exception) -> str:
    """First line of an error's text, shortened."""
    text = str(getattr(error, "message", error)).strip().splitlines()
    return re.sub(r"\s+", " ", text[0])[:200] if text else type(error).__name__


def saved_checkpoint(workdir: str, which: str) -> str:
    """Path of a checkpoint of a workdir.

    Args:
      workdir: Of the run.
      which: `best` (the newest where no evaluation was made), `latest`, or
        the path of a checkpoint.

    Returns:
      Path prefix, as `tf.train.Checkpoint.restore` takes it.

    Raises:
      ConfigError: If there is no such checkpoint.
    """
    folder = checkpoint_dir(workdir)
    if which not in ("best", "latest"):
        path = which.removesuffix(".index")
        if tf.io.gfile.exists(path + ".index"):
            return path
        raise ConfigError(
            f"--checkpoint={which}: there is no {path}.index; use best, "
            "latest or the path of a checkpoint without .index"
        )
    found = None
    if which == "best":
        found = tf.train.latest_checkpoint(os.path.join(folder, "best"))
    found = found or tf.train.latest_checkpoint(folder)
    if not found:
        raise ConfigError(
            f"--workdir={workdir} has no checkpoint in {folder}; train first: "
            f"python main.py --workdir={workdir} --data_dir=..."
        )
    return found


def restore_weights(model: tf.keras.Model, path: str) -> None:
    """Loads the weights, and nothing else, of a checkpoint into a network.

    Where the run kept moving averages of its weights, these are loaded.

    Args:
      model: A network of the same architecture.
      path: As `saved_checkpoint` gives it.

    Raises:
      DataError: If it cannot be read or is of another network.
    """
    try:
        averages = None
        names = [name for name, _ in tf.train.list_variables(path)]
        if any(name.startswith(f"{_AVERAGES}/") for name in names):
            averages = WeightAverages(model, decay=0.0)
        more = {} if averages is None else {_AVERAGES: averages}
        status = tf.train.Checkpoint(model=model, **more).restore(path)
        status.assert_existing_objects_matched().expect_partial()
        if averages is not None:
            averages.apply()
    except _UNREADABLE as error:
        raise DataError(
            f"checkpoint {path} does not fit this network or is damaged "
            f"({_first_line(error)}); use another --checkpoint"
        ) from error


def write_json(path: str, value: Any) -> None:
    """Writes a value as indented JSON, aside and renamed."""
    write_text(path, json.dumps(value, indent=2) + "\n")
