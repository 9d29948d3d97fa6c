"""Measures two workers on this machine and predicts many (docs/scaling.md).

python -m benchmarks.scaling [--batch=2] [--steps=10] [--rounds=5]

In turn, for each round: one process with 2 threads on a batch of 2B; two
processes with 1 thread and a batch of B that know nothing of each other; the
same two under horovodrun; and an all-reduce of the gradients' bytes alone.
Prints the medians, the throughput of two workers over that of one process,
the step time that the formula predicts beside the measured one, and the
formula's efficiency for more workers. The machine must have nothing else to
do, and two cores at least.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HOROVODRUN = Path(sys.executable).with_name("horovodrun")
WORKERS = (8, 64, 512)
# Gbit/s of one worker's link, in one direction.
LINKS = (10, 25, 100, 200)
# Seconds that one of the 2 (N - 1) messages of a ring takes at least.
LATENCY_SECS = 20e-6
_MARK = "MEASURED "


def ring_seconds(num_bytes: float, workers: int, gigabits: float) -> float:
    """Seconds of a ring all-reduce, see docs/scaling.md.

    Args:
      num_bytes: Of what is reduced.
      workers: How many take part.
      gigabits: Gbit/s of each worker's link, in one direction.
    """
    messages = 2 * (workers - 1)
    seconds = messages / workers * num_bytes * 8 / (gigabits * 1e9)
    return seconds + messages * LATENCY_SECS


def efficiency(compute_secs: float, reduce_secs: float) -> float:
    """Share of the time that is computed, with nothing overlapped."""
    return compute_secs / (compute_secs + reduce_secs)


def main() -> None:
    """Measures and prints, or is one of the workers."""
    arguments = _parse(sys.argv[1:])
    if arguments.worker:
        print(_MARK + json.dumps(_work(arguments)), flush=True)
        return
    _report(_measure(arguments), arguments)


def measure(argv: Sequence[str]) -> dict[str, float]:
    """Medians over the rounds, seconds, and the bytes of the gradients.

    Args:
      argv: As on the command line.
    """
    return _measure(_parse(argv))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=2, help="of a worker")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--height", type=int, default=160)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--width_multiplier", type=float, default=1.0)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Medians over the rounds, seconds, and the bytes of the gradients."""
    found: dict[str, list[float]] = {}
    for number in range(arguments.rounds):
        once = {
            "one": _start(arguments, "step", 2, batch=2 * arguments.batch),
            "apart": _start(arguments, "step", 1, copies=2),
            "two": _start(arguments, "step", 1, horovod=True),
            "reduce": _start(arguments, "reduce", 1, horovod=True),
        }
        for name, result in once.items():
            found.setdefault(name, []).append(result["seconds"])
        found["bytes"] = [once["one"]["bytes"]]
        listed = ", ".join(f"{k} {v['seconds']:.3f} s" for k, v in once.items())
        print(f"round {number + 1}: {listed}", flush=True)
    return {name: statistics.median(values) for name, values in found.items()}


def _start(
    arguments: argparse.Namespace,
    kind: str,
    threads: int,
    *,
    batch: int | None = None,
    copies: int = 1,
    horovod: bool = False,
) -> dict[str, float]:
    """Runs workers and returns the results of the slowest."""
    command = [
        sys.executable, "-m", "benchmarks.scaling", f"--worker={kind}",
        f"--batch={batch or arguments.batch}", f"--steps={arguments.steps}",
        f"--height={arguments.height}", f"--width={arguments.width}",
        f"--width_multiplier={arguments.width_multiplier}",
    ]  # fmt: skip
    if horovod:
        command = [str(HOROVODRUN), "-np", "2", "-H", "localhost:2",
                   "--network-interfaces", "lo", *command]  # fmt: skip
    environment = {
        **os.environ,
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
    }
    processes = [
        subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(copies)
    ]  # fmt: skip
    results = []
    for process in processes:
        printed, errors = process.communicate()
        if process.returncode:
            sys.exit(f"a worker failed:\n{errors}")
        results += [
            json.loads(line.split(_MARK)[1])
            for line in printed.splitlines()
            if _MARK in line
        ]
    return max(results, key=lambda result: result["seconds"])


