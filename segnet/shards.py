"""Writing a split: even shards, written aside and renamed when complete."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import os
import re
import types
from collections.abc import Mapping, Sequence
from typing import Any

from segnet import splits, tfrecord
from segnet.constants import IGNORE_LABEL, SHARD_TEMPLATE
from segnet.errors import DataError, RunError
from segnet.files import file_errors, gfile, size, write_errors
from segnet.manifest import Manifest, Shard

__all__ = ["SplitWriter", "default_num_shards"]

_MB = 1024 * 1024


@dataclasses.dataclass
class _ShardFile:
    """A shard as far as it is written: where, and what its manifest says."""

    path: str
    offsets: list[int] = dataclasses.field(default_factory=list)
    size: int = 0
    digest: Any = dataclasses.field(default_factory=hashlib.sha256)


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
    next one for the same split. Two at a time for one split are not foreseen.
    """

    def __init__(
        self,
        output_dir: str,
        split: str,
        *,
        num_records: int,
        num_shards: int,
        overwrite: bool = False,
    ) -> None:
        """Prepares the folder.

        Args:
          output_dir: Folder of the shards, made if need be.
          split: Name of the split.
          num_records: How many records will be written at most.
          num_shards: How many files; fewer if there are fewer records.
          overwrite: Whether an existing split may be replaced.

        Raises:
          DataError: The split is there and `overwrite` is not set.
          RunError: The folder cannot be written.
        """
        self._output_dir = output_dir
        self._split = split
        self._num_shards = num_shards
        self._num_records = num_records
        self._aside = os.path.join(output_dir, f".{split}.tmp")
        self._file: Any = None
        self._gfile = gfile(output_dir)
        self._shard_files: list[_ShardFile] = []
        self._records = 0
        with write_errors(output_dir):
            self._check_output(overwrite)
            self._made_folder = not self._gfile.exists(output_dir)
            if self._gfile.exists(self._aside):
                self._gfile.rmtree(self._aside)
            self._gfile.makedirs(self._aside)

    def __enter__(self) -> SplitWriter:
        """Gives the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        """Removes what was not committed."""
        # If the disk is full, closing fails; the file goes all the same.
        with contextlib.suppress(*file_errors()):
            self._close()
        if self._gfile.exists(self._aside):
            self._gfile.rmtree(self._aside)
        if self._made_folder and not self._gfile.listdir(self._output_dir):
            self._gfile.rmtree(self._output_dir)

    def write(self, serialized: bytes) -> None:
        """Adds a record.

        Raises:
          RunError: It cannot be written.
        """
        with write_errors(self._output_dir):
            self._append(tfrecord.frame(serialized))

    def commit(
        self,
        *,
        class_names: Sequence[str],
        skipped: Sequence[Mapping[str, str]],
        statistics: Mapping[str, Any],
    ) -> Manifest:
        """Puts shards and manifest in place; old ones of the split go.

        Args:
          class_names: One for each class.
          skipped: As in `Manifest`.
          statistics: What `Statistics.fields` gives.

        Raises:
          RunError: The files cannot be written or renamed.
        """
        with write_errors(self._output_dir):
            self._close()
            if self._records < self._num_records:
                self._spread()
        manifest = Manifest(
            split=self._split,
            num_classes=len(class_names),
            class_names=tuple(class_names),
            ignore_label=IGNORE_LABEL,
            shards=tuple(map(self._shard, range(len(self._shard_files)))),
            skipped=tuple(skipped),
            **statistics,
        )
        with write_errors(self._output_dir):
            self._rename(manifest)
        return manifest

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

    def _append(self, frame: bytes) -> None:
        count = min(self._num_shards, self._num_records)
        shards = self._shard_files
        if self._records >= len(shards) * self._num_records // count:
            self._close()
            path = os.path.join(self._aside, f"{len(shards):05d}")
            self._file = self._gfile.GFile(path, "wb")
            shards.append(_ShardFile(path))
        self._file.write(frame)
        shard = shards[-1]
        shard.offsets.append(shard.size)
        shard.size += len(frame)
        shard.digest.update(frame)
        self._records += 1

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _spread(self) -> None:
        """Evens the shards out when fewer records came than were foreseen."""
        old, self._shard_files = self._shard_files, []
        self._aside = os.path.join(self._aside, "even")
        self._gfile.makedirs(self._aside)
        self._num_records, self._records = self._records, 0
        for shard in old:
            with self._gfile.GFile(shard.path, "rb") as file:
                for first, end in itertools.pairwise(
                    [*shard.offsets, shard.size]
                ):
                    self._append(file.read(end - first))
        self._close()
        self._aside = os.path.dirname(self._aside)

    def _shard(self, index: int) -> Shard:
        file = self._shard_files[index]
        name = SHARD_TEMPLATE.format(
            split=self._split, index=index, count=len(self._shard_files)
        )
        if size(file.path) != file.size:
            raise RunError(
                f"{file.path}: was not written completely; check free space"
            )
        return Shard(
            name,
            records=len(file.offsets),
            bytes=file.size,
            sha256=file.digest.hexdigest(),
            offsets=tuple(file.offsets),
        )

    def _rename(self, manifest: Manifest) -> None:
        """Puts the files in place so that no mixture is ever accepted."""
        old_manifest = splits.manifest_path(self._output_dir, self._split)
        if self._gfile.exists(old_manifest):
            self._gfile.remove(old_manifest)
        old_shards = set(self._shards_there())
        paths = manifest.paths(self._output_dir)
        for shard, path in zip(self._shard_files, paths, strict=True):
            self._gfile.rename(shard.path, path, overwrite=True)
        splits.write_manifest(self._output_dir, manifest)
        for name in old_shards - {shard.file for shard in manifest.shards}:
            self._gfile.remove(os.path.join(self._output_dir, name))
