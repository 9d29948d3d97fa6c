"""Parts of a split, converted in worker processes.

No TensorFlow here: the worker processes import this module.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import multiprocessing.context
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, MutableSequence, Sequence

from segnet import signals
from segnet.convert import shard_files
from segnet.convert.conversion import Converted, Rules, convert_pair
from segnet.convert.findings import Findings, ValueColours
from segnet.convert.gate import PixelGate
from segnet.convert.pairs import Pair, Problem
from segnet.errors import RunError
from segnet.files import reason
from segnet.images.decoding import count_pixels
from segnet.records.statistics import Statistics

__all__ = [
    "Part",
    "convert_part",
    "convert_parts",
    "merge_parts",
    "split_parts",
]

# How often progress is reported.
_REPORT_SECONDS = 0.2
_NO_GATE = contextlib.nullcontext()
# The pairs of a part, and the file for their records.
_Job = tuple[Sequence[Pair], str]


@dataclasses.dataclass(frozen=True)
class Part:
    """What became of a part of a split.

    Attributes:
      statistics: Of its good pairs.
      problems: What is wrong with the others.
      findings: What is odd about the good ones.
      colours: Of their annotations.
      file: The records, unless it was only checked.
    """

    statistics: Statistics
    problems: list[Problem] = dataclasses.field(default_factory=list)
    findings: Findings = dataclasses.field(default_factory=Findings)
    colours: ValueColours = dataclasses.field(default_factory=ValueColours)
    file: shard_files.ShardFile | None = None

    def add(self, pair: Pair, result: Converted) -> None:
        """Adds a good pair."""
        self.statistics.add(
            result.histogram, result.height, result.width, result.digest
        )
        self.colours.add(result.colours, str(pair.annotation))
        for kind in result.findings:
            self.findings.add(kind, str(pair.image))


def merge_parts(parts: Sequence[Part], num_classes: int) -> Part:
    """What became of all parts of a split, but for their files."""
    whole = Part(Statistics(num_classes))
    for part in parts:
        whole.statistics.merge(part.statistics)
        whole.problems.extend(part.problems)
        whole.findings.merge(part.findings)
        whole.colours.merge(part.colours)
    return whole


def split_parts(
    pairs: Sequence[Pair], num_shards: int, num_workers: int
) -> list[Sequence[Pair]]:
    """Splits pairs into parts, one a process at a time.

    Args:
      pairs: In the order of the split.
      num_shards: Of the split. A part is a shard, or, where there are fewer
        shards than processes, an even part of one.
      num_workers: Processes.
    """
    pieces = -(-num_workers // num_shards)
    bounds = shard_files.even_bounds(len(pairs), num_shards)
    return [
        pairs[first + start : first + stop]
        for first, end in bounds
        for start, stop in shard_files.even_bounds(end - first, pieces)
        if start < stop
    ]


def convert_part(
    pairs: Sequence[Pair],
    path: str,
    rules: Rules,
    advance: Callable[[], None] = lambda: None,
    gate: PixelGate | None = None,
) -> Part:
    """Converts pairs and writes their records to a file.

    Args:
      pairs: What to convert.
      path: Of the file; empty to check the pairs only.
      rules: How.
      advance: Called after each pair.
      gate: Bounds the pixels in hand where other processes work, too.

    Raises:
      RunError: The file cannot be written.
    """
    part = Part(Statistics(rules.num_classes))
    writer = shard_files.ShardWriter(path) if path else None
    with writer or contextlib.nullcontext():
        for pair in pairs:
            with gate.passing(_pixels(pair)) if gate else _NO_GATE:
                result = convert_pair(pair, rules)
            if isinstance(result, tuple):
                part.problems.extend(result)
            else:
                part.add(pair, result)
                # After an error only the search for more of them goes on.
                if writer and (rules.skip_invalid or not part.problems):
                    writer.write(result.record)
            advance()
    return dataclasses.replace(part, file=writer.file) if writer else part


def _pixels(pair: Pair) -> int:
    """Of the larger file of a pair."""
    return max(count_pixels(pair.image), count_pixels(pair.annotation))


def convert_parts(
    parts: Sequence[Sequence[Pair]],
    paths: Sequence[str],
    rules: Rules,
    num_workers: int,
    advance: Callable[[int], None] = lambda count: None,
) -> list[Part]:
    """Converts parts of a split in worker processes.

    The processes read, check and write; nothing but sums comes back, so that
    they do not wait for this one.

    Args:
      parts: The pairs of each.
      paths: The file for each, or empty; see `convert_part`.
      rules: How.
      num_workers: Processes; 1 works in this one.
      advance: Called with the number of pairs done since the last call.

    Raises:
      RunError: A file cannot be written, or a worker process died (out of
        memory, killed).
    """
    jobs = list(zip(parts, paths, strict=True))
    try:
        if num_workers == 1:
            return [
                convert_part(pairs, path, rules, lambda: advance(1))
                for pairs, path in jobs
            ]
        return _convert_in_processes(jobs, rules, num_workers, advance)
    except (concurrent.futures.BrokenExecutor, MemoryError):
        raise RunError(
            "a worker process died, most likely because memory ran out; give "
            "a smaller --num_workers"
        ) from None


def _convert_in_processes(
    jobs: Sequence[_Job],
    rules: Rules,
    num_workers: int,
    advance: Callable[[int], None],
) -> list[Part]:
    others = set(multiprocessing.active_children())
    pool = None
    try:
        # A start that is cut in two would leave a process that complains.
        with (
            signals.signals_held(),
            signals.interrupts_blocked(),
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
                (jobs, rules, counts, PixelGate(context)),
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


# Of a worker process: jobs, rules, for each job the pairs that are done, and
# the gate.
# Each job has one writer, so no lock that a killed process could hold.
_given: tuple[Sequence[_Job], Rules, MutableSequence[int], PixelGate]


def _start_worker(
    jobs: Sequence[_Job],
    rules: Rules,
    counts: MutableSequence[int],
    gate: PixelGate,
) -> None:
    """Takes what all jobs need; the process ends when its parent has ended."""
    global _given
    _given = (jobs, rules, counts, gate)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork inherits another
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _do_job(number: int) -> Part:
    jobs, rules, counts, gate = _given
    pairs, path = jobs[number]

    def advance() -> None:
        counts[number] += 1

    return convert_part(pairs, path, rules, advance, gate)
