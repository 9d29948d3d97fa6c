"""Losses against formulas written out in NumPy float64."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tensorflow as tf

from segnet.constants import LOSSES
from segnet.training import losses

CLASSES = 5
WEIGHTS = (0.5, 2.0, 1.0, 3.0, 0.25)
# Of these classes one is absent in the samples.
ABSENT = 3


def sample(seed=0, shape=(2, 6, 10), dtype=np.float64):
    """Random logits and labels with pixels to ignore and a class absent."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3.0, size=(*shape, CLASSES)).astype(dtype)
    labels = rng.choice([0, 1, 2, 4, 255, -1, CLASSES], size=shape)
    return logits, labels.astype(np.int32)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def expected_loss(name, logits, labels, weights, smoothing=0.0):
    """(sum, weight), from the valid pixels alone."""
    valid = (labels >= 0) & (labels < CLASSES)
    p, y = softmax(logits[valid].astype(np.float64)), labels[valid]
    weights = np.ones(CLASSES) if weights is None else np.array(weights)
    pixel_weights = weights[y]
    weight = pixel_weights.sum()
    target = np.eye(CLASSES)[y] * (1 - smoothing) + smoothing / CLASSES
    cross_entropy = -(target * np.log(p)).sum(-1)
    present = np.unique(y)

    def region(of_class):
        values = [of_class(p[:, c], y == c) for c in present]
        return np.average(values, weights=weights[present]) * weight

    if name == "cross_entropy":
        loss_sum = (pixel_weights * cross_entropy).sum()
    elif name == "focal":
        p_true = p[np.arange(len(y)), y]
        loss_sum = (pixel_weights * (1 - p_true) ** 2 * cross_entropy).sum()
    elif name == "dice":
        loss_sum = region(dice_loss)
    elif name == "lovasz_softmax":
        loss_sum = region(lovasz_loss)
    else:
        loss_sum = (pixel_weights * cross_entropy).sum() + region(dice_loss)
    return loss_sum, weight


def dice_loss(p, truth):
    return 1 - (2 * p[truth].sum() + 1) / (p.sum() + truth.sum() + 1)


def lovasz_loss(p, truth):
    """Sums over the sets of pixels with the k largest errors."""
    errors = np.abs(truth - p)
    order = np.argsort(-errors, kind="stable")

    def jaccard_loss(k):
        wrong = np.zeros(len(p), bool)
        wrong[order[:k]] = True
        predicted = truth ^ wrong
        return 1 - (truth & predicted).sum() / (truth | predicted).sum()

    steps = np.diff([jaccard_loss(k) for k in range(len(p) + 1)])
    return (errors[order] * steps).sum()


def value_and_gradient(loss, logits, labels):
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss_sum, weight = loss(logits, tf.constant(labels))
    return (
        loss_sum.numpy(),
        weight.numpy(),
        tape.gradient(loss_sum, logits).numpy(),
    )


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("dtype", "rtol"), [(tf.float64, 1e-12), (tf.float32, 2e-6)]
)
def test_agrees_with_formula(name, weights, dtype, rtol):
    loss = losses.create_loss_fn(name, CLASSES, weights)
    for seed in range(3):
        logits, labels = sample(seed, dtype=dtype.as_numpy_dtype)
        actual = loss(tf.constant(logits), tf.constant(labels))
        expected = expected_loss(name, logits, labels, weights)
        assert [value.dtype for value in actual] == [dtype] * 2
        np.testing.assert_allclose(actual, expected, rtol=rtol)


@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy_dice"])
def test_label_smoothing_agrees_with_formula(name):
    logits, labels = sample()
    loss = losses.create_loss_fn(name, CLASSES, WEIGHTS, 0.1)
    np.testing.assert_allclose(
        loss(tf.constant(logits), tf.constant(labels)),
        expected_loss(name, logits, labels, WEIGHTS, 0.1),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Two pixels of class 0 and 1, with p(0) of 3/4 and 1/2.
        ("cross_entropy", np.log(4 / 3) + np.log(2)),
        ("focal", np.log(4 / 3) / 16 + np.log(2) / 4),
        ("dice", 2 * (1 - (2.5 / 3.25 + 2 / 2.75) / 2)),
        # Class 0: errors 1/2, 1/4 with growth 1/2, 1/2;
        # class 1: errors 1/2, 1/4 with growth 1, 0.
        ("lovasz_softmax", 2 * (0.375 + 0.5) / 2),
    ],
)
def test_hand_computed(name, expected):
    logits = np.log([[[[3 / 4, 1 / 4], [1 / 2, 1 / 2]]]])
    loss = losses.create_loss_fn(name, 2)
    actual = loss(tf.constant(logits), tf.constant([[[0, 1]]]))
    np.testing.assert_allclose(actual, [expected, 2.0])


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_agrees_with_finite_differences(name, weights):
    smoothing = 0.1 if name.startswith("cross_entropy") else 0.0
    loss = losses.create_loss_fn(name, CLASSES, weights, smoothing)
    logits, labels = sample(shape=(1, 2, 5))

    @tf.function
    def mean(values):
        loss_sum, weight = loss(values, tf.constant(labels))
        return loss_sum / weight

    exact, numeric = tf.test.compute_gradient(
        mean, [tf.constant(logits)], delta=1e-6
    )
    assert np.abs(exact[0]).max() > 1e-3
    np.testing.assert_allclose(exact[0], numeric[0], atol=1e-8)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_all_ignored_gives_zero(name, weights, scale):
    logits, labels = sample(dtype=np.float32)
    loss = losses.create_loss_fn(name, CLASSES, weights)
    labels = np.full_like(labels, 255)
    loss_sum, weight, gradient = value_and_gradient(
        loss, logits * scale, labels
    )
    assert loss_sum == weight == loss.weight(labels) == 0.0
    np.testing.assert_array_equal(gradient, np.zeros_like(logits))


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_have_no_influence(name):
    logits, labels = sample(dtype=np.float32)
    loss = losses.create_loss_fn(name, CLASSES, WEIGHTS)
    ignored = (labels < 0) | (labels >= CLASSES)
    changed = logits.copy()
    changed[ignored] = np.float32([1e4, -1e4, 0.0, 7.0, 1e4])
    loss_sum, _, gradient = value_and_gradient(loss, logits, labels)
    other_sum, _, other_gradient = value_and_gradient(loss, changed, labels)
    np.testing.assert_allclose(other_sum, loss_sum, rtol=1e-6)
    np.testing.assert_allclose(other_gradient, gradient, atol=1e-6)
    np.testing.assert_array_equal(gradient[ignored], 0.0)
    np.testing.assert_array_equal(other_gradient[ignored], 0.0)
    assert np.any(gradient[~ignored])


