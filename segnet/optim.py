"""Optimizers and learning-rate schedules."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

__all__ = ["WarmupSchedule", "create_optimizer"]

# "poly" of DeepLab (Chen et al. 2018): (1 - step / total) ** 0.9.
_POLYNOMIAL_POWER = 0.9


class WarmupSchedule(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from zero, then constant, cosine or polynomial decay."""

    def __init__(
        self, peak: float, kind: str, warmup_steps: int, total_steps: int
    ) -> None:
        """Creates a schedule.

        Args:
          peak: Learning rate after warm-up.
          kind: `constant`, `cosine` (Loshchilov & Hutter 2017, one cycle to
            zero) or `polynomial` (power 0.9, to zero).
          warmup_steps: Steps of warm-up; 0 for none.
          total_steps: Step at which the decay ends.
        """
        super().__init__()
        self.peak = peak
        self.kind = kind
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """The learning rate of step number `step` (from 0); float32 scalar."""
        step = tf.cast(step, tf.float32)
        # The first step already learns: step + 1 of warmup_steps.
        warmup = tf.minimum((step + 1.0) / max(self.warmup_steps, 1), 1.0)
        decay_steps = max(self.total_steps - self.warmup_steps, 1)
        done = (step - self.warmup_steps) / decay_steps
        done = tf.clip_by_value(done, 0.0, 1.0)
        if self.kind == "cosine":
            factor = 0.5 * (1.0 + tf.cos(math.pi * done))
        elif self.kind == "polynomial":
            factor = tf.pow(1.0 - done, _POLYNOMIAL_POWER)
        else:
            factor = 1.0
        return self.peak * warmup * factor

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for Keras."""
        return {
            "peak": self.peak,
            "kind": self.kind,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
        }


def create_optimizer(
    name: str,
    learning_rate: tf.keras.optimizers.schedules.LearningRateSchedule,
    *,
    momentum: float,
    weight_decay: float,
    loss_scaling: bool,
) -> tf.keras.optimizers.Optimizer:
    """Creates an optimizer.

    Args:
      name: `adam` (Kingma & Ba 2015) or `sgd` (with momentum).
      learning_rate: Schedule.
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
        "learning_rate": learning_rate,
        "weight_decay": weight_decay or None,
        "jit_compile": False,
    }
    if name == "adam":
        optimizer = tf.keras.optimizers.Adam(**common)
    else:
        optimizer = tf.keras.optimizers.SGD(momentum=momentum, **common)
    if weight_decay:
        optimizer.exclude_from_weight_decay(
            var_names=["bias", "gamma", "beta"]
        )
    if loss_scaling:
        optimizer = tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer
