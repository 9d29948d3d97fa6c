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
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["Contender", "Round", "Series", "Work", "measure_in_turn", "ratios"]

# Packages that some contenders need and training does not.
_OPTIONAL_PACKAGES = {"cv2", "torch"}
# ru_maxrss is in units of this on Linux.
_KIB = 1024
# The work of this process, or of this thread when all share one process.
_current = threading.local()


@dataclasses.dataclass(frozen=True)
class Work:
    """What a contender does, round after round.

    Attributes:
      run: Does one round with what `prepare` returned; returns the number of
        items (images, starts) done.
      prepare: Called before each round, outside of its time.
    """

    run: Callable[[Any], int]
    prepare: Callable[[], Any] = lambda: None


@dataclasses.dataclass(frozen=True)
class Contender:
    """One side of a comparison.

    Attributes:
      function: `module:function` of `benchmarks.contenders` that returns a
        `Work`. A name, since the modules are not to be imported here: their
        libraries would count as memory of all contenders.
      settings: Its keyword arguments.
    """

    function: str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def create_work(self) -> Work:
        """Prepares the work, in the process that is to do it."""
        create = pkgutil.resolve_name(f"benchmarks.contenders.{self.function}")
        return create(**self.settings)


class Round(NamedTuple):
    """One round: items done, and the seconds they took."""

    items: int
    seconds: float

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.seconds


@dataclasses.dataclass(frozen=True)
class Series:
    """What was measured of one contender.

    Attributes:
      rounds: The rounds that count.
      peak_bytes: Largest resident memory of the process or of a child.
      missing: The package without which nothing was measured.
    """

    rounds: tuple[Round, ...] = ()
    peak_bytes: int = 0
    missing: str = ""

    @property
    def rate(self) -> float:
        """Items a second, the median of the rounds."""
        return statistics.median(each.rate for each in self.rounds)


def ratios(over: Series, under: Series) -> list[float]:
    """How many times faster one contender was than another, each round."""
    pairs = zip(over.rounds, under.rounds, strict=True)
    return [ours.rate / theirs.rate for ours, theirs in pairs]


def measure_in_turn(
    contenders: Mapping[str, Contender],
    *,
    rounds: int,
    warmups: int,
    in_process: bool = False,
) -> dict[str, Series]:
    """Runs contenders in turn, each in a process of its own.

    Args:
      contenders: What to measure, by name.
      rounds: Rounds that count.
      warmups: Rounds before them, which do not.
      in_process: Whether all run in this process, to try them quickly.

    Returns:
      A series for each name.

    Raises:
      RuntimeError: If a contender fails.
    """
    print(f"bench: {', '.join(contenders)}", file=sys.stderr, flush=True)
    with contextlib.ExitStack() as stack:
        workers, series = {}, {}
        for name, contender in contenders.items():
            worker = stack.enter_context(_create_executor(in_process))
            # One after the other, so that starting disturbs no round.
            missing = _ask(name, worker, _create, contender)
            if missing:
                series[name] = Series(missing=missing)
            else:
                workers[name] = worker
        measured: dict[str, list[Round]] = {name: [] for name in workers}
        for _ in range(warmups + rounds):
            for name, worker in workers.items():
                measured[name].append(_ask(name, worker, _run))
        for name, worker in workers.items():
            peak = _ask(name, worker, _peak_bytes)
            series[name] = Series(tuple(measured[name][warmups:]), peak)
    return series


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
    try:
        _current.work = contender.create_work()
    except ModuleNotFoundError as error:
        if error.name not in _OPTIONAL_PACKAGES:
            raise
        return error.name
    return ""


def _run() -> Round:
    """One round of this worker's contender."""
    prepared = _current.work.prepare()
    start = time.perf_counter()
    items = _current.work.run(prepared)
    return Round(items, time.perf_counter() - start)


def _peak_bytes() -> int:
    """Largest resident memory that this process or a child had."""
    usages = map(
        resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return _KIB * max(usage.ru_maxrss for usage in usages)
