"""The frame of a record in its file: length, checksum, record, checksum."""

from __future__ import annotations

import os
import struct

from segnet.errors import DataError
from segnet.files import read_errors
from segnet.records.manifest import Shard

__all__ = ["check_lengths"]

_LENGTH = struct.Struct("<Q")
# Length and its checksum, and that of the record.
_FRAME_BYTES = _LENGTH.size + 4 + 4


def check_lengths(path: str, shard: Shard) -> None:
    """Holds the length that each record claims against the manifest's offsets.

    TensorFlow 2.15 takes the length in the file for true once its checksum is
    right, and crashes where there is not so much memory. Takes some
    microseconds a record.

    Args:
      path: Of the file. Remote ones pass: each look at them takes time.
      shard: What the manifest says of it.

    Raises:
      DataError: A record claims another length, or the file cannot be read.
    """
    if "://" in path:
        return
    with read_errors(path), open(path, "rb") as file:
        ends = (*shard.offsets[1:], shard.bytes)
        for index, (offset, end) in enumerate(
            zip(shard.offsets, ends, strict=True)
        ):
            head = os.pread(file.fileno(), _LENGTH.size, offset)
            expected = end - offset - _FRAME_BYTES
            if expected < 0 or head != _LENGTH.pack(expected):
                raise DataError(
                    f"{path}: record {index} at byte {offset} is damaged: not "
                    f"the {expected} bytes that the manifest says; convert "
                    "the split again with --overwrite"
                )
