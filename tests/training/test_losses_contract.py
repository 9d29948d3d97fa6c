"""Tests of what a trainer relies on in losses, whatever the loss."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.constants import LOSSES
from segnet.errors import ConfigError
from segnet.training import losses

CLASSES = 5
WEIGHTS = (0.5, 2.0, 1.0, 3.0, 0.25)


def sample():
    """Random logits, and labels with pixels to ignore."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3.0, size=(2, 6, 10, CLASSES))
    labels = rng.choice([0, 1, 2, 4, 255, -1, CLASSES], size=(2, 6, 10))
    return logits, labels.astype(np.int32)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_weight_needs_labels_alone(weights):
    logits, labels = sample()
    loss = losses.create_loss_fn("dice", CLASSES, weights)
    weight = loss.weight(tf.constant(labels))
    assert weight.dtype == tf.float32
    assert weight == loss(tf.constant(logits, tf.float32), labels)[1]
    # uint8, as datasets store them.
    as_bytes = tf.constant(np.where(labels < 0, 255, labels), tf.uint8)
    assert weight == loss.weight(as_bytes)


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_sums_of_two_workers_are_those_of_the_joined_batch(name):
    logits, labels = sample()
    labels[0, :, :7] = 255
    loss = losses.create_loss_fn(name, CLASSES, WEIGHTS)
    joined = loss(tf.constant(logits), tf.constant(labels))
    parts = [
        loss(tf.constant(logits[i : i + 1]), tf.constant(labels[i : i + 1]))
        for i in range(2)
    ]
    np.testing.assert_allclose(np.sum(parts, axis=0), joined)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_half_precision_is_computed_in_float32(name, dtype):
    logits, labels = sample()
    logits = tf.cast(logits, dtype)
    loss = losses.create_loss_fn(name, CLASSES)
    actual = loss(logits, tf.constant(labels))
    expected = loss(tf.cast(logits, tf.float32), tf.constant(labels))
    assert [value.dtype for value in actual] == [tf.float32] * 2
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", LOSSES)
def test_step_has_static_shapes_and_no_int64(name):
    loss = losses.create_loss_fn(name, CLASSES, WEIGHTS)

    @tf.function
    def step(logits, labels):
        value = loss(logits, labels)[0]
        return value, tf.gradients(value, logits)[0], loss.weight(labels)

    graph = step.get_concrete_function(
        tf.TensorSpec([2, 6, 10, CLASSES], tf.float32),
        tf.TensorSpec([2, 6, 10], tf.int32),
    ).graph
    operations = graph.get_operations()
    kinds = {operation.type for operation in operations}
    assert kinds.isdisjoint({"Where", "Unique", "UniqueV2", "DynamicPartition"})
    outputs = [out for operation in operations for out in operation.outputs]
    assert all(out.dtype != tf.int64 for out in outputs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hinge", 3), "--loss=hinge is not known; use one of cross_entropy"),
        (("dice", 3, None, 0.1), "--label_smoothing=0.1 has no meaning"),
        (("cross_entropy", 3, None, 1.0), "--label_smoothing=1.0 must be"),
        (("cross_entropy", 3, None, -0.1), "--label_smoothing=-0.1 must be"),
        (("dice", 3, (1.0, 2.0)), "need 3 finite numbers"),
        (("dice", 2, (1.0, -2.0)), "need 2 finite numbers"),
        (("dice", 2, (1.0, float("nan"))), "need 2 finite numbers"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ConfigError) as caught:
        losses.create_loss_fn(*arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
