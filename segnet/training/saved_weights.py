"""The weights in a checkpoint, found by the names of their layers.

A layer without weights, such as dropout, may come or go.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import (
    TrackableObjectGraph,
)

from segnet.errors import DataError
from segnet.files import readable_path, reason

__all__ = [
    "AVERAGES",
    "UNREADABLE",
    "check_state",
    "load_trained",
    "restore_weights",
]

# Name of the moving averages within a checkpoint.
AVERAGES = "averages"
# What TensorFlow raises for a damaged file or one of other objects.
UNREADABLE = (tf.errors.OpError, ValueError, IndexError, AssertionError)
# Where the weights are in it: as trained, and averaged.
_TRAINED = ("model",)
_AVERAGED = (AVERAGES, "values")
# Where the optimizer's momenta are, named after their weights.
_OPTIMIZER = ("optimizer",)


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
        with _open(path) as reader:
            names = reader.get_variable_to_shape_map()
            averaged = any(name.startswith(f"{AVERAGES}/") for name in names)
            part = _AVERAGED if averaged else _TRAINED
            _load_by_name(model.variables, reader, path, part)
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(
            f"checkpoint {path} does not fit this network or is damaged "
            f"({reason(error)}); use another --checkpoint"
        ) from error


def load_trained(model: tf.keras.Model, path: str) -> None:
    """Loads the weights as they were trained, to train on.

    Args:
      model: The run's network.
      path: Of the checkpoint.

    Raises:
      DataError: It is of another network.
      tf.errors.OpError: It cannot be read.
    """
    with _open(path) as reader:
        _load_by_name(model.variables, reader, path, _TRAINED)


def check_state(
    path: str, optimizer: tf.keras.optimizers.Optimizer, *, averages: bool
) -> None:
    """Refuses a checkpoint of a run that was optimised in another way.

    TensorFlow would begin to restore it, fail, and print a hundred lines.

    Args:
      path: Of the checkpoint.
      optimizer: Of the run, built.
      averages: Whether the run keeps moving averages of its weights.

    Raises:
      DataError: Naming the flag that differs.
      tf.errors.OpError: It cannot be read.
    """
    with _open(path) as reader:
        shapes = reader.get_variable_to_shape_map()
        found = {
            name: shapes[key]
            for name, key in _keys_by_name(reader, _OPTIMIZER).items()
        }
    wanted = {
        variable.name.split(":")[0]: variable.shape.as_list()
        for variable in optimizer.variables
        if "/" in variable.name
    }
    differences = []
    if found != wanted:
        differences.append("--optimizer or --momentum")
    if averages != any(key.startswith(f"{AVERAGES}/") for key in shapes):
        differences.append("--ema_decay")
    if differences:
        raise DataError(
            f"checkpoint {path} is of a run with another "
            f"{' and '.join(differences)}; give the values of its run"
        )


@contextlib.contextmanager
def _open(path: str) -> Iterator[Any]:
    """Opens a checkpoint to read from."""
    with readable_path(path) as readable:
        yield tf.train.load_checkpoint(readable)


def _load_by_name(
    variables: Sequence[tf.Variable],
    reader: Any,
    path: str,
    part: Sequence[str],
) -> None:
    """Loads the weights of a checkpoint by their names, `LAYER/WEIGHT`.

    Args:
      variables: Weights of a network.
      reader: Of the checkpoint.
      path: Of the checkpoint.
      part: Way from the checkpoint's root to the object that has them.

    Raises:
      DataError: Names or shapes are not those of the network.
      tf.errors.OpError: It cannot be read.
    """
    keys = _keys_by_name(reader, part)
    shapes = reader.get_variable_to_shape_map()
    wanted = {variable.name.split(":")[0]: variable for variable in variables}
    _check_fit(
        {name: shapes[key] for name, key in keys.items()},
        {name: it.shape.as_list() for name, it in wanted.items()},
        path,
    )
    values = {name: reader.get_tensor(keys[name]) for name in wanted}
    for name, variable in wanted.items():
        variable.assign(values[name])


_Shapes = dict[str, list[int]]


def _check_fit(found: _Shapes, wanted: _Shapes, path: str) -> None:
    """Compares names and shapes of weights.

    Args:
      found: Shapes in the checkpoint, by name.
      wanted: Shapes in the network, by name.
      path: Of the checkpoint.

    Raises:
      DataError: They differ.
    """
    if found == wanted:
        return
    differences = _differing_flags(found, wanted)
    if not differences:
        name = min(
            name
            for name in {*found, *wanted}
            if found.get(name) != wanted.get(name)
        )
        differences = [
            f"{name} has shape {found.get(name, 'none')} instead of "
            f"{wanted.get(name, 'none')}"
        ]
    raise DataError(
        f"checkpoint {path} does not fit this network: "
        f"{', '.join(differences)}; give the values of its run"
    )


def _differing_flags(found: _Shapes, wanted: _Shapes) -> list[str]:
    """The flags by which the networks differ, as far as that can be seen."""
    differences = []
    if _layers(found, "decoder") != _layers(wanted, "decoder"):
        differences.append("it is of another --architecture")
    theirs, ours = (
        any(layer.endswith("_bn") for layer in _layers(shapes, "block"))
        for shapes in (found, wanted)
    )
    if theirs != ours:
        differences.append(f"--batch_norm_in_encoder={ours} (it has {theirs})")
    for layer, flag, unit in (
        ("block1_conv1", "--width_multiplier", "channels in layer 1"),
        ("logits", "number of classes", "classes"),
    ):
        # The shape of a bias is the number of outputs.
        (has,), (needs,) = (
            shapes.get(f"{layer}/bias", [0]) for shapes in (found, wanted)
        )
        if has and needs and has != needs:
            differences.append(f"{flag} ({needs} {unit}, it has {has})")
    return differences


def _layers(shapes: _Shapes, beginning: str) -> set[str]:
    """Names of the layers that begin so."""
    layers = {name.partition("/")[0] for name in shapes}
    return {layer for layer in layers if layer.startswith(beginning)}


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
