"""Trains a tiny network as `main.py` does, on the device given; prints JSON."""

from __future__ import annotations

import json
import sys

from segnet.runtime.device import prepare_environment, setup_runtime

device, precision = sys.argv[1:3]
prepare_environment(device)

import tensorflow as tf  # noqa: E402 - the environment comes first

runtime = setup_runtime(device, precision, seed=3)
layers = tf.keras.layers


def create_network() -> tf.keras.Model:
    inputs = tf.keras.Input((24, 40, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.MaxPool2D()(x)
    x = layers.Conv2DTranspose(6, 2, strides=2)(x)
    x = layers.MaxPool2D()(x)
    x = layers.UpSampling2D()(x)
    return tf.keras.Model(inputs, layers.Conv2D(3, 1, dtype="float32")(x))


with tf.device(runtime.device_name):
    network = create_network()
    optimizer = tf.keras.optimizers.Adam(0.01, jit_compile=False)
    optimizer.build(network.trainable_variables)


@tf.function
def train_step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    with tf.device(runtime.device_name), tf.GradientTape() as tape:
        logits = network(images, training=True)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        loss = tf.reduce_mean(losses)
    variables = network.trainable_variables
    gradients = tape.gradient(loss, variables)
    optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return loss


@tf.function
def unpool(x: tf.Tensor) -> tf.Tensor:
    """Unpooling by a mask from MaxPoolGrad, which Gaudi has."""
    with tf.device(runtime.device_name):
        pooled = tf.nn.max_pool2d(x, 2, 2, "VALID")
        mask = tf.raw_ops.MaxPoolGrad(
            orig_input=x,
            orig_output=pooled,
            grad=tf.ones_like(pooled),
            ksize=[1, 2, 2, 1],
            strides=[1, 2, 2, 1],
            padding="VALID",
        )
        return mask * tf.repeat(tf.repeat(pooled, 2, 1), 2, 2)


images = tf.random.stateless_normal((2, 24, 40, 3), (1, 2))
labels = tf.cast(images[..., 0] > 0, tf.int32)
losses = [float(train_step(images, labels)) for _ in range(8)]
print(
    json.dumps(
        {
            "device_name": runtime.device_name,
            "precision": runtime.precision,
            "losses": losses,
            "variables": sorted(
                {v.device for v in network.variables + optimizer.variables}
            ),
            "variable_dtypes": sorted(
                {v.dtype.name for v in network.variables}
            ),
            "compute_dtype": network.layers[1].compute_dtype,
            "unpooled": unpool(
                tf.reshape(
                    tf.constant([1.0, 5, 2, 3, 4, 6, 9, 8]), (1, 2, 4, 1)
                )
            )
            .numpy()
            .ravel()
            .tolist(),
            "traces": train_step.experimental_get_tracing_count(),
        }
    )
)
