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
import collections
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.harness.programs import ROOT
from segnet.config import Config

__all__ = [
    "HOROVODRUN",
    "add_flags",
    "format_results",
    "main",
    "ring_seconds",
    "run_workers",
    "worker_command",
    "worker_environment",
]

HOROVODRUN = Path(sys.executable).with_name("horovodrun")
_WORKERS = (8, 64, 512)
# Gbit/s of one worker's link, in one direction.
_LINKS = (10, 25, 100, 200)
# Seconds that one of the 2 (N - 1) messages of a ring takes at least.
_LATENCY_SECS = 20e-6
_MARK = "MEASURED "


def ring_seconds(
    num_bytes: float,
    workers: int,
    gigabits: float,
    latency_secs: float = _LATENCY_SECS,
) -> float:
    """Seconds of a ring all-reduce, see docs/scaling.md.

    Args:
      num_bytes: Of what is reduced.
      workers: How many take part.
      gigabits: Gbit/s of each worker's link, in one direction.
      latency_secs: What the smallest message takes.
    """
    messages = 2 * (workers - 1)
    seconds = messages / workers * num_bytes * 8 / (gigabits * 1e9)
    return seconds + messages * latency_secs


def main(argv: Sequence[str]) -> None:
    """Measures and prints, or is one of the workers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_flags(parser)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--compression", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.worker:
        print(_MARK + json.dumps(_work(arguments)), flush=True)
    else:
        print(format_results(_measure(arguments), arguments.batch))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what says how much is measured."""
    parser.add_argument("--batch", type=int, default=2, help="of a worker")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)


def _measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Medians over the rounds, seconds, and the bytes of the gradients."""
    measured: dict[str, list[float]] = collections.defaultdict(list)
    for number in range(arguments.rounds):
        once = {
            "one": _start(arguments, "step", 2, batch=2 * arguments.batch),
            "apart": _start(arguments, "step", 1, copies=2),
            "two": _start(arguments, "step", 1, horovod=True),
            "reduce": _start(arguments, "reduce", 1, horovod=True),
        }
        for name, result in once.items():
            measured[name].append(result["seconds"])
        measured["bytes"].append(once["reduce"]["items"])
        listed = ", ".join(f"{k} {v['seconds']:.3f} s" for k, v in once.items())
        print(f"round {number + 1}: {listed}", flush=True)
    return {name: statistics.median(each) for name, each in measured.items()}


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
    command = worker_command(arguments, kind, batch=batch)
    if horovod:
        command = [str(HOROVODRUN), "-np", "2", "-H", "localhost:2",
                   "--network-interfaces", "lo", *command]  # fmt: skip
    return run_workers([command] * copies, worker_environment(threads))


def worker_command(
    arguments: argparse.Namespace,
    kind: str,
    *,
    batch: int | None = None,
    compression: str = "none",
) -> list[str]:
    """The command of one worker.

    Args:
      arguments: Of `add_flags`.
      kind: `step`, or `reduce` for an all-reduce alone.
      batch: Of that worker; by default what the arguments say.
      compression: Of the gradients.
    """
    return [
        sys.executable, "-m", "benchmarks.scaling", f"--worker={kind}",
        f"--batch={batch or arguments.batch}", f"--steps={arguments.steps}",
        f"--compression={compression}",
    ]  # fmt: skip


def worker_environment(threads: int) -> dict[str, str]:
    """This environment, with so many threads for each worker."""
    variables = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return os.environ | dict.fromkeys(variables, str(threads))


def run_workers(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str]
) -> dict[str, float]:
    """Runs commands at once and returns the results of the slowest worker.

    Returns:
      Median `seconds` and `items`.
    """
    processes = [
        subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for command in commands
    ]  # fmt: skip
    results: list[dict[str, float]] = []
    for process in processes:
        printed, errors = process.communicate()
        if process.returncode:
            sys.exit(f"a worker failed:\n{errors}")
        results += map(json.loads, re.findall(f"{_MARK}(.*)", printed))
    return max(results, key=lambda result: result["seconds"])


def _work(arguments: argparse.Namespace) -> dict[str, float]:
    """Median seconds of a step, or of an all-reduce and its bytes."""
    # Not in the process that starts the workers.
    from benchmarks.contenders import own

    config = Config(
        input_height=160,
        input_width=320,
        batch_size=arguments.batch,
        device="cpu",
        precision="float32",
        class_names=tuple(map(str, range(11))),
        allreduce_compression=arguments.compression,
    )
    if arguments.worker == "reduce":
        work = own.all_reduction(config=config)
    else:
        work = own.training(config=config, steps=1)
    prepared = work.prepare()
    work.run(prepared)  # Traces.
    seconds = []
    for _ in range(arguments.steps):
        start = time.perf_counter()
        items = work.run(prepared)
        seconds.append(time.perf_counter() - start)
    return {"seconds": statistics.median(seconds), "items": items}


def format_results(measured: Mapping[str, float], batch: int) -> str:
    """The measured numbers and what follows from them.

    Args:
      measured: Seconds `one`, `apart`, `two` and `reduce`, and `bytes`.
      batch: Images a step of one of two workers.
    """
    one, apart, two, reduce = (
        measured[name] for name in ("one", "apart", "two", "reduce")
    )
    num_bytes, predicted = measured["bytes"], apart + reduce
    lines = [
        f"one process, 2 threads, batch {2 * batch}: {one:.3f} s",
        f"two processes apart, batch {batch}: {apart:.3f} s",
        f"two workers, batch {batch}: {two:.3f} s",
        f"all-reduce of {num_bytes / 1e6:.1f} MB by two: {reduce:.3f} s",
        # Both take the same images a step.
        f"throughput, two workers / one: {one / two:.3f}",
        f"step of two workers: predicted {predicted:.3f} s, measured / "
        f"predicted {two / predicted:.3f}",
        "\nefficiency with the step of one worker here, nothing overlapped",
        "workers  " + "  ".join(f"{link:>4} Gbit/s" for link in _LINKS),
    ]
    for workers in _WORKERS:
        shares = (
            apart / (apart + ring_seconds(num_bytes, workers, link))
            for link in _LINKS
        )
        lines.append(
            f"{workers:>7}  " + "  ".join(f"{share:>11.3f}" for share in shares)
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
