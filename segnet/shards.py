"""Writing a split: even shards, written aside and renamed when complete."""

from __future__ import annotations

import contextlib
import os
import re
import types
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from segnet import records
from segnet.constants import IGNORE_LABEL, SHARD_TEMPLATE
from segnet.errors import DataError, RunError
from segnet.manifest import Manifest, Shard

__all__ = ["SplitWriter", "default_num_shards"]

# A frame of TFRecord: length (8 bytes), its checksum (4), data, checksum (4).
_FRAME_BYTES = 16
_MB = 1024 * 1024


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
        self._writer: tf.io.TFRecordWriter | None = None
        self._files: list[tuple[str, list[int], int]] = []
        self._records = 0
        with records.write_errors(output_dir):
            self._check_output(overwrite)
            self._made_folder = not tf.io.gfile.exists(output_dir)
            if tf.io.gfile.exists(self._aside):
                tf.io.gfile.rmtree(self._aside)
            tf.io.gfile.makedirs(self._aside)

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
        with contextlib.suppress(tf.errors.OpError):
            self._close()
        if tf.io.gfile.exists(self._aside):
            tf.io.gfile.rmtree(self._aside)
        if self._made_folder and not tf.io.gfile.listdir(self._output_dir):
            tf.io.gfile.rmtree(self._output_dir)

    def write(self, serialized: bytes) -> None:
        """Adds a record.

        Raises:
          RunError: It cannot be written.
        """
        count = min(self._num_shards, self._num_records)
        with records.write_errors(self._output_dir):
            if self._records >= len(self._files) * self._num_records // count:
                self._close()
                path = os.path.join(self._aside, f"{len(self._files):05d}")
                self._writer = tf.io.TFRecordWriter(path)
                self._files.append((path, [], 0))
            path, offsets, size = self._files[-1]
            self._writer.write(serialized)
            offsets.append(size)
            size += len(serialized) + _FRAME_BYTES
            self._files[-1] = (path, offsets, size)
            self._records += 1

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
        with records.write_errors(self._output_dir):
            self._close()
            if self._records < self._num_records:
                self._spread()
        manifest = Manifest(
            split=self._split,
            num_classes=len(class_names),
            class_names=tuple(class_names),
            ignore_label=IGNORE_LABEL,
            shards=tuple(map(self._shard, range(len(self._files)))),
            skipped=tuple(skipped),
            **statistics,
        )
        with records.write_errors(self._output_dir):
            self._rename(manifest)
        return manifest

    def _check_output(self, overwrite: bool) -> None:
        path = records.manifest_path(self._output_dir, self._split)
        if overwrite:
            return
        if tf.io.gfile.exists(path):
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
        if not tf.io.gfile.isdir(self._output_dir):
            return []
        names = tf.io.gfile.listdir(self._output_dir)
        return sorted(name for name in names if re.fullmatch(pattern, name))

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _spread(self) -> None:
        """Evens the shards out when fewer records came than were foreseen."""
        old = [path for path, _, _ in self._files]
        self._aside = os.path.join(self._aside, "even")
        tf.io.gfile.makedirs(self._aside)
        self._num_records, self._records, self._files = self._records, 0, []
        for serialized in tf.data.TFRecordDataset(old).as_numpy_iterator():
            self.write(serialized)
        self._close()
        self._aside = os.path.dirname(self._aside)

    def _shard(self, index: int) -> Shard:
        path, offsets, size = self._files[index]
        name = SHARD_TEMPLATE.format(
            split=self._split, index=index, count=len(self._files)
        )
        if tf.io.gfile.stat(path).length != size:
            raise RunError(
                f"{path}: was not written completely; check free space"
            )
        digest = records.file_sha256(path)
        return Shard(name, len(offsets), size, digest, tuple(offsets))

    def _rename(self, manifest: Manifest) -> None:
        """Puts the files in place so that no mixture is ever accepted."""
        old_manifest = records.manifest_path(self._output_dir, self._split)
        if tf.io.gfile.exists(old_manifest):
            tf.io.gfile.remove(old_manifest)
        old_shards = set(self._shards_there())
        paths = manifest.paths(self._output_dir)
        for (aside, _, _), path in zip(self._files, paths, strict=True):
            tf.io.gfile.rename(aside, path, overwrite=True)
        records.write_manifest(self._output_dir, manifest)
        for name in old_shards - {shard.file for shard in manifest.shards}:
            tf.io.gfile.remove(os.path.join(self._output_dir, name))
