"""The training step: the loss of a step, its gradients, its traces."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.runtime.device import prepare_xla
from segnet.training import losses, optim, steps

NUM_CLASSES = 3


def _step(
    *,
    run_eagerly=False,
    reduce_sum=lambda t, name: t,
    loss_scaling=False,
    clip_norm=0.0,
    accumulate_steps=1,
    loss="cross_entropy",
    compile_loss=False,
):
    """A step of a one-layer network with plain gradient descent at rate 1."""
    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Rescaling(1 / 255, input_shape=(None, None, 3)),
            tf.keras.layers.Conv2D(NUM_CLASSES, 1, name="logits"),
        ]
    )
    optimizer = optim.create_optimizer(
        "sgd",
        momentum=0.0,
        weight_decay=0.0,
        loss_scaling=loss_scaling,
    )
    optimizer.build(model.trainable_variables)
    totals = steps.Totals()
    traces = []

    def reduce_gradients(gradients):
        traces.append(1)
        return gradients

    step = steps.create_train_step(
        model,
        losses.create_loss_fn(loss, NUM_CLASSES, None),
        optim.Updater(
            optimizer,
            model.trainable_variables,
            clip_norm=clip_norm,
        ),
        totals,
        device_name="/device:CPU:0",
        reduce_sum=reduce_sum,
        reduce_gradients=reduce_gradients,
        accumulate_steps=accumulate_steps,
        compile_loss=compile_loss,
        run_eagerly=run_eagerly,
    )
    return step, model, totals, traces


def _batch(seed=0, shape=(2, 4, 6)):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    labels = rng.integers(0, NUM_CLASSES, shape).astype(np.int32)
    labels[0, 0] = 255
    return tf.constant(images), tf.constant(labels)


ONE = tf.constant(1.0)
NO_VOTES = tf.zeros([2])


def _numpy_step(model, images, labels):
    """Loss sum and new weights by NumPy."""
    kernel, bias = (value.astype(np.float64) for value in model.get_weights())
    x = images.numpy().reshape(-1, 3) / 255
    y = labels.numpy().ravel()
    valid = y < NUM_CLASSES
    logits = x @ kernel[0, 0] + bias
    logits -= logits.max(-1, keepdims=True)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    one_hot = np.eye(NUM_CLASSES)[np.where(valid, y, 0)]
    loss = -np.sum(np.log(np.sum(p * one_hot, -1))[valid])
    d = (p - one_hot) * valid[:, None] / valid.sum()
    return loss, valid.sum(), kernel[0, 0] - x.T @ d, bias - d.sum(0)


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("loss_scaling", [False, True])
def test_one_step_equals_numpy(run_eagerly, loss_scaling):
    step, model, totals, _ = _step(
        run_eagerly=run_eagerly, loss_scaling=loss_scaling
    )
    images, labels = _batch()
    loss, weight, kernel, bias = _numpy_step(model, images, labels)
    step(images, labels, ONE, NO_VOTES)
    np.testing.assert_allclose(model.get_weights()[0][0, 0], kernel, atol=1e-5)
    np.testing.assert_allclose(model.get_weights()[1], bias, atol=1e-5)
    np.testing.assert_allclose(totals.take(), [loss, weight], rtol=1e-5)
    np.testing.assert_array_equal(totals.take(), [0, 0])


@pytest.mark.parametrize("loss_scaling", [False, True])
@pytest.mark.parametrize(
    "loss", ["cross_entropy", "cross_entropy_dice", "dice", "focal"]
)
def test_a_compiled_loss_is_the_same(loss, loss_scaling, monkeypatch):
    monkeypatch.setattr(steps, "_SMALLEST_COMPILED", 100)
    prepare_xla()
    images, labels = _batch()
    results = []
    for compile_loss in (False, True):
        step, model, totals, _ = _step(
            loss=loss, loss_scaling=loss_scaling, compile_loss=compile_loss
        )
        step(images, labels, ONE, NO_VOTES)
        traced = step.get_concrete_function(images, labels, ONE, NO_VOTES)
        functions = traced.graph.as_graph_def().library.function
        compiled = any("_XlaMustCompile" in x.attr for x in functions)
        assert compiled == compile_loss
        results.append([*model.get_weights(), totals.take().numpy()])
    for plain, compiled in zip(*results, strict=True):
        np.testing.assert_allclose(plain, compiled, rtol=1e-5, atol=1e-6)


def test_a_small_loss_is_not_compiled():
    step, *_ = _step(compile_loss=True)
    traced = step.get_concrete_function(*_batch(), ONE, NO_VOTES)
    functions = traced.graph.as_graph_def().library.function
    assert not any("_XlaMustCompile" in x.attr for x in functions)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_compiled_loss_that_is_not_finite_is_seen(value, monkeypatch):
    monkeypatch.setattr(steps, "_SMALLEST_COMPILED", 100)
    prepare_xla()
    step, model, totals, _ = _step(compile_loss=True)
    kernel, bias = model.get_weights()
    model.set_weights([kernel, np.full_like(bias, value)])
    step(*_batch(), ONE, NO_VOTES)
    assert not np.isfinite(totals.take()[0])


def test_the_weight_of_all_workers_divides():
    """A second worker with as many pixels halves this one's gradient."""
    images, labels = _batch()
    changes = []
    for factor in (1.0, 2.0):
        step, model, _, _ = _step(
            reduce_sum=lambda tensor, name, f=factor: tensor * f
        )
        before = model.get_weights()[0].copy()
        step(images, labels, ONE, NO_VOTES)
        changes.append(model.get_weights()[0] - before)
    np.testing.assert_allclose(changes[0], 2 * changes[1], atol=1e-6)


