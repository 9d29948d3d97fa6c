"""JPEG files as bytes: their damage, and their scans.

Most files have one scan, which holds all pixels. In a
progressive one (ITU-T T.81, annex G) each of several scans makes all pixels
sharper, and a decoder goes through the whole picture for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import simplejpeg
from PIL import Image

__all__ = [
    "MAX_SCANS",
    "count_scans",
    "filled_share",
    "is_damaged",
    "lacks_scans",
    "reduced",
]

# Encoders write 10, those that try to save the last byte some more.
MAX_SCANS = 100
# What libjpeg puts where a file has ended.
_NO_DATA = 128
_MARKER = re.compile(rb"\xff([^\x00\xff])")
# Not of restarts within pixels, or of nothing that has a length.
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_SOS, _EOI, _DHT, _JPG, _DAC = 0xDA, 0xD9, 0xC4, 0xC8, 0xCC
_FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, _JPG, _DAC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))


def reduced(data: bytes) -> np.ndarray | None:
    """Grey values of a JPEG at an eighth; None if there is damage.

    Of each block only the mean is reconstructed: every byte is still decoded,
    so damage is found just the same (the tests compare the two), without the
    arithmetic that cannot fail. What libjpeg only warns of counts as damage;
    Pillow and TensorFlow do not pass such warnings on.
    """
    try:
        return simplejpeg.decode_jpeg(
            data, "GRAY", min_height=1, min_width=1, min_factor=8, strict=True
        )[..., 0]
    except ValueError:
        return None


def is_damaged(data: bytes) -> bool:
    """Whether a JPEG, if simplejpeg reads such, is not in order."""
    return reduced(data) is None and _is_known(data)


def _is_known(data: bytes) -> bool:
    """Whether simplejpeg can say something about damage of a JPEG.

    It refuses those whose channels are sampled in rare ways, which other
    decoders read.
    """
    try:
        simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return False
    return True


def filled_share(image: Image.Image) -> float:
    """The share of the height, from below, that has the value of no data.

    Args:
      image: Decoded, grey or RGB. One that is in order may be of that grey.
    """
    width, height = image.size
    last = np.asarray(image.crop((0, height - 1, width, height)))
    if (last != _NO_DATA).any():
        return 0.0
    rows = np.asarray(image).reshape(height, -1)
    there = np.flatnonzero(np.any(rows != _NO_DATA, axis=1))
    return 1 - (int(there[-1]) + 1 if len(there) else 0) / height


def count_scans(data: bytes) -> int:
    """The scans that a decoder goes through, up to one more than `MAX_SCANS`.

    Args:
      data: Contents of a JPEG file; damage is not told of.
    """
    number = 0
    for number, _ in enumerate(_scans(data), 1):
        if number > MAX_SCANS:
            break
    return number


def lacks_scans(data: bytes) -> bool:
    """Whether a progressive file ends before all values had all their bits.

    Decoders take what is not there for zeros, without a word: the picture is
    blurred, or has no colours.
    """
    missing: dict[int, list[int]] = {}
    for is_progressive, components, scan in _scans(data):
        if not is_progressive:
            return False
        for component in components:
            missing.setdefault(component, [1] * 64)
        # Of each component that the scan has: which values, but for how many
        # bits.
        count = scan[0]
        first, last, bits = scan[1 + 2 * count : 4 + 2 * count]
        for component in scan[1 : 1 + 2 * count : 2]:
            left = missing.setdefault(component, [1] * 64)
            left[first : last + 1] = [bits & 15] * (last + 1 - first)
    return any(map(any, missing.values()))


def _scans(data: bytes) -> Iterator[tuple[bool, bytes, bytes]]:
    """Whether it is progressive, the frame's components, the scan's header."""
    frame, components, position = 0, b"", 2
    while match := _MARKER.search(data, position):
        marker, position = match[1][0], match.end()
        if marker == _EOI:
            return
        if marker in _ALONE:
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        body = data[position + 2 : position + length]
        position += max(length, 2)
        if marker in _FRAMES and not frame:
            frame, components = marker, body[6::3]
        if marker != _SOS or not body or len(body) < 4 + 2 * body[0]:
            continue
        yield frame in _PROGRESSIVE, components, body
        # With everything in one scan, decoders stop behind it.
        if frame not in _PROGRESSIVE and body[0] >= len(components):
            return
