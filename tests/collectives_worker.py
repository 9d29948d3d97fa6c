"""One of the workers of `test_collectives.py`: writes what it computed."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from segnet.constants import COMPRESSIONS
from segnet.models.sync_batch_norm import SyncBatchNormalization
from segnet.runtime import distributed

SHAPES = ((3, 3, 2), (5,), (1,))
BATCH = (2, 3, 5, 4)


def gradients_of(rank: int) -> list[np.ndarray]:
    """Gradients of worker `rank`; 24 numbers, so 2 workers share evenly."""
    generator = np.random.default_rng(rank)
    return [generator.normal(size=shape).astype(np.float32) for shape in SHAPES]


def batch_of(rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and weights of the loss of worker `rank`."""
    generator = np.random.default_rng(10 + rank)
    return tuple(
        generator.normal(2.0, 3.0, BATCH).astype(np.float32) for _ in range(2)
    )


def reduce_gradients(rank: int) -> dict[str, list]:
    """The sums of the gradients, for each way to sum them up."""
    first, *others = map(tf.constant, gradients_of(rank))
    sums = {}
    for compression in COMPRESSIONS:
        for grouped in (False, True):
            reduce = functools.partial(
                distributed.allreduce_gradients,
                compression=compression,
                grouped=grouped,
            )
            for how, call in (("eager", reduce), ("traced", _traced(reduce))):
                first_sum, none, *other_sums = call([first, None, *others])
                if none is not None:
                    raise RuntimeError("None did not stay None")
                sums[f"{compression} {grouped} {how}"] = [
                    value.numpy().tolist() for value in (first_sum, *other_sums)
                ]
    return sums


def _traced(function: Callable) -> Callable:
    return tf.function(lambda gradients: function(gradients))


def normalise(rank: int) -> dict[str, list]:
    """Result, averages and gradients of batch norm over all workers."""
    inputs, weights = map(tf.constant, batch_of(rank))
    layer = SyncBatchNormalization(distributed.allreduce_sum, momentum=0.9)
    layer.build(BATCH)

    @tf.function
    def step(inputs, weights):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
            loss = tf.reduce_sum(outputs * weights)
        return outputs, tape.gradient(loss, inputs)

    outputs, gradient = step(inputs, weights)
    return {
        "outputs": outputs.numpy().tolist(),
        "gradient": gradient.numpy().tolist(),
        "averages": [v.numpy().tolist() for v in layer.non_trainable_variables],
    }


def main(folder: Path) -> None:
    """Makes all collective calls and writes their results."""
    distributed.init()
    distributed.init()  # The second one does nothing.
    rank = distributed.rank()
    variables = [
        tf.Variable([rank + 5.0] * 3),
        tf.Variable(rank + 3, dtype=tf.int64),
        tf.Variable(rank == 0),
    ]
    distributed.broadcast_variables(variables)
    result = {
        "ranks": [rank, distributed.size(), distributed.is_chief()],
        "variables": [v.numpy().tolist() for v in variables],
        "counts": distributed.allreduce_array(
            np.array([[2**40, rank]]), "counts"
        ).tolist(),
        "any": [
            distributed.any_rank(rank == 1),
            distributed.any_rank(False),
        ],
        "broadcast": distributed.broadcast_json({"é": [rank, None]}),
        "gathered": distributed.allgather_json("x" * 3 * rank),
        "gradients": reduce_gradients(rank),
        "batch_norm": normalise(rank),
    }
    (folder / f"{rank}.json").write_text(json.dumps(result))
    distributed.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
