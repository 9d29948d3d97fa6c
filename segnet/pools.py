"""Jobs done in worker processes, as fast as they can be started safely.

No TensorFlow here: the worker processes import this module.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.context
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from typing import Any, TypeVar

from segnet import signals
from segnet.errors import RunError
from segnet.files import reason

__all__ = ["end_with_parent", "main_program_hidden", "run_jobs"]

# How often progress is reported.
_REPORT_SECONDS = 0.2
_Job = TypeVar("_Job")
_Result = TypeVar("_Result")
# What does a job: takes it, what is called after each of its units, and what
# all processes share.
_DoJob = Callable[[_Job, Callable[[], None], Any], _Result]


def run_jobs(
    do_job: _DoJob[_Job, _Result],
    jobs: Sequence[_Job],
    num_workers: int,
    advance: Callable[[int], None] = lambda count: None,
    make_shared: Callable[[multiprocessing.context.BaseContext], Any] = (
        lambda context: None
    ),
) -> list[_Result]:
    """Does jobs in worker processes.

    Args:
      do_job: Function of a module, or a `functools.partial` of one; it takes a
        job, what to call after each unit of work, and what is shared.
      jobs: What to do.
      num_workers: Processes; 1 works in this one, where nothing is shared:
        `do_job` gets None.
      advance: Called with the number of units done since the last call; it may
        raise, which ends the processes.
      make_shared: Makes what is shared, such as a lock, of the way in which
        processes are started.

    Returns:
      What each job gave, in their order.

    Raises:
      RunError: Processes cannot be started, or one died (out of memory,
        killed).
    """
    try:
        if num_workers == 1:
            return [do_job(job, lambda: advance(1), None) for job in jobs]
        return _run(do_job, jobs, num_workers, advance, make_shared)
    except (concurrent.futures.BrokenExecutor, MemoryError):
        raise RunError(
            "a worker process died, most likely because memory ran out; give "
            "a smaller --num_workers"
        ) from None


def _run(
    do_job: _DoJob[_Job, _Result],
    jobs: Sequence[_Job],
    num_workers: int,
    advance: Callable[[int], None],
    make_shared: Callable[[multiprocessing.context.BaseContext], Any],
) -> list[_Result]:
    others = set(multiprocessing.active_children())
    pool = None
    try:
        # A start that is cut in two would leave a process that complains.
        with (
            signals.signals_held(),
            signals.interrupts_blocked(),
            main_program_hidden(),
            _start_errors(),
        ):
            context = _start_context()
            counts = context.RawArray("q", len(jobs))
            # What all processes know when they start need not go through the
            # pipe to them, on which the pool's ending can hang while it is
            # full (Python before 3.11.5).
            pool = concurrent.futures.ProcessPoolExecutor(
                num_workers,
                context,
                _start_worker,
                (do_job, jobs, counts, make_shared(context)),
            )
            futures = [pool.submit(_do_job, n) for n in range(len(jobs))]
        _follow(futures, counts, advance)
        return [future.result() for future in futures]
    except BaseException:
        # What they still do is of no use, and the pool's own ending can wait
        # for ever on a worker that started while another one died.
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        raise
    finally:
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


def _start_context() -> multiprocessing.context.BaseContext:
    """How to start processes: the fastest way that is safe.

    A forked process has all modules at once, which saves 0.3 s of each: 4 % of
    the work for 4500 pairs of 128x256 on two cores. But only a process without
    other threads may fork, and TensorFlow has some.
    """
    alone = threading.active_count() == 1 and "tensorflow" not in sys.modules
    return multiprocessing.get_context("fork" if alone else "spawn")


@contextlib.contextmanager
def main_program_hidden() -> Iterator[None]:
    """Keeps processes that are started in here from running the main program.

    A spawned process begins by importing it, since its functions may be needed,
    which they are not. A script of a user's would do all of its work again.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


@contextlib.contextmanager
def _start_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"worker processes cannot be started ({reason(error)}); give a "
            "smaller --num_workers"
        ) from None


def _follow(
    futures: Sequence[concurrent.futures.Future],
    counts: Sequence[int],
    advance: Callable[[int], None],
) -> None:
    """Reports until all is done, or raises what went wrong first."""
    reported, waiting = 0, set(futures)
    while waiting:
        finished, waiting = concurrent.futures.wait(
            waiting, _REPORT_SECONDS, concurrent.futures.FIRST_COMPLETED
        )
        for future in finished:
            future.result()
        count = sum(counts)
        advance(count - reported)
        reported = count


# Of a worker process: what does a job, all jobs, for each of them the units
# that are done, and what is shared.
# Each job has one writer, so no lock that a killed process could hold.
_given: tuple[_DoJob, Sequence[Any], MutableSequence[int], Any]


def _start_worker(
    do_job: _DoJob,
    jobs: Sequence[Any],
    counts: MutableSequence[int],
    shared: Any,
) -> None:
    """Takes what all jobs need; the process ends when its parent has ended."""
    global _given
    _given = (do_job, jobs, counts, shared)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork inherits another
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent(leave: Callable[[], None] = lambda: os._exit(1)) -> None:
    """Waits until the process that started this one has ended, then leaves.

    Args:
      leave: How; it does not return.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        leave()


def _do_job(number: int) -> Any:
    do_job, jobs, counts, shared = _given

    def advance() -> None:
        counts[number] += 1

    return do_job(jobs[number], advance, shared)