def test_traced_once():
    step, _, _, traces = _step()
    for seed in range(4):
        step(*_batch(seed), ONE * seed, tf.constant([float(seed), 0.0]))
    assert len(traces) == 1


def test_votes_are_summed_over_the_workers():
    step, _, _, _ = _step(reduce_sum=lambda tensor, name: 2 * tensor)
    votes = step(*_batch(), ONE, tf.constant([0.0, 1.0]))
    np.testing.assert_array_equal(votes, [0.0, 2.0])


def test_only_ignored_pixels_change_nothing():
    step, model, totals, _ = _step()
    before = [value.copy() for value in model.get_weights()]
    images, labels = _batch()
    step(images, tf.fill(labels.shape, 255), ONE, NO_VOTES)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(totals.take(), [0, 0])


def test_a_loss_that_is_not_finite_stays_visible():
    totals = steps.Totals()
    totals.add(tf.constant(np.nan), tf.constant(1.0))
    totals.add(tf.constant(1.0), tf.constant(1.0))
    assert np.isnan(totals.take()[0])


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_parts_of_a_batch_add_up_to_the_whole(run_eagerly):
    """Uneven numbers of ignored pixels in the parts, too."""
    images, labels = _batch(shape=(4, 4, 6))
    results = []
    for parts in (1, 2, 4):
        step, model, totals, _ = _step(
            run_eagerly=run_eagerly, accumulate_steps=parts
        )
        step(images, labels, ONE, NO_VOTES)
        results.append([*model.get_weights(), totals.take().numpy()])
    for parts in results[1:]:
        for one, other in zip(results[0], parts, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_gradients_are_clipped_as_told():
    images, labels = _batch()
    step, model, _, _ = _step(clip_norm=0.01)
    before = model.get_weights()
    step(images, labels, ONE, NO_VOTES)
    changes = [
        new - old for new, old in zip(model.get_weights(), before, strict=True)
    ]
    norm = np.sqrt(sum(np.sum(change**2) for change in changes))
    assert norm == pytest.approx(0.01, rel=1e-4)
