"""Trains for long on little, and looks whether anything grows.

python -m benchmarks.long_run [--steps=2000] [--evaluations=50] [--output=...]

Trains in this process on drawn scenes of 32x64 pixels, with an evaluation and a
checkpoint after every STEPS / EVALUATIONS steps, and measures after each step.
Prints how memory, step time, threads, open files, log files and checkpoints
have changed since the warm-up (a tenth of the steps), and what TensorFlow 2.15
itself keeps of each operation outside a graph; exits with 1 if memory has grown
by 2 % or more, or threads or open files have.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.datasets import draw_scenes

__all__ = ["main"]

_BATCH = 2
_WARMUP = 0.1  # Of the steps.
_MOST_GROWTH = 0.02
_OPERATIONS = 100_000
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclasses.dataclass(frozen=True)
class _Sample:
    """What this process has after a step."""

    seconds: float
    memory_bytes: int
    threads: int
    open_files: int

    @classmethod
    def now(cls) -> _Sample:
        return cls(
            time.perf_counter(),
            _memory_bytes(),
            len(os.listdir("/proc/self/task")),
            len(os.listdir("/proc/self/fd")),
        )


def _memory_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * _PAGE_BYTES


def main(argv: Sequence[str]) -> int:
    """Runs the training; returns the exit status."""
    parser = argparse.ArgumentParser(prog="long_run", description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--evaluations", type=int, default=50)
    parser.add_argument("--output", default="", help="where the run goes")
    arguments = parser.parse_args(argv)
    samples: list[_Sample] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        every = arguments.steps // arguments.evaluations
        data = draw_scenes(Path(name), _BATCH * every, 4, 32, 64)
        workdir = arguments.output or f"{name}/run"
        from main import main as run  # Sets what TensorFlow reads.

        status = run(
            [
                "main.py", f"--data_dir={data.records}", f"--workdir={workdir}",
                "--input_height=32", "--input_width=64", "--device=cpu",
                "--precision=float32", "--width_multiplier=0.1",
                f"--batch_size={_BATCH}", f"--epochs={arguments.evaluations}",
                f"--checkpoint_every_steps={every}", "--augment=basic",
                "--noreport", "--ema_decay=0.99",
                f"--log_every_steps={max(every // 4, 1)}",
            ],
            after_step=lambda step: samples.append(_Sample.now()),
        )  # fmt: skip
        if status:
            return status
        return _report(samples, every, Path(workdir))


def _report(samples: Sequence[_Sample], every: int, workdir: Path) -> int:
    """Prints what has changed; returns the exit status."""
    warmup = max(int(len(samples) * _WARMUP), 1)
    first, last = samples[warmup - 1], samples[-1]
    growth = last.memory_bytes / first.memory_bytes - 1
    seconds = _step_seconds(samples, every)
    early = statistics.median(seconds[warmup : warmup * 2])
    late = statistics.median(seconds[-warmup:])
    print(f"steps: {len(samples)}, an evaluation after every {every}")
    print(
        f"memory: {first.memory_bytes / 1e6:.1f} MB after step {warmup}, "
        f"{last.memory_bytes / 1e6:.1f} MB at the end ({growth:+.2%})"
    )
    tenths = [sample.memory_bytes for sample in samples[warmup - 1 :: warmup]]
    print("MB after each tenth:", *(f"{each / 1e6:.1f}" for each in tenths))
    print(
        f"step time, median: {early * 1e3:.2f} ms after the warm-up, "
        f"{late * 1e3:.2f} ms at the end ({late / early - 1:+.1%})"
    )
    print(f"threads: {first.threads}, then {last.threads}")
    print(f"open files: {first.open_files}, then {last.open_files}")
    checkpoints = len(list((workdir / "checkpoints").glob("ckpt-*.index")))
    print(f"checkpoints kept: {checkpoints}")
    for kind in ("metrics*.jsonl", "**/*tfevents*"):
        files = list(workdir.glob(kind))
        size = sum(path.stat().st_size for path in files)
        print(f"{kind}: {len(files)} file(s), {size / 1e3:.1f} kB")
    print(f"kept by TensorFlow: {_bytes_an_operation():.0f} bytes an operation")
    grown = (
        growth >= _MOST_GROWTH
        or last.threads > first.threads
        or last.open_files > first.open_files
    )
    return int(grown)


def _bytes_an_operation() -> float:
    """What TensorFlow keeps of an operation that runs outside a graph."""
    import tensorflow as tf

    before = _memory_bytes()
    for _ in range(_OPERATIONS):
        tf.constant(1.0)
    return (_memory_bytes() - before) / _OPERATIONS


def _step_seconds(samples: Sequence[_Sample], every: int) -> list[float]:
    """Seconds of each step; those after an evaluation count as the one before.

    They would have the evaluation's time in them.
    """
    seconds = [0.0]
    for step in range(1, len(samples)):
        between = samples[step].seconds - samples[step - 1].seconds
        seconds.append(seconds[-1] if step % every == 0 else between)
    return seconds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
