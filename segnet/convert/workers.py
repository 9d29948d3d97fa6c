"""Parts of a split, converted in worker processes.

No TensorFlow here: the worker processes import this module.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence

from segnet.convert import shard_files
from segnet.convert.conversion import Converted, Rules, convert_pair
from segnet.convert.findings import Findings, ValueColours
from segnet.convert.gate import PixelGate
from segnet.convert.pairs import Pair, Problem
from segnet.images.decoding import count_pixels
from segnet.pools import run_jobs
from segnet.records.statistics import Statistics

__all__ = [
    "Part",
    "convert_part",
    "convert_parts",
    "merge_parts",
    "split_parts",
]

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
    return run_jobs(
        functools.partial(_convert_job, rules),
        list(zip(parts, paths, strict=True)),
        num_workers,
        advance,
        PixelGate,
    )


def _convert_job(
    rules: Rules,
    job: _Job,
    advance: Callable[[], None],
    gate: PixelGate | None,
) -> Part:
    pairs, path = job
    return convert_part(pairs, path, rules, advance, gate)
