"""`vgg_segnet`: four blocks of VGG16 and a decoder that upsamples."""

from __future__ import annotations

import tensorflow as tf

from segnet.models import layers
from segnet.models.blocks import POOL_STRIDE, VGG16_BLOCKS, Builder

__all__ = ["DECODER", "ENCODER_BLOCKS", "build"]

ENCODER_BLOCKS = VGG16_BLOCKS[:4]
# Dropout follows the poolings from this block on, and as many convolutions
# of the decoder.
_FIRST_DEEP_BLOCK = 3
# (channels, whether nearest x2 upsampling comes first, whether dropout
# follows) of each convolution.
DECODER = (
    (512, False, True),
    (256, True, True),
    (128, True, False),
    (64, True, False),
)


def build(
    images: tf.Tensor,
    num_classes: int,
    builder: Builder,
    *,
    batch_norm_in_encoder: bool,
) -> tf.Tensor:
    """Applies the network.

    Args:
      images: uint8 RGB `[batch, height, width, 3]`, height and width
        multiples of 16.
      num_classes: Channels of the result.
      builder: Makes the layers.
      batch_norm_in_encoder: Whether batch norm stands between each
        convolution of the encoder and its ReLU.

    Returns:
      float32 logits `[batch, height, width, num_classes]`.
    """
    values = layers.VggNormalization(name="normalization")(images)
    for block, (repeats, filters) in enumerate(ENCODER_BLOCKS, 1):
        for index in range(1, repeats + 1):
            values = builder.convolve(
                values,
                filters,
                f"block{block}_conv{index}",
                batch_norm=batch_norm_in_encoder,
                relu=index < repeats,
            )
        values = tf.keras.layers.MaxPooling2D(
            POOL_STRIDE, name=f"block{block}_pool"
        )(values)
        # The ReLU of the largest is the largest ReLU, of a quarter of the
        # values; so are the gradients.
        values = tf.keras.layers.ReLU(name=f"block{block}_relu")(values)
        if block >= _FIRST_DEEP_BLOCK:
            values = builder.drop(values, f"block{block}_dropout")
    for index, (filters, upsample, deep) in enumerate(DECODER, 1):
        values = builder.convolve(
            values,
            filters,
            f"decoder_conv{index}",
            batch_norm=True,
            relu=False,
            upsample=upsample,
        )
        if deep:
            values = builder.drop(values, f"decoder_dropout{index}")
    values = builder.classify(values, num_classes)
    return layers.BilinearUpsampling(name="resize", dtype="float32")(values)
