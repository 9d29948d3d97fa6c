"""Optimizers and learning-rate schedules."""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from segnet.adam import FusedAdam

__all__ = ["LearningRate", "create_optimizer"]

# "poly" of DeepLab (Chen et al. 2018): (1 - step / total) ** 0.9.
_POLYNOMIAL_POWER = 0.9


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


def create_optimizer(
    name: str,
    *,
    momentum: float,
    weight_decay: float,
    loss_scaling: bool,
) -> tf.keras.optimizers.Optimizer:
    """Creates an optimizer.

    Args:
      name: `adam` (Kingma & Ba 2015) or `sgd` (with momentum).
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
    if name == "adam":
        optimizer = FusedAdam(**common)
    else:
        optimizer = tf.keras.optimizers.SGD(momentum=momentum, **common)
    if weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    if loss_scaling:
        optimizer = tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer
