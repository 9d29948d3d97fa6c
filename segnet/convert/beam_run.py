"""Parts of a split, converted by the workers of Apache Beam.

A worker does what a worker process of one machine does, with the same code. It
writes what became of its part into a file beside the records, under that
part's name and whole or not at all; a part without such a file is not done, and
is done again. Records go to a file that each attempt has for itself: two
workers may be at one part, where the first seemed to be lost.

Beam runs in a process of its own. It has threads that wait for ever where a
worker is lost, and writes much that is of no use to a user into its log.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from segnet.convert.beam_options import Runner
from segnet.convert.conversion import Rules
from segnet.convert.pairs import Pair
from segnet.convert.part_text import part_from_text
from segnet.convert.workers import Part
from segnet.errors import RunError
from segnet.files import gfile, read_errors, read_text
from segnet.installation import PROJECT
from segnet.pools import end_with_parent, main_program_hidden
from segnet.progress import say
from segnet.signals import interrupts_blocked

__all__ = ["convert_parts"]

# How often is looked for a signal; how often for parts that are done.
_POLL_SECONDS = 0.2
_LIST_SECONDS = 0.5
# How long a job on other machines may take to be cancelled.
_CANCEL_SECONDS = 30.0
# Runs in which nothing got done, until a part is taken for one that cannot be.
_VAIN_RUNS = 2
# Exit status of Beam's process where one of its threads has died.
_LOST = 3
_LOST_LINE = (
    "a worker process died at the same part again, most likely because memory "
    "ran out"
)


def convert_parts(
    runner: Runner,
    results: Sequence[str],
    parts: Sequence[Sequence[Pair]],
    paths: Sequence[str],
    rules: Rules,
    num_workers: int,
    advance: Callable[[int], None] = lambda count: None,
) -> list[Part]:
    """Converts parts of a split, as `workers.convert_parts` does.

    Args:
      runner: Who does it.
      results: A file for each part, all in one folder, where its worker writes
        what became of it.
      parts: The pairs of each.
      paths: What the names of the files for each begin with, or empty to check
        them only.
      rules: How.
      num_workers: Not used: the runner has its own number.
      advance: Called with the number of pairs done since the last call; it may
        raise, which ends the work.

    Raises:
      RunError: A file cannot be written, or Beam fails.
    """
    jobs = [_to_job(*each) for each in zip(parts, paths, results, strict=True)]
    counts = dict(zip(results, map(len, parts), strict=True))
    with _log() as log:
        _run_all(dict(zip(results, jobs, strict=True)), counts, rules, runner,
                 log, advance)  # fmt: skip
    return [part_from_text(read_text(path), path) for path in results]


def _to_job(pairs: Sequence[Pair], path: str, result: str) -> str:
    """What `beam_pipeline.do_job` takes: ASCII, for names may be any bytes."""
    names = [[str(pair.image), str(pair.annotation)] for pair in pairs]
    return json.dumps({"pairs": names, "path": path, "result": result})


def _run_all(
    jobs: dict[str, str],
    counts: dict[str, int],
    rules: Rules,
    runner: Runner,
    log: str,
    advance: Callable[[int], None],
) -> None:
    """Runs Beam until each job has its result.

    Args:
      jobs: By their results.
      counts: The pairs of each.
      rules: How to do them.
      runner: Who does them.
      log: Where Beam writes its messages to.
      advance: As for `convert_parts`.

    Raises:
      RunError: Beam fails, or nothing gets done any more.
    """
    done: set[str] = set()
    vain = 0
    while left := [path for path in jobs if path not in done]:
        before = len(done)
        run = _Run([jobs[path] for path in left], rules, runner, log)
        with contextlib.closing(run):
            for found in run.follow(left):
                advance(sum(counts[path] for path in found - done))
                done |= found
        if len(done) == len(jobs):
            return
        vain = 0 if len(done) > before else vain + 1
        if vain == _VAIN_RUNS or not (run.lost or len(done) > before):
            raise RunError(
                f"--runner={runner.name}: {run.failure()}; Beam's messages are "
                f"in {log}"
            )
        why = "a worker was lost" if run.lost else run.failure()
        say(
            f"note: --runner={runner.name}: {why}; "
            f"{len(jobs) - len(done)} of {len(jobs)} parts are done again"
        )


@contextlib.contextmanager
def _log() -> Iterator[str]:
    """A file for Beam's messages, which is kept where something fails."""
    try:
        descriptor, path = tempfile.mkstemp(".log", "segnet-beam-")
    except OSError as error:
        raise RunError(
            f"{tempfile.gettempdir()}: temporary files cannot be written "
            f"({error.strerror}); make room, or name another folder in the "
            "environment variable TMPDIR"
        ) from None
    os.close(descriptor)
    try:
        yield path
    except RunError:
        raise
    except BaseException:
        os.remove(path)
        raise
    os.remove(path)


