"""The traced training step."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from segnet.training import losses, optim

__all__ = ["Totals", "create_train_step"]

# Logits of a batch from which on the loss is compiled where that is asked for:
# compiling takes a second, and saves 10 ms of a step for a million of them.
_SMALLEST_COMPILED = 1_000_000

TrainStep = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


class Totals(tf.Module):
    """Loss sums since the last log line, kept on the device.

    A non-finite loss stays in the sum, so that it is seen however rarely the
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
    updater: optim.Updater,
    totals: Totals,
    *,
    device_name: str,
    reduce_sum: Callable[[tf.Tensor, str], tf.Tensor],
    reduce_gradients: Callable[[list[tf.Tensor]], list[tf.Tensor]],
    position: tf.Variable | None = None,
    accumulate_steps: int = 1,
    compile_loss: bool = False,
    run_eagerly: bool = False,
) -> TrainStep:
    """Builds the step that trains on one batch.

    The loss of a step is the sum over the pixels of all workers divided by
    the weight of the valid pixels of all workers, so the result does not
    depend on how pixels to ignore are spread. So the workers' gradients are
    summed, not averaged. Those of the parts of an accumulated batch are, too.

    Args:
      model: The network.
      loss: Gives the loss sum and its weight.
      updater: Knows the weights that learn and applies their gradients.
      totals: Adds up the loss.
      device_name: Device that computes.
      reduce_sum: (tensor, name) -> its sum over the workers.
      reduce_gradients: Gradients -> their sums over the workers.
      position: Passes through the network so far, if it needs to know; moved
        on after each part of a batch.
      accumulate_steps: Parts that a batch is computed in, one after the
        other, so that the activations of one part are in memory at a time.
      compile_loss: Whether XLA may compile the loss and its gradient by the
        logits, a dozen passes over them, into few.
      run_eagerly: Whether to leave the step untraced.

    Returns:
      Function of images uint8 `[batch, height, width, 3]`, labels int32
      `[batch, height, width]`, the learning rate, float32 scalar, and this
      worker's votes to stop, float32 `[3]` (see `segnet.signals`), to the sum
      of the votes over the workers.
    """
    compiled = loss.differentiate
    if compile_loss and not run_eagerly:
        compiled = tf.function(compiled, autograph=False, jit_compile=True)

    def differentiate(
        images: tf.Tensor, labels: tf.Tensor, total_weight: tf.Tensor
    ) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
        # A batch without a valid pixel has loss 0, not 0 / 0.
        factor = updater.scale_loss(tf.math.divide_no_nan(1.0, total_weight))
        large = logits.shape.num_elements() >= _SMALLEST_COMPILED
        differentiate_loss = compiled if large else loss.differentiate
        loss_sum, weight, gradient = differentiate_loss(logits, labels, factor)
        totals.add(loss_sum, weight)
        if position is not None:
            position.assign_add(1)
        return tape.gradient(
            logits, updater.variables, output_gradients=gradient
        )

    def train_step(
        images: tf.Tensor,
        labels: tf.Tensor,
        learning_rate: tf.Tensor,
        votes: tf.Tensor,
    ) -> tf.Tensor:
        with tf.device(device_name):
            # One small reduction carries the weight and the votes.
            reduced = reduce_sum(
                tf.concat([[loss.weight(labels)], votes], 0), "weight"
            )
            gradients = _sum_of_parts(
                lambda images, labels: differentiate(
                    images, labels, reduced[0]
                ),
                _split(images, accumulate_steps),
                _split(labels, accumulate_steps),
            )
            updater(reduce_gradients(gradients), learning_rate)
            return reduced[1:]

    if run_eagerly:
        return train_step
    # No autograph: there are no loops over tensors, and rewriting every layer
    # takes longer than tracing it.
    return tf.function(train_step, autograph=False, reduce_retracing=False)


def _split(batch: tf.Tensor, parts: int) -> list[tf.Tensor]:
    """Cuts a batch into equal parts."""
    return [batch] if parts == 1 else tf.split(batch, parts)


def _sum_of_parts(
    differentiate: Callable[[tf.Tensor, tf.Tensor], list[tf.Tensor]],
    images: list[tf.Tensor],
    labels: list[tf.Tensor],
) -> list[tf.Tensor]:
    """Adds up the gradients of the parts of a batch, one after the other."""
    gradients: list[tf.Tensor] = []
    for part in zip(images, labels, strict=True):
        # The next part waits for these: else all would be in memory at once.
        with tf.control_dependencies(gradients):
            more = differentiate(*part)
        gradients = list(map(tf.add, gradients, more)) if gradients else more
    return gradients
