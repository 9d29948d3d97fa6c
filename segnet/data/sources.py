"""Splits of shards as sources of decoded records, any record at any time.

Records are read by their offset, which the manifest holds.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.errors import DataError
from segnet.records.encoding import FILENAME
from segnet.records.framing import check_lengths
from segnet.records.manifest import Manifest, Shard
from segnet.records.reading import (
    decode_record,
    num_parallel_calls,
    parse_record,
    pipeline_options,
    read_record,
)
from segnet.records.splits import check_shards, read_manifest
from segnet.records.verify import explain_damage, verify_shards
from segnet.records.watch import Watch

__all__ = ["RecordSource", "Splits", "check_classes", "read_splits"]


class RecordSource:
    """Random access to the decoded records of a split, in the tf.data graph."""

    def __init__(
        self,
        manifest: Manifest,
        data_dir: str,
        *,
        cache: bool,
        smallest: tuple[int, int] | None = None,
        shards: Sequence[Shard] | None = None,
    ) -> None:
        """Opens a split.

        Args:
          manifest: Of the split, checked.
          data_dir: Folder of its shards.
          cache: Whether to decode all of it now and keep it in memory.
          smallest: Height and width that are enough of an image; see
            `records.reading.decode_record`.
          shards: Those that are opened, in the order of the manifest; None:
            all. Records are numbered within them.

        Raises:
          DataError: If the split has changed since its manifest was read, a
            record is not as long as that says or, when `cache` is set, one is
            damaged.
        """
        if shards is not None:
            check_shards(data_dir, shards)
        self._watch = Watch(manifest, data_dir, shards)
        self._shards = shards
        opened = manifest.shards if shards is None else shards
        paths = [os.path.join(data_dir, shard.file) for shard in opened]
        for path, shard in zip(paths, opened, strict=True):
            check_lengths(path, shard)
        self.manifest = manifest
        self.data_dir = data_dir
        self._smallest = smallest
        self.num_records = sum(shard.records for shard in opened)
        shard_of: list[int] = []
        offsets: list[int] = []
        for number, shard in enumerate(opened):
            shard_of += [number] * shard.records
            offsets += shard.offsets
        # On the host, where tf.data reads them, whatever computes.
        with tf.device("/device:CPU:0"):
            # The workers of a data service have other working directories.
            self._paths = tf.constant(
                [x if "://" in x else os.path.abspath(x) for x in paths],
                tf.string,
            )
            self._shard_of = tf.constant(shard_of, tf.int32)
            self._offsets = tf.constant(offsets, tf.int64)
        # Read from the files until all of it is in memory.
        self._cached = None
        if cache:
            self._cached = self._decode_all()

    def __call__(self, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads one record.

        Args:
          index: int64 scalar.

        Returns:
          Image uint8 `[height, width, 3]`, with `smallest` maybe of a part of
          that size, and label uint8 `[height, width]`.
        """
        if self._cached is not None:
            return self._from_memory(index, self._cached)
        path = self._paths[self._shard_of[index]]
        serialized = read_record(path, self._offsets[index])
        return decode_record(
            serialized,
            self._smallest,
            sizes=[size[:2] for size in self.manifest.sizes],
            num_classes=self.manifest.num_classes,
        )

    def image_names(self) -> list[str]:
        """File names of the images, in the order of the records.

        Raises:
          DataError: As for `read`.
        """

        def name(index: tf.Tensor) -> tf.Tensor:
            path = self._paths[self._shard_of[index]]
            record = read_record(path, self._offsets[index])
            return parse_record(record)[FILENAME]

        dataset = tf.data.Dataset.range(self.num_records).map(
            name, num_parallel_calls=num_parallel_calls()
        )
        dataset = dataset.with_options(pipeline_options())
        return [
            encoded.numpy().decode(errors="surrogateescape")
            for encoded in self.read(dataset)
        ]

    def _decode_all(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Decodes the split into one buffer: (bytes, starts, sizes)."""
        most = sum(4 * h * w * count for h, w, count in self.manifest.sizes)
        buffer = np.empty([most], np.uint8)
        starts = np.zeros([self.num_records + 1], np.int64)
        # Of the image, then of the label.
        sizes = np.zeros([self.num_records, 4], np.int32)
        dataset = tf.data.Dataset.range(self.num_records).map(
            self, num_parallel_calls=num_parallel_calls()
        )
        dataset = dataset.with_options(pipeline_options())
        for index, (image, label) in enumerate(self.read(dataset)):
            flat = np.concatenate(
                [image.numpy().ravel(), label.numpy().ravel()]
            )
            end = starts[index] + flat.size
            if end > most:
                # It says by name which record is larger than it can be.
                verify_shards(self.manifest, self.data_dir, self._shards)
            buffer[starts[index] : end] = flat
            starts[index + 1] = end
            sizes[index] = *image.shape[:2], *label.shape
        with tf.device("/device:CPU:0"):
            return (
                tf.constant(buffer[: starts[-1]]), tf.constant(starts),
                tf.constant(sizes),
            )  # fmt: skip

    def _from_memory(
        self, index: tf.Tensor, cached: tuple[tf.Tensor, tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Cuts one record out of what `_decode_all` gave."""
        buffer, starts, sizes = cached
        height, width, label_height, label_width = tf.unstack(sizes[index])
        middle = starts[index] + 3 * tf.cast(height * width, tf.int64)
        image = tf.reshape(buffer[starts[index] : middle], [height, width, 3])
        label = buffer[middle : starts[index + 1]]
        return image, tf.reshape(label, [label_height, label_width])

    def read(self, dataset: Iterable[Any]) -> Iterator[Any]:
        """Iterates over a dataset that is made of this source.

        Yields:
          Its elements, each read from the files that were opened.

        Raises:
          DataError: A record is damaged, or a file has been replaced, also
            when all records are in memory; names the file.
        """
        self._watch.check()
        elements = iter(dataset)
        while True:
            # Around the reading alone: what is done with an element can fail
            # with the same kinds of error.
            with (
                explain_damage(self.manifest, self.data_dir, self._shards),
                self._watch.explain(),
            ):
                element = next(elements, None)
            # Remote files are looked at once a pass: each look takes time.
            if element is None or not self._watch.remote:
                self._watch.check()
            if element is None:
                return
            yield element


@dataclasses.dataclass(frozen=True)
class Splits:
    """Manifests of the splits of a run, checked against each other.

    Attributes:
      train: Of the training split.
      evaluation: Of the evaluation split.
    """

    train: Manifest
    evaluation: Manifest


def read_splits(
    data_dir: str, train_split: str, eval_split: str, *, whole: bool = True
) -> Splits:
    """Reads both manifests.

    Args:
      data_dir: Folder of the shards.
      train_split: Name of the training split.
      eval_split: Name of the evaluation split.
      whole: Whether all of their shards must be there.

    Returns:
      Both manifests.

    Raises:
      DataError: If one is missing or damaged or has no labelled pixel, or
        their classes differ.
    """
    train = read_manifest(data_dir, train_split, whole=whole)
    evaluation = read_manifest(data_dir, eval_split, whole=whole)
    if train.class_names != evaluation.class_names:
        raise DataError(
            f"{data_dir}: splits '{train_split}' and '{eval_split}' differ: "
            f"{_difference(train, evaluation)}; convert both with the same "
            "--num_classes and --class_names"
        )
    for manifest in (train, evaluation):
        if not any(manifest.pixel_counts):
            raise DataError(
                f"{data_dir}: split '{manifest.split}' has no labelled pixel, "
                f"all {manifest.ignored_pixels} are void; check its "
                "annotations and --void_labels, and convert it again"
            )
    return Splits(train, evaluation)


def _difference(one: Manifest, other: Manifest) -> str:
    """The first thing by which the classes of two splits differ."""
    if one.num_classes != other.num_classes:
        return f"{one.num_classes} and {other.num_classes} classes"
    pairs = zip(one.class_names, other.class_names, strict=True)
    label, names = next(
        (label, pair) for label, pair in enumerate(pairs) if len(set(pair)) > 1
    )
    return f"label {label} is '{names[0]}' in one and '{names[1]}' in the other"


def check_classes(
    manifest: Manifest, class_names: tuple[str, ...], data_dir: str
) -> None:
    """Refuses a split whose classes are not those of the network.

    Raises:
      DataError: If they differ.
    """
    if manifest.class_names != class_names:
        raise DataError(
            f"{data_dir}: split '{manifest.split}' has the classes "
            f"{', '.join(manifest.class_names)}; expected "
            f"{', '.join(class_names)}: convert both splits with the same "
            "--num_classes and --class_names, or give another --data_dir or "
            "--workdir"
        )
