"""Writing a split: even shards, written aside and renamed when complete."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from segnet import locks
from segnet.constants import IGNORE_LABEL
from segnet.convert import shard_files
from segnet.convert.shard_files import ShardFile
from segnet.errors import DataError, RunError
from segnet.files import gfile, size, write_errors, write_text
from segnet.records import splits
from segnet.records.manifest import Manifest, Shard

__all__ = ["SplitWriter", "default_num_shards"]

_MB = 1024 * 1024
_SHARD_TEMPLATE = "{split}-{index:05d}-of-{count:05d}.tfrecord"


def default_num_shards(total_bytes: int, num_records: int) -> int:
    """Shards for a split: 8, or the multiple of 8 that keeps each near 100 MB.

    Multiples of 8 give the usual numbers of workers the same share. There are
    at most 256, and never more than records.
    """
    eights = -(-total_bytes // (8 * 100 * _MB))
    return min(8 * max(eights, 1), 256, num_records)


class SplitWriter:
    """Writes a split's records; only `commit` lets a reader see them.

    Use it as a context. Leaving it without `commit`, by an error or Ctrl-C,
    removes what was written; what a killed process left is removed by the
    next one for the same split. A lock keeps a second process from writing the
    same split meanwhile.
    Signals are to be held back (`signals.signals_held`) while it is in use.
    """

    def __init__(
        self,
        output_dir: str,
        split: str,
        *,
        overwrite: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepares the folder.

        Args:
          output_dir: Folder of the shards, made if need be.
          split: Name of the split.
          overwrite: Whether an existing split may be replaced.
          check: Called now and then while records are moved; may raise.

        Raises:
          DataError: The split is there and `overwrite` is not set.
          RunError: The folder cannot be written, or another process is writing
            the split.
        """
        self._output_dir = output_dir
        self._split = split
        self._check = check
        self._aside = os.path.join(output_dir, f".{split}.tmp")
        self._gfile = gfile(output_dir)
        self._lock = locks.Lock(
            os.path.join(output_dir, f".{split}.lock"),
            f"{output_dir}: another conversion of this split, {split}, is "
            "running",
            "wait for it, stop it, or give another --output_dir or --split",
        )
        with write_errors(output_dir):
            self._check_output(overwrite)
            self._lock.acquire()
            try:
                self._check_output(overwrite)  # which another has just written
                if self._gfile.exists(self._aside):
                    self._gfile.rmtree(self._aside)
                self._gfile.makedirs(self._aside)
            except BaseException:
                self._lock.release()
                raise

    def __enter__(self) -> SplitWriter:
        """Gives the writer."""
        return self

    def __exit__(self, *unused: object) -> None:
        """Removes what was not committed, then leaves the lock.

        The lock has made the folder if it was not there, and removes it if it
        is empty.
        """
        try:
            with write_errors(self._output_dir):
                if self._gfile.exists(self._aside):
                    self._gfile.rmtree(self._aside)
        finally:
            self._lock.release()

    def part_path(self, index: int) -> str:
        """Where part `index` of the split, a file of records, is to go."""
        return os.path.join(self._aside, f"part-{index:05d}")

    def commit(
        self,
        parts: Sequence[ShardFile],
        *,
        num_shards: int,
        class_names: Sequence[str],
        skipped: Sequence[Mapping[str, str]],
        statistics: Mapping[str, Any],
        bit_depth: int = 0,
    ) -> Manifest:
        """Puts shards and manifest in place; old ones of the split go.

        Args:
          parts: Files of records, in the order of the split.
          num_shards: How many shards; fewer if there are fewer records.
          class_names: One for each class.
          skipped: As in `Manifest`.
          statistics: What `Statistics.fields` gives.
          bit_depth: As in `Manifest`.

        Raises:
          RunError: The files cannot be written or renamed.
        """
        files = self._even(parts, num_shards)
        manifest = Manifest(
            split=self._split,
            num_classes=len(class_names),
            class_names=tuple(class_names),
            bit_depth=bit_depth,
            ignore_label=IGNORE_LABEL,
            shards=tuple(
                self._shard(file, index, len(files))
                for index, file in enumerate(files)
            ),
            skipped=tuple(skipped),
            **statistics,
        )
        with write_errors(self._output_dir):
            self._rename(files, manifest)
        return manifest

    def commit_manifest(self, manifest: Manifest) -> None:
        """Puts a manifest in place whose shards are those of other splits.

        Raises:
          RunError: It cannot be written.
        """
        with write_errors(self._output_dir):
            self._rename((), manifest)

    def withdraw(self) -> None:
        """Removes the split that is there, the manifest first.

        Raises:
          RunError: It cannot be removed.
        """
        path = splits.manifest_path(self._output_dir, self._split)
        with write_errors(self._output_dir):
            old_shards = self._shards_there()
            if self._gfile.exists(path):
                self._gfile.remove(path)
            for name in old_shards:
                self._gfile.remove(os.path.join(self._output_dir, name))

    def _check_output(self, overwrite: bool) -> None:
        path = splits.manifest_path(self._output_dir, self._split)
        if overwrite:
            return
        if self._gfile.exists(path):
            raise DataError(
                f"{path}: is already there; give --overwrite to replace the "
                "split, or another --output_dir or --split"
            )
        if shards := self._shards_there():
            raise DataError(
                f"{os.path.join(self._output_dir, shards[0])}: is a shard of "
                f"this split without a manifest (there are {len(shards)}); "
                "give --overwrite to replace them, or another --output_dir"
            )

    def _shards_there(self) -> list[str]:
        pattern = re.escape(self._split) + r"-\d{5,}-of-\d{5,}\.tfrecord"
        if not self._gfile.isdir(self._output_dir):
            return []
        names = self._gfile.listdir(self._output_dir)
        return sorted(name for name in names if re.fullmatch(pattern, name))

    def _even(
        self, parts: Sequence[ShardFile], num_shards: int
    ) -> Sequence[ShardFile]:
        """The parts if they are the shards, else their records rewritten.

        They are not where pairs were left out, or where there were more parts
        than shards to keep all processes busy.
        """
        records = sum(len(part.lengths) for part in parts)
        bounds = shard_files.even_bounds(records, min(num_shards, records))
        counts = [end - first for first, end in bounds]
        if counts == [len(part.lengths) for part in parts]:
            return parts
        paths = [
            os.path.join(self._aside, f"even-{index:05d}")
            for index in range(len(counts))
        ]
        return shard_files.rearrange(parts, counts, paths, self._check)

    def _shard(self, file: ShardFile, index: int, count: int) -> Shard:
        ends = list(itertools.accumulate(file.lengths))
        with write_errors(file.path):
            complete = size(file.path) == ends[-1]
        if not complete:
            raise RunError(
                f"{file.path}: was not written completely; check free space"
            )
        return Shard(
            file=_SHARD_TEMPLATE.format(
                split=self._split, index=index, count=count
            ),
            records=len(ends),
            bytes=ends[-1],
            sha256=file.sha256,
            offsets=(0, *ends[:-1]),
        )

    def _rename(self, files: Sequence[ShardFile], manifest: Manifest) -> None:
        """Puts the files in place so that no mixture is ever accepted.

        The manifest is ready beside the shards before the old split is
        touched. Without files its shards are there already.
        """
        aside = os.path.join(self._aside, "manifest.json")
        write_text(aside, manifest.to_json())
        path = splits.manifest_path(self._output_dir, self._split)
        paths = manifest.paths(self._output_dir) if files else []
        old_shards = set(self._shards_there())
        if self._gfile.exists(path):
            self._gfile.remove(path)
        for file, target in zip(files, paths, strict=True):
            self._gfile.rename(file.path, target, overwrite=True)
        self._gfile.rename(aside, path, overwrite=True)
        for name in old_shards - {shard.file for shard in manifest.shards}:
            self._gfile.remove(os.path.join(self._output_dir, name))
