"""Work in threads that goes on while the network computes."""

from __future__ import annotations

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["map_ahead"]


def map_ahead(
    pool: concurrent.futures.Executor,
    function: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    limit: float,
    cost: Callable[[Any], float] = lambda item: 1,
) -> Iterator[Any]:
    """Like `map`, in order, with a bounded number of calls ahead.

    Args:
      pool: Threads that call the function.
      function: Takes an item.
      items: Taken one after the other while earlier calls are under way.
      limit: What the calls that are under way, or whose result waits to be
        taken, may cost together; one is always allowed.
      cost: Of an item, for example its size in memory.

    Yields:
      The results.
    """
    waiting: collections.deque = collections.deque()
    total = 0.0
    for item in items:
        waiting.append((pool.submit(function, item), cost(item)))
        total += waiting[-1][1]
        while total > limit:
            future, spent = waiting.popleft()
            total -= spent
            yield future.result()
    for future, _ in waiting:
        yield future.result()
