"""Measures workers on this machine and simulates many (docs/scaling.md).

python -m benchmarks.scaling [--batch=2] [--steps=10] [--rounds=5]
  [--measured=FILE] [--picture=FILE]

In turn, for each round: one process with 2 threads on a batch of 2B; then for
two and for four workers, each with 1 thread and a batch of B: processes that
know nothing of each other, the same under horovodrun, and an all-reduce of the
gradients' bytes alone. At last a checkpoint is written, some times. Prints the
throughput of two workers over that of one process, the step time that formula
and simulation predict beside the measured one, and what the simulation says of
more workers: links, stragglers, input, failures, checkpoints. The machine must
have nothing else to do, and two cores at least.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import scaling_report, workers
from segnet.config import Config

__all__ = ["add_flags", "main", "worker_command"]

# Of real workers.
_TRIED = (2, 4)


def main(argv: Sequence[str]) -> None:
    """Measures and prints, or is one of the workers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_flags(parser)
    parser.add_argument(
        "--measured", type=Path,
        help="where what is measured is kept; if it is there, it is used",
    )  # fmt: skip
    parser.add_argument("--picture", type=Path, help="of the simulation (.svg)")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--compression", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.worker:
        _work(arguments)
        return
    kept: Path | None = arguments.measured
    if kept and kept.exists():
        measured = json.loads(kept.read_text())
    else:
        measured = _measure(arguments)
        if kept:
            kept.write_text(json.dumps(measured))
    print(scaling_report.format_results(measured))
    if arguments.picture:
        # Only for this: training does without matplotlib.
        from benchmarks.harness import scaling_picture

        scaling_picture.draw(measured, arguments.picture)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what says how much is measured."""
    parser.add_argument("--batch", type=int, default=2, help="of a worker")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `scaling_report.format_results` takes."""
    rounds: list[dict[str, workers.Measured]] = []
    for number in range(arguments.rounds):
        twice = 2 * arguments.batch
        once = {"one": _start(arguments, "step", threads=2, batch=twice)}
        for count in _TRIED:
            once[f"apart {count}"] = _start(arguments, "step", copies=count)
            for name, kind in (("together", "step"), ("reduce", "reduce")):
                once[f"{name} {count}"] = _start(arguments, kind, horovod=count)
        rounds.append(once)
        listed = ", ".join(f"{k} {v['seconds']:.3f} s" for k, v in once.items())
        print(f"round {number + 1}: {listed}", flush=True)
    save = _start(arguments, "save", threads=2)
    return {
        "batch": arguments.batch,
        "seconds": {
            name: statistics.median(once[name]["seconds"] for once in rounds)
            for name in rounds[0]
        },
        "samples": {
            name: [secs for once in rounds for secs in once[name]["samples"]]
            for name in rounds[0]
        },
        "bytes": rounds[0]["reduce 2"]["items"],
        "start": statistics.median(
            once["together 2"]["start"] for once in rounds
        ),
        "save": save["seconds"],
        "saved bytes": save["items"],
    }


def _start(
    arguments: argparse.Namespace,
    kind: str,
    *,
    threads: int = 1,
    batch: int | None = None,
    copies: int = 1,
    horovod: int = 0,
) -> workers.Measured:
    """Runs workers of a kind: copies, or under `horovodrun`."""
    command = worker_command(arguments, kind, batch=batch)
    if horovod:
        command = workers.under_horovod(command, horovod)
    environment = workers.worker_environment(threads)
    return workers.run_workers([command] * copies, environment)


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
      kind: `step`, `reduce` for an all-reduce alone, or `save`.
      batch: Of that worker; by default what the arguments say.
      compression: Of the gradients.
    """
    return [
        sys.executable, "-m", "benchmarks.scaling", f"--worker={kind}",
        f"--batch={batch or arguments.batch}", f"--steps={arguments.steps}",
        f"--compression={compression}",
    ]  # fmt: skip


def _work(arguments: argparse.Namespace) -> None:
    """Measures and tells it: steps, all-reduces or checkpoints."""
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
    elif arguments.worker == "save":
        work = own.saving(config=config)
    else:
        work = own.training(config=config, steps=1)
    prepared = work.prepare()
    workers.tell_rounds(lambda: work.run(prepared), arguments.steps)


if __name__ == "__main__":
    main(sys.argv[1:])
