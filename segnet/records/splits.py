"""The files of a split: its manifest, found and read.

No TensorFlow for local files: the converter does without.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from segnet.errors import DataError
from segnet.files import (
    LARGE_TEXT_BYTES,
    gfile,
    read_errors,
    read_text,
    size,
)
from segnet.progress import command_line
from segnet.records.manifest import Manifest, Shard

__all__ = [
    "check_shards",
    "has_manifest",
    "list_splits",
    "manifest_path",
    "read_manifest",
]


def manifest_path(data_dir: str | os.PathLike[str], split: str) -> str:
    """Where the manifest of a split is."""
    return os.path.join(data_dir, f"{split}.json")


def has_manifest(data_dir: str | os.PathLike[str], split: str) -> bool:
    """Whether a split is there; `read_manifest` tells in what state."""
    path = manifest_path(data_dir, split)
    with read_errors(path):
        return gfile(path).exists(path)


def list_splits(data_dir: str | os.PathLike[str]) -> list[str]:
    """Names of the splits in a folder that may not be there."""
    with read_errors(os.fspath(data_dir)):
        if not gfile(data_dir).isdir(data_dir):
            return []
        names = sorted(gfile(data_dir).listdir(data_dir))
    return [
        name.removesuffix(".json")
        for name in names
        if name.endswith(".json") and not name.startswith(".")
    ]


def read_manifest(
    data_dir: str | os.PathLike[str], split: str, *, whole: bool = True
) -> Manifest:
    """Reads a split's manifest and checks that its shards are there, whole.

    Shards are checked by size; `verify_split` reads them.

    Args:
      data_dir: Folder of the split.
      split: Its name.
      whole: Whether all shards must be there; else none is looked at.

    Raises:
      DataError: Manifest missing, malformed or of another schema version;
        shard missing or of another size than the manifest says.
    """
    path = manifest_path(data_dir, split)
    if not has_manifest(data_dir, split):
        found = list_splits(data_dir)
        command = command_line(
            "tools/convert_to_tfrecord.py",
            "--images_dir=...",
            "--annotations_dir=...",
            f"--output_dir={os.fspath(data_dir)}",
            f"--split={split}",
            "--num_classes=...",
        )
        there = f"splits there: {', '.join(found)}" if found else "no splits"
        raise DataError(
            f"{path}: no such manifest ({there}); make it with {command}"
        )
    text = read_text(path, limit=LARGE_TEXT_BYTES)
    manifest = Manifest.from_json(text, path)
    if manifest.split != split:
        raise DataError(
            f"{path}: is the manifest of split '{manifest.split}'; give it "
            "its own name back"
        )
    if whole:
        check_shards(data_dir, manifest.shards)
    return manifest


def check_shards(
    data_dir: str | os.PathLike[str], shards: Sequence[Shard]
) -> None:
    """Checks that shards are there, by their size.

    Raises:
      DataError: One is missing or of another size than the manifest says.
    """
    for shard in shards:
        _check_size(os.path.join(data_dir, shard.file), shard)


def _check_size(path: str, shard: Shard) -> None:
    remedy = "copy it again or convert the split again with --overwrite"
    if not gfile(path).exists(path):
        raise DataError(f"{path}: shard is missing; {remedy}")
    with read_errors(path):
        there = size(path)
    if there != shard.bytes:
        kind = "truncated" if there < shard.bytes else "not the one written"
        raise DataError(
            f"{path}: shard is {kind} ({there:,} bytes, the manifest says "
            f"{shard.bytes:,}); {remedy}"
        )
