"""Which worker reads which shards, where each has a part of its own.

With `--shard_placement=split` a host needs its own part of the shards alone, be
it because its disk holds no more, or because what is on a shared one is read by
one host instead of by all.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Sequence

from segnet.data.sources import RecordSource
from segnet.errors import ConfigError
from segnet.files import gfile, read_errors
from segnet.records.manifest import Manifest, Shard

__all__ = ["Part", "PlacedSplit", "divide", "has_all_shards"]


@dataclasses.dataclass(frozen=True)
class Part:
    """Some shards of a split.

    Attributes:
      shards: Of the manifest, in its order.
      records: The number in the split of each of their records.
    """

    shards: tuple[Shard, ...]
    records: tuple[int, ...]


def divide(manifest: Manifest, num_parts: int, first: int = 0) -> list[Part]:
    """Divides the shards of a split so that parts have about as many bytes.

    Args:
      manifest: Of the split.
      num_parts: One for each worker. With more of them than shards the last
        are empty.
      first: Shard at which the first part begins; each part takes those that
        follow, after the last one the first again. Another one is another
        division, in which most shards stay where they are.

    Returns:
      The parts, which depend on the arguments alone.
    """
    shards = manifest.shards
    waiting = [(first + n) % len(shards) for n in range(len(shards))]
    bytes_waiting = sum(shard.bytes for shard in shards)
    parts = []
    for parts_left in range(num_parts, 0, -1):
        taken: list[int] = []
        filled = 0
        while waiting and (
            not taken
            # One remains for each other part, and more than half of this one
            # has room.
            or (len(waiting) >= parts_left
                and filled + shards[waiting[0]].bytes / 2
                <= bytes_waiting / parts_left)
        ):  # fmt: skip
            taken.append(waiting.pop(0))
            filled += shards[taken[-1]].bytes
        bytes_waiting -= filled
        parts.append(_part(manifest, sorted(taken)))
    return parts


def _part(manifest: Manifest, numbers: Sequence[int]) -> Part:
    ends = list(itertools.accumulate(x.records for x in manifest.shards))
    return Part(
        tuple(manifest.shards[number] for number in numbers),
        tuple(
            record
            for number in numbers
            for record in range(
                ends[number] - manifest.shards[number].records, ends[number]
            )
        ),
    )


def has_all_shards(manifest: Manifest, data_dir: str) -> bool:
    """Whether all shards of a split are within reach of this worker.

    Raises:
      DataError: The folder cannot be looked into.
    """
    functions = gfile(data_dir)
    with read_errors(data_dir):
        there = {name.rstrip("/") for name in functions.listdir(data_dir)}
    return {os.path.basename(x.file) for x in manifest.shards} <= there


class PlacedSplit:
    """A split of which this worker reads one part at a time.

    Attributes:
      manifest: Of the whole split.
      rotates: Whether each epoch has another division, which begins one shard
        later. Else a worker sees no record but its own in the whole run.
    """

    def __init__(
        self,
        manifest: Manifest,
        data_dir: str,
        *,
        rank: int,
        size: int,
        rotates: bool = False,
        cache: bool = False,
        smallest: tuple[int, int] | None = None,
    ) -> None:
        """Divides the split; nothing is opened yet.

        Args:
          manifest: Of the split.
          data_dir: Folder of the shards.
          rank: Number of this worker.
          size: Number of workers.
          rotates: See the class.
          cache: As for `RecordSource`; not if it rotates.
          smallest: Likewise.
        """
        self.manifest = manifest
        self.rotates = rotates
        self._data_dir = data_dir
        self._rank = rank
        self._size = size
        self._cache = cache
        self._smallest = smallest
        self._opened: tuple[Part, RecordSource] | None = None

    def check_enough(self) -> None:
        """Refuses a split of which a worker would have nothing to learn from.

        Raises:
          ConfigError: It has fewer shards than there are workers.
        """
        shards, workers = len(self.manifest.shards), self._size
        if shards < workers:
            raise ConfigError(
                f"--shard_placement=split: split '{self.manifest.split}' has "
                f"{shards} shard{'s' * (shards > 1)} for {workers} workers; "
                f"convert it with --num_shards={workers} or a multiple of that"
            )

    def part(self, epoch: int = 0) -> tuple[RecordSource, tuple[int, ...]]:
        """What this worker reads in an epoch.

        Returns:
          Its records, and the number of each in the split.

        Raises:
          DataError: The shards are not there, or damaged.
        """
        first = epoch if self.rotates else 0
        part = divide(self.manifest, self._size, first)[self._rank]
        if self._opened is None or self._opened[0] != part:
            self._opened = (
                part,
                RecordSource(
                    self.manifest,
                    self._data_dir,
                    cache=self._cache,
                    smallest=self._smallest,
                    shards=part.shards,
                ),
            )
        return self._opened[1], part.records
