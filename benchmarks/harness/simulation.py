"""Many workers, simulated: synchronous steps, and a job with failures.

What is drawn from is measured (benchmarks/scaling.py); what is simulated is
what one machine cannot be: hundreds of workers that wait for each other, whose
input comes late now and then, and that die.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Sequence

import numpy as np

__all__ = ["Costs", "best_interval", "kept_share", "step_seconds"]


def step_seconds(
    computing: Sequence[float],
    reducing: Sequence[float],
    *,
    workers: int,
    count: int,
    rng: np.random.Generator,
    making: Sequence[float] = (0.0,),
    ahead: int = 2,
    slowdown: float = 1.0,
) -> np.ndarray:
    """Durations of steps whose gradients are added up, nothing overlapped.

    Each worker takes the next batch of its input and computes; when the last
    one has, all reduce. The input makes one batch after the other, and stops
    while so many are there as it may be ahead.

    Args:
      computing: Measured seconds that a worker computes, from which each step
        of each worker is drawn.
      reducing: Measured seconds of an all-reduce, drawn for each step.
      workers: How many there are.
      count: How many steps.
      rng: Draws.
      making: Measured seconds that the input takes for a batch.
      ahead: Batches that the input makes before they are taken.
      slowdown: What one of the workers takes times as long to compute.

    Returns:
      Seconds of each step, float64 `[count]`.
    """
    shape = (count, workers)
    computed = rng.choice(computing, shape)
    computed[:, 0] *= slowdown
    reduced = rng.choice(reducing, count)
    made_in = rng.choice(making, shape)
    # When each batch is made, and when taken.
    made, taken = np.zeros(shape), np.zeros(shape)
    ends = np.zeros(count + 1)
    for step in range(count):
        free = made[step - 1] if step else np.zeros(workers)
        if step >= ahead:
            free = np.maximum(free, taken[step - ahead])
        made[step] = free + made_in[step]
        taken[step] = np.maximum(made[step], ends[step])
        last = (taken[step] + computed[step]).max()
        ends[step + 1] = last + reduced[step]
    return np.diff(ends)


@dataclasses.dataclass(frozen=True)
class Costs:
    """What failures cost, in seconds.

    Attributes:
      save: That all wait while a checkpoint is written.
      restart: From a failure until a job that was started again trains, if
        another worker is there at once.
      notice: From a failure until the other workers of an elastic job go on.
      commit: Between two states that an elastic job can go back to.
      replace: Until there is another worker in place of a lost one.
      join: That all wait while a worker joins.
    """

    save: float
    restart: float
    notice: float
    commit: float
    replace: float
    join: float


def kept_share(
    costs: Costs,
    *,
    workers: int,
    between_failures: float,
    interval: float,
    elastic: bool,
    rng: np.random.Generator,
    failures: int = 2000,
) -> float:
    """Share of the work of a job without failures and saves that is kept.

    Failures of the job come at random (exponential times between them). A job
    that is not elastic ends with each and starts again from the last checkpoint
    once it has all its workers.
    An elastic one goes back to the last commit and on with the workers that are
    left, and a lost one is replaced after a while. What fails while it starts
    again or waits only does so again.

    Args:
      costs: Of what happens.
      workers: All of them.
      between_failures: Mean seconds between two failures of the job.
      interval: Seconds of work between two checkpoints.
      elastic: Whether the job is.
      rng: Draws.
      failures: How many are simulated.

    Returns:
      Between 0 and 1.
    """
    gaps = rng.exponential(between_failures, failures)
    if elastic:
        return _elastic_share(costs, workers, interval, gaps, rng)
    left = np.maximum(gaps - costs.restart - costs.replace, 0.0)
    saved = np.floor(left / (interval + costs.save))
    return float((saved * interval).sum() / gaps.sum())


def _elastic_share(
    costs: Costs,
    workers: int,
    interval: float,
    gaps: np.ndarray,
    rng: np.random.Generator,
) -> float:
    """As `kept_share`, by going from event to event."""
    saving = interval / (interval + costs.save)
    lost_since = rng.uniform(0.0, costs.commit, len(gaps))
    kept = clock = waits_until = 0.0
    missing: list[float] = []  # When each lost worker is replaced.
    for end, lost in zip(np.cumsum(gaps), lost_since, strict=True):
        worked = 0.0  # Since the last failure, in seconds of all workers.
        while clock < end:
            until = min([end, *missing[:1]])
            share = max(workers - len(missing), 0) / workers
            worked += share * max(until - max(clock, waits_until), 0.0)
            clock = until
            if missing and clock == missing[0]:
                heapq.heappop(missing)
                waits_until = max(waits_until, clock) + costs.join
        kept += saving * max(worked - lost, 0.0)
        waits_until = max(waits_until, end) + costs.notice
        heapq.heappush(missing, end + costs.replace)
    return float(kept / gaps.sum())


def best_interval(
    costs: Costs, *, workers: int, between_failures: float, seed: int = 0
) -> tuple[float, float]:
    """The checkpoint interval of a job that is not elastic that keeps most.

    Returns:
      Seconds, and the share that is kept with it.
    """
    # The same failures for all.
    shares = {
        float(interval): kept_share(
            costs,
            workers=workers,
            between_failures=between_failures,
            interval=float(interval),
            elastic=False,
            rng=np.random.default_rng(seed),
            failures=20_000,
        )
        for interval in np.geomspace(costs.save, between_failures, 80)
    }
    best = max(shares, key=shares.__getitem__)
    return best, shares[best]
