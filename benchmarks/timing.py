"""Measuring contenders in turn, and what is told of the measurements.

Machines differ, and one machine differs from minute to minute. So nothing is
compared but what was measured in turn within one run: a round of each, again
and again; the ratio of two is the median of the ratios of their rounds.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.contender import create_work

__all__ = ["Contender", "Ratio", "Series", "measure_in_turn", "ratio"]

_ROOT = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class Contender:
    """One side of a comparison.

    Attributes:
      kind: Of `contender.CONTENDERS`.
      settings: Its settings, as JSON has them.
    """

    kind: str
    settings: Mapping[str, Any]


@dataclasses.dataclass
class Series:
    """What was measured of one contender.

    Attributes:
      items: Items (images, runs) of each round.
      seconds: Wall seconds of each round.
      processor_seconds: User and system seconds of each round.
      peak_bytes: Largest resident memory of the process or of a child.
    """

    items: list[int] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    processor_seconds: list[float] = dataclasses.field(default_factory=list)
    peak_bytes: int = 0

    def rates(self, by: str = "seconds") -> list[float]:
        """Items a second of each round.

        Args:
          by: `seconds` or `processor_seconds`.
        """
        times = getattr(self, by)
        return [n / t for n, t in zip(self.items, times, strict=True)]


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A ratio of rates with its spread over the rounds.

    Attributes:
      median: Median of the rounds' ratios.
      low: Lower quartile.
      high: Upper quartile.
      rounds: How many there were.
    """

    median: float
    low: float
    high: float
    rounds: int


def ratio(over: Series, under: Series, by: str = "seconds") -> Ratio:
    """How many times faster one contender is than another.

    Args:
      over: The one.
      under: The other, measured in turn with it.
      by: `seconds` or `processor_seconds`.
    """
    values = [
        ours / theirs
        for ours, theirs in zip(over.rates(by), under.rates(by), strict=True)
    ]
    if len(values) == 1:
        return Ratio(values[0], values[0], values[0], 1)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Ratio(statistics.median(values), low, high, len(values))


def measure_in_turn(
    contenders: Sequence[Contender],
    *,
    rounds: int,
    warmups: int,
    in_process: bool = False,
) -> list[Series]:
    """Runs contenders in turn, each in a process of its own.

    Args:
      contenders: What to measure.
      rounds: Rounds that count.
      warmups: Rounds before them, which do not.
      in_process: Whether to run all in this process, to try them quickly.

    Returns:
      One series for each contender.

    Raises:
      RuntimeError: If a contender fails.
    """
    kind = _InProcess if in_process else _Worker
    workers: list[_Worker | _InProcess] = []
    try:
        for contender in contenders:
            workers.append(kind(contender))
        series = [Series() for _ in workers]
        for number in range(warmups + rounds):
            for each, into in zip(workers, series, strict=True):
                answer = each.ask()
                if number >= warmups:
                    into.items.append(answer["items"])
                    into.seconds.append(answer["seconds"])
                    into.processor_seconds.append(answer["processor_seconds"])
        for each, into in zip(workers, series, strict=True):
            into.peak_bytes = each.finish()
    finally:
        for each in workers:
            each.kill()
    return series


class _Worker:
    """The process of one contender."""

    def __init__(self, contender: Contender) -> None:
        self._what = f"{contender.kind} {dict(contender.settings)}"
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.worker",
                contender.kind,
                json.dumps(dict(contender.settings)),
            ],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # One after the other, so that starting disturbs no round.
        try:
            self._answer()
        except BaseException:
            self.kill()
            raise

    def ask(self) -> dict[str, Any]:
        """One round."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._answer()

    def finish(self) -> int:
        """Ends the process; returns the peak of its memory, bytes."""
        self._process.stdin.close()
        answer = self._answer()
        self._process.wait()
        return answer["peak_bytes"]

    def kill(self) -> None:
        """Ends the process, however it stands."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()

    def _answer(self) -> dict[str, Any]:
        """The next line; RuntimeError if the process has ended."""
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"{self._what} ended with status {self._process.wait()}; its "
                "message is above"
            )
        return json.loads(line)


class _InProcess:
    """Like `_Worker`, without a process."""

    def __init__(self, contender: Contender) -> None:
        self._work = create_work(contender.kind, contender.settings)

    def ask(self) -> dict[str, Any]:
        """One round."""
        return worker.measure(self._work)

    def finish(self) -> int:
        """The peak of this process's memory, bytes."""
        return worker.peak_bytes()

    def kill(self) -> None:
        """Nothing is to be ended."""
