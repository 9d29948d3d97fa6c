"""SIGINT and SIGTERM: as votes to stop, as exceptions, or held back."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np

__all__ = [
    "UNABLE",
    "StopVotes",
    "Terminated",
    "interrupts_blocked",
    "signals_held",
    "signals_raised",
]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# In the place of a signal: a process has no more to work on.
UNABLE = 0


class StopVotes:
    """Counts the signals that came, so that a step is not cut short; a context.

    A second signal of the same kind ends the process at once, for people who
    do not want to wait for the step. Python runs handlers between its own
    instructions only, which a long step of the network keeps it from; so it is
    a thread, woken by the signal itself, that says so and that leaves.

    Attributes:
      error: Why this process cannot go on; None if it can.
    """

    def __init__(self, notice: str = "") -> None:
        """Starts with no votes; handlers are set on entering.

        Args:
          notice: What a first signal says at once on standard error, after its
            name; empty: nothing.
        """
        self.error: Exception | None = None
        self._notice = notice
        self._votes = np.zeros([len(_SIGNALS) + 1], np.float32)
        self._previous: dict[int, Any] = {}
        self._wakeup_before = -1
        self._pipe: tuple[int, ...] = ()

    def __enter__(self) -> StopVotes:
        """Takes over the signals (in the main thread only)."""
        if threading.current_thread() is not threading.main_thread():
            return self
        reader, writer = self._pipe = os.pipe()
        os.set_blocking(writer, False)
        threading.Thread(
            target=self._listen, args=(reader,), daemon=True
        ).start()
        for number in _SIGNALS:
            self._previous[number] = signal.signal(number, self._vote)
        self._wakeup_before = signal.set_wakeup_fd(
            writer, warn_on_full_buffer=False
        )
        return self

    def __exit__(self, *unused: object) -> None:
        """Gives the signals back."""
        if not self._pipe:
            return
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        os.close(self._pipe[1])  # The thread ends.

    def _vote(self, number: int, frame: FrameType | None) -> None:
        self._votes[_SIGNALS.index(number)] = 1.0

    def _listen(self, reader: int) -> None:
        """Reads the numbers of the signals that come, one byte each."""
        seen = set()
        with open(reader, "rb", buffering=0) as numbers:
            while number := numbers.read(1):
                if number[0] in seen:
                    _tell(f"{_name(number[0])} again: leaving at once")
                    os._exit(128 + number[0])
                if number[0] in _SIGNALS:
                    seen.add(number[0])
                    if self._notice:
                        _tell(f"{_name(number[0])}: {self._notice}")

    def resign(self, error: Exception) -> None:
        """Votes to stop, as after a signal, for what cannot be waited out."""
        self.error = error
        self._votes[-1] = 1.0

    @property
    def votes(self) -> np.ndarray:
        """This process's votes, float32 `[3]`: SIGINT, SIGTERM, unable."""
        return self._votes.copy()

    @staticmethod
    def agreed(votes: np.ndarray) -> int | None:
        """The signal to stop for, or `UNABLE`, from summed votes.

        None to go on.
        """
        for number, count in zip((*_SIGNALS, UNABLE), votes, strict=True):
            if count > 0:
                return int(number)
        return None


def _name(number: int) -> str:
    """What people call a signal."""
    return "Ctrl-C" if number == signal.SIGINT else "SIGTERM"


def _tell(line: str) -> None:
    """Writes a line to standard error, past locks that others may hold."""
    # A bar may stand at the beginning of the line.
    start = "\n" if os.isatty(2) else ""
    with contextlib.suppress(OSError):
        os.write(2, f"{start}{line}\n".encode())


class Terminated(BaseException):
    """SIGTERM came; not an Exception, so that nothing but `main` stops it."""


@contextlib.contextmanager
def signals_raised() -> Iterator[None]:
    """Lets SIGINT and SIGTERM unwind, so that temporary files are removed."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: handler
        for number in _SIGNALS
        if (handler := signal.getsignal(number)) != signal.SIG_IGN
    }
    try:
        for number in before:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def signals_held() -> Iterator[Callable[[], None]]:
    """Holds SIGINT and SIGTERM back, so that nothing in here is cut in two.

    What makes something and what removes it again belong in here together: an
    exception could otherwise come between making it and the code that would
    remove it, or while it is being removed.

    Yields:
      A function to call wherever the work may end: it raises
      KeyboardInterrupt or `Terminated` if a signal has arrived. On leaving,
      the first one that has arrived takes its usual effect.
    """
    arrived: list[int] = []

    def check() -> None:
        for number in arrived[:1]:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number in before:
            signal.signal(number, lambda it, frame: arrived.append(it))
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        # Also when something else went wrong, which the signal explains.
        if arrived:
            signal.raise_signal(arrived[0])


@contextlib.contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Blocks SIGINT for processes and threads that are started in here.

    They inherit it: Ctrl-C, which goes to all processes, is their parent's to
    handle. What comes meanwhile is delivered on leaving.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
