"""PNG files some rows at a time, for pictures larger than memory.

Rows depend on the one before, so a decoder cannot begin in the middle. Here the
packed rows are unpacked piece by piece; each piece, with the row before it in
front, is made a small PNG file of its own, which pyspng decodes.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyspng

from segnet.images import png

__all__ = ["PngRows"]

_PALETTE = 3
# Bytes a pixel of the colour types with 8 bits a value; pyspng reads no grey
# with alpha.
_BYTES = {png.GREY: 1, png.RGB: 3, _PALETTE: 1, 6: 4}
_PIECE_BYTES = 1 << 20  # read at a time


class PngRows:
    """The rows of an 8-bit PNG file, from the top.

    Attributes:
      height: Pixels.
      width: Likewise.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Reads the header.

        Args:
          file: To be read from and sought in; it stays open.

        Raises:
          ValueError: It is no such file, is damaged, or has pixels or metadata
            of a kind that is not read here.
        """
        self._file = file
        self._chunks = self._find_chunks()
        if not self._chunks or self._chunks[0][0] != b"IHDR":
            raise ValueError("no header")
        names = {name for name, _, _ in self._chunks}
        if names & png.METADATA:
            raise ValueError("metadata that may turn the picture")
        (header,) = self._bodies(b"IHDR")
        self.width, self.height, bits, self._type, *rest = struct.unpack(
            ">IIBBBBB", header
        )
        if bits != 8 or any(rest) or self._type not in _BYTES:
            raise ValueError("of a kind that is not read row by row")
        palette = np.frombuffer(b"".join(self._bodies(b"PLTE")), np.uint8)
        self._palette = palette.reshape(-1, 3)
        self._row_bytes = self.width * _BYTES[self._type]
        self._packed = self._bodies(b"IDAT")
        self._unpacker = zlib.decompressobj()
        self._above: bytes | None = None

    def read(self, count: int) -> np.ndarray:
        """The next rows.

        Args:
          count: How many; not more than there are.

        Returns:
          uint8 RGB `[count, width, 3]`.

        Raises:
          ValueError: They are damaged or missing.
        """
        filtered = self._unpack(count * (1 + self._row_bytes))
        first = 0
        if self._above is not None:
            filtered = b"\0" + self._above + filtered
            first = 1
        try:
            rows = pyspng.load(self._file_of(filtered, first + count))[first:]
        except RuntimeError as error:
            raise ValueError(str(error)) from None
        self._above = rows[-1].tobytes()
        if self._type == _PALETTE:
            table = np.zeros([256, 3], np.uint8)
            table[: len(self._palette)] = self._palette
            return np.take(table, rows.reshape(count, self.width), axis=0)
        pixels = rows.reshape(count, self.width, -1)
        if pixels.shape[2] == 1:
            return np.repeat(pixels[..., :1], 3, axis=2)
        return pixels[..., :3]  # alpha is dropped

    def _file_of(self, filtered: bytes, height: int) -> bytes:
        """A PNG file of some rows; indices of a palette count as grey."""
        kind = png.GREY if self._type == _PALETTE else self._type
        header = struct.pack(">IIBBBBB", self.width, height, 8, kind, 0, 0, 0)
        return b"".join((
            png.SIGNATURE,
            png.chunk(b"IHDR", header),
            png.chunk(b"IDAT", zlib.compress(filtered, 0)),
            png.chunk(b"IEND", b""),
        ))  # fmt: skip

    def _unpack(self, size: int) -> bytes:
        parts = []
        while size:
            rest = self._unpacker.unconsumed_tail or next(self._packed, b"")
            if not rest:
                raise ValueError("pixels are missing")
            try:
                part = self._unpacker.decompress(rest, size)
            except zlib.error as error:
                raise ValueError(str(error)) from None
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _find_chunks(self) -> list[tuple[bytes, int, int]]:
        """Name, first byte and number of bytes of what each chunk holds."""
        file, chunks = self._file, []
        end = file.seek(0, os.SEEK_END)
        file.seek(0)
        if file.read(len(png.SIGNATURE)) != png.SIGNATURE:
            raise ValueError("no PNG file")
        position, name = len(png.SIGNATURE), b""
        while name != b"IEND":
            file.seek(position)
            head = file.read(8)
            if len(head) < 8:
                raise ValueError("the file ends early")
            size, name = int.from_bytes(head[:4], "big"), head[4:]
            chunks.append((name, position + 8, size))
            position += size + 12
            if position > end:
                raise ValueError("the file ends early")
        return chunks

    def _bodies(self, wanted: bytes) -> Iterator[bytes]:
        """What chunks of a name hold, in pieces.

        Raises:
          ValueError: A checksum is wrong.
        """
        for name, start, size in self._chunks:
            if name != wanted:
                continue
            checksum = zlib.crc32(name)
            for position in range(start, start + size, _PIECE_BYTES):
                self._file.seek(position)
                piece = self._file.read(
                    min(_PIECE_BYTES, start + size - position)
                )
                checksum = zlib.crc32(piece, checksum)
                yield piece
            self._file.seek(start + size)
            if int.from_bytes(self._file.read(4), "big") != checksum:
                raise ValueError(f"wrong checksum of the chunk at byte {start}")
