"""Names and numbers that several packages share, and how they are found."""

from __future__ import annotations

import os
import re

__all__ = [
    "ARCHITECTURES",
    "AUGMENTATIONS",
    "CLASS_WEIGHTINGS",
    "COMPRESSIONS",
    "IGNORE_LABEL",
    "LOSSES",
    "MAX_CLASSES",
    "VGG16_WEIGHTS",
    "WARNINGS",
    "num_cores",
    "parse_bit_depth",
    "parse_size",
    "parse_warnings",
]

# A pixel with this label takes no part in loss or metrics.
IGNORE_LABEL = 255
# Class ids are 8 bit and 255 means "ignore".
MAX_CLASSES = 255

# The networks, and what their poolings want input height and width to be
# multiples of, in pixels.
# Of a picture, unless `--max_pixels` says otherwise: 2 GB are enough for it.
MAX_PIXELS = 100_000_000
# Of a picture in a record; Pillow, and so the converter, never reads more.
MAX_RECORD_PIXELS = 178_956_970
# Of one that is cut into tiles.
MAX_TILED_PIXELS = 1_000_000_000
# Dropout samples where uncertainty is asked for and no number is said.
MC_SAMPLES = 20
# Pixels a side of the network's input; more than any memory has room for.
MAX_INPUT_SIDE = 16384
ARCHITECTURES = {"vgg_segnet": 16, "segnet": 32}
LOSSES = (
    "cross_entropy",
    "dice",
    "cross_entropy_dice",
    "focal",
    "lovasz_softmax",
)
# Class weights by name; median_frequency also takes a ^POWER.
CLASS_WEIGHTINGS = (
    "none",
    "median_frequency",
    "sqrt_median_frequency",
    "log_frequency",
)
# How much training images are changed at random.
AUGMENTATIONS = ("none", "basic", "strong")
# What predictions are written as for labelling tools.
POLYGON_FORMATS = ("geojson", "coco", "labelme")
# Files that a network is exported as.
EXPORT_FORMATS = ("saved_model", "tflite", "onnx")
# Number formats of gradients on their way between workers.
COMPRESSIONS = ("none", "fp16", "bf16")
# What a program warns of, by the name that --silence takes.
WARNINGS = {
    "aspect_ratio": "images much wider or higher than the network's input",
    "dark_images": "images that are nearly black",
    "exif_rotation": "images that EXIF turned, unlike their annotations",
    "jpeg_damage": "JPEG files that a decoder had to mend",
    "left_aside": "files and folders that are not used",
    "one_class": "a split whose labelled pixels are all of one class",
    "one_prediction": "a network that predicts one class everywhere",
    "other_images": "a resumed run whose training images are other ones now",
    "palettes": "annotations of which one index has several colours",
    "rising_loss": "a training loss that rises",
    "shared_images": "images that are in both training and evaluation split",
    "split_classes": "classes that only one of the splits has",
    "unused_classes": "classes without a pixel",
}

# Where tools/download_dataset.sh puts them.
VGG16_WEIGHTS = "data/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
_SPLIT_NAME = re.compile("[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
SPLIT_NAME_RULE = (
    "may only have letters, digits, '_', '-' and '.', 100 at most, the first "
    "neither '-' nor '.'"
)
_SIZE = re.compile("([1-9][0-9]{0,4})[xX]([1-9][0-9]{0,4})")


def num_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS


def is_split_name(text: str) -> bool:
    """Whether a split may be called so: files are."""
    return bool(_SPLIT_NAME.fullmatch(text))


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


def parse_bit_depth(value: int) -> int:
    """Checks the value of `--bit_depth`.

    Returns:
      Bits that the values of deep pictures use; 0: all that there are.

    Raises:
      ValueError: It is neither 0 nor from 9 to 16.
    """
    if value and not 9 <= value <= 16:
        raise ValueError(
            f"--bit_depth={value}: give the bits that values of more than 8 "
            "bits use, 9 to 16, or 0 for all that a file has"
        )
    return value


def parse_warnings(text: str) -> frozenset[str]:
    """Parses the value of `--silence`.

    Args:
      text: Names of `WARNINGS` with commas between them, or `all`, or empty.

    Returns:
      The names of the warnings that are not shown.

    Raises:
      ValueError: A name is not known. The caller knows the flag to name.
    """
    names = {name.strip() for name in text.split(",") if name.strip()}
    if "all" in names:
        return frozenset(WARNINGS)
    for name in sorted(names - WARNINGS.keys()):
        raise ValueError(
            f"'{name}' is no warning; use all or some of {', '.join(WARNINGS)}"
        )
    return frozenset(names)
