"""Where the time of a training step goes: a table of operations.

python -m benchmarks.operations [--architecture=segnet] [--precision=float32]
    [--height=160] [--width=320] [--batch=4]

Operations run one after the other, so that their times add up; TensorFlow's
profiler takes them. Each kind stands beside the least arithmetic and the least
traffic with memory that it needs, and beside the measured peaks of the machine:
a large convolution, and a copy of a large array. The machine should have
nothing else to do.
"""

from __future__ import annotations

import argparse
import collections
import glob
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator

os.environ["TF_NUM_INTEROP_THREADS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from benchmarks import machine
from benchmarks.costs import classify, format_table, needed
from benchmarks.network import Network
from benchmarks.step import create_train_step
from segnet import models
from segnet.data import datasets
from segnet.training import steps

__all__ = ["main"]

_NUM_CLASSES = 11
_PROFILED_STEPS = 5
_PEAK_SIZE = (80, 160)
_PEAK_CHANNELS = 256
_COPY_BYTES = 256 * 2**20


def _events(folder: str) -> Iterator[tuple[str, str, float]]:
    """(name, operation, seconds) of all operations in a profile."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    (path,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
    space = xplane_pb2.XSpace()
    with open(path, "rb") as file:
        space.ParseFromString(file.read())
    for plane in space.planes:
        if "CPU" not in plane.name:
            continue
        for line in plane.lines:
            for event in line.events:
                text = plane.event_metadata[event.metadata_id].name
                name, _, op = text.rpartition(":")
                # Others are spans of the runtime around the operations.
                operation = re.fullmatch(r"_?[A-Z]\w+", op)
                if name and operation and "::" not in text:
                    yield name, op, event.duration_ps / 1e12


def _profile(train_step: steps.TrainStep, batch: tuple) -> dict[str, float]:
    """Seconds of each kind, a step."""
    rate, votes = tf.constant(1e-4), tf.zeros([2])
    for _ in range(3):
        train_step(*batch, rate, votes).numpy()
    seconds: dict[str, float] = collections.defaultdict(float)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(_PROFILED_STEPS):
            train_step(*batch, rate, votes).numpy()
        tf.profiler.experimental.stop()
        for name, op, duration in _events(folder):
            seconds[classify(name, op)] += duration / _PROFILED_STEPS
    return seconds


def _best_rate(work: Callable[[], None], amount: float) -> float:
    """Amount a second, of the median of 7 runs after 2."""
    times = []
    for _ in range(9):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return amount / statistics.median(times[2:])


def _peaks(dtype: tf.DType) -> tuple[float, float]:
    """FLOP/s of a large convolution, bytes/s of a large copy."""
    images = tf.cast(tf.random.normal([4, *_PEAK_SIZE, _PEAK_CHANNELS]), dtype)
    shape = [3, 3, _PEAK_CHANNELS, _PEAK_CHANNELS]
    kernel = tf.cast(tf.random.normal(shape), dtype)

    @tf.function
    def convolve() -> tf.Tensor:
        return tf.nn.conv2d(images, kernel, 1, "SAME")

    values = tf.ones([_COPY_BYTES // 4])

    @tf.function
    def copy() -> tf.Tensor:
        return values + 1.0

    flop = 2.0 * 9 * tf.size(images).numpy() * _PEAK_CHANNELS
    flops = _best_rate(lambda: convolve()[0, 0, 0, 0].numpy(), flop)
    bandwidth = _best_rate(lambda: copy()[0].numpy(), 2.0 * _COPY_BYTES)
    return flops, bandwidth


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", default="vgg_segnet")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--height", type=int, default=160)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--width_multiplier", type=float, default=1.0)
    arguments = parser.parse_args()
    network = Network(
        arguments.architecture,
        arguments.precision,
        arguments.height,
        arguments.width,
        arguments.batch,
        _NUM_CLASSES,
        arguments.width_multiplier,
    )
    train_step = create_train_step(network)
    batch = next(
        iter(
            datasets.create_synthetic_dataset(
                height=network.height,
                width=network.width,
                batch_size=network.batch_size,
                num_classes=_NUM_CLASSES,
                seed=0,
            )
        )
    )
    seconds = _profile(train_step, batch)
    model = models.create_model(
        network.architecture,
        _NUM_CLASSES,
        input_shape=(network.height, network.width),
        width_multiplier=network.width_multiplier,
    )
    dtype = tf.as_dtype(arguments.precision)
    costs = needed(model, arguments.batch, dtype.size)
    for kind, value in seconds.items():
        costs[kind].seconds = value
    flops, bandwidth = _peaks(dtype)
    about = machine.describe()
    print(
        f"{about['processor']}, {about['cores']} cores, {about['date']}; "
        f"{arguments.architecture}, {arguments.precision}, batch "
        f"{arguments.batch} of {arguments.height}x{arguments.width}\n"
        f"peaks: {flops / 1e9:.0f} GFLOP/s, {bandwidth / 1e9:.1f} GB/s\n"
    )
    print(format_table(costs, flops, bandwidth))


if __name__ == "__main__":
    main()
