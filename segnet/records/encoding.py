"""Records as bytes: the `tf.train.Example` and the TFRecord frame around it.

Both formats are written here without TensorFlow, which takes seconds to import
and which the converter needs for nothing else. Reading is TensorFlow's part,
see `segnet.records.reading`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import struct

import google_crc32c

__all__ = [
    "CHANNELS",
    "FILENAME",
    "FORMAT",
    "HEIGHT",
    "IMAGE",
    "LABEL",
    "LABEL_FORMAT",
    "SOURCE_ID",
    "WIDTH",
    "encode_record",
    "frame",
    "image_digest",
]

# Keys of a record. DeepLab, deeplab2 and the TensorFlow Model Garden read the
# same ones, so their readers take these shards unchanged.
IMAGE = "image/encoded"
FORMAT = "image/format"
FILENAME = "image/filename"
HEIGHT = "image/height"
WIDTH = "image/width"
CHANNELS = "image/channels"
SOURCE_ID = "image/source_id"
LABEL = "image/segmentation/class/encoded"
LABEL_FORMAT = "image/segmentation/class/format"

_FORMATS = ("jpeg", "png")
_OF_ONE_IMAGE = frozenset((IMAGE, LABEL, FILENAME, SOURCE_ID))
# Field numbers of the messages, all of the wire type "length-delimited":
# Example.features; Features.feature, a map whose entries have key and value;
# Feature.bytes_list, Feature.int64_list; BytesList.value, Int64List.value.
_FEATURES = _FEATURE = _KEY = _BYTES_LIST = _VALUES = 1
_VALUE = 2
_INT64_LIST = 3


def encode_record(
    *,
    image: bytes,
    image_format: str,
    label: bytes,
    height: int,
    width: int,
    filename: bytes,
    source_id: bytes,
) -> bytes:
    """Serializes one image with its labels; equal input gives equal bytes.

    Args:
      image: JPEG or 8-bit RGB PNG contents.
      image_format: "jpeg" or "png".
      label: Contents of a single-channel 8-bit greyscale PNG of class ids.
      height: Of image and label, in pixels.
      width: Of image and label, in pixels.
      filename: Name of the image file.
      source_id: What names the record: the stem of the file.

    Returns:
      What `tf.train.Example.SerializeToString(deterministic=True)` gives:
      the features in the order of their keys.

    Raises:
      ValueError: `image_format` is neither.
    """
    if image_format not in _FORMATS:
        raise ValueError(f"image_format is {image_format!r}, not {_FORMATS}")
    values: dict[str, bytes | int] = {
        IMAGE: image,
        FORMAT: image_format.encode(),
        FILENAME: filename,
        SOURCE_ID: source_id,
        LABEL: label,
        LABEL_FORMAT: b"png",
        HEIGHT: height,
        WIDTH: width,
        CHANNELS: 3,
    }
    entries = (
        (_entry if key in _OF_ONE_IMAGE else _common_entry)(key, values[key])
        for key in sorted(values)
    )
    return b"".join(_field(_FEATURES, list(itertools.chain(*entries))))


def image_digest(image: bytes) -> str:
    """16 hexadecimal digits that tell the contents of images apart.

    That two of a million different images have the same ones has a chance of 1
    to 37 million.
    """
    return hashlib.sha256(image).hexdigest()[:16]


def frame(data: bytes) -> bytes:
    """Puts length and checksums around a record, as TFRecord files have it."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, _checksum(length), data, _checksum(data)))


def _checksum(data: bytes) -> bytes:
    """CRC-32C, rotated and shifted: the format's "masked" checksum."""
    value = google_crc32c.value(data)
    value = ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", value)


def _entry(key: str, value: bytes | int) -> list[bytes]:
    """An entry of the map of features."""
    pair = _field(_KEY, [key.encode()]) + _field(_VALUE, _feature(value))
    return _field(_FEATURE, pair)


# What most images of a split have in common is encoded once.
_common_entry = functools.lru_cache(_entry)


def _feature(value: bytes | int) -> list[bytes]:
    """A feature of one value."""
    if isinstance(value, bytes):
        return _field(_BYTES_LIST, _field(_VALUES, [value]))
    return _field(_INT64_LIST, _field(_VALUES, [_varint(value)]))


def _field(number: int, parts: list[bytes]) -> list[bytes]:
    """A length-delimited field of a protocol buffer, in parts.

    Parts, because an image that is joined at each level is copied each time.
    """
    tag = number << 3 | 2
    return [bytes([tag]) + _varint(sum(map(len, parts))), *parts]


def _varint(value: int) -> bytes:
    """A number that is not negative, seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
