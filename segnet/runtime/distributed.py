"""Many workers: rank and size, broadcasts and sums over all of them.

Only this module and `elastic` import `horovod`, and only where
`horovodrun` or `mpirun` started more than one process; everywhere else each
function does what a single worker needs, mostly nothing. Sums, never means,
since the loss is divided by a weight that is itself a sum over the workers.
All workers must make the same calls in the same order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.errors import ConfigError
from segnet.runtime.launcher import Launched, launched

__all__ = [
    "Launched",
    "allgather_json",
    "allreduce_array",
    "allreduce_gradients",
    "allreduce_sum",
    "any_rank",
    "broadcast_json",
    "broadcast_variables",
    "init",
    "is_chief",
    "is_worker_lost",
    "launched",
    "rank",
    "shutdown",
    "size",
]

# Milliseconds between two looks. With Horovod's own 1 ms, workers of one core
# each took 1.18 times as long as they compute and reduce, with 10 ms 1.06 times
# (benchmarks/scaling.py).
_CPU_CYCLE_MS = "10"

# How long workers that connect wait for one that is being started. If it takes
# longer than that, TensorFlow's import included, Horovod aborts those waiting;
# its own 30 s are too few on a busy machine.
_ELASTIC_TIMEOUT_SECS = "120"
_READ_ONCE = ("HOROVOD_CYCLE_TIME", "HOROVOD_FUSION_THRESHOLD")
# In the name of each operation of Horovod's; its own choices have it too.
_LABEL = "Horovod"

# `horovod.tensorflow` between init() and shutdown(), where there are several.
_hvd: Any = None


def init(*, long_cycle: bool = False) -> None:
    """Starts Horovod where a launcher started several processes.

    To be called once the device is set up, and before any other function
    here; calling it again does nothing.

    Args:
      long_cycle: Whether Horovod's thread looks for work every 10 ms and not
        every millisecond; HOROVOD_CYCLE_TIME, where set, wins. Where the
        thread shares the cores that compute, each look takes time from the
        step. Without effect in an elastic job.

    Raises:
      ConfigError: If Horovod is missing, or cannot talk as launched.
    """
    global _hvd
    launch = launched()
    if _hvd is not None or (launch.size == 1 and not launch.elastic):
        return
    try:
        import horovod.tensorflow as hvd
    except ImportError as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise ConfigError(
            f"{launch.size} processes were started but Horovod cannot be "
            f"imported ({reason}); run `make setup-horovod`"
        ) from error
    if launch.elastic:
        _prepare_elastic()
    elif long_cycle:
        os.environ.setdefault("HOROVOD_CYCLE_TIME", _CPU_CYCLE_MS)
    hvd.init()
    if hvd.size() != launch.size and not launch.elastic:
        found = hvd.size()
        hvd.shutdown()
        raise ConfigError(
            f"{launch.size} processes were started but Horovod sees {found}: "
            "it was built without MPI; start with horovodrun, or build it "
            "with HOROVOD_WITH_MPI=1 (BUILD.md)"
        )
    _hvd = hvd


def _prepare_elastic() -> None:
    """Sets up the environment of a Horovod that will be started repeatedly.

    Raises:
      ConfigError: A variable is set that Horovod 0.28 can read only once. It
        takes a fixed option out of a table of options, and writes the default
        of its second start into the place of another one, or beside the table.
        The workers that stay then bundle gradients unlike those that join.
    """
    for name in _READ_ONCE:
        if name in os.environ:
            raise ConfigError(
                f"the environment variable {name} is set (or the option of "
                "horovodrun that sets it is given): with it, Horovod crashes "
                "when the workers of an elastic job change; unset it"
            )
    os.environ.setdefault("HOROVOD_GLOO_TIMEOUT_SECONDS", _ELASTIC_TIMEOUT_SECS)


def shutdown() -> None:
    """Ends what `init` started; the others then cannot reduce any more."""
    global _hvd
    if _hvd is not None:
        _hvd.shutdown()
        _hvd = None


def rank() -> int:
    """Number of this worker, from 0."""
    return _hvd.rank() if _hvd else 0


def size() -> int:
    """Number of workers."""
    return _hvd.size() if _hvd else 1


def is_chief() -> bool:
    """Whether this worker is the one that writes."""
    return rank() == 0


def is_worker_lost(error: BaseException) -> bool:
    """Whether an error only says that another worker has gone.

    That one has the message that matters; this one can leave quietly. Horovod
    raises an UnknownError with whatever its transport has to say, such as
    "Connection reset by peer"; TensorFlow adds the name of the operation. What
    the workers do not agree on, such as shapes, are errors of other types.
    """
    return isinstance(error, tf.errors.UnknownError) and _LABEL in str(error)


def broadcast_variables(variables: Sequence[tf.Variable]) -> None:
    """Gives the variables of all workers the values of rank 0's."""
    if _hvd and variables:
        _hvd.broadcast_variables(list(variables), root_rank=0)


