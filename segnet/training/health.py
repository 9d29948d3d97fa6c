"""Whether a run is well: finite, and the same on all workers."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from segnet.errors import RunError
from segnet.runtime import distributed
from segnet.training.run import Run
from segnet.training.steps import Totals

__all__ = ["check_finite", "share_averages", "take_loss"]

_REMEDY = (
    "the last checkpoint is from before: lower --learning_rate, add "
    "--warmup_epochs, or use --precision=float32, in a new --workdir"
)


def take_loss(totals: Totals, step: int) -> np.ndarray:
    """Loss sum and weight since the last call, over all workers.

    Args:
      totals: This worker's; start again at zero.
      step: Steps done.

    Returns:
      float32 `[2]`; both are 0 if there was no labelled pixel.

    Raises:
      RunError: If the mean is not finite; on all workers alike.
    """
    sums = distributed.allreduce_sum(totals.take(), "loss").numpy()
    if not np.all(np.isfinite(sums)):
        loss = float(sums[0]) / float(sums[1] or 1.0)
        raise RunError(
            f"the loss is {loss} at or shortly before step {step}; {_REMEDY}"
        )
    return sums


def check_finite(totals: Totals, model: tf.keras.Model, step: int) -> None:
    """Stops before anything that is not finite is saved.

    Args:
      totals: This worker's; left as they are.
      model: Its weights are looked at too: a finite loss can still have led
        to an update that is not.
      step: Steps done.

    Raises:
      RunError: On all workers alike.
    """
    values = distributed.allreduce_sum(tf.identity(totals.values), "loss_check")
    if not np.all(np.isfinite(values.numpy())):
        raise RunError(
            f"the loss is not finite at or shortly before step {step}; "
            f"{_REMEDY}"
        )
    bad = [
        variable.name
        for variable in model.variables
        if not tf.reduce_all(tf.math.is_finite(variable))
    ]
    if distributed.any_rank(bool(bad)):
        raise RunError(
            f"{', '.join(bad[:1]) or 'a weight of another worker'} is not "
            f"finite at step {step}; {_REMEDY}"
        )


def share_averages(run: Run) -> None:
    """Gives all workers the mean of their batch norm averages.

    The weights are the same everywhere already; the averages are of each
    worker's own batches, and every worker is to score, and rank 0 to save,
    one and the same network. So are the moving averages of them.

    Args:
      run: Whose network and moving averages to share.
    """
    if distributed.size() == 1:
        return
    averages = run.averages.values if run.averages else []
    for variable in [*run.model.non_trainable_variables, *averages]:
        if "/moving_" in variable.name:
            total = distributed.allreduce_sum(
                variable.read_value(), variable.name
            )
            variable.assign(total / distributed.size())
