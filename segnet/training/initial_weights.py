"""`--init_from`: the weights of another run as the start of a new one."""

from __future__ import annotations

import os
import re
from typing import Any

import tensorflow as tf

from segnet import models
from segnet.config import Config, config_file
from segnet.errors import ConfigError
from segnet.training import checkpoint, saved_weights

__all__ = ["check_source", "load_weights", "source_config"]

# What the names of a checkpoint's files end in.
_CHECKPOINT_FILE = re.compile(r"\.(index|data-[0-9]{5}-of-[0-9]{5})\Z")


def source_config(source: str) -> Config | None:
    """The config of the run that `--init_from` names.

    Args:
      source: A workdir, one of its checkpoints, or a Keras file.

    Returns:
      None where there is none.

    Raises:
      ConfigError: It cannot be read.
    """
    if source.endswith((".h5", ".hdf5")):
        return None
    folder = source
    # WORKDIR/checkpoints/best/ckpt-STEP is the deepest.
    for _ in range(4):
        config = config_file.load_config(folder)
        if config is not None or not folder:
            return config
        folder = os.path.dirname(folder)
    return None


def check_source(
    config: Config, source: Config, class_names: tuple[str, ...]
) -> None:
    """Refuses a run whose weights do not fit the network.

    Args:
      config: Of the new run.
      source: Of the run that `config.init_from` names.
      class_names: Of the new run's data.

    Raises:
      ConfigError: Naming each flag with both values.
    """
    pairs: dict[str, tuple[Any, Any]] = {
        "--architecture": (config.architecture, source.architecture),
        "--width_multiplier": (
            config.width_multiplier,
            source.width_multiplier,
        ),
        "--batch_norm_in_encoder": (
            config.batch_norm_in_encoder,
            source.uses_encoder_batch_norm,
        ),
        "number of classes": (len(class_names), len(source.class_names)),
    }
    # The encoder of `segnet` always has batch norm.
    if config.batch_norm_in_encoder is None or config.architecture == "segnet":
        del pairs["--batch_norm_in_encoder"]
    wrong = [
        f"{name}={ours} (it has {theirs})".lower()
        for name, (ours, theirs) in pairs.items()
        if ours != theirs
    ]
    if wrong:
        raise ConfigError(
            f"--init_from={config.init_from} does not fit this network: "
            f"{', '.join(wrong)}; give its values, or leave --init_from out"
        )


def load_weights(source: str, model: tf.keras.Model) -> str:
    """Loads all weights from a workdir, a checkpoint or a Keras file.

    Args:
      source: The value of `--init_from`.
      model: The network that gets them.

    Returns:
      What was done, for people to read.

    Raises:
      ConfigError: A file to start from is not there.
      DataError: It cannot be read, or is of another network.
    """
    if source.endswith((".h5", ".hdf5")):
        models.load_keras_weights(model, source)
        return f"weights from {source}"
    if tf.io.gfile.isdir(source):
        if not checkpoint.has_checkpoint(source):
            raise ConfigError(
                f"--init_from={source} has no checkpoints/ with a "
                "checkpoint; give the workdir of a run that was trained, or "
                "one of its checkpoints (WORKDIR/checkpoints/ckpt-STEP)"
            )
        path = checkpoint.load_saved(model, source, "best")
        return f"weights from {path}"
    path = _CHECKPOINT_FILE.sub("", source)
    if not tf.io.gfile.exists(path + ".index"):
        raise ConfigError(
            f"--init_from={source} is neither a workdir, nor a checkpoint, "
            "nor Keras's (FILE.h5, or a checkpoint's PREFIX without .index); "
            "give the path of one that exists"
        )
    if models.is_keras_checkpoint(path):
        models.load_keras_weights(model, path)
    else:
        saved_weights.restore_weights(model, path)
    return f"weights from {path}"
