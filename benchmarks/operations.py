"""Where the time of a training step goes: a table of operations.

python -m benchmarks.operations [--architecture=segnet] [--precision=float32]
    [--height=160] [--width=320] [--batch=4]

Operations run one after the other, so that their times add up; TensorFlow's
profiler takes them. The machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from benchmarks.contenders import own
from benchmarks.harness import report
from segnet.config import Config

__all__ = ["classify", "format_operations", "main"]

_WARMUP_STEPS = 3
_PROFILED_STEPS = 5

_FORWARD = "convolution"
_BY_INPUT = "convolution: gradient by the input"
_BY_KERNEL = "convolution: gradient by the kernel"
_BACKWARD = "^gradient_tape/"
# (pattern of the operation's type, pattern of its name, kind); the first row
# that fits counts.
_KINDS = (
    ("ResourceApply", "", "optimizer"),
    ("", "Adam", "optimizer"),
    ("FusedBatchNormGrad", "", "batch norm: gradient"),
    ("FusedBatchNorm", "", "batch norm"),
    ("ReluGrad", "", "ReLU: gradient"),
    ("", "pool", "pooling, unpooling and gradients"),
    ("", "/resize/", "logits to full size, and gradient"),
    ("SoftmaxCrossEntropy|OneHot", "", "loss and its gradient"),
    # Gradients of `CpuConv2D` stand outside of the scopes of layers.
    ("", "^kernel_gradient", _BY_KERNEL),
    ("", "^input_gradient", _BY_INPUT),
    ("BackpropFilter|BiasAddGrad|MatMul|StridedSlice|Pad|Pack|Unpack|Concat"
     "|AddN", _BACKWARD + ".*(conv|logits)", _BY_KERNEL),
    ("Conv2D", _BACKWARD + ".*(conv|logits)", _BY_INPUT),
    ("", _BACKWARD, "all else"),
    ("Conv2D|BiasAdd", "conv|logits", _FORWARD),
    ("", "", "all else"),
)  # fmt: skip


def classify(name: str, op: str) -> str:
    """The kind of an operation.

    Args:
      name: Full name of the node, scopes of layers included.
      op: Type of the operation.
    """
    return next(
        kind
        for op_pattern, name_pattern, kind in _KINDS
        if re.search(op_pattern, op) and re.search(name_pattern, name)
    )


def _profile(step: Callable[[], None]) -> dict[str, float]:
    """Seconds of each kind of operation, a step."""
    for _ in range(_WARMUP_STEPS):
        step()
    seconds: dict[str, float] = collections.defaultdict(float)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(_PROFILED_STEPS):
            step()
        tf.profiler.experimental.stop()
        for name, op, duration in _read_events(folder):
            seconds[classify(name, op)] += duration / _PROFILED_STEPS
    return seconds


def _read_events(folder: str) -> Iterator[tuple[str, str, float]]:
    """(name, type, seconds) of all operations in a profile."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    (path,) = Path(folder).rglob("*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    for plane in space.planes:
        if "CPU" not in plane.name:
            continue
        for event in itertools.chain(*(line.events for line in plane.lines)):
            text = plane.event_metadata[event.metadata_id].name
            name, _, op = text.rpartition(":")
            # Others are spans of the runtime around the operations.
            if name and "::" not in text and re.fullmatch(r"_?[A-Z]\w+", op):
                yield name, op, event.duration_ps / 1e12


def format_operations(seconds: Mapping[str, float]) -> str:
    """The table of the seconds of each kind, the longest first."""
    total = sum(seconds.values())
    rows = [
        [kind, f"{1e3 * seconds[kind]:.1f}", f"{seconds[kind] / total:.1%}"]
        for kind in sorted(seconds, key=seconds.__getitem__, reverse=True)
    ]
    rows.append(["sum", f"{1e3 * total:.1f}", ""])
    return report.format_table(("operation", "ms", "share"), rows)


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    # One operation after the other; read when the first one runs.
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    config = _parse(argv)
    train_step = own.create_train_step(config, own.create_model(config))
    batches = own.create_batches(config)()
    seconds = _profile(lambda: train_step(next(batches)))
    print(
        f"{report.describe_machine()}; {config.architecture}, "
        f"{config.precision}, batch {config.batch_size} of "
        f"{config.input_height}x{config.input_width}\n"
    )
    print(format_operations(seconds))


def _parse(argv: Sequence[str]) -> Config:
    """The run whose step is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", default="vgg_segnet")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--height", type=int, default=160)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--width_multiplier", type=float, default=1.0)
    arguments = parser.parse_args(argv)
    return Config(
        architecture=arguments.architecture,
        precision=arguments.precision,
        input_height=arguments.height,
        input_width=arguments.width,
        batch_size=arguments.batch,
        width_multiplier=arguments.width_multiplier,
        batch_norm_in_encoder=False,
        device="cpu",
        class_names=tuple(map(str, range(11))),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
