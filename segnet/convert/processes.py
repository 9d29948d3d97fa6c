"""Worker processes: started fast, ended with the process that started them."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import multiprocessing.connection
import multiprocessing.context
import os
import signal
import sys
import threading
from collections.abc import Iterator

__all__ = ["signals_held", "start_context", "start_worker"]

_RETAINED_BYTES = 16 * 1024 * 1024


def start_context() -> multiprocessing.context.BaseContext:
    """How to start processes: the fastest way that is safe.

    A forked process has all modules at once. But only a process without other
    threads may fork, and TensorFlow has some.
    """
    alone = threading.active_count() == 1 and "tensorflow" not in sys.modules
    return multiprocessing.get_context("fork" if alone else "spawn")


def start_worker() -> None:
    """Makes the process end when its parent has ended, however that was."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork inherits another
    gc.freeze()
    # After this the C library keeps freed memory of that size for the next
    # picture, instead of having the system clear new pages for it.
    block = bytearray(_RETAINED_BYTES)
    del block
    parent = multiprocessing.parent_process()

    def follow() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


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
