"""The formats that can be imported, by the name that --format takes."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping

from segnet.annotations.importing.cityscapes import read_cityscapes
from segnet.annotations.importing.coco import read_coco, read_coco_panoptic
from segnet.annotations.importing.cvat import read_cvat
from segnet.annotations.importing.label_studio import read_label_studio
from segnet.annotations.importing.labelme import read_labelme
from segnet.annotations.importing.sources import (
    Options,
    PictureFinder,
    Source,
)
from segnet.annotations.importing.voc import read_voc
from segnet.annotations.importing.yolo import read_yolo

__all__ = ["FORMATS"]

FORMATS: Mapping[
    str, Callable[[pathlib.Path, PictureFinder, Options], Source]
] = {
    "coco": read_coco,
    "coco_panoptic": read_coco_panoptic,
    "labelme": read_labelme,
    "cityscapes": read_cityscapes,
    "cvat": read_cvat,
    "label_studio": read_label_studio,
    "voc": read_voc,
    "yolo": read_yolo,
}
