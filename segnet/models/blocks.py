"""VGG16's convolutions as a table, and the block that networks are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from segnet.models import layers
from segnet.models.convolution import CpuConv2D

__all__ = ["POOL_STRIDE", "VGG16_BLOCKS", "Builder"]

# (convolutions, channels) of each block, a 2x2 pooling after each.
# Source: configuration D in Table 1 of arXiv 1409.1556.
VGG16_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
POOL_STRIDE = 2


@dataclasses.dataclass(frozen=True)
class Builder:
    """Makes the layers of one network, with what they have in common.

    Attributes:
      batch_norm_momentum: Share of the old average that batch norm keeps at
        each step, in the long run.
      dropout: Rate of the dropout layers; at 0 there are none.
      position: int32 scalar that decides their masks.
      shared_masks: Whether these are the same for all images of a batch.
      width_multiplier: Factor on all numbers of channels but the classes'.
      batch_norm: Makes a batch norm layer, as Keras's class does; None: there
        is none, the convolutions do its work (see `models.folding`).
      filtered_gradient: Whether wide convolutions are `CpuConv2D`.
      portable: Whether all operations are ones that other formats have.
    """

    batch_norm_momentum: float = 0.99
    dropout: float = 0.0
    position: tf.Variable | None = None
    shared_masks: bool = False
    width_multiplier: float = 1.0
    batch_norm: Callable[..., tf.keras.layers.Layer] | None = (
        tf.keras.layers.BatchNormalization
    )
    filtered_gradient: bool = False
    portable: bool = False

    def channels(self, full: int) -> int:
        """The number of channels in place of the full network's."""
        return max(1, round(full * self.width_multiplier))

    def convolve(
        self,
        inputs: tf.Tensor,
        filters: int,
        name: str,
        *,
        batch_norm: bool,
        relu: bool,
        upsample: bool = False,
    ) -> tf.Tensor:
        """3x3 convolution, then batch norm and ReLU as asked.

        Args:
          inputs: `[batch, height, width, channels]`.
          filters: Channels of the full network.
          name: Of the convolution; `NAME_bn` and `NAME_relu` follow it. The
            ReLU is part of the convolution where no batch norm comes between.
          batch_norm: Whether to normalise.
          relu: Whether to apply the ReLU.
          upsample: Whether to double height and width first (nearest).

        Returns:
          `[batch, height, width, filters]`, or of twice the size.
        """
        create_batch_norm = self.batch_norm if batch_norm else None
        # The convolution keeps its bias under batch norm, where it has no
        # effect, because the weight files have it.
        settings = {
            "activation": "relu" if relu and not create_batch_norm else None,
            "kernel_initializer": "he_normal",
            "name": name,
        }
        filters = self.channels(filters)
        if upsample:
            convolution = layers.UpsampledConv2D(filters, **settings)
        elif self.filtered_gradient:
            convolution = CpuConv2D(filters, **settings)
        else:
            convolution = tf.keras.layers.Conv2D(
                filters, 3, padding="same", **settings
            )
        values = convolution(inputs)
        if create_batch_norm:
            values = create_batch_norm(
                momentum=self.batch_norm_momentum, name=f"{name}_bn"
            )(values)
            if relu:
                values = tf.keras.layers.ReLU(name=f"{name}_relu")(values)
        return values

    def drop(self, inputs: tf.Tensor, name: str) -> tf.Tensor:
        """Dropout, if there is any."""
        if not self.dropout:
            return inputs
        if self.position is None:
            raise ValueError("dropout needs a position")
        layer = layers.PositionedDropout(
            self.dropout, self.position, shared=self.shared_masks, name=name
        )
        return layer(inputs)

    def classify(
        self, inputs: tf.Tensor, num_classes: int, name: str = "logits"
    ) -> tf.Tensor:
        """3x3 convolution to the classes, float32 whatever the policy."""
        return tf.keras.layers.Conv2D(
            num_classes,
            3,
            padding="same",
            kernel_initializer="he_normal",
            dtype="float32",
            name=name,
        )(inputs)
