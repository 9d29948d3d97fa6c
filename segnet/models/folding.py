"""Batch norm folded into the convolutions before it, for inference."""

from __future__ import annotations

import tensorflow as tf

__all__ = ["fold_batch_norm"]


def fold_batch_norm(model: tf.keras.Model, folded: tf.keras.Model) -> None:
    """Gives a network without batch norm the weights that make it equal.

    With moving averages, batch norm is a factor and a sum for each channel:
    gamma (k x + b - mean) / sqrt(variance + epsilon) + beta. The factor goes
    into the kernel, the sum into the bias, and a pass over the activations is
    saved. Equal up to rounding.

    Args:
      model: As `create_model` gives it.
      folded: The same with `batch_norm=None`; gets its weights.
    """
    norms = {
        layer.name: layer
        for layer in model.layers
        if isinstance(layer, tf.keras.layers.BatchNormalization)
    }
    for target in folded.layers:
        if not target.weights:
            continue
        kernel, bias = model.get_layer(target.name).weights
        norm = norms.get(f"{target.name}_bn")
        if norm is not None:
            factor = norm.gamma * tf.math.rsqrt(
                norm.moving_variance + norm.epsilon
            )
            bias = norm.beta + factor * (bias - norm.moving_mean)
            kernel = kernel * factor
        for variable, value in zip(target.weights, (kernel, bias), strict=True):
            variable.assign(value)
