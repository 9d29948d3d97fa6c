"""SIGINT and SIGTERM become votes to stop, so that a step is not cut short."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import numpy as np

__all__ = ["StopVotes", "Terminated", "termination_raised"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopVotes:
    """Counts the signals that came; a context manager.

    A second signal of the same kind ends the process at once, for people who
    do not want to wait for the step.
    """

    def __init__(self) -> None:
        """Starts with no votes; handlers are set on entering."""
        self._votes = np.zeros([len(_SIGNALS)], np.float32)
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopVotes:
        """Takes over the signals (in the main thread only)."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._previous[number] = signal.signal(number, self._vote)
        return self

    def __exit__(self, *unused: object) -> None:
        """Gives the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _vote(self, number: int, frame: FrameType | None) -> None:
        self._votes[_SIGNALS.index(number)] = 1.0
        signal.signal(number, self._previous[number])

    @property
    def votes(self) -> np.ndarray:
        """This process's votes, float32 `[2]`: SIGINT, SIGTERM."""
        return self._votes.copy()

    @staticmethod
    def agreed(votes: np.ndarray) -> int | None:
        """The signal to stop for, from summed votes; None to go on."""
        for number, count in zip(_SIGNALS, votes, strict=True):
            if count > 0:
                return int(number)
        return None


class Terminated(BaseException):
    """SIGTERM came; not an Exception, so that nothing but `main` stops it."""


@contextlib.contextmanager
def termination_raised() -> Iterator[None]:
    """Lets SIGTERM unwind, so that temporary files are removed."""

    def stop(number: int, frame: Any) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
