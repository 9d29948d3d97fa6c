"""The formats that can be imported, by the name that --format takes."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping

from segnet.annotations.importing.coco import read_coco, read_coco_panoptic
from segnet.annotations.importing.labelme import read_labelme
from segnet.annotations.importing.sources import (
    Options,
    PictureFinder,
    Source,
)

__all__ = ["FORMATS"]

FORMATS: Mapping[
    str, Callable[[pathlib.Path, PictureFinder, Options], Source]
] = {
    "coco": read_coco,
    "coco_panoptic": read_coco_panoptic,
    "labelme": read_labelme,
}
