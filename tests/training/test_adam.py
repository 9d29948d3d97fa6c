"""The fused Adam is Keras's Adam."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.training.optim import FusedAdam

_SETTINGS = {"learning_rate": 0.01, "jit_compile": False}


def _train(optimizer, steps, device="/device:CPU:0"):
    rng = np.random.default_rng(1)
    with tf.device(device):
        weights = [
            tf.Variable(rng.normal(size=shape).astype(np.float32), name=name)
            for name, shape in (("kernel", [3, 5]), ("bias", [5]))
        ]
    optimizer.build(weights)

    @tf.function
    def step(gradients):
        optimizer.apply_gradients(zip(gradients, weights, strict=True))

    for _ in range(steps):
        step([
            tf.constant(rng.normal(size=weight.shape), tf.float32)
            for weight in weights
        ])  # fmt: skip
    graph = step.get_concrete_function(
        [tf.zeros_like(weight) for weight in weights]
    ).graph
    kinds = {operation.type for operation in graph.get_operations()}
    return weights, kinds


@pytest.mark.parametrize("weight_decay", [None, 0.1])
def test_weights_and_slots_are_those_of_keras(weight_decay):
    optimizers = [
        kind(weight_decay=weight_decay, **_SETTINGS)
        for kind in (FusedAdam, tf.keras.optimizers.Adam)
    ]
    for optimizer in optimizers:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    (ours, kinds), (keras, _) = (_train(each, 7) for each in optimizers)
    assert "ResourceApplyAdam" in kinds
    for mine, usual in zip(ours, keras, strict=True):
        np.testing.assert_allclose(mine, usual, rtol=1e-6, atol=2e-6)
    names = [
        [variable.name for variable in optimizer.variables]
        for optimizer in optimizers
    ]
    assert names[0] == names[1]
    for mine, usual in zip(
        optimizers[0].variables, optimizers[1].variables, strict=True
    ):
        # 1 - 0.999 is computed in float32 here, in float64 there.
        np.testing.assert_allclose(mine, usual, rtol=3e-5, atol=1e-9)


def test_keras_own_update_where_the_device_is_not_a_cpu(monkeypatch):
    monkeypatch.setattr(
        type(tf.Variable(0.0)), "device", property(lambda self: "/device:HPU:0")
    )
    _, kinds = _train(FusedAdam(**_SETTINGS), 1)
    assert "ResourceApplyAdam" not in kinds
