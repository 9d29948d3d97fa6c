"""SIGINT and SIGTERM become votes to stop, so that a step is not cut short."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import numpy as np

__all__ = ["StopVotes", "Terminated", "signals_held", "termination_raised"]

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


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Holds SIGINT and SIGTERM back while worker processes start.

    A start that is cut in two would leave a process that complains. The
    workers inherit that SIGINT is blocked: Ctrl-C is the parent's to handle.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    before = {
        number: signal.signal(number, lambda it, frame: arrived.append(it))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
        # Also when something else went wrong, which the signal explains.
        for number in arrived[:1]:
            signal.raise_signal(number)
