"""`segnet`: the network of the SegNet paper (arXiv 1511.00561)."""

from __future__ import annotations

import tensorflow as tf

from segnet.models import layers
from segnet.models.blocks import VGG16_BLOCKS, Builder

__all__ = ["build"]

# Dropout follows the poolings from this block on, and the decoder's mirror
# images of these blocks. Source: Bayesian SegNet (arXiv 1511.02680).
_FIRST_DEEP_BLOCK = 3


def build(images: tf.Tensor, num_classes: int, builder: Builder) -> tf.Tensor:
    """Applies the network.

    Each convolution but the last has batch norm and ReLU. The decoder mirrors
    the encoder; it unpools with the positions of the encoder's maxima.

    Args:
      images: uint8 RGB `[batch, height, width, 3]`, height and width
        multiples of 32.
      num_classes: Channels of the result.
      builder: Makes the layers.

    Returns:
      float32 logits `[batch, height, width, num_classes]`.
    """
    values = layers.VggNormalization(name="normalization")(images)
    masks = []
    for block, (repeats, filters) in enumerate(VGG16_BLOCKS, 1):
        names = [f"block{block}_conv{i}" for i in range(1, repeats + 1)]
        values = _convolve_all(builder, values, [filters] * repeats, names)
        pool = layers.MaxPoolWithMask(
            portable=builder.portable, name=f"block{block}_pool"
        )
        values, mask = pool(values)
        masks.append(mask)
        if block >= _FIRST_DEEP_BLOCK:
            values = builder.drop(values, f"block{block}_dropout")
    for block in range(len(VGG16_BLOCKS), 0, -1):
        values = layers.MaskUnpooling(name=f"decoder{block}_unpool")(
            (values, masks.pop())
        )
        widths = _decoder_filters(block)
        names = [f"decoder{block}_conv{i + 1}" for i in range(len(widths))]
        values = _convolve_all(builder, values, widths, names)
        if block >= _FIRST_DEEP_BLOCK:
            values = builder.drop(values, f"decoder{block}_dropout")
    return builder.classify(values, num_classes)


def _decoder_filters(block: int) -> list[int]:
    """Channels of the convolutions after unpooling a block.

    As many as the block's input had in the end, so that the next unpooling
    fits. The last convolution of the first block is the one to the classes.
    """
    repeats, filters = VGG16_BLOCKS[block - 1]
    if block == 1:
        return [filters] * (repeats - 1)
    return [filters] * (repeats - 1) + [VGG16_BLOCKS[block - 2][1]]


def _convolve_all(
    builder: Builder, values: tf.Tensor, filters: list[int], names: list[str]
) -> tf.Tensor:
    """One convolution with batch norm and ReLU after the other."""
    for width, name in zip(filters, names, strict=True):
        values = builder.convolve(
            values, width, name, batch_norm=True, relu=True
        )
    return values
