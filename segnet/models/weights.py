"""Loads weights from Keras HDF5 files, after checking that they fit."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.errors import ConfigError, DataError
from segnet.models.blocks import VGG16_BLOCKS

__all__ = ["load_keras_weights", "load_vgg16_weights"]

# Layer name -> its arrays in Keras's order, in the order of the file.
_Weights = dict[str, list[np.ndarray]]


def load_vgg16_weights(model: tf.keras.Model, path: str) -> None:
    """Loads the encoder from Keras's VGG16 (`notop` or whole), by layer name.

    Args:
      model: What `create_model` built. Nothing is loaded unless all fits.
      path: HDF5 file, local or remote.

    Raises:
      ConfigError: If there is no such file.
      DataError: If the file is not HDF5, or not VGG16's weights.
    """
    saved = _read(path, "--encoder_weights")
    convolutions = {
        f"block{block}_conv{index}"
        for block, (repeats, _) in enumerate(VGG16_BLOCKS, 1)
        for index in range(1, repeats + 1)
    }
    pairs = []
    for layer in model.layers:
        if layer.name not in convolutions:
            continue
        if layer.name not in saved:
            raise DataError(
                f"{path} is not VGG16's weights: it has no layer "
                f"{layer.name}; download them with "
                "tools/download_dataset.sh vgg16"
            )
        _check_shapes(
            layer,
            saved[layer.name],
            f"{path} is not VGG16's weights: layer {layer.name}",
            "download them with tools/download_dataset.sh vgg16",
        )
        pairs.append((layer, saved[layer.name]))
    for layer, arrays in pairs:
        layer.set_weights(arrays)


def load_keras_weights(model: tf.keras.Model, path: str) -> None:
    """Loads all weights of a network from a file, in the order of the layers.

    Takes the files of the `vgg_segnet` of image-segmentation-keras and of
    Habana's Model-References, whatever their layers are called, and those
    that Keras saved of `model` itself.

    Args:
      model: What `create_model` built. Nothing is loaded unless all fits.
      path: HDF5 file of weights or of a whole Keras model, local or remote.

    Raises:
      ConfigError: If there is no such file.
      DataError: If the file is not HDF5, or does not fit the network.
    """
    saved = {
        name: arrays
        for name, arrays in _read(path, "--init_from").items()
        if not _only_repeats(arrays)
    }
    layers = [layer for layer in model.layers if layer.weights]
    if len(saved) != len(layers):
        raise DataError(
            f"{path} does not fit {model.name}: it has {len(saved)} layers "
            f"with weights, the network {len(layers)}; check --architecture "
            "and --batch_norm_in_encoder"
        )
    for layer, (name, arrays) in zip(layers, saved.items(), strict=True):
        _check_shapes(
            layer,
            arrays,
            f"{path} does not fit {model.name}: layer {name}, for "
            f"{layer.name},",
            "check --architecture and the number of classes",
        )
    if list(saved) != [layer.name for layer in layers]:
        # The other projects subtract the same means, but give their network
        # RGB where VGG16, and so this one, takes BGR.
        first = next(iter(saved.values()))
        first[0] = first[0][:, :, ::-1]
    for layer, arrays in zip(layers, saved.values(), strict=True):
        layer.set_weights(arrays)


def _read(path: str, flag: str) -> _Weights:
    """Reads the layers that have weights from a Keras HDF5 file."""
    # Only some runs load weights, so the others need not wait for it.
    import h5py

    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            content = io.BytesIO(file.read())
    except tf.errors.OpError as error:
        missing = isinstance(error, tf.errors.NotFoundError)
        reason = "does not exist" if missing else "cannot be read"
        raise ConfigError(
            f"{flag}={path} {reason}; give the path of a Keras .h5 file"
        ) from error
    try:
        with h5py.File(content, "r") as root:
            return _read_layers(root, path)
    except (OSError, KeyError, RuntimeError) as error:
        raise DataError(
            f"{path} is not an HDF5 file, or a damaged one; download it again"
        ) from error


def _read_layers(root: Any, path: str) -> _Weights:
    """Reads the arrays of each layer from an open HDF5 file."""
    # A whole model keeps its weights one level down.
    group = root.get("model_weights", root)
    if "layer_names" not in group.attrs:
        raise DataError(
            f"{path} is HDF5, but not Keras weights; save them with "
            "model.save_weights under a name that ends in .h5 and not in "
            ".weights.h5"
        )
    weights = {}
    for name in map(_text, group.attrs["layer_names"]):
        layer = group[name]
        arrays = [
            np.asarray(layer[_text(key)]) for key in layer.attrs["weight_names"]
        ]
        if arrays:
            weights[name] = arrays
    return weights


def _text(name: str | bytes) -> str:
    """A name from an HDF5 attribute, which some writers give as bytes."""
    return name.decode() if isinstance(name, bytes) else name


def _only_repeats(arrays: list[np.ndarray]) -> bool:
    """Whether a layer's weights make it a nearest x2 upsampling.

    Habana's example upsamples with fixed transposed convolutions: each tap of
    the 2x2 kernel the identity, the bias zero.
    """
    kernel = arrays[0]
    if kernel.ndim != 4 or kernel.shape[:2] != (2, 2):
        return False
    if kernel.shape[2] != kernel.shape[3]:
        return False
    identity = np.eye(kernel.shape[2], dtype=kernel.dtype)
    return bool(np.all(kernel == identity)) and not any(map(np.any, arrays[1:]))


def _check_shapes(
    layer: tf.keras.layers.Layer,
    arrays: list[np.ndarray],
    what: str,
    remedy: str,
) -> None:
    """Refuses arrays whose number or shapes are not those of the layer."""
    found = [array.shape for array in arrays]
    wanted = [tuple(weight.shape) for weight in layer.weights]
    if found != wanted:
        raise DataError(
            f"{what} has shapes {_join(found)} instead of {_join(wanted)}; "
            f"{remedy}"
        )


def _join(shapes: list[tuple[int, ...]]) -> str:
    """Shapes for people to read."""
    return ", ".join("x".join(map(str, shape)) for shape in shapes)
