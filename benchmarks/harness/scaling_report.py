"""Words and tables of benchmarks/scaling.py: measured, formula, simulation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.harness.simulation import (
    Costs,
    best_interval,
    kept_share,
    step_seconds,
)

__all__ = [
    "HOUR_SECS", "LINKS", "REPLACE_SECS", "SIMULATED", "costs", "efficiency",
    "failure_rows", "format_results", "ring_seconds",
]  # fmt: skip

SIMULATED = (8, 64, 512)
# Gbit/s of one worker's link, in one direction.
LINKS = (10, 25, 100, 200)
# Seconds that one of the 2 (N - 1) messages of a ring takes at least.
LATENCY_SECS = 20e-6
# What is not measured here: Gloo's timeout, a log line every 100 steps, and
# another worker at once or a host after ten minutes.
_NOTICE_SECS = 30.0
_COMMIT_STEPS = 100
REPLACE_SECS = (0.0, 600.0)
HOUR_SECS = 3600.0
_STEPS = 400


def ring_seconds(
    num_bytes: float,
    workers: int,
    gigabits: float,
    latency_secs: float = LATENCY_SECS,
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


def efficiency(
    measured: Mapping[str, Any], workers: int, gigabits: float, **options: Any
) -> float:
    """Images a second of N workers over N times those of one, simulated.

    Args:
      measured: See `format_results`.
      workers: N.
      gigabits: Of a link.
      **options: Of `simulation.step_seconds`.
    """
    computing = _varied(measured)
    ring = ring_seconds(measured["bytes"], workers, gigabits)
    steps = step_seconds(
        computing, [ring], workers=workers, count=_STEPS,
        rng=np.random.default_rng(workers), **options,
    )  # fmt: skip
    return float(np.mean(computing) / steps.mean())


def costs(measured: Mapping[str, Any], replace: float) -> Costs:
    """What failures cost, by what was measured and what has to be assumed.

    Args:
      measured: See `format_results`.
      replace: Seconds until a lost worker is replaced.
    """
    step = float(np.mean(_varied(measured)))
    return Costs(
        save=measured["save"],
        restart=_NOTICE_SECS + measured["start"],
        notice=_NOTICE_SECS,
        commit=_COMMIT_STEPS * step,
        replace=replace,
        join=measured["start"],
    )


def _varied(measured: Mapping[str, Any]) -> Sequence[float]:
    """Seconds of a step of a worker that has a core of its own."""
    return measured["samples"]["apart 2"]


def format_results(measured: Mapping[str, Any]) -> str:
    """The measured numbers and what follows from them.

    Args:
      measured: `seconds` and `samples` of `one`, `apart N`, `together N` and
        `reduce N`, `bytes` of the gradients, seconds of a `start` and a `save`,
        `saved bytes`, and images a step of a worker, `batch`.
    """
    parts = (
        _compared(measured),
        _links(measured),
        _stragglers(measured),
        _inputs(measured),
        _failures(measured),
        _intervals(measured),
    )
    return "\n\n".join("\n".join(lines) for lines in parts)  # fmt: skip


def _compared(measured: Mapping[str, Any]) -> Iterator[str]:
    seconds, samples = measured["seconds"], measured["samples"]
    batch = measured["batch"]
    yield f"one process, 2 threads, batch {2 * batch}: {seconds['one']:.3f} s"
    # Both take the same images a step.
    ratio = seconds["one"] / seconds["together 2"]
    yield f"throughput, two workers / one: {ratio:.3f}"
    yield f"gradients: {measured['bytes'] / 1e6:.1f} MB"
    yield "workers  apart  all-reduce   step  / formula  / simulation"
    for name in (name for name in seconds if name.startswith("apart")):
        count = int(name.split()[1])
        step, reduced = samples[f"together {count}"], samples[f"reduce {count}"]
        simulated = step_seconds(
            samples[name], reduced, workers=count, count=_STEPS,
            rng=np.random.default_rng(0),
        )  # fmt: skip
        formula = seconds[name] + seconds[f"reduce {count}"]
        yield (
            f"{count:>7}  {seconds[name]:5.3f}  {np.median(reduced):10.3f}  "
            f"{np.median(step):5.3f}  {np.median(step) / formula:9.3f}  "
            f"{np.median(step) / np.median(simulated):12.3f}"
        )
    varied = np.array(_varied(measured))
    yield (
        f"a step varies by {varied.std() / varied.mean():.1%}; the slowest of "
        f"{varied.size} took {varied.max() / np.median(varied):.2f} medians"
    )


def _links(measured: Mapping[str, Any]) -> Iterator[str]:
    yield "efficiency, nothing overlapped: formula / simulation"
    yield "workers  " + "  ".join(f"{link:>4} Gbit/s" for link in LINKS)
    apart = float(np.mean(_varied(measured)))
    for workers in SIMULATED:
        cells = []
        for link in LINKS:
            ring = ring_seconds(measured["bytes"], workers, link)
            simulated = efficiency(measured, workers, link)
            cells.append(f"{apart / (apart + ring):.2f} / {simulated:.2f}")
        yield f"{workers:>7}  " + "  ".join(f"{cell:>11}" for cell in cells)


def _stragglers(measured: Mapping[str, Any]) -> Iterator[str]:
    slow = (1.0, 1.1, 1.5, 2.0)
    yield "efficiency at 100 Gbit/s where one worker is slower than the others"
    yield "workers  " + "  ".join(f"{each:g} times".rjust(9) for each in slow)
    for workers in SIMULATED:
        shares = (
            efficiency(measured, workers, 100, slowdown=each) for each in slow
        )
        yield f"{workers:>7}  " + "  ".join(f"{share:9.2f}" for share in shares)


def _inputs(measured: Mapping[str, Any]) -> Iterator[str]:
    fractions = (0.5, 0.9, 1.0, 1.1)
    yield (
        "efficiency at 100 Gbit/s by the time that the input of a host takes "
        "for a batch"
    )
    yield "workers  " + "  ".join(f"{each:.0%} of a step" for each in fractions)
    for workers in SIMULATED:
        shares = (
            efficiency(
                measured, workers, 100,
                making=[each * secs for secs in _varied(measured)],
            )
            for each in fractions
        )  # fmt: skip
        yield f"{workers:>7}  " + "  ".join(f"{each:13.2f}" for each in shares)


def failure_rows(
    measured: Mapping[str, Any], replace: float
) -> list[tuple[int, float, float]]:
    """What a failure an hour leaves of the work, by the number of workers.

    Args:
      measured: See `format_results`.
      replace: Seconds until a lost worker is replaced.

    Returns:
      Rows of workers, and the shares that are kept by a job that starts again,
      with the checkpoint interval that is best for it, and by an elastic one.
    """
    given = costs(measured, replace)
    rows = []
    for workers in SIMULATED:
        interval, kept = best_interval(
            given, workers=workers, between_failures=HOUR_SECS
        )
        elastic = kept_share(
            given, workers=workers, between_failures=HOUR_SECS,
            interval=interval, elastic=True, rng=np.random.default_rng(workers),
            failures=20_000,
        )  # fmt: skip
        rows.append((workers, kept, elastic))
    return rows


def _failures(measured: Mapping[str, Any]) -> Iterator[str]:
    given = costs(measured, 0.0)
    yield (
        f"a failure of the job an hour: a checkpoint takes {given.save:.2f} s "
        f"({measured['saved bytes'] / 1e6:.0f} MB), a restart "
        f"{given.restart:.0f} s"
    )
    yield "workers  replaced after   kept  kept, elastic"
    for replace in REPLACE_SECS:
        for workers, kept, elastic in failure_rows(measured, replace):
            yield (
                f"{workers:>7}  {replace:12.0f} s  {kept:5.3f}  {elastic:13.3f}"
            )


def _intervals(measured: Mapping[str, Any]) -> Iterator[str]:
    given = costs(measured, 0.0)
    yield "hours between two failures  best interval  by sqrt(2 S M)   kept"
    for hours in (1, 10, 100):
        between = hours * HOUR_SECS
        interval, kept = best_interval(
            given, workers=8, between_failures=between
        )
        formula = math.sqrt(2 * given.save * between)
        yield (
            f"{hours:>26}  {interval:11.0f} s  {formula:12.0f} s  {kept:6.4f}"
        )
