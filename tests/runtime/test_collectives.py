"""What `segnet.runtime.distributed` computes with two workers."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import collectives_worker as worker
import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.dist

_WORKER = Path(worker.__file__).resolve()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each of two workers wrote."""
    if importlib.util.find_spec("horovod") is None:
        reason = "Horovod is missing: make setup-horovod"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("collectives")
    paths = [str(_WORKER.parents[1]), os.environ.get("PYTHONPATH")]
    run = subprocess.run(
        [
            *(Path(sys.executable).with_name("horovodrun"), "--gloo"),
            *("-np", "2", sys.executable, _WORKER, folder),
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return [
        json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)
    ]


def test_ranks(results):
    assert results[0]["ranks"] == [0, 2, True]
    assert results[1]["ranks"] == [1, 2, False]


@pytest.mark.parametrize("rank", [0, 1])
def test_all_workers_get_the_same(results, rank):
    result = results[rank]
    assert result["variables"] == [[5.0] * 3, 3, True]
    assert result["counts"] == [[2**41, 1]]
    assert result["any"] == [True, False]
    assert result["broadcast"] == {"é": [0, None]}
    assert result["gathered"] == ["", "xxx"]
    assert result["gradients"] == results[0]["gradients"]


@pytest.mark.parametrize("how", ["eager", "traced"])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(
    # Rounding of two terms and of their sum, each below 5: half a unit in
    # the last of 24, 11 or 8 bits of 4.0 to 8.0.
    ("compression", "tolerance"),
    [("none", 0.0), ("fp16", 3 * 2**-9), ("bf16", 3 * 2**-6)],
)
def test_sum_of_gradients(results, compression, tolerance, grouped, how):
    sums = results[0]["gradients"][f"{compression} {grouped} {how}"]
    largest = 0.0
    for ours, mine, other in zip(
        sums, worker.gradients_of(0), worker.gradients_of(1), strict=True
    ):
        largest = max(largest, np.max(np.abs(ours - (mine + other))))
        assert np.shape(ours) == mine.shape
    assert largest <= tolerance
    # It did go through the narrower format.
    assert (largest > 0) == (compression != "none")


@pytest.mark.parametrize("rank", [0, 1])
def test_batch_norm_equals_one_worker_with_both_batches(results, rank):
    pairs = [worker.batch_of(0), worker.batch_of(1)]
    inputs, weights = (
        tf.constant(np.concatenate(parts)) for parts in zip(*pairs, strict=True)
    )
    keras = tf.keras.layers.BatchNormalization(momentum=0.9)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = keras(inputs, training=True)
        loss = tf.reduce_sum(outputs * weights)
    ours = results[rank]["batch_norm"]
    share = slice(rank * worker.BATCH[0], (rank + 1) * worker.BATCH[0])
    np.testing.assert_allclose(ours["outputs"], outputs[share], atol=1e-5)
    np.testing.assert_allclose(
        ours["gradient"], tape.gradient(loss, inputs)[share], atol=1e-5
    )
    for average, expected in zip(
        ours["averages"], keras.non_trainable_variables, strict=True
    ):
        np.testing.assert_allclose(average, expected, rtol=1e-5)
