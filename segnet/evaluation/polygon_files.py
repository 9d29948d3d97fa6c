"""Polygons as labelling tools read them: LabelMe, COCO, GeoJSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from segnet.evaluation.polygons import Polygon

__all__ = [
    "COCO_FILE",
    "ENDINGS",
    "MARKS",
    "Coco",
    "encode_geojson",
    "encode_labelme",
]

# What the names of files end in, of the formats with one for each picture.
ENDINGS = {"geojson": ".geojson", "labelme": ".json"}
# The one file of all pictures.
COCO_FILE = "predictions_coco.json"
_GENERATOR = "segnet"
# How files that were written here begin. A file that was corrected in LabelMe
# does not, and so is not replaced.
_HEADS: dict[str, dict[str, Any]] = {
    "geojson": {"type": "FeatureCollection", "generator": _GENERATOR},
    "coco": {"info": {"description": _GENERATOR}},
    "labelme": {"version": "5.5.0", "generator": _GENERATOR},
}
MARKS = {
    ending: json.dumps(_HEADS[name])[:-1].encode()
    for name, ending in (*ENDINGS.items(), ("coco", COCO_FILE))
}
_DECIMALS = 3


def encode_labelme(
    polygons: Sequence[Polygon],
    size: tuple[int, int],
    class_names: Sequence[str],
    picture: str,
) -> bytes:
    """A file of LabelMe's, which draws polygons with their outline, in order.

    Args:
      polygons: As `find_polygons` gives them.
      size: (height, width) of the picture.
      class_names: One for each class.
      picture: Path of the picture, from the folder of the file.
    """
    shapes = [
        {
            "label": class_names[each.label],
            "points": each.pixels.tolist(),
            "group_id": None,
            "shape_type": "polygon",
            "flags": {},
        }
        for each in polygons
    ]
    return _encode({
        **_HEADS["labelme"], "flags": {}, "shapes": shapes,
        "imagePath": picture, "imageData": None,
        "imageHeight": size[0], "imageWidth": size[1],
    })  # fmt: skip


def encode_geojson(
    polygons: Sequence[Polygon],
    size: tuple[int, int],
    class_names: Sequence[str],
    picture: str,
) -> bytes:
    """GeoJSON in pixels, x to the right and y down, with holes.

    The arguments are those of `encode_labelme`.
    """
    features = [
        {
            "type": "Feature",
            "properties": {
                "class": class_names[each.label],
                "class_id": each.label,
            },
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    _closed(ring) for ring in (each.corners, *each.holes)
                ],
            },
        }
        for each in polygons
    ]
    return _encode({
        **_HEADS["geojson"],
        "picture": {"file": picture, "height": size[0], "width": size[1]},
        "features": features,
    })  # fmt: skip


class Coco:
    """A file of COCO's kind "instances", of all pictures."""

    def __init__(self, class_names: Sequence[str]) -> None:
        """Begins with no picture."""
        self._names = class_names
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(
        self, polygons: Sequence[Polygon], size: tuple[int, int], picture: str
    ) -> None:
        """Adds a picture; the arguments are those of `encode_labelme`."""
        image = len(self._images) + 1
        self._images.append({
            "id": image, "file_name": picture,
            "height": size[0], "width": size[1],
        })  # fmt: skip
        for each in polygons:
            low, high = each.corners.min(0), each.corners.max(0)
            self._annotations.append({
                "id": len(self._annotations) + 1,
                "image_id": image,
                "category_id": each.label + 1,
                "segmentation": [_rounded(each.corners).ravel().tolist()],
                "area": each.area,
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "iscrowd": 0,
            })  # fmt: skip

    def encode(self) -> bytes:
        """The file."""
        categories = [
            {"id": number, "name": name}
            for number, name in enumerate(self._names, 1)
        ]
        return _encode({
            **_HEADS["coco"], "images": self._images,
            "annotations": self._annotations, "categories": categories,
        })  # fmt: skip


def _rounded(points: np.ndarray) -> np.ndarray:
    return np.round(points, _DECIMALS)


def _closed(points: np.ndarray) -> list[list[float]]:
    """A ring whose last point is its first, as GeoJSON has it."""
    return _rounded(np.concatenate([points, points[:1]])).tolist()


def _encode(content: dict[str, Any]) -> bytes:
    # A name that is no text keeps the bytes that it has.
    text = json.dumps(content, ensure_ascii=False) + "\n"
    return os.fsencode(text)
