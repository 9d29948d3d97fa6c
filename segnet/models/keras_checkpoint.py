"""Reads what Keras saves as a TensorFlow checkpoint, layer by layer.

`model.save_weights(PREFIX)` writes one where PREFIX does not end in `.h5`. Its
object graph has the layers with weights as `layer_with_weights-0`, `-1` and so
on, in the order of the network, each with its weights as children.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import (
    TrackableObjectGraph,
)

from segnet.errors import DataError, UserError
from segnet.files import readable_path, reason

__all__ = ["is_keras_checkpoint", "open_layers"]

_LAYER = "layer_with_weights-"
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# The weights of a layer in Keras's order, which is that of its HDF5 files.
_WEIGHTS = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
# What TensorFlow raises for a damaged file or one of other objects.
_UNREADABLE = (tf.errors.OpError, ValueError, IndexError, KeyError)


@dataclasses.dataclass(frozen=True)
class _SavedArray:
    """An array in a checkpoint, read when it is asked for."""

    reader: Any
    key: str
    shape: tuple[int, ...]

    def __array__(self, dtype: Any = None) -> np.ndarray:
        """The values."""
        return np.asarray(self.reader.get_tensor(self.key), dtype)


def is_keras_checkpoint(path: str) -> bool:
    """Whether a network is what a checkpoint has at its root.

    Args:
      path: Without `.index`, local or remote; one that cannot be read is none.
    """
    try:
        if not tf.io.gfile.exists(f"{path}.index"):
            return False
        with _open(path) as reader:
            # From the index alone: a damaged one of Keras's is one, too.
            keys = reader.get_variable_to_shape_map()
            return any(key.startswith(_LAYER) for key in keys)
    except (*_UNREADABLE, OSError):
        return False


@contextlib.contextmanager
def open_layers(path: str) -> Iterator[dict[str, list[Any]]]:
    """Opens a checkpoint: name of each layer -> its weights, none read yet.

    Args:
      path: Without `.index`, of a checkpoint as `is_keras_checkpoint` has it.

    Raises:
      DataError: It is damaged, or has weights that are no numbers.
    """
    try:
        with _open(path) as reader:
            yield _find_layers(reader, path)
    except UserError:
        raise
    except _UNREADABLE as error:
        raise DataError(
            f"{path} is a damaged checkpoint ({reason(error)}); copy its "
            "files again, .index and .data-... of the same name"
        ) from error


@contextlib.contextmanager
def _open(path: str) -> Iterator[Any]:
    """Opens a checkpoint to read from."""
    with readable_path(path) as readable:
        yield tf.train.load_checkpoint(readable)


def _graph(reader: Any) -> TrackableObjectGraph:
    """The objects that were saved."""
    graph = TrackableObjectGraph()
    try:
        graph.ParseFromString(reader.get_tensor(_GRAPH))
    except Exception as error:  # protobuf's, of a class that has moved about.
        raise ValueError("its object graph cannot be read") from error
    return graph


def _children(graph: TrackableObjectGraph, node: int) -> dict[str, int]:
    """Name -> number of the objects that an object has."""
    return {
        child.local_name: child.node_id for child in graph.nodes[node].children
    }


def _find_layers(reader: Any, path: str) -> dict[str, list[Any]]:
    """The layers with weights, in the order of the network."""
    graph = _graph(reader)
    shapes = reader.get_variable_to_shape_map()
    dtypes = reader.get_variable_to_dtype_map()
    root = _children(graph, 0)
    layers: dict[str, list[Any]] = {}
    children = map(f"{_LAYER}{{}}".format, itertools.count())
    for child in itertools.takewhile(root.__contains__, children):
        objects = _children(graph, root[child])
        arrays, name = [], child
        for weight in _WEIGHTS:
            if weight not in objects:
                continue
            saved = graph.nodes[objects[weight]].attributes[0]
            if not dtypes[saved.checkpoint_key].is_floating:
                raise DataError(
                    f"{path}: {child} holds no floating-point numbers; save "
                    "the weights with Keras"
                )
            shape = tuple(shapes[saved.checkpoint_key])
            arrays.append(_SavedArray(reader, saved.checkpoint_key, shape))
            # LAYER/WEIGHT; two layers of one name keep their numbers.
            full_name = saved.full_name.rpartition("/")[0]
            if full_name and full_name not in layers:
                name = full_name
        if not arrays:
            raise DataError(
                f"{path}: {child} has no kernel and is no layer; save the "
                "weights of the network itself, not of one around it"
            )
        layers[name] = arrays
    return layers
