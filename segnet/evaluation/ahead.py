"""Work in threads that goes on while the network computes."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["Budget", "map_ahead"]


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
    try:
        for item in items:
            waiting.append((pool.submit(function, item), cost(item)))
            total += waiting[-1][1]
            while total > limit:
                future, spent = waiting.popleft()
                total -= spent
                yield future.result()
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        # What is still to come is of no use once something has failed.
        for future, _ in waiting:
            future.cancel()


class Budget:
    """What threads may use of something together, such as memory."""

    def __init__(self, size: int) -> None:
        """Starts with all of it free."""
        self._size = size
        self._free = size
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, cost: int) -> Iterator[None]:
        """Waits for a part, and has it in here; more than all of it is all."""
        cost = min(cost, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= cost)
            self._free -= cost
        try:
            yield
        finally:
            with self._changed:
                self._free += cost
                self._changed.notify_all()
