"""Names and numbers that several modules share: record keys, labels, palette.

Standard library only, so that every program can import it at no cost.
"""

from __future__ import annotations

__all__ = [
    "CHANNELS",
    "FILENAME",
    "FORMAT",
    "HEIGHT",
    "IGNORE_LABEL",
    "IMAGE",
    "LABEL",
    "LABEL_FORMAT",
    "MANIFEST_SCHEMA_VERSION",
    "MAX_CLASSES",
    "PALETTE",
    "SHARD_TEMPLATE",
    "SOURCE_ID",
    "WIDTH",
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

# A pixel with this label takes no part in loss or metrics.
IGNORE_LABEL = 255
# Class ids are 8 bit and 255 means "ignore".
MAX_CLASSES = 255

MANIFEST_SCHEMA_VERSION = 1
SHARD_TEMPLATE = "{split}-{index:05d}-of-{count:05d}.tfrecord"

# Twelve colours that stay apart when blended over a photograph; used in turn.
_BASE_COLOURS = (
    (230, 80, 70),
    (70, 130, 200),
    (250, 200, 60),
    (110, 90, 150),
    (80, 180, 100),
    (240, 140, 60),
    (90, 210, 220),
    (220, 100, 180),
    (150, 110, 70),
    (170, 220, 90),
    (60, 70, 140),
    (245, 170, 190),
)


def _colour(index: int) -> tuple[int, int, int]:
    """Colour of a class: the base colours, darkened each time they recur."""
    lap, position = divmod(index, len(_BASE_COLOURS))
    shade = 1.0 - 0.6 * (lap / (MAX_CLASSES // len(_BASE_COLOURS) + 1))
    red, green, blue = _BASE_COLOURS[position]
    return round(red * shade), round(green * shade), round(blue * shade)


# PALETTE[class id] is the (red, green, blue) in which the class is drawn.
PALETTE = tuple(_colour(index) for index in range(MAX_CLASSES))