def test_ignored_pixels_are_sorted_after_those_without_error():
    # Pixel 1 is ignored; 0 and 2 become wrong one after the other.
    growth = losses._jaccard_growth(
        tf.constant([[0.5, 0.0, 0.0]]),
        tf.constant([[0.0, 0.0, 1.0]]),
        tf.constant([1.0, 0.0, 1.0]),
    ).numpy()
    np.testing.assert_allclose(growth[0, [0, 2]], [0.5, 0.5])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_extreme_logits_stay_finite(name, dtype):
    rng = np.random.default_rng(1)
    _, labels = sample()
    logits = rng.choice([-1e4, 0.0, 1e4], size=(*labels.shape, CLASSES))
    loss = losses.create_loss_fn(name, CLASSES, WEIGHTS)
    result = value_and_gradient(loss, logits.astype(dtype), labels)
    assert all(np.all(np.isfinite(value)) for value in result)
    assert result[0] > 0.0


def test_extreme_logits_hand_computed():
    logits = tf.constant([[[[1e4, -1e4], [-1e4, 1e4]]]])
    labels = tf.constant([[[1, 1]]])
    actual = {
        name: float(losses.create_loss_fn(name, 2)(logits, labels)[0])
        for name in LOSSES
    }
    # One of two pixels of the only class present is wrong by 20000.
    dice = 2 * (1 - (2 * 1 + 1) / (1 + 2 + 1))
    assert actual == pytest.approx(
        {
            "cross_entropy": 2e4,
            "focal": 2e4,
            "dice": dice,
            "lovasz_softmax": 2 * 0.5,
            "cross_entropy_dice": 2e4 + dice,
        }
    )


@pytest.mark.parametrize("name", LOSSES)
def test_right_prediction_costs_nothing_though_a_class_is_absent(name):
    _, labels = sample()
    assert ABSENT not in labels
    logits = 40.0 * np.eye(CLASSES)[np.clip(labels, 0, CLASSES - 1)]
    loss = losses.create_loss_fn(name, CLASSES)
    loss_sum, weight = loss(tf.constant(logits), tf.constant(labels))
    assert weight == np.sum((labels >= 0) & (labels < CLASSES))
    assert 0.0 <= loss_sum / weight < 1e-12


@pytest.mark.parametrize("name", LOSSES)
def test_pixels_of_weight_zero_classes_only(name):
    weights = (0.0, 1.0, 1.0, 1.0, 1.0)
    logits, labels = sample(dtype=np.float32)
    loss = losses.create_loss_fn(name, CLASSES, weights)
    result = value_and_gradient(loss, logits, np.zeros_like(labels))
    assert result[:2] == (0.0, 0.0)
    np.testing.assert_array_equal(result[2], np.zeros_like(logits))


def test_cross_entropy_agrees_with_keras():
    logits, labels = sample()
    valid = (labels >= 0) & (labels < CLASSES)
    keras = tf.keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=0.2, reduction="sum"
    )
    one_hot = np.eye(CLASSES)[labels[valid]]
    expected = keras(one_hot, logits[valid], np.array(WEIGHTS)[labels[valid]])
    loss = losses.create_loss_fn("cross_entropy", CLASSES, WEIGHTS, 0.2)
    actual, _ = loss(tf.constant(logits), tf.constant(labels))
    np.testing.assert_allclose(actual, expected)


def test_focal_agrees_with_tensorflow_addons_for_two_classes():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_addons as tfa
    rng = np.random.default_rng(2)
    logits = rng.normal(scale=3.0, size=(2, 6, 10))
    labels = rng.integers(0, 2, logits.shape)
    # alpha=0.5 halves both classes alike.
    expected = 2.0 * tfa.losses.sigmoid_focal_crossentropy(
        labels[..., None].astype(np.float64),
        logits[..., None],
        alpha=0.5,
        gamma=2.0,
        from_logits=True,
    )
    two = np.stack([np.zeros_like(logits), logits], -1)
    loss = losses.create_loss_fn("focal", 2)
    actual, _ = loss(tf.constant(two), tf.constant(labels, tf.int32))
    np.testing.assert_allclose(actual, np.sum(expected))
