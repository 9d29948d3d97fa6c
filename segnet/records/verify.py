"""Checking the records of a split against its manifest, and naming damage.

A split is a set of uncompressed TFRecord files, SPLIT-00000-of-00008.tfrecord,
and a manifest, SPLIT.json.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from segnet.constants import IGNORE_LABEL
from segnet.errors import DataError
from segnet.files import file_sha256, reason
from segnet.records import encoding
from segnet.records.framing import check_lengths
from segnet.records.manifest import Manifest, Shard
from segnet.records.reading import (
    decode_record,
    num_parallel_calls,
    parse_record,
    pipeline_options,
    read_record,
)
from segnet.records.splits import manifest_path, read_manifest
from segnet.records.statistics import Statistics

__all__ = ["explain_damage", "verify_shards", "verify_split"]

_ASSERTION = re.compile(r"assertion failed: \[(.*?)\].*")
# What a damaged shard can look like to who reads it through tf.data.
_READING_ERRORS = (
    tf.errors.DataLossError,
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    # Of a message with bytes of the record in it.
    UnicodeDecodeError,
)


def verify_split(data_dir: str | os.PathLike[str], split: str) -> Manifest:
    """Reads and decodes every record and compares it with the manifest.

    Returns:
      The manifest, every statement of which was found true.

    Raises:
      DataError: As `read_manifest`; or a file's checksum, a record or a
        count is wrong. The message names file and record.
    """
    manifest = read_manifest(data_dir, split)
    statistics = _read_shards(manifest, data_dir)
    expected = statistics.fields()
    if not manifest.image_digests:  # written before there were any
        expected["image_digests"] = ()
    for field, value in expected.items():
        if getattr(manifest, field) != value:
            raise DataError(
                f"{manifest_path(data_dir, split)}: '{field}' is not what "
                "the records hold; convert the split again with --overwrite"
            )
    return manifest


def verify_shards(
    manifest: Manifest,
    data_dir: str | os.PathLike[str],
    shards: Sequence[Shard] | None,
) -> None:
    """Reads some shards of a split and checks each against the manifest.

    Args:
      manifest: Of the split.
      data_dir: Folder of the shards.
      shards: Those that are read; None: all, as `verify_split`.

    Raises:
      DataError: One is damaged, missing or changed.
    """
    if shards is None:
        verify_split(data_dir, manifest.split)
    else:
        part = dataclasses.replace(manifest, shards=tuple(shards))
        _read_shards(part, data_dir)


def _read_shards(
    manifest: Manifest, data_dir: str | os.PathLike[str]
) -> Statistics:
    """Reads the shards of a manifest, and gives what their records add up to.

    Raises:
      DataError: One is damaged, missing or changed.
    """
    paths = manifest.paths(data_dir)
    for shard, path in zip(manifest.shards, paths, strict=True):
        check_lengths(path, shard)
    statistics = _read_all(manifest, paths)
    for shard, path in zip(manifest.shards, paths, strict=True):
        if file_sha256(path) != shard.sha256:
            raise DataError(
                f"{path}: contents changed since the conversion (sha256); "
                "convert the split again with --overwrite"
            )
    return statistics


@contextlib.contextmanager
def explain_damage(
    manifest: Manifest,
    data_dir: str | os.PathLike[str],
    shards: Sequence[Shard] | None = None,
) -> Iterator[None]:
    """A context in which records are read: damage is reported by name.

    An error of TensorFlow that damaged, missing or changed shards explain
    becomes a DataError naming file and record; any other stays as it is. The
    shards are read completely to tell, but only once something went wrong.

    Args:
      manifest: Of the split.
      data_dir: Folder of its shards.
      shards: Those that are read; None: all.

    Raises:
      DataError: A shard is damaged, missing or changed.
    """
    try:
        yield
    except _READING_ERRORS:
        verify_shards(manifest, data_dir, shards)
        raise


def _read_all(manifest: Manifest, paths: list[str]) -> Statistics:
    """Decodes all records of a split and adds them up.

    Raises:
      DataError: A record is damaged or has labels out of range.
    """
    sizes = [size[:2] for size in manifest.sizes]

    def measure(
        path: tf.Tensor, offset: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        record = read_record(path, offset)
        _, label = decode_record(record, sizes=sizes)
        flat = tf.cast(tf.reshape(label, [-1]), tf.int32)
        counts = tf.math.bincount(flat, minlength=256)
        return tf.shape(label), counts, parse_record(record)[encoding.IMAGE]

    found = [
        (path, index, offset)
        for path, shard in zip(paths, manifest.shards, strict=True)
        for index, offset in enumerate(shard.offsets)
    ]
    dataset = tf.data.Dataset.from_tensor_slices(
        (
            [path for path, _, _ in found],
            np.array([offset for _, _, offset in found], np.int64),
        )
    ).map(measure, num_parallel_calls=num_parallel_calls(), deterministic=True)
    statistics = Statistics(manifest.num_classes)
    results = iter(dataset.with_options(pipeline_options()))
    for path, index, offset in found:
        where = f"{path}: record {index} at byte {offset}"
        try:
            size, histogram, image = next(results)
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            said = _ASSERTION.sub(r"\1", reason(error))[:120]
            if isinstance(error, UnicodeDecodeError):
                said = "TensorFlow cannot parse it"
            raise DataError(
                f"{where} is damaged ({said}); convert the "
                "split again with --overwrite"
            ) from None
        counts = histogram.numpy()
        if counts[manifest.num_classes : IGNORE_LABEL].any():
            raise DataError(
                f"{where} has {_listed(counts, manifest.num_classes)} not "
                f"below {manifest.num_classes}; convert the split again with "
                "--overwrite"
            )
        digest = encoding.image_digest(image.numpy())
        height, width = size.numpy().tolist()
        statistics.add(counts.tolist(), height, width, digest)
    return statistics


def _listed(counts: np.ndarray, num_classes: int) -> str:
    """The labels that are no class, as text."""
    bad = np.flatnonzero(counts[num_classes:IGNORE_LABEL]) + num_classes
    more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
    some = ", ".join(map(str, bad[:5].tolist()))
    return f"label{'s' * (len(bad) > 1)} {some}{more}, which " + (
        "are" if len(bad) > 1 else "is"
    )
