"""The frame of a record in its file, and the lengths inside it.

TensorFlow 2.15 takes lengths for true: that of a record once its checksum is
right, and some of those in it, and crashes where they are not.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Any

from segnet.errors import DataError
from segnet.files import read_errors
from segnet.records.manifest import Shard

__all__ = ["check_layout", "check_lengths"]

_LENGTH = struct.Struct("<Q")
# Length and its checksum, and that of the record.
_FRAME_BYTES = _LENGTH.size + 4 + 4
# Read at a time: all of a record but what image and label hold.
_WINDOW_BYTES = 512
# The longest number; lengths of what fits into memory are shorter.
_LONGEST_VARINT = 10
_LENGTH_DELIMITED = 2
# By the number of a field, what it holds, all of the wire type
# "length-delimited": a message's fields, bytes (None) or packed numbers. See
# `encoding` for the messages.
_NUMBERS: dict[int, Any] = {}
_FEATURE = {1: {1: None}, 3: {1: _NUMBERS}}
_EXAMPLE = {1: {1: {1: None, 2: _FEATURE}}}


def check_lengths(path: str, shard: Shard) -> None:
    """Holds the lengths that records claim against what there is.

    Takes some 40 microseconds a record.

    Args:
      path: Of the file. Remote ones pass: each look at them takes time.
      shard: What the manifest says of it.

    Raises:
      DataError: A record claims another length than the manifest's offsets
        say, something in it reaches beyond its end, or the file cannot be
        read.
    """
    if "://" in path:
        return
    with read_errors(path), open(path, "rb") as file:
        ends = (*shard.offsets[1:], shard.bytes)

        def read(place: int, count: int) -> bytes:
            return os.pread(file.fileno(), count, place)

        for index, (offset, end) in enumerate(
            zip(shard.offsets, ends, strict=True)
        ):
            head = read(offset, _LENGTH.size)
            expected = end - offset - _FRAME_BYTES
            where = f"{path}: record {index} at byte {offset} is damaged"
            remedy = "convert the split again with --overwrite"
            if expected < 0 or head != _LENGTH.pack(expected):
                raise DataError(
                    f"{where}: not the {expected} bytes that the manifest "
                    f"says; {remedy}"
                )
            try:
                check_layout(read, offset + _LENGTH.size + 4, end - 4)
            except ValueError as error:
                raise DataError(f"{where} ({error}); {remedy}") from None


def check_layout(
    read: Callable[[int, int], bytes], start: int, end: int
) -> None:
    """Walks through a record: what is in it must end where it does.

    Args:
      read: Gives bytes of the file from a place, as many as are asked for or
        there are.
      start: Place of the record.
      end: Place behind it.

    Raises:
      ValueError: It is no `tf.train.Example` of texts and whole numbers.
    """
    _check_message(_Window(read), start, end, _EXAMPLE)


class _Window:
    """Part of a file, read ahead."""

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        self._read = read
        self._start = 0
        self._bytes = b""

    def number(self, place: int, end: int) -> tuple[int, int]:
        """The number (varint) at a place, and the place behind it."""
        value = 0
        for index in range(_LONGEST_VARINT):
            if place >= end:
                break
            within = place - self._start
            if not 0 <= within < len(self._bytes):
                self._start, within = place, 0
                self._bytes = self._read(place, _WINDOW_BYTES)
                if not self._bytes:
                    break
            byte = self._bytes[within]
            place += 1
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                return value, place
        raise ValueError("a number in it does not end")


def _check_message(
    window: _Window, place: int, end: int, fields: dict[int, Any]
) -> None:
    """Checks what lies between two places, see `check_layout`."""
    if fields is _NUMBERS:
        while place < end:
            _, place = window.number(place, end)
        return
    while place < end:
        tag, place = window.number(place, end)
        length, place = window.number(place, end)
        if tag & 7 != _LENGTH_DELIMITED or tag >> 3 not in fields:
            raise ValueError(f"it has a field of another kind: {tag}")
        if length > end - place:
            raise ValueError("a part of it reaches beyond its end")
        inside = fields[tag >> 3]
        if inside is not None:
            _check_message(window, place, place + length, inside)
        place += length
