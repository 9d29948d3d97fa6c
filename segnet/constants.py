"""Names and numbers that several packages share, and how they are found."""

from __future__ import annotations

import os
import re

__all__ = [
    "ARCHITECTURES",
    "AUGMENTATIONS",
    "COMPRESSIONS",
    "IGNORE_LABEL",
    "LOSSES",
    "MAX_CLASSES",
    "num_cores",
    "parse_size",
]

# A pixel with this label takes no part in loss or metrics.
IGNORE_LABEL = 255
# Class ids are 8 bit and 255 means "ignore".
MAX_CLASSES = 255

# The networks, and what their poolings want input height and width to be
# multiples of, in pixels.
ARCHITECTURES = {"vgg_segnet": 16, "segnet": 32}
LOSSES = (
    "cross_entropy",
    "dice",
    "cross_entropy_dice",
    "focal",
    "lovasz_softmax",
)
# How much training images are changed at random.
AUGMENTATIONS = ("none", "basic", "strong")
# Number formats of gradients on their way between workers.
COMPRESSIONS = ("none", "fp16", "bf16")

_SIZE = re.compile("([1-9][0-9]{0,4})[xX]([1-9][0-9]{0,4})")


def num_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS


def parse_size(text: str) -> tuple[int, int]:
    """Parses HEIGHTxWIDTH.

    Args:
      text: For example `96x128`; both numbers are 1 to 99999.

    Returns:
      (height, width) in pixels.

    Raises:
      ValueError: The text does not have this form. The caller knows the flag
        to name.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not HEIGHTxWIDTH")
    return int(match[1]), int(match[2])
