"""Loads weights from Keras's files, after checking that they fit."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.errors import ConfigError, DataError, UserError
from segnet.models import hdf5_trial, keras_checkpoint
from segnet.models.blocks import VGG16_BLOCKS

__all__ = ["load_keras_weights", "load_vgg16_weights"]

# Layer name -> its HDF5 datasets in Keras's order, in the order of the file.
_Weights = dict[str, list[Any]]
# Layers with weights of each network -> the flags that make it.
_NETWORKS = {
    19: "--architecture=vgg_segnet",
    29: "--architecture=vgg_segnet --batch_norm_in_encoder",
    51: "--architecture=segnet",
}
# Channels of a layer that may only repeat, see `_only_repeats`.
_MAX_CHANNELS = 4096


def load_vgg16_weights(model: tf.keras.Model, path: str) -> None:
    """Loads the encoder from Keras's VGG16 (`notop` or whole), by layer name.

    Args:
      model: What `create_model` built. Nothing is loaded unless all fits.
      path: HDF5 file, local or remote.

    Raises:
      ConfigError: If there is no such file.
      DataError: If the file is not HDF5, or not VGG16's weights.
    """
    convolutions = {
        f"block{block}_conv{index}"
        for block, (repeats, _) in enumerate(VGG16_BLOCKS, 1)
        for index in range(1, repeats + 1)
    }
    layers = [layer for layer in model.layers if layer.name in convolutions]
    with _open_layers(path, "--encoder_weights") as saved:
        for layer in layers:
            what = f"{path} is not VGG16's weights: "
            remedy = "download them with tools/download_dataset.sh vgg16"
            if layer.name not in saved:
                raise DataError(f"{what}it has no layer {layer.name}; {remedy}")
            _check_shapes(
                layer, saved[layer.name], f"{what}layer {layer.name}", remedy
            )
        values = [
            _read_arrays(path, layer.name, saved[layer.name])
            for layer in layers
        ]
    for layer, arrays in zip(layers, values, strict=True):
        layer.set_weights(arrays)


def load_keras_weights(model: tf.keras.Model, path: str) -> None:
    """Loads all weights of a network from a file, in the order of the layers.

    Takes the files of the `vgg_segnet` of image-segmentation-keras and of
    Habana's Model-References, whatever their layers are called, and those
    that Keras saved of `model` itself.

    Args:
      model: What `create_model` built. Nothing is loaded unless all fits.
      path: HDF5 file of weights or of a whole Keras model, or a checkpoint
        that `is_keras_checkpoint` takes; local or remote.

    Raises:
      ConfigError: If there is no such file.
      DataError: If the file is damaged, or does not fit the network.
    """
    layers = [layer for layer in model.layers if layer.weights]
    if keras_checkpoint.is_keras_checkpoint(path):
        opened = keras_checkpoint.open_layers(path)
    else:
        opened = _open_layers(path, "--init_from")
    with opened as found:
        saved = {
            name: datasets
            for name, datasets in found.items()
            if not _only_repeats(path, name, datasets)
        }
        if len(saved) != len(layers):
            raise DataError(
                f"{path} does not fit {model.name}: it has {len(saved)} layers "
                f"with weights{_as_in(len(saved))}, the network {len(layers)}"
                f"{_as_in(len(layers))}; check --architecture and "
                "--batch_norm_in_encoder"
            )
        for layer, (name, datasets) in zip(layers, saved.items(), strict=True):
            _check_shapes(
                layer,
                datasets,
                f"{path} does not fit {model.name}: layer {name}, for "
                f"{layer.name},",
                _remedy(layer, layers, datasets),
            )
        values = [
            _read_arrays(path, name, datasets)
            for name, datasets in saved.items()
        ]
    if list(saved) != [layer.name for layer in layers]:
        # The other projects subtract the same means, but give their network
        # RGB where VGG16, and so this one, takes BGR.
        values[0][0] = values[0][0][:, :, ::-1]
    for layer, arrays in zip(layers, values, strict=True):
        layer.set_weights(arrays)


def _as_in(num_layers: int) -> str:
    """Which network has so many layers with weights, for an error."""
    network = _NETWORKS.get(num_layers)
    return f" (as {network})" if network else ""


def _remedy(
    layer: tf.keras.layers.Layer,
    layers: list[tf.keras.layers.Layer],
    datasets: Sequence[Any],
) -> str:
    """What to look at where the shapes of a layer differ, with both values."""
    shape = datasets[0].shape
    both = (
        f"{layer.weights[0].shape[-1]}, the file has "
        f"{shape[-1] if shape else 'none'}"
    )
    if layer is layers[0]:
        return f"check --width_multiplier (channels in layer 1: {both})"
    if layer is layers[-1]:
        return f"check the number of classes ({both})"
    return "check --architecture"


@contextlib.contextmanager
def _open_layers(path: str, flag: str) -> Iterator[_Weights]:
    """Opens a Keras HDF5 file: the layers that have weights, none read yet.

    Nothing outside the file is reached: HDF5 has links and datasets whose
    bytes lie in other files, and these are refused.

    Raises:
      ConfigError: There is no such file.
      DataError: It is not a file of Keras weights, or damaged.
    """
    # Only some runs load weights, so the others need not wait for it.
    import h5py

    content = _content(path, flag)
    if isinstance(content, str) and not hdf5_trial.ends(content):
        raise DataError(
            f"{path} is damaged: the HDF5 library crashes on it or never ends; "
            "download it again"
        )
    try:
        with h5py.File(content, "r") as root:
            yield _find_layers(root, path)
    except UserError:
        raise
    # What HDF5 raises for damage depends on where it is.
    except (
        OSError, KeyError, RuntimeError, ValueError, TypeError, MemoryError
    ) as error:  # fmt: skip
        raise DataError(
            f"{path} is not an HDF5 file, or a damaged one; download it again"
        ) from error


def _content(path: str, flag: str) -> str | io.BytesIO:
    """What h5py opens: a local path, or the bytes of a remote file."""
    remedy = "give the path of a Keras .h5 file"
    if "://" not in path:
        if not os.path.exists(path):
            raise ConfigError(f"{flag}={path} does not exist; {remedy}")
        if not os.path.isfile(path):
            raise ConfigError(f"{flag}={path} is no regular file; {remedy}")
        if not os.access(path, os.R_OK):
            raise ConfigError(f"{flag}={path} cannot be read; {remedy}")
        return path
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            return io.BytesIO(file.read())
    except tf.errors.OpError as error:
        missing = isinstance(error, tf.errors.NotFoundError)
        reason = "does not exist" if missing else "cannot be read"
        raise ConfigError(f"{flag}={path} {reason}; {remedy}") from error


def _find_layers(root: Any, path: str) -> _Weights:
    """Finds the datasets of each layer in an open HDF5 file."""
    import h5py

    group = root
    if "model_weights" in root:  # A whole model has them one level down.
        group = _child(root, "model_weights", path)
    if not isinstance(group, h5py.Group) or "layer_names" not in group.attrs:
        raise DataError(
            f"{path} is HDF5, but not Keras weights; save them with "
            "model.save_weights under a name that ends in .h5 and not in "
            ".weights.h5"
        )
    weights = {}
    for name in map(_text, group.attrs["layer_names"]):
        layer = _child(group, name, path)
        datasets = [
            _child(layer, _text(key), path)
            for key in layer.attrs["weight_names"]
        ]
        for dataset in datasets:
            _check_dataset(dataset, f"{path}: layer {name}")
        if datasets:
            weights[name] = datasets
    return weights


def _child(group: Any, name: str, path: str) -> Any:
    """What a group holds under a name, `/` between its parts.

    Raises:
      DataError: A link is on the way: it may lead to another file.
      KeyError: There is no such thing.
    """
    import h5py

    for part in name.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise DataError(
                f"{path}: {name} is a link, which is not followed; save the "
                "weights with Keras"
            )
        group = group[part]
    return group


def _check_dataset(dataset: Any, what: str) -> None:
    """Refuses what is no array of floating-point numbers in this file.

    Raises:
      DataError: It is something else.
    """
    import h5py

    remedy = "save the weights with Keras"
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
        raise DataError(f"{what} holds no floating-point numbers; {remedy}")
    if dataset.external or dataset.is_virtual:
        raise DataError(
            f"{what} has its numbers outside the file, where they are not "
            f"looked for; {remedy}"
        )


def _read_arrays(
    path: str, name: str, datasets: Sequence[Any]
) -> list[np.ndarray]:
    """Reads the datasets of a layer, of known shapes, as float32.

    Raises:
      DataError: There are values that are not finite.
    """
    arrays = [np.asarray(dataset, np.float32) for dataset in datasets]
    if not all(np.isfinite(array).all() for array in arrays):
        raise DataError(
            f"{path}: layer {name} has weights that are not finite numbers; "
            "use weights of a training that did not diverge"
        )
    return arrays


def _text(name: str | bytes) -> str:
    """A name from an HDF5 attribute, which some writers give as bytes."""
    return name.decode() if isinstance(name, bytes) else str(name)


def _only_repeats(path: str, name: str, datasets: Sequence[Any]) -> bool:
    """Whether a layer's weights make it a nearest x2 upsampling.

    Habana's example upsamples with fixed transposed convolutions: each tap of
    the 2x2 kernel the identity, the bias zero.
    """
    shape = datasets[0].shape
    channels = shape[-1] if shape else 0
    # Checked first: a file may claim any size.
    if channels > _MAX_CHANNELS or shape != (2, 2, channels, channels):
        return False
    if any(dataset.shape != (channels,) for dataset in datasets[1:]):
        return False
    kernel, *others = _read_arrays(path, name, datasets)
    identity = np.eye(channels, dtype=kernel.dtype)
    return bool(np.all(kernel == identity)) and not any(map(np.any, others))


def _check_shapes(
    layer: tf.keras.layers.Layer,
    datasets: Sequence[Any],
    what: str,
    remedy: str,
) -> None:
    """Refuses datasets whose number or shapes are not those of the layer."""
    found = [dataset.shape for dataset in datasets]
    wanted = [tuple(weight.shape) for weight in layer.weights]
    if found != wanted:
        raise DataError(
            f"{what} has shapes {_join(found)} instead of {_join(wanted)}; "
            f"{remedy}"
        )


def _join(shapes: list[tuple[int, ...]]) -> str:
    """Shapes for people to read."""
    return ", ".join("x".join(map(str, shape)) for shape in shapes)
