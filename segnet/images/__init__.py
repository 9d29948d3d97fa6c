"""Picture files: reading them exactly, writing PNG, drawing labels."""

from __future__ import annotations

from segnet.images.image_files import (
    ANNOTATION_MODES,
    ANNOTATION_SUFFIXES,
    IMAGE_SUFFIXES,
    EncodedImage,
    encode_image_png,
    encode_label,
    list_images,
    load_annotation,
    load_image,
    read_image,
)

__all__ = [
    "ANNOTATION_MODES",
    "ANNOTATION_SUFFIXES",
    "IMAGE_SUFFIXES",
    "EncodedImage",
    "encode_image_png",
    "encode_label",
    "list_images",
    "load_annotation",
    "load_image",
    "read_image",
]