def allreduce_sum(tensor: tf.Tensor, name: str) -> tf.Tensor:
    """Sum of a tensor over all workers, eagerly or in a traced function.

    Args:
      tensor: Same shape and dtype (of float16, float32, float64, int32,
        int64) on all workers.
      name: Same on all workers; no two of one traced function alike.

    Returns:
      A tensor of that shape and dtype; differentiable.
    """
    if not _hvd:
        return tensor
    return _hvd.allreduce(tensor, op=_hvd.Sum, name=_operation(name))


def allreduce_array(array: np.ndarray, name: str) -> np.ndarray:
    """`allreduce_sum` of a NumPy array, outside traced functions."""
    if not _hvd:
        return array
    # Accelerators do not take every dtype; counts are small.
    with tf.device("/device:CPU:0"):
        return allreduce_sum(tf.constant(array), name).numpy()


def allreduce_gradients(
    gradients: Sequence[tf.Tensor | None],
    compression: str = "none",
    *,
    grouped: bool = False,
) -> list[tf.Tensor | None]:
    """Sums gradients over all workers.

    Args:
      gradients: As `GradientTape.gradient` gives them, shapes known; None
        stays None.
      compression: Number format on the wire: `none` for the gradients' own,
        `fp16` (half the bytes; flushes what is below 6e-8 to zero), `bf16`
        (half the bytes, the range of float32, 8 bits of precision, added up
        in float32).
      grouped: Whether to reduce them as one bundle. Sums of more than two
        workers are then bit-identical from run to run; otherwise Horovod
        bundles what is ready, which overlaps with the backward pass.

    Returns:
      The sums, in order, of the gradients' dtypes.
    """
    present = [gradient for gradient in gradients if gradient is not None]
    if not _hvd or not present:
        return list(gradients)
    if compression == "bf16":
        sums = _sum_bfloat16(present)
    elif grouped:
        sums = _hvd.grouped_allreduce(
            present,
            op=_hvd.Sum,
            compression=getattr(_hvd.Compression, compression),
            name=_operation("gradients"),
        )
    else:
        sums = [
            _hvd.allreduce(
                gradient,
                op=_hvd.Sum,
                compression=getattr(_hvd.Compression, compression),
                name=_operation(f"gradient_{index}"),
            )
            for index, gradient in enumerate(present)
        ]
    remaining = iter(sums)
    return [
        None if gradient is None else next(remaining) for gradient in gradients
    ]


def _sum_bfloat16(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Sums with bfloat16 on the wire, which Horovod 0.28 does not know.

    It carries the bytes: each worker receives its share of all gradients from
    all others, adds up, and sends the sums to all. Like a ring all-reduce,
    each worker sends and receives 2 (size - 1) / size times the gradients.
    """
    workers = _hvd.size()
    flat = tf.concat(
        [tf.reshape(tf.cast(g, tf.bfloat16), [-1]) for g in gradients], 0
    )
    counts = [gradient.shape.num_elements() for gradient in gradients]
    share = -(-sum(counts) // workers)
    flat = tf.pad(flat, [[0, share * workers - sum(counts)]])
    shares = _hvd.alltoall(
        tf.bitcast(flat, tf.uint8), name=_operation("gradient_shares")
    )
    shares = tf.bitcast(tf.reshape(shares, [workers, share, 2]), tf.bfloat16)
    total = tf.reduce_sum(tf.cast(shares, tf.float32), 0)
    total = _hvd.allgather(
        tf.bitcast(tf.cast(total, tf.bfloat16), tf.uint8),
        name=_operation("gradient_sums"),
    )
    total = tf.reshape(total, [share * workers, 2])
    total = tf.bitcast(total, tf.bfloat16)[: sum(counts)]
    return [
        tf.cast(tf.reshape(part, gradient.shape), gradient.dtype)
        for part, gradient in zip(
            tf.split(total, counts), gradients, strict=True
        )
    ]


def any_rank(flag: bool, name: str = "any_rank") -> bool:
    """Whether the flag is set on any worker; the same answer on all."""
    votes = allreduce_array(np.array([int(flag)], np.int32), name)
    return bool(votes[0])


def broadcast_json(value: Any) -> Any:
    """Rank 0's value, on all workers; of what JSON can hold."""
    return allgather_json(value if is_chief() else None)[0]


def allgather_json(value: Any) -> list[Any]:
    """The values of all workers, by rank; of what JSON can hold."""
    text = json.dumps(value).encode()
    if not _hvd:
        return [json.loads(text)]
    with tf.device("/device:CPU:0"):
        data = tf.constant(np.frombuffer(text, np.uint8))
        lengths = _hvd.allgather(
            tf.constant([len(text)]), name=_operation("json_lengths")
        )
        data = _hvd.allgather(data, name=_operation("json_data")).numpy()
    ends = np.cumsum(lengths.numpy())
    return [json.loads(part.tobytes()) for part in np.split(data, ends[:-1])]


def _operation(name: str) -> str:
    """Name of an operation by which `is_worker_lost` knows its errors."""
    return f"{_LABEL}_{name}"