def _work(arguments: argparse.Namespace) -> dict[str, Any]:
    """Median seconds of a step, or of an all-reduce of its gradients."""
    from segnet import commands
    from segnet.config import flags
    from segnet.runtime.device import prepare_environment

    command = flags.parse_command(
        ["scaling", "--workdir=none", "--data_dir=none", "--device=cpu",
         "--precision=float32", f"--batch_size={arguments.batch}",
         f"--input_height={arguments.height}",
         f"--input_width={arguments.width}",
         f"--width_multiplier={arguments.width_multiplier}"]
    )  # fmt: skip
    prepare_environment("cpu")
    device = commands.setup(command.config)
    once, num_bytes = _prepare(command.config, device, arguments.worker)
    once()  # Traces.
    seconds = []
    for _ in range(arguments.steps):
        start = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - start)
    return {"seconds": statistics.median(seconds), "bytes": num_bytes}


def _prepare(config: Any, device: Any, kind: str) -> tuple[Any, int]:
    """What is timed, and the bytes of the gradients."""
    import tensorflow as tf

    from segnet.data import datasets
    from segnet.runtime import distributed
    from segnet.training import build, losses, steps

    model = build.build_model(config, 11)
    variables = model.trainable_variables
    num_bytes = sum(4 * v.shape.num_elements() for v in variables)
    if kind == "reduce":
        gradients = [tf.zeros_like(variable) for variable in variables]
        reduce = tf.function(distributed.allreduce_gradients, autograph=False)
        return lambda: reduce(gradients)[0].numpy(), num_bytes
    train_step = build.build_train_step(
        config,
        model,
        losses.create_loss_fn("cross_entropy", 11),
        build.build_optimizer(config, model, loss_scaling=False),
        None,
        steps.Totals(),
        device_name=device.device_name,
        freeze_encoder=False,
    )
    dataset = datasets.create_synthetic_dataset(
        height=config.input_height, width=config.input_width,
        batch_size=config.batch_size, num_classes=11, seed=0,
    )  # fmt: skip
    images, labels = next(iter(dataset))
    rate, votes = tf.constant(1e-3), tf.zeros([2])
    return lambda: train_step(images, labels, rate, votes).numpy(), num_bytes


def _report(found: dict[str, float], arguments: argparse.Namespace) -> None:
    """Prints the measured numbers and what follows from them."""
    batch = arguments.batch
    print(f"one process, 2 threads, batch {2 * batch}: {found['one']:.3f} s")
    print(f"two processes apart, batch {batch}: {found['apart']:.3f} s")
    print(f"two workers, batch {batch}: {found['two']:.3f} s")
    print(
        f"all-reduce of {found['bytes'] / 1e6:.1f} MB by two: "
        f"{found['reduce']:.3f} s"
    )
    # Both take 2B images a step.
    print(f"throughput, two workers / one: {found['one'] / found['two']:.3f}")
    predicted = found["apart"] + found["reduce"]
    print(
        f"step of two workers: predicted {predicted:.3f} s, measured / "
        f"predicted {found['two'] / predicted:.3f}"
    )
    print("\nefficiency with the step of one worker here, nothing overlapped")
    print("workers  " + "  ".join(f"{link:>4} Gbit/s" for link in LINKS))
    for workers in WORKERS:
        row = [
            efficiency(
                found["apart"], ring_seconds(found["bytes"], workers, link)
            )
            for link in LINKS
        ]
        print(f"{workers:>7}  " + "  ".join(f"{x:>11.3f}" for x in row))


if __name__ == "__main__":
    main()
