"""Tests of segnet/training/optim.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from segnet.training import optim


@pytest.mark.parametrize(
    ("kind", "step", "expected"),
    [
        ("constant", 0, 0.1),
        ("constant", 3, 0.4),
        ("constant", 90, 0.4),
        ("cosine", 4, 0.4),
        ("cosine", 52, 0.2),
        ("cosine", 100, 0.0),
        ("polynomial", 52, 0.4 * 0.5**0.9),
        ("polynomial", 200, 0.0),
    ],
)
def test_schedule_by_hand(kind, step, expected):
    schedule = optim.LearningRate(0.4, kind, 4, 100)
    assert schedule(step) == pytest.approx(expected, abs=1e-6)


def test_schedule_without_warmup_starts_at_the_peak():
    schedule = optim.LearningRate(0.4, "cosine", 0, 100)
    assert schedule(0) == pytest.approx(0.4)
    assert schedule(50) == pytest.approx(0.2)


def _one_step(name, weight_decay):
    kernel = tf.Variable([2.0], name="conv/kernel")
    bias = tf.Variable([2.0], name="conv/bias")
    optimizer = optim.create_optimizer(
        name,
        momentum=0.9,
        weight_decay=weight_decay,
        loss_scaling=False,
    )
    optimizer.build([kernel, bias])
    optimizer.learning_rate.assign(0.1)
    gradient = tf.constant([1.0])
    optimizer.apply_gradients([(gradient, kernel), (gradient, bias)])
    return kernel.numpy()[0], bias.numpy()[0]


def test_first_step_by_hand():
    # Adam's first step is the learning rate; decay takes lr * wd * weight.
    np.testing.assert_allclose(_one_step("adam", 0.0), [1.9, 1.9], atol=1e-5)
    np.testing.assert_allclose(_one_step("sgd", 0.0), [1.9, 1.9], atol=1e-6)
    np.testing.assert_allclose(_one_step("adam", 0.5), [1.8, 1.9], atol=1e-5)
    np.testing.assert_allclose(_one_step("sgd", 0.5), [1.8, 1.9], atol=1e-5)


def test_float16_gets_a_loss_scale():
    optimizer = optim.create_optimizer(
        "adam",
        momentum=0.9,
        weight_decay=0.0,
        loss_scaling=True,
    )
    assert math.isclose(float(optimizer.loss_scale), 2.0**15)
