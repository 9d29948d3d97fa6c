"""Checkpoints: everything that the future of a run depends on.

`WORKDIR/checkpoints/` holds the newest ones, `WORKDIR/checkpoints/best/` the
best one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import (
    TrackableObjectGraph,
)

from segnet.config.workdir import best_checkpoint_dir, checkpoint_dir
from segnet.errors import ConfigError, DataError, RunError
from segnet.files import file_errors, gfile
from segnet.progress import command_line
from segnet.training import checkpoint_files
from segnet.training.weight_averages import WeightAverages

__all__ = [
    "Checkpoints",
    "RunState",
    "has_checkpoint",
    "restore_weights",
    "saved_checkpoint",
]

# Name of the moving averages within a checkpoint.
_AVERAGES = "averages"
# Where the weights are in it: as trained, and averaged.
_TRAINED = ("model",)
_AVERAGED = (_AVERAGES, "values")
# What TensorFlow raises for a damaged file or one of other objects.
_UNREADABLE = (tf.errors.OpError, ValueError, IndexError, AssertionError)


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
    return [
        checkpoint_files.path_of(folder, step)
        for folder in (checkpoint_dir(workdir), best_checkpoint_dir(workdir))
        for step in checkpoint_files.find_steps(folder)
    ]


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
        self._state = state
        # What this process has written, and the last evaluation in it; of
        # other files only the name is known.
        self._written: dict[str, int] = {}
        more = {} if averages is None else {_AVERAGES: averages}
        others = {"optimizer": optimizer, "state": state, **more}
        self._others = tf.train.Checkpoint(**others)
        self._everything = tf.train.Checkpoint(model=model, **others)
        self._workdir = workdir
        self._keep = keep

    def save(self) -> None:
        """Saves the run unless its newest checkpoint has all of it.

        Raises:
          RunError: If it cannot be written; older checkpoints stay.
        """
        folder = checkpoint_dir(self._workdir)
        step = self._write(folder)
        # Later ones could not be read, or the run would not be here: they are
        # replaced when it gets there.
        found = checkpoint_files.find_steps(folder)
        before = [other for other in found if other <= step]
        kept = {*before[: self._keep], *(set(found) - set(before))}
        self._clean(folder, kept)

    def save_best(self) -> None:
        """Saves the run as the best one so far; raises as `save`."""
        folder = best_checkpoint_dir(self._workdir)
        self._clean(folder, {self._write(folder)})

    def _write(self, folder: str) -> int:
        """Writes a checkpoint unless it is there; returns its step."""
        step = int(self._state.step.numpy())
        evaluated = int(self._state.evaluated_step.numpy())
        path = checkpoint_files.path_of(folder, step)
        if self._written.get(path) == evaluated:
            return step
        try:
            gfile(folder).makedirs(folder)
            self._everything.write(path)
        except file_errors() as error:
            raise RunError(
                f"{folder}: the checkpoint of step {step} cannot be written "
                f"({_first_line(error)}); earlier checkpoints are kept: make "
                "room and run the same command again"
            ) from error
        self._written[path] = evaluated
        return step

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
          DataError: If there are checkpoints but none can be read.
        """
        paths = _find(self._workdir)
        for path in paths:
            try:
                self._restore(path)
            except _UNREADABLE as error:
                warn(
                    f"checkpoint {path} cannot be read "
                    f"({_first_line(error)}); trying the one before"
                )
                continue
            return path
        if paths:
            raise DataError(
                f"{checkpoint_dir(self._workdir)}: none of the {len(paths)} "
                "checkpoints can be read; use another --workdir"
            )
        return None

    def _restore(self, path: str) -> None:
        """Restores all of a checkpoint."""
        _load_by_name(self._model.variables, path, _TRAINED)
        with checkpoint_files.readable_path(path) as readable:
            # The network is in the checkpoint too.
            status = self._others.read(readable).expect_partial()
            status.assert_existing_objects_matched()


def _first_line(error: Exception) -> str:
    """First line of an error's text, shortened."""
    text = str(getattr(error, "message", error)).strip().splitlines()
    return re.sub(r"\s+", " ", text[0])[:200] if text else type(error).__name__


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


def restore_weights(model: tf.keras.Model, path: str) -> None:
    """Loads the weights, and nothing else, of a checkpoint into a network.

    Where the run kept moving averages of its weights, these are loaded.

    Args:
      model: A network of the same architecture.
      path: As `saved_checkpoint` gives it.

    Raises:
      DataError: It cannot be read or is of another network; nothing is loaded
        then.
    """
    try:
        names = [name for name, _ in tf.train.list_variables(path)]
        averaged = any(name.startswith(f"{_AVERAGES}/") for name in names)
        _load_by_name(
            model.variables, path, _AVERAGED if averaged else _TRAINED
        )
    except DataError:
        raise
    except _UNREADABLE as error:
        raise DataError(
            f"checkpoint {path} does not fit this network or is damaged "
            f"({_first_line(error)}); use another --checkpoint"
        ) from error


def _load_by_name(
    variables: Sequence[tf.Variable], path: str, part: Sequence[str]
) -> None:
    """Loads the weights of a checkpoint by their names, `LAYER/WEIGHT`.

    Args:
      variables: Weights of a network.
      path: Of the checkpoint.
      part: Way from the checkpoint's root to the object that has them.

    Raises:
      DataError: Names or shapes are not those of the network.
      tf.errors.OpError: It cannot be read.
    """
    reader = tf.train.load_checkpoint(path)
    keys = _keys_by_name(reader, part)
    wanted = {variable.name.split(":")[0]: variable for variable in variables}
    for name in keys.keys() ^ wanted.keys():
        where = "the network" if name in keys else "the checkpoint"
        raise DataError(
            f"checkpoint {path} does not fit this network: {where} has no "
            f"{name}; check --architecture and --batch_norm_in_encoder"
        )
    shapes = reader.get_variable_to_shape_map()
    for name, variable in wanted.items():
        shape = shapes[keys[name]]
        if shape != variable.shape.as_list():
            flag = "--width_multiplier"
            if name.startswith("logits/") and shape[:-1] == variable.shape[:-1]:
                flag = "the number of classes"
            raise DataError(
                f"checkpoint {path} does not fit this network: {name} has "
                f"shape {shape} instead of {variable.shape.as_list()}; check "
                f"{flag}"
            )
    values = {name: reader.get_tensor(keys[name]) for name in wanted}
    for name, variable in wanted.items():
        variable.assign(values[name])


def _keys_by_name(reader: Any, part: Sequence[str]) -> dict[str, str]:
    """The weights of an object in a checkpoint: name -> key.

    Counters, which dropout once had, are left out.
    """
    graph = TrackableObjectGraph()
    graph.ParseFromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    node = 0
    for name in part:
        (node,) = (
            child.node_id
            for child in graph.nodes[node].children
            if child.local_name == name
        )
    waiting, seen = [node], {node}
    keys = {}
    while waiting:
        node = waiting.pop()
        for attribute in graph.nodes[node].attributes:
            keys[attribute.full_name] = attribute.checkpoint_key
        children = {child.node_id for child in graph.nodes[node].children}
        waiting += children - seen
        seen |= children
    return {
        name: key
        for name, key in keys.items()
        if "/" in name and not name.endswith("/counter")
    }
