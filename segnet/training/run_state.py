"""Where a run stands, apart from weights and optimizer."""

from __future__ import annotations

import tensorflow as tf

__all__ = ["RunState"]


class RunState(tf.Module):
    """Where a run stands, apart from weights and optimizer.

    Attributes:
      step: int64, steps done.
      workers: int64, workers at that step; 0 before the first.
      records: int64, records of the training split then.
      offset: int64, see `segnet.config.schedule.Schedule`.
      best_score: float64, best evaluation score so far; -1 before the first.
      best_step: int64, step of that score.
      best_epoch: int64, epochs done at that score.
      evaluated_step: int64, step of the last evaluation; -1 before the first.
    """

    def __init__(self) -> None:
        """Creates the state of a run that has not begun."""
        super().__init__()
        self.step = tf.Variable(0, dtype=tf.int64, name="step")
        self.workers = tf.Variable(0, dtype=tf.int64)
        self.records = tf.Variable(0, dtype=tf.int64)
        self.offset = tf.Variable(0, dtype=tf.int64)
        self.best_score = tf.Variable(-1.0, dtype=tf.float64)
        self.best_step = tf.Variable(0, dtype=tf.int64)
        self.best_epoch = tf.Variable(0, dtype=tf.int64)
        self.evaluated_step = tf.Variable(-1, dtype=tf.int64)

    def record(self, score: float | None, epoch: int) -> bool:
        """Notes an evaluation at this step; returns whether it is the best.

        A score that cannot be computed, None, never is.
        """
        self.evaluated_step.assign(self.step)
        best = score is not None and score > float(self.best_score.numpy())
        if best:
            self.best_score.assign(score)
            self.best_step.assign(self.step)
            self.best_epoch.assign(epoch)
        return best
