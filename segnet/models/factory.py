"""Builds a network by its name."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from segnet.constants import ARCHITECTURES
from segnet.errors import ConfigError
from segnet.models import segnet, vgg_segnet
from segnet.models.blocks import Builder

__all__ = ["create_model", "encoder_layers"]


def create_model(
    architecture: str,
    num_classes: int,
    *,
    input_shape: tuple[int | None, int | None] = (None, None),
    batch_norm_in_encoder: bool = False,
    dropout: float = 0.0,
    position: tf.Variable | None = None,
    shared_masks: bool = False,
    batch_norm_momentum: float = 0.99,
    width_multiplier: float = 1.0,
    batch_norm: Callable[..., tf.keras.layers.Layer] | None = (
        tf.keras.layers.BatchNormalization
    ),
    filtered_gradient: bool = False,
    portable: bool = False,
) -> tf.keras.Model:
    """Builds a network with random weights, of the Keras policy's dtypes.

    The initial kernels are He-normal (arXiv 1502.01852, equation 10).

    Args:
      architecture: One of `constants.ARCHITECTURES`.
      num_classes: At least 1.
      input_shape: (height, width) in pixels, or None for any multiple of
        what `constants.ARCHITECTURES` says.
      batch_norm_in_encoder: Whether the encoder of `vgg_segnet` has batch
        norm. That of `segnet` always has it.
      dropout: Rate of the dropout after the deep layers; 0: no dropout.
      position: int32 scalar that decides the masks, to be changed by
        each step; needed where there is dropout.
      shared_masks: Whether all images of a batch have the same masks.
      batch_norm_momentum: Of batch norm's averages, in [0, 1).
      width_multiplier: Factor on the numbers of channels, for small networks
        of the same layers.
      batch_norm: Makes a batch norm layer; another one than Keras's must have
        its weights. None: a network without, for `fold_batch_norm`.
      filtered_gradient: Whether the kernel gradients of wide convolutions are
        made by minimal filtering, see `CpuConv2D`: the same up to rounding,
        faster on some CPUs, and without effect on other devices.
      portable: Whether all operations are ones that other formats have, for
        exports: the same results, slower in training.

    Returns:
      Model of uint8 RGB `[batch, height, width, 3]` to float32 logits
      `[batch, height, width, num_classes]`.

    Raises:
      ConfigError: If the architecture is not known, or the size or the number
        of classes does not suit it.
    """
    if architecture not in ARCHITECTURES:
        raise ConfigError(
            f"--architecture={architecture} is not known; use one of "
            f"{', '.join(ARCHITECTURES)}"
        )
    multiple = ARCHITECTURES[architecture]
    if any(size is not None and size % multiple for size in input_shape):
        raise ConfigError(
            f"input size {input_shape[0]}x{input_shape[1]} (height x width) "
            f"does not suit {architecture}: use multiples of {multiple}"
        )
    if num_classes < 1:
        raise ConfigError(f"{num_classes} classes; give at least 1")
    images = tf.keras.Input((*input_shape, 3), dtype=tf.uint8, name="images")
    builder = Builder(
        batch_norm_momentum=batch_norm_momentum,
        dropout=dropout,
        position=position,
        shared_masks=shared_masks,
        width_multiplier=width_multiplier,
        batch_norm=batch_norm,
        filtered_gradient=filtered_gradient,
        portable=portable,
    )
    if architecture == "segnet":
        logits = segnet.build(images, num_classes, builder)
    else:
        logits = vgg_segnet.build(
            images,
            num_classes,
            builder,
            batch_norm_in_encoder=batch_norm_in_encoder,
        )
    return tf.keras.Model(images, logits, name=architecture)


def encoder_layers(model: tf.keras.Model) -> list[tf.keras.layers.Layer]:
    """The layers that have the names of VGG16's, batch norm included."""
    return [layer for layer in model.layers if layer.name.startswith("block")]
