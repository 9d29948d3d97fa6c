"""A bound on the pixels that worker processes have in hand at a time.

No TensorFlow here: worker processes import this module.
"""

from __future__ import annotations

import contextlib
import multiprocessing.context
from collections.abc import Iterator

__all__ = ["PixelGate"]

# Pictures below a unit are let through: there is at most one a process. With
# about 13 bytes a pixel, all units are 1.7 GB.
_UNIT_PIXELS = 4 * 1024 * 1024
_UNITS = 32


class PixelGate:
    """Lets large pictures through as long as there are not too many.

    Memory then depends on the work, not on the number of processes times the
    largest picture. A picture alone is let through whatever its size.
    """

    def __init__(self, context: multiprocessing.context.BaseContext) -> None:
        """Makes the gate, to be given to processes when they start."""
        self._turn = context.Lock()
        self._units = context.Semaphore(_UNITS)

    @contextlib.contextmanager
    def passing(self, pixels: int) -> Iterator[None]:
        """Waits until there is room for a picture; it leaves with the block."""
        if pixels < _UNIT_PIXELS:
            yield
            return
        units = min(pixels // _UNIT_PIXELS, _UNITS)
        # One at a time collects units, so that no two wait for each other's.
        with self._turn:
            for _ in range(units):
                self._units.acquire()
        try:
            yield
        finally:
            for _ in range(units):
                self._units.release()
