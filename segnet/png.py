"""PNG files as bytes: writing them fast, checking them strictly."""

from __future__ import annotations

import struct

import numpy as np
from isal import isal_zlib

__all__ = ["GREY", "RGB", "SIGNATURE", "check", "encode"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Colour types of the format.
GREY, RGB = 0, 2
_UP = 2  # the filter that subtracts the row above


def encode(rows: np.ndarray, width: int, colour_type: int) -> bytes:
    """An 8-bit PNG file.

    One filter for all rows and a fast compressor take a tenth of the time of
    Pillow's encoder, for files that are somewhat larger.

    Args:
      rows: uint8 `[height, width * channels]`.
      width: Pixels.
      colour_type: `GREY` (one channel) or `RGB` (three).
    """
    height, row_bytes = rows.shape
    filtered = np.empty((height, row_bytes + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    packed = isal_zlib.compress(filtered, level=1)
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(*chunk) for chunk in chunks)


def check(data: bytes) -> None:
    """Walks through the chunks of a PNG file.

    Args:
      data: The file's contents, which begin with `SIGNATURE`.

    Raises:
      ValueError: The file is cut short, or a chunk that a decoder needs does
        not match its checksum.
    """
    position, name = len(SIGNATURE), b""
    while name != b"IEND":
        header = data[position : position + 8]
        end = position + 12 + int.from_bytes(header[:4], "big")
        name = header[4:]
        if len(name) < 4 or end > len(data):
            raise ValueError("the file ends early")
        checksum = int.from_bytes(data[end - 4 : end], "big")
        body = memoryview(data)[position + 4 : end - 4]
        needed = not name[0] & 0x20
        if needed and isal_zlib.crc32(body) != checksum:
            raise ValueError(f"wrong checksum at byte {position}")
        position = end


def _chunk(name: bytes, body: bytes) -> bytes:
    checksum = isal_zlib.crc32(body, isal_zlib.crc32(name))
    return b"".join(
        (struct.pack(">I", len(body)), name, body, struct.pack(">I", checksum))
    )
