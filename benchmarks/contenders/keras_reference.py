"""The training step of `vgg_segnet` in Keras as most would write it.

Keras's layers and its Adam, nearest `UpSampling2D` before the convolution, the
logits brought to size by `tf.image.resize`, sparse cross-entropy; a traced
step, no pipeline. Of `segnet` only the config is used, so what makes it fast
does not make the reference faster.
"""

from __future__ import annotations

import tensorflow as tf

from benchmarks.harness.timing import Work
from segnet.config import Config

__all__ = ["create_network", "training"]

_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512))
_DECODER = (512, 256, 128, 64)
_MEANS = (103.939, 116.779, 123.68)


def training(*, config: Config, steps: int) -> Work:
    """Training steps in float32 on one random batch.

    Args:
      config: As for `own.training`; the architecture does not matter.
      steps: Steps a round.
    """
    num_classes = len(config.class_names)
    model = create_network(num_classes, config.width_multiplier)
    optimizer = tf.keras.optimizers.Adam(config.learning_rate)
    loss_fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    size = (config.batch_size, config.input_height, config.input_width)
    images = tf.random.uniform((*size, 3), maxval=256, dtype=tf.int32)
    images = tf.cast(images, tf.uint8)
    labels = tf.random.uniform(size, maxval=num_classes, dtype=tf.int32)

    @tf.function
    def train_step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_fn(labels, model(images, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
        return loss

    def run(prepared: None) -> int:
        for _ in range(steps):
            train_step().numpy()
        return steps * config.batch_size

    return Work(run)


def create_network(
    num_classes: int, width_multiplier: float = 1.0
) -> tf.keras.Model:
    """`vgg_segnet`, uint8 RGB `[batch, height, width, 3]` to logits."""

    def convolve(filters: int, activation: str | None) -> tf.keras.layers.Layer:
        return tf.keras.layers.Conv2D(
            max(1, round(filters * width_multiplier)),
            3,
            padding="same",
            activation=activation,
            kernel_initializer="he_normal",
        )

    images = tf.keras.Input((None, None, 3), dtype=tf.uint8)
    values = tf.cast(images[..., ::-1], tf.float32) - tf.constant(_MEANS)
    for repeats, filters in _BLOCKS:
        for _ in range(repeats):
            values = convolve(filters, "relu")(values)
        values = tf.keras.layers.MaxPooling2D()(values)
    for number, filters in enumerate(_DECODER):
        if number:
            values = tf.keras.layers.UpSampling2D()(values)
        values = convolve(filters, None)(values)
        values = tf.keras.layers.BatchNormalization()(values)
    values = tf.keras.layers.Conv2D(num_classes, 3, padding="same")(values)
    logits = tf.image.resize(values, 2 * tf.shape(values)[1:3])
    return tf.keras.Model(images, logits)
