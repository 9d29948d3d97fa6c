"""Optimizers, learning-rate schedules, and what becomes of gradients."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import tensorflow as tf

from segnet.config import Config
from segnet.config.schedule import Schedule
from segnet.training.weight_averages import WeightAverages

__all__ = [
    "FusedAdam",
    "LearningRate",
    "Updater",
    "create_learning_rate",
    "create_optimizer",
]

# "poly" of DeepLab (Chen et al. 2018): (1 - step / total) ** 0.9.
_POLYNOMIAL_POWER = 0.9
_LONGEST_DEFAULT_WARMUP_EPOCHS = 5


@dataclasses.dataclass(frozen=True)
class LearningRate:
    """Linear warm-up from zero, then constant, cosine or polynomial decay.

    Computed on the host and handed to each step, so that it can follow a run
    whose number of workers changes.

    Attributes:
      peak: Learning rate after warm-up.
      kind: `constant`, `cosine` (Loshchilov & Hutter 2017, one cycle to
        zero) or `polynomial` (power 0.9, to zero).
      warmup_steps: Steps of warm-up; 0 for none.
      total_steps: Step at which the decay ends.
    """

    peak: float
    kind: str
    warmup_steps: int
    total_steps: int

    def __call__(self, step: int) -> float:
        """The learning rate of step number `step` (from 0)."""
        # The first step already learns: step + 1 of warmup_steps.
        warmup = min((step + 1) / max(self.warmup_steps, 1), 1.0)
        decay_steps = max(self.total_steps - self.warmup_steps, 1)
        done = min(max((step - self.warmup_steps) / decay_steps, 0.0), 1.0)
        factor = 1.0
        if self.kind == "cosine":
            factor = 0.5 * (1.0 + math.cos(math.pi * done))
        elif self.kind == "polynomial":
            factor = (1.0 - done) ** _POLYNOMIAL_POWER
        return self.peak * warmup * factor


def create_learning_rate(
    config: Config, schedule: Schedule, num_workers: int
) -> LearningRate:
    """The learning rate of a run with a number of workers."""
    scale = num_workers if config.scale_learning_rate else 1
    warmup_epochs = config.warmup_epochs
    if warmup_epochs is None:
        warmup_epochs = 0.0
        if scale > 1:
            warmup_epochs = min(
                _LONGEST_DEFAULT_WARMUP_EPOCHS, config.epochs / 10
            )
    return LearningRate(
        config.learning_rate * scale,
        config.lr_schedule,
        schedule.steps_of_epochs(warmup_epochs),
        schedule.num_steps,
    )


def create_optimizer(
    name: str,
    *,
    momentum: float,
    weight_decay: float,
    loss_scaling: bool,
) -> tf.keras.optimizers.Optimizer:
    """Creates an optimizer.

    Args:
      name: `adam` (Kingma & Ba 2015), `adamw` (the same; the name says that
        there is weight decay) or `sgd` (with momentum).
      momentum: Of SGD.
      weight_decay: Decoupled (Loshchilov & Hutter 2019), on kernels only; 0
        for none.
      loss_scaling: Whether to wrap it for float16 (dynamic loss scale).

    Returns:
      A Keras optimizer, not built yet.
    """
    # jit_compile=False: Gaudi's bridge compiles by itself, and XLA brings
    # nothing for these element-wise updates on a CPU.
    common = {
        # Every step brings its own.
        "learning_rate": 0.0,
        "weight_decay": weight_decay or None,
        "jit_compile": False,
    }
    if name in ("adam", "adamw"):
        optimizer = FusedAdam(**common)
    else:
        optimizer = tf.keras.optimizers.SGD(momentum=momentum, **common)
    if weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    if loss_scaling:
        optimizer = tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer


class FusedAdam(tf.keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) that reads and writes each weight once.

    Slots, names and mathematics are Keras's, whose dozen operations a weight
    each go through memory. Other devices than a CPU keep Keras's: the
    operation has no kernel on some of them.
    """

    def update_step(
        self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable
    ) -> None:
        """Updates a weight and its slots."""
        usual = isinstance(gradient, tf.IndexedSlices) or self.amsgrad
        if usual or "CPU" not in variable.device.upper():
            super().update_step(gradient, variable)
            return
        index = self._index_dict[self._var_key(variable)]
        dtype = variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        beta_1 = tf.constant(self.beta_1, dtype)
        beta_2 = tf.constant(self.beta_2, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(self.learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.constant(self.epsilon, dtype),
            grad=gradient,
        )


class Updater:
    """Turns the gradients of a step into new weights."""

    def __init__(
        self,
        optimizer: tf.keras.optimizers.Optimizer,
        variables: Sequence[tf.Variable],
        *,
        clip_norm: float = 0.0,
        encoder_variables: Sequence[tf.Variable] = (),
        encoder_scale: float = 1.0,
        averages: WeightAverages | None = None,
    ) -> None:
        """Ties an optimizer to the weights of a stage.

        Args:
          optimizer: Built for all variables of the model.
          variables: The weights that learn.
          clip_norm: Largest global norm of the gradients (Pascanu et al.
            2013); 0: no limit.
          encoder_variables: Those with a learning rate of their own.
          encoder_scale: Factor on their learning rate.
          averages: Moving averages to keep, if any.
        """
        self.variables = list(variables)
        self._optimizer = optimizer
        self._clip_norm = clip_norm
        self._encoder_variables = list(encoder_variables)
        self._encoder_scale = encoder_scale
        self._averages = averages
        self._scaled = isinstance(
            optimizer, tf.keras.mixed_precision.LossScaleOptimizer
        )

    def scale_loss(self, loss: tf.Tensor) -> tf.Tensor:
        """The loss to differentiate: times the loss scale, if there is one."""
        return self._optimizer.get_scaled_loss(loss) if self._scaled else loss

    def __call__(
        self, gradients: list[tf.Tensor], learning_rate: tf.Tensor
    ) -> None:
        """Updates weights and averages, in a traced function or eagerly.

        Args:
          gradients: Of the scaled loss, in the order of `variables`.
          learning_rate: float32 scalar.
        """
        self._optimizer.learning_rate.assign(learning_rate)
        if self._scaled:
            gradients = self._optimizer.get_unscaled_gradients(gradients)
        if self._clip_norm:
            # Not finite stays not finite, so a loss scale still sees it.
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
        own_rate = self._encoder_variables if self._encoder_scale != 1 else []
        before = [variable.read_value() for variable in own_rate]
        self._optimizer.apply_gradients(
            zip(gradients, self.variables, strict=True)
        )
        # Adam's steps do not depend on the size of the gradients, so it is
        # the step that is scaled, weight decay included.
        for variable, old in zip(own_rate, before, strict=True):
            step = variable.read_value() - old
            variable.assign(old + self._encoder_scale * step)
        if self._averages is not None:
            self._averages.update()
