"""Records and split manifests: the one place that knows how they are stored.

A split is a set of uncompressed TFRecord files, SPLIT-00000-of-00008.tfrecord,
and a manifest, SPLIT.json. What a record holds is in `segnet.schema`, what a
manifest holds in `segnet.manifest`; both are used through this module. All
files are reached through `tf.io.gfile`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import types
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from segnet import constants
from segnet.errors import DataError
from segnet.files import reason, write_errors
from segnet.manifest import Manifest, Shard, Statistics
from segnet.parallel import num_parallel_calls, pipeline_options
from segnet.schema import (
    decode_record,
    encode_record,
    parse_record,
    read_record,
)

__all__ = [
    "ExplainDamage",
    "Manifest",
    "Shard",
    "decode_record",
    "encode_record",
    "file_sha256",
    "has_manifest",
    "manifest_path",
    "parse_record",
    "read_manifest",
    "read_record",
    "verify_split",
    "write_errors",
    "write_manifest",
]

_HASH_CHUNK_BYTES = 1024 * 1024
# What a damaged shard can look like to who reads it through tf.data.
_READING_ERRORS = (
    tf.errors.DataLossError,
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
)
_CONVERT = "python tools/convert_to_tfrecord.py"


def manifest_path(data_dir: str | os.PathLike[str], split: str) -> str:
    """Where the manifest of a split is."""
    return os.path.join(data_dir, f"{split}.json")


def has_manifest(data_dir: str | os.PathLike[str], split: str) -> bool:
    """Whether a split is there; `read_manifest` tells in what state."""
    return tf.io.gfile.exists(manifest_path(data_dir, split))


def read_manifest(data_dir: str | os.PathLike[str], split: str) -> Manifest:
    """Reads a split's manifest and checks that its shards are there, whole.

    Shards are checked by size; `verify_split` reads them.

    Raises:
      DataError: Manifest missing, malformed or of another schema version;
        shard missing or of another size than the manifest says.
    """
    path = manifest_path(data_dir, split)
    if not has_manifest(data_dir, split):
        found = _splits(data_dir)
        there = f"splits there: {', '.join(found)}" if found else "no splits"
        raise DataError(
            f"{path}: no such manifest ({there}); make it with {_CONVERT} "
            f"--images_dir=... --annotations_dir=... --output_dir={data_dir} "
            f"--split={split} --num_classes=..."
        )
    with _read_errors(path), tf.io.gfile.GFile(path, "rb") as file:
        text = file.read().decode("utf-8", errors="replace")
    manifest = Manifest.from_json(text, path)
    if manifest.split != split:
        raise DataError(
            f"{path}: is the manifest of split '{manifest.split}'; give it "
            "its own name back"
        )
    for shard, file_path in zip(
        manifest.shards, manifest.paths(data_dir), strict=True
    ):
        _check_size(file_path, shard)
    return manifest


def write_manifest(
    data_dir: str | os.PathLike[str], manifest: Manifest
) -> None:
    """Writes a split's manifest aside, then renames it into place.

    Raises:
      RunError: It cannot be written.
    """
    path = manifest_path(data_dir, manifest.split)
    aside = os.path.join(data_dir, f".{manifest.split}.json.tmp")
    with write_errors(path):
        try:
            with tf.io.gfile.GFile(aside, "w") as file:
                file.write(manifest.to_json())
            tf.io.gfile.rename(aside, path, overwrite=True)
        except BaseException:
            if tf.io.gfile.exists(aside):
                tf.io.gfile.remove(aside)
            raise


def verify_split(data_dir: str | os.PathLike[str], split: str) -> Manifest:
    """Reads and decodes every record and compares it with the manifest.

    Returns:
      The manifest, every statement of which was found true.

    Raises:
      DataError: As `read_manifest`; or a file's checksum, a record or a
        count is wrong. The message names file and record.
    """
    manifest = read_manifest(data_dir, split)
    paths = manifest.paths(data_dir)
    statistics = _read_all(manifest, paths)
    for shard, path in zip(manifest.shards, paths, strict=True):
        if file_sha256(path) != shard.sha256:
            raise DataError(
                f"{path}: contents changed since the conversion (sha256); "
                "convert the split again with --overwrite"
            )
    for field, value in statistics.fields().items():
        if getattr(manifest, field) != value:
            raise DataError(
                f"{manifest_path(data_dir, split)}: '{field}' is not what "
                "the records hold; convert the split again with --overwrite"
            )
    return manifest


class ExplainDamage:
    """A context in which records are read: damage is reported by name.

    An error of TensorFlow that damaged, missing or changed shards explain
    becomes a DataError naming file and record; any other stays as it is. The
    shards are read completely to tell, but only once something went wrong.
    """

    def __init__(
        self, manifest: Manifest, data_dir: str | os.PathLike[str]
    ) -> None:
        """Remembers which split is read.

        Args:
          manifest: Of the split.
          data_dir: Folder of its shards.
        """
        self._split = manifest.split
        self._data_dir = data_dir

    def __enter__(self) -> None:
        """Nothing has gone wrong yet."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        """Looks for damage if reading failed.

        Raises:
          DataError: A shard is damaged, missing or changed.
        """
        if isinstance(error, _READING_ERRORS):
            verify_split(self._data_dir, self._split)


def file_sha256(path: str) -> str:
    """The sha256 of a file in hexadecimal digits.

    Raises:
      DataError: It cannot be read.
    """
    digest = hashlib.sha256()
    with _read_errors(path), tf.io.gfile.GFile(path, "rb") as file:
        while chunk := file.read(_HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def _read_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (tf.errors.OpError, OSError) as error:
        raise DataError(
            f"{path}: cannot be read ({reason(error)}); check the path and "
            "permissions"
        ) from None


def _splits(data_dir: str | os.PathLike[str]) -> list[str]:
    paths = tf.io.gfile.glob(os.path.join(data_dir, "*.json"))
    return sorted(os.path.basename(path)[: -len(".json")] for path in paths)


def _check_size(path: str, shard: Shard) -> None:
    remedy = "copy it again or convert the split again with --overwrite"
    try:
        size = tf.io.gfile.stat(path).length
    except tf.errors.NotFoundError:
        raise DataError(f"{path}: shard is missing; {remedy}") from None
    if size != shard.bytes:
        kind = "truncated" if size < shard.bytes else "not the one written"
        raise DataError(
            f"{path}: shard is {kind} ({size:,} bytes, the manifest says "
            f"{shard.bytes:,}); {remedy}"
        )


def _read_all(manifest: Manifest, paths: list[str]) -> Statistics:
    """Decodes all records of a split and adds them up.

    Raises:
      DataError: A record is damaged or has labels out of range.
    """

    def measure(
        path: tf.Tensor, offset: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        _, label = decode_record(read_record(path, offset))
        flat = tf.cast(tf.reshape(label, [-1]), tf.int32)
        return tf.shape(label), tf.math.bincount(flat, minlength=256)

    places = [
        (path, index, offset)
        for path, shard in zip(paths, manifest.shards, strict=True)
        for index, offset in enumerate(shard.offsets)
    ]
    dataset = tf.data.Dataset.from_tensor_slices(
        (
            [path for path, _, _ in places],
            np.array([offset for _, _, offset in places], np.int64),
        )
    ).map(measure, num_parallel_calls=num_parallel_calls(), deterministic=True)
    statistics = Statistics(manifest.num_classes)
    results = iter(dataset.with_options(pipeline_options()))
    for path, index, offset in places:
        where = f"{path}: record {index} at byte {offset}"
        try:
            size, histogram = next(results)
        except tf.errors.OpError as error:
            raise DataError(
                f"{where} is damaged ({reason(error)[:120]}); convert the "
                "split again with --overwrite"
            ) from None
        counts = histogram.numpy()
        if counts[manifest.num_classes : constants.IGNORE_LABEL].any():
            raise DataError(
                f"{where} has labels that are not below "
                f"{manifest.num_classes}; convert the split again with "
                "--overwrite"
            )
        statistics.add(counts.tolist(), *size.numpy().tolist())
    return statistics
