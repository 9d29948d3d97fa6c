"""Measures contenders in turn, each in a process of its own.

Machines differ, and one machine differs from minute to minute. So only what was
measured in turn within one run is compared: a round of each, again and again;
the ratio of two is the median of the ratios of their rounds.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import pkgutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Contender", "Work", "measure_in_turn"]

# Packages that some contenders need and training does not.
_OPTIONAL_PACKAGES = {
    "cv2", "onnx", "onnxruntime", "openvino", "tf2onnx", "torch",
}  # fmt: skip
# The work of this process, or of this thread when all share one process.
_current = threading.local()


@dataclasses.dataclass(frozen=True)
class Work:
    """What a contender does, round after round.

    Attributes:
      run: Does one round with what `prepare` returned; returns the number of
        images done.
      prepare: Called before each round, outside of its time.
    """

    run: Callable[[Any], int]
    prepare: Callable[[], Any] = lambda: None


@dataclasses.dataclass(frozen=True)
class Contender:
    """One side of a comparison.

    Attributes:
      function: `module:function` of `benchmarks.contenders` that returns a
        `Work`. A name, since the modules are not to be imported here: each
        library is for the processes of its own contenders.
      settings: Its keyword arguments.
    """

    function: str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def measure_in_turn(
    contenders: Mapping[str, Contender],
    *,
    rounds: int,
    warmups: int,
    in_process: bool = False,
    clock: str = "perf_counter",
) -> dict[str, list[float]]:
    """Runs contenders in turn, each in a process of its own.

    Args:
      contenders: What to measure, by name.
      rounds: Rounds that count.
      warmups: Rounds before them, which do not.
      in_process: Whether all run in this process, to try them quickly.
      clock: Of `time`; `process_time` counts what the processor did for a
        contender, in seconds of one core, whatever else the machine does.

    Returns:
      Items a second of each round that counts, by name. A contender whose
      package is not installed is left out, which is said.

    Raises:
      RuntimeError: If a contender fails.
    """
    print(f"bench: {', '.join(contenders)}", file=sys.stderr, flush=True)
    with contextlib.ExitStack() as stack:
        workers = {}
        for name, contender in contenders.items():
            worker = stack.enter_context(_create_executor(in_process))
            # One after the other, so that starting disturbs no round.
            missing = _ask(name, worker, _create, contender)
            if missing:
                print(f"bench: {name} needs {missing}", file=sys.stderr)
            else:
                workers[name] = worker
        rates: dict[str, list[float]] = {name: [] for name in workers}
        for _ in range(warmups + rounds):
            for name, worker in workers.items():
                rates[name].append(_ask(name, worker, _run, clock))
    return {name: each[warmups:] for name, each in rates.items()}


def _create_executor(in_process: bool) -> concurrent.futures.Executor:
    """One process, or for a trial a thread, that keeps one contender."""
    if in_process:
        return concurrent.futures.ThreadPoolExecutor(1)
    return concurrent.futures.ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn")
    )


def _ask(
    name: str,
    worker: concurrent.futures.Executor,
    function: Callable[..., Any],
    *arguments: Any,
) -> Any:
    """Lets a worker call a function; returns the result."""
    try:
        return worker.submit(function, *arguments).result()
    except Exception as error:
        raise RuntimeError(f"{name} failed: {error!r}") from error


def _create(contender: Contender) -> str:
    """Prepares this worker's contender; returns the package it lacks."""
    name = f"benchmarks.contenders.{contender.function}"
    try:
        _current.work = pkgutil.resolve_name(name)(**contender.settings)
    except ModuleNotFoundError as error:
        if error.name not in _OPTIONAL_PACKAGES:
            raise
        return error.name
    return ""


def _run(clock: str) -> float:
    """One round of this worker's contender: items a second."""
    now = getattr(time, clock)
    prepared = _current.work.prepare()
    start = now()
    items = _current.work.run(prepared)
    return items / (now() - start)