class _Run:
    """Beam in a process of its own, until it ends or is to end.

    Attributes:
      lost: Once it has ended: whether it was for want of a worker.
    """

    def __init__(
        self, jobs: Sequence[str], rules: Rules, runner: Runner, log: str
    ) -> None:
        """Starts it.

        Raises:
          RunError: There can be no more processes.
        """
        self.lost = False
        self._is_direct = runner.is_direct
        context = multiprocessing.get_context("spawn")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process: BaseProcess = context.Process(
            target=_run_beam, args=(jobs, rules, runner, log, sender)
        )
        try:
            with interrupts_blocked(), main_program_hidden():
                self._process.start()
        except OSError as error:
            raise RunError(
                f"a process for Beam cannot be started ({error.strerror})"
            ) from None
        sender.close()

    def follow(self, results: Sequence[str]) -> Iterator[set[str]]:
        """Gives the results that are there, now and then, until it ends."""
        listed = 0.0
        running = True
        while running:
            self._process.join(_POLL_SECONDS)
            running = self._process.exitcode is None
            if running and time.monotonic() - listed < _LIST_SECONDS:
                yield set()
                continue
            yield _there(results)
            listed = time.monotonic()
        self.lost = self._process.exitcode in (_LOST, -signal.SIGKILL)

    def failure(self) -> str:
        """Why it has ended, as far as it could say."""
        if self.lost:
            return _LOST_LINE
        with contextlib.suppress(EOFError, OSError):
            return self._receiver.recv_bytes().decode(errors="replace")
        return "it ended before all parts were done"

    def close(self) -> None:
        """Ends it and the workers on this machine."""
        pid = self._process.pid
        if self._process.exitcode is None and not self._is_direct:
            self._process.terminate()  # which cancels what others do for it
            self._process.join(_CANCEL_SECONDS)
        # It leads a group of its own, to which its workers belong.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if pid is not None:
                os.killpg(pid, signal.SIGKILL)
        self._process.kill()  # if it has not begun
        self._process.join()


def _there(results: Collection[str]) -> set[str]:
    """Those of some files of one folder that are there."""
    folder = os.path.dirname(next(iter(results)))
    with read_errors(folder):
        names = set(gfile(folder).listdir(folder))
    return {path for path in results if os.path.basename(path) in names}


def _run_beam(
    jobs: Sequence[str],
    rules: Rules,
    runner: Runner,
    log: str,
    sender: Connection,
) -> None:
    """Runs a pipeline; the process ends with it."""
    os.setpgrp()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    # Workers are Python, too, and look for this package.
    found = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (PROJECT, found)))
    stopping = _Stopping()
    try:
        from segnet.convert import beam_pipeline

        result = beam_pipeline.create(jobs, rules, runner).run()
        stopping.result = result
        state = result.wait_until_finish()
        if state != "DONE":
            raise RuntimeError(f"the job ended as {state}")
    except Exception as error:
        traceback.print_exc()
        sender.send_bytes(_last_line(error).encode())
        _leave(1)
    _leave(0)


def _leave(status: int) -> None:
    """Leaves without waiting for threads that may wait for ever."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _last_line(error: Exception) -> str:
    """What an error says, which may be the text of a worker's traceback."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith("File ")]
    line = told[-1] if told else type(error).__name__
    return line.partition(" [while running")[0].removeprefix(
        "segnet.errors.RunError: "
    )


class _Stopping:
    """What ends this process early.

    Attributes:
      result: Of the pipeline, once it runs elsewhere.
    """

    def __init__(self) -> None:
        """Looks out for a dead thread, a signal and the parent's end."""
        self.result: Any = None
        threading.excepthook = self._thread_died
        signal.signal(signal.SIGTERM, self._signalled)
        threading.Thread(
            target=end_with_parent, args=(self._end,), daemon=True
        ).start()

    def _thread_died(self, error: threading.ExceptHookArgs) -> None:
        """A runner that has lost a thread waits for ever."""
        traceback.print_exception(
            error.exc_type, error.exc_value, error.exc_traceback
        )
        _leave(_LOST)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._cancel()
        _leave(128 + number)

    def _end(self) -> None:
        self._cancel()
        os.killpg(os.getpgrp(), signal.SIGKILL)

    def _cancel(self) -> None:
        if self.result is not None:
            with contextlib.suppress(Exception):
                self.result.cancel()
