"""The traced training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from segnet import losses

__all__ = ["Totals", "create_train_step"]

TrainStep = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


class Totals(tf.Module):
    """Loss sums since the last log line, kept on the device.

    A non-finite loss stays in the sum, so that it is seen however seldom the
    host looks.
    """

    def __init__(self) -> None:
        """Starts at zero."""
        super().__init__()
        self.values = tf.Variable(tf.zeros([2]), trainable=False)

    def add(self, loss_sum: tf.Tensor, weight: tf.Tensor) -> None:
        """Adds one step's sum and weight (of this worker)."""
        self.values.assign_add(tf.stack([loss_sum, weight]))

    def take(self) -> tf.Tensor:
        """Returns (sum, weight), float32 `[2]`, and starts again at zero."""
        values = tf.identity(self.values)
        self.values.assign(tf.zeros([2]))
        return values


def create_train_step(
    model: tf.keras.Model,
    loss: losses.Loss,
    optimizer: tf.keras.optimizers.Optimizer,
    variables: Sequence[tf.Variable],
    totals: Totals,
    *,
    device_name: str,
    reduce_sum: Callable[[tf.Tensor, str], tf.Tensor],
    reduce_gradients: Callable[[list[tf.Tensor]], list[tf.Tensor]],
    run_eagerly: bool = False,
) -> TrainStep:
    """Builds the step that trains on one batch.

    The loss of a step is the sum over the pixels of all workers divided by
    the weight of the valid pixels of all workers, so the result does not
    depend on how pixels to ignore are spread. So the workers' gradients are
    summed, not averaged.

    Args:
      model: The network.
      loss: Gives the loss sum and its weight.
      optimizer: Built for all variables of the model.
      variables: The weights that learn.
      totals: Adds up the loss.
      device_name: Device that computes.
      reduce_sum: (tensor, name) -> its sum over the workers.
      reduce_gradients: Gradients -> their sums over the workers.
      run_eagerly: Whether to leave the step untraced.

    Returns:
      Function of images uint8 `[batch, height, width, 3]`, labels int32
      `[batch, height, width]`, the learning rate, float32 scalar, and this
      worker's votes to stop, float32 `[2]` (see `segnet.signals`), to the sum
      of the votes over the workers.
    """
    scaled = isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer)

    def train_step(
        images: tf.Tensor,
        labels: tf.Tensor,
        learning_rate: tf.Tensor,
        votes: tf.Tensor,
    ) -> tf.Tensor:
        with tf.device(device_name):
            optimizer.learning_rate.assign(learning_rate)
            # One small reduction carries the weight and the votes.
            reduced = reduce_sum(
                tf.concat([[loss.weight(labels)], votes], 0), "weight"
            )
            with tf.GradientTape() as tape:
                logits = model(images, training=True)
                loss_sum, weight = loss(logits, labels)
                # A batch without a valid pixel has loss 0, not 0 / 0.
                value = tf.math.divide_no_nan(loss_sum, reduced[0])
                if scaled:
                    value = optimizer.get_scaled_loss(value)
            gradients = tape.gradient(value, variables)
            gradients = reduce_gradients(gradients)
            if scaled:
                gradients = optimizer.get_unscaled_gradients(gradients)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            totals.add(loss_sum, weight)
            return reduced[1:]

    if run_eagerly:
        return train_step
    return tf.function(train_step, reduce_retracing=False)
