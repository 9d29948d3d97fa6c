"""How tf.data spreads its work over threads: the same in all pipelines."""

from __future__ import annotations

import os

import tensorflow as tf

__all__ = ["num_parallel_calls", "pipeline_options"]


def num_parallel_calls() -> int:
    """Calls of a map that run at the same time: one for each thread."""
    threads = tf.config.threading.get_inter_op_parallelism_threads()
    return threads or len(os.sched_getaffinity(0))


def pipeline_options() -> tf.data.Options:
    """Options of all datasets."""
    options = tf.data.Options()
    # Numbers are fixed: tuning brings nothing that they do not, and its thread
    # can take seconds to end.
    options.autotune.enabled = False
    # Workers take their share by index.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return options
