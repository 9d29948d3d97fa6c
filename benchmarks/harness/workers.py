"""Processes that measure a thing each, apart or under `horovodrun`."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.programs import ROOT

__all__ = [
    "HOROVODRUN", "Measured", "run_workers", "tell_rounds", "under_horovod",
    "worker_environment",
]  # fmt: skip

HOROVODRUN = Path(sys.executable).with_name("horovodrun")
_MARK = "MEASURED "

# What a worker or some of them measured: `seconds`, the median of each round;
# `samples`, those of all rounds; `items`, what a round does; `start`, seconds
# until the first round was done.
Measured = dict[str, Any]


def worker_environment(threads: int) -> dict[str, str]:
    """This environment, with so many threads for each worker."""
    variables = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return os.environ | dict.fromkeys(variables, str(threads))


def under_horovod(command: Sequence[str], workers: int) -> list[str]:
    """The command that starts so many workers on this machine."""
    return [
        str(HOROVODRUN), "-np", str(workers), "-H", f"localhost:{workers}",
        "--network-interfaces", "lo", *command,
    ]  # fmt: skip


def run_workers(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str]
) -> Measured:
    """Runs commands at once.

    Returns:
      What the slowest worker measured, with the `samples` of all of them.
    """
    started = time.time()
    processes = [
        subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for command in commands
    ]  # fmt: skip
    told: list[Measured] = []
    for process in processes:
        printed, errors = process.communicate()
        if process.returncode:
            sys.exit(f"a worker failed:\n{errors}")
        told += map(json.loads, re.findall(f"{_MARK}(.*)", printed))
    slowest = max(told, key=lambda each: each["seconds"])
    samples = [seconds for each in told for seconds in each["samples"]]
    began = max(each["began"] for each in told)
    return slowest | {"samples": samples, "start": began - started}


def tell_rounds(run: Callable[[], int], rounds: int) -> None:
    """Measures rounds after a first one, in a worker; `run_workers` reads it.

    Args:
      run: Does a round; returns how many items it did.
      rounds: How many are measured.
    """
    run()  # Traces.
    began = time.time()
    samples = []
    for _ in range(rounds):
        start = time.perf_counter()
        items = run()
        samples.append(time.perf_counter() - start)
    told = {
        "seconds": statistics.median(samples), "samples": samples,
        "items": items, "began": began,
    }  # fmt: skip
    print(_MARK + json.dumps(told), flush=True)
