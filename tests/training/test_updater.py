"""Tests of `segnet.training.optim.Updater`."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.training import optim


def _updater(name="sgd", *, loss_scaling=False, **kwargs):
    """Of two weights that start at 2; the first is the encoder's."""
    variables = [tf.Variable([2.0], name=f"{n}/kernel") for n in "ab"]
    optimizer = optim.create_optimizer(
        name, momentum=0.0, weight_decay=0.0, loss_scaling=loss_scaling
    )
    optimizer.build(variables)
    updater = optim.Updater(
        optimizer, variables, encoder_variables=variables[:1], **kwargs
    )
    return updater, variables


def _apply(updater, gradients, rate=0.1):
    updater([tf.constant([g]) for g in gradients], tf.constant(rate))


def _values(variables):
    return [float(variable[0]) for variable in variables]


def test_clipping_keeps_the_direction():
    # Norm 5 becomes 1: gradients 0.6 and 0.8.
    updater, variables = _updater(clip_norm=1.0)
    _apply(updater, [3.0, 4.0])
    np.testing.assert_allclose(_values(variables), [1.94, 1.92], rtol=1e-6)


def test_clipping_leaves_small_gradients():
    updater, variables = _updater(clip_norm=10.0)
    _apply(updater, [3.0, 4.0])
    np.testing.assert_allclose(_values(variables), [1.7, 1.6], rtol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_the_encoder_takes_smaller_steps(name):
    updater, variables = _updater(name, encoder_scale=0.1)
    _apply(updater, [1.0, 1.0])
    np.testing.assert_allclose(_values(variables), [1.99, 1.9], atol=1e-5)


def test_clipping_comes_after_unscaling():
    updater, variables = _updater(loss_scaling=True, clip_norm=1.0)
    scale = float(updater.scale_loss(tf.constant(1.0)))
    assert scale == 2.0**15
    _apply(updater, [3.0 * scale, 4.0 * scale])
    np.testing.assert_allclose(_values(variables), [1.94, 1.92], rtol=1e-5)


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_an_overflow_is_passed_over(clip_norm):
    updater, variables = _updater(
        loss_scaling=True, clip_norm=clip_norm, encoder_scale=0.5
    )
    _apply(updater, [np.inf, 1.0])
    assert _values(variables) == [2.0, 2.0]
    assert float(updater.scale_loss(tf.constant(1.0))) == 2.0**14


def test_averages_follow_the_new_weights():
    class Averages:
        def update(self):
            self.seen = _values(variables)

    averages = Averages()
    updater, variables = _updater(averages=averages)
    _apply(updater, [1.0, 2.0])
    np.testing.assert_allclose(averages.seen, [1.9, 1.8], rtol=1e-6)
