"""Names and numbers that several packages share."""

from __future__ import annotations

__all__ = [
    "ARCHITECTURES",
    "AUGMENTATIONS",
    "COMPRESSIONS",
    "IGNORE_LABEL",
    "LOSSES",
    "MAX_CLASSES",
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
