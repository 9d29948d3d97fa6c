"""Checkpoints: everything that the future of a run depends on.

`WORKDIR/checkpoints/` holds the newest ones, `WORKDIR/checkpoints/best/` the
best one.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import tensorflow as tf

from segnet.config.workdir import (
    aside_checkpoint_dir,
    best_checkpoint_dir,
    checkpoint_dir,
)
from segnet.errors import ConfigError, DataError, RunError
from segnet.files import file_errors, gfile, readable_path, reason
from segnet.progress import command_line
from segnet.training import checkpoint_files
from segnet.training.run_state import RunState
from segnet.training.saved_weights import (
    AVERAGES,
    UNREADABLE,
    check_state,
    load_trained,
    restore_weights,
)
from segnet.training.weight_averages import WeightAverages

__all__ = [
    "Checkpoints",
    "has_checkpoint",
    "load_saved",
    "saved_checkpoint",
]


def has_checkpoint(workdir: str) -> bool:
    """Whether a workdir has a checkpoint to go on from, be it the best one.

    Raises:
      DataError: The workdir cannot be read.
    """
    return bool(_find(workdir))


def _find(workdir: str) -> list[str]:
    """Paths of all checkpoints: the newest ones, newest first, then the best.

    Raises:
      DataError: The workdir cannot be read.
    """
    aside, newest, best = (
        [(step, checkpoint_files.path_of(folder, step)) for step in steps]
        for folder in (
            aside_checkpoint_dir(workdir),
            checkpoint_dir(workdir),
            best_checkpoint_dir(workdir),
        )
        for steps in [checkpoint_files.find_steps(folder)]
    )
    # Where a step has two, the one aside is whole and the other may not be.
    in_order = sorted([*aside, *newest], key=lambda found: -found[0])
    return [path for _, path in [*in_order, *best]]


class Checkpoints:
    """Saves and restores a run.

    Weights are restored by the names of their layers, so that a layer without
    weights, such as dropout, may come or go.
    """

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
        self._model = model
        self._optimizer = optimizer
        self._averages = averages
        self._state = state
        # What this process has written, and the last evaluation in it; of
        # other files only the name is known.
        self._written: dict[str, int] = {}
        more = {} if averages is None else {AVERAGES: averages}
        others = {"optimizer": optimizer, "state": state, **more}
        self._others = tf.train.Checkpoint(**others)
        self._everything = tf.train.Checkpoint(model=model, **others)
        self._workdir = workdir
        self._keep = keep
        # Whether the workdir has been there, and is not to be made anew.
        self._seen = False

    def save(self) -> None:
        """Saves the run unless its newest checkpoint has all of it.

        Raises:
          RunError: If it cannot be written; older checkpoints stay.
        """
        folder = checkpoint_dir(self._workdir)
        aside = aside_checkpoint_dir(self._workdir)
        found = checkpoint_files.find_steps(folder)
        # Its files are replaced one after the other: a process killed between
        # two of them would leave neither the old checkpoint nor the new one.
        if self._step in found and not self._is_written(folder):
            self._write(aside)
        self._write(folder)
        # Later ones could not be read, or the run would not be here: they are
        # replaced when it gets there.
        before = [step for step in found if step < self._step]
        later = [step for step in found if step > self._step]
        kept = {self._step, *before[: self._keep - 1], *later}
        self._clean(folder, kept)
        checkpoint_files.remove_folder(aside)

    def save_best(self) -> None:
        """Saves the run as the best one so far; raises as `save`."""
        folder = best_checkpoint_dir(self._workdir)
        self._write(folder)
        self._clean(folder, {self._step})

    @property
    def _step(self) -> int:
        """Steps done."""
        return int(self._state.step.numpy())

    def _is_written(self, folder: str) -> bool:
        """Whether this process has written the run as it is now."""
        path = checkpoint_files.path_of(folder, self._step)
        evaluated = int(self._state.evaluated_step.numpy())
        return self._written.get(path) == evaluated

    def _write(self, folder: str) -> None:
        """Writes a checkpoint unless it is there."""
        if self._is_written(folder):
            return
        path = checkpoint_files.path_of(folder, self._step)
        if self._seen and not gfile(folder).isdir(self._workdir):
            raise RunError(
                f"{self._workdir}: was removed or renamed while it was in use, "
                "and its checkpoints with it; give its new name as --workdir"
            )
        try:
            gfile(folder).makedirs(folder)
            self._everything.write(path)
        except file_errors() as error:
            raise RunError(
                f"{folder}: the checkpoint of step {self._step} cannot be "
                f"written ({reason(error)}); earlier checkpoints are kept: "
                "make room and run the same command again"
            ) from error
        self._written[path] = int(self._state.evaluated_step.numpy())
        self._seen = True

    def _clean(self, folder: str, steps: set[int]) -> None:
        """Leaves the checkpoints of `steps` alone in a folder."""
        checkpoint_files.remove_others(folder, steps)
        checkpoint_files.write_state_file(folder)

    def restore_newest(self, warn: Callable[[str], None]) -> str | None:
        """Restores the newest checkpoint that can be read.

        Args:
          warn: Called with one line for each damaged checkpoint passed over.

        Returns:
          Path of the checkpoint restored, or None where there is none.

        Raises:
          DataError: If there are checkpoints but none can be read, or one is
            of another network or optimizer.
          RunError: If the workdir cannot be written.
        """
        paths = _find(self._workdir)
        for path in paths:
            try:
                self._restore(path)
            except DataError:  # It is whole, but of another kind of run.
                raise
            except UNREADABLE as error:
                warn(
                    f"checkpoint {path} cannot be read "
                    f"({reason(error)}); trying the one before"
                )
                continue
            # A process that was killed may have left the file for others as
            # it was.
            checkpoint_files.write_state_file(os.path.dirname(path))
            return path
        if paths:
            raise DataError(
                f"{checkpoint_dir(self._workdir)}: none of the {len(paths)} "
                "checkpoints can be read; use another --workdir"
            )
        return None

    def _restore(self, path: str) -> None:
        """Restores all of a checkpoint."""
        load_trained(self._model, path)
        check_state(path, self._optimizer, averages=self._averages is not None)
        with readable_path(path) as readable:
            # The network is in the checkpoint too.
            status = self._others.read(readable).expect_partial()
            status.assert_existing_objects_matched()
        self._seen = True


def saved_checkpoint(workdir: str, which: str) -> str:
    """Path of a checkpoint of a workdir.

    Args:
      workdir: Of the run.
      which: `best` (the newest where no evaluation was made), `latest` (the
        best where there is no other), or the path of a checkpoint.

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
    found = _find(workdir)
    if not found:
        command = command_line(
            "main.py", f"--workdir={workdir}", "--data_dir=..."
        )
        raise ConfigError(
            f"--workdir={workdir} has no checkpoint in {folder}; train first: "
            f"{command}"
        )
    best = best_checkpoint_dir(workdir)
    inside = [path for path in found if os.path.dirname(path) == best]
    return inside[0] if which == "best" and inside else found[0]


def load_saved(model: tf.keras.Model, workdir: str, which: str) -> str:
    """Loads the weights of a checkpoint into a network.

    Args:
      model: The network.
      workdir: Of a run, which may be training.
      which: As for `saved_checkpoint`.

    Returns:
      Path of the checkpoint.

    Raises:
      ConfigError: If there is no such checkpoint.
      DataError: It cannot be read or is of another network.
    """
    while True:
        path = saved_checkpoint(workdir, which)
        try:
            restore_weights(model, path)
        except DataError:
            # The training may have put another one in its place meanwhile.
            if saved_checkpoint(workdir, which) == path:
                raise
        else:
            return path
