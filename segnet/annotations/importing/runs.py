"""Run lengths: COCO's, as numbers and as text, and Label Studio's bits.

COCO's own decoder leaves pixels that the counts do not reach as they happen to
be in memory, so counts are held against the size before they are used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["decode_bits", "paint_columns", "parse_counts", "row_mask"]

# Of COCO's text: five bits a character, the sixth says that more follow, the
# fifth of the last one is the sign.
_FIRST_CHARACTER, _MORE, _SIGN = 48, 0x20, 0x10
_MAX_CHARACTERS = 7  # of a number of 32 bits


def parse_counts(text: bytes) -> np.ndarray:
    """The counts in COCO's compressed text.

    Returns:
      int64 `[runs]`: pixels outside and inside, by turn.

    Raises:
      ValueError: It is no such text.
    """
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - _FIRST_CHARACTER
    if not len(codes):
        return codes
    if codes.min() < 0 or codes.max() >= 2 * _MORE or codes[-1] & _MORE:
        raise ValueError("its counts are no run lengths as COCO writes them")
    last = np.flatnonzero(codes & _MORE == 0)
    first = np.concatenate(([0], last[:-1] + 1))
    lengths = last - first + 1
    if lengths.max() > _MAX_CHARACTERS:
        raise ValueError("its counts have a number that is too large")
    place = np.arange(len(codes)) - np.repeat(first, lengths)
    values = np.add.reduceat((codes & 0x1F) << (5 * place), first)
    negative = codes[last] & _SIGN != 0
    values[negative] -= np.int64(1) << (5 * lengths[negative])
    # From the fourth on they are differences to the last but one.
    counts = values
    counts[1::2] = np.cumsum(values[1::2])
    counts[2::2] = np.cumsum(values[2::2])
    return counts


def _check(counts: np.ndarray, size: int) -> None:
    """Raises ValueError if counts do not add up to the pixels."""
    if len(counts) and (counts.min() < 0 or counts.max() > size):
        raise ValueError("its counts are negative, or beyond the picture")
    if (total := int(counts.sum())) != size:
        raise ValueError(f"its counts add up to {total}, not {size} pixels")


def paint_columns(label: np.ndarray, counts: np.ndarray, value: int) -> None:
    """Paints a mask that is encoded column by column.

    Args:
      label: uint8 `[height, width]`, changed; fastest in Fortran order.
      counts: int64 `[runs]`: pixels outside and inside, by turn.
      value: What those inside get.

    Raises:
      ValueError: They do not add up to the pixels.
    """
    _check(counts, label.size)
    if len(counts) < 2:
        return
    # From the first pixel inside to the last one: most objects are small.
    inner = counts[1:] if len(counts) % 2 == 0 else counts[1:-1]
    start = int(counts[0])
    flat = label.reshape(-1, order="F")
    inside = np.repeat(np.arange(len(inner)) % 2 == 0, inner)
    np.copyto(flat[start : start + len(inside)], np.uint8(value), where=inside)
    if not np.shares_memory(flat, label):
        label[:] = flat.reshape(label.shape, order="F")


def row_mask(counts: Sequence[int], height: int, width: int) -> np.ndarray:
    """A mask that is encoded row by row; CVAT's.

    Returns:
      bool `[height, width]`.

    Raises:
      ValueError: The counts do not add up to the pixels.
    """
    found = np.asarray(counts, np.int64)
    _check(found, height * width)
    inside = np.repeat(np.arange(len(found)) % 2 == 1, found)
    return inside.reshape(height, width)


def decode_bits(data: Sequence[int], height: int, width: int) -> np.ndarray:
    """A mask as Label Studio's brush packs it.

    A stream of bits: number of values (32 bits), bits of a value less one (5),
    bits of four lengths less one (4 each). Then blocks: one bit that says
    whether it is one value repeated, two bits that choose a length, the number
    of values less one, and the value or values. They are red, green, blue and
    alpha of each pixel; alpha is the mask.

    Args:
      data: Bytes.
      height: Pixels.
      width: Likewise.

    Returns:
      bool `[height, width]`.

    Raises:
      ValueError: It is no such stream, or of another size.
    """
    stream = _Bits(bytes(data))
    total = stream.take(32)
    if total != height * width * 4:
        raise ValueError(
            f"its rle has {total} values, not 4 for each of {width}x{height} "
            "pixels"
        )
    value_bits = stream.take(5) + 1
    lengths = [stream.take(4) + 1 for _ in range(4)]
    values = np.zeros([total], np.uint32)
    done = 0
    while done < total:
        repeated = stream.take(1)
        end = done + 1 + stream.take(lengths[stream.take(2)])
        if end > total:
            raise ValueError("its rle has more values than the picture")
        values[done:end] = (
            stream.take(value_bits)
            if repeated
            else stream.take_many(value_bits, end - done)
        )
        done = end
    return values.reshape(height, width, 4)[:, :, 3] > 0


class _Bits:
    """Numbers from a stream of bits, the highest bit first."""

    def __init__(self, data: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(data, np.uint8))
        self._at = 0

    def take(self, count: int) -> int:
        return int(self.take_many(count, 1)[0])

    def take_many(self, count: int, numbers: int) -> np.ndarray:
        """`numbers` numbers of `count` bits each, int64."""
        end = self._at + count * numbers
        if end > len(self._bits):
            raise ValueError("its rle ends early")
        bits = self._bits[self._at : end].reshape(numbers, count)
        self._at = end
        return bits @ (np.int64(1) << np.arange(count - 1, -1, -1))
