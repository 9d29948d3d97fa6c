"""Keras's Adam with the update of a weight as one operation on a CPU."""

from __future__ import annotations

import tensorflow as tf

__all__ = ["FusedAdam"]


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
