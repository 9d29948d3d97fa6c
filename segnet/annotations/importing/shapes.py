"""Shapes that labelling tools write, drawn as those tools draw them.

Each kind is a frozen dataclass with a `draw`, which paints one value on labels.
They are made by the readers of the formats, which have checked what is in them,
and drawn in worker processes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw

from segnet.annotations.importing import runs

__all__ = [
    "Box",
    "Circle",
    "Ellipse",
    "Line",
    "Mask",
    "Points",
    "Polygon",
    "RelativePolygon",
    "RingPolygons",
    "Runs",
    "Shape",
    "turned_box",
]

Point = tuple[float, float]


class Shape(Protocol):
    """What can be painted."""

    def draw(self, label: np.ndarray, value: int) -> None:
        """Paints on labels.

        Args:
          label: uint8 `[height, width]`, changed.
          value: What its pixels get.

        Raises:
          ValueError: The shape does not suit the size of the picture.
        """


def _painted(label: np.ndarray) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.fromarray(label)
    return image, ImageDraw.Draw(image)


@dataclasses.dataclass(frozen=True)
class Polygon:
    """A polygon as Pillow fills it, its outline included; labelme's."""

    points: Sequence[Point]

    def draw(self, label: np.ndarray, value: int) -> None:
        """See `Shape.draw`."""
        image, draw = _painted(label)
        draw.polygon(list(self.points), fill=value, outline=value)
        label[:] = np.asarray(image)


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle along the axes, both corners included; labelme's."""

    points: Sequence[Point]

    def draw(self, label: np.ndarray, value: int) -> None:
        """See `Shape.draw`."""
        left, right = sorted(x for x, _ in self.points)
        top, bottom = sorted(y for _, y in self.points)
        image, draw = _painted(label)
        draw.rectangle((left, top, right, bottom), fill=value, outline=value)
        label[:] = np.asarray(image)


@dataclasses.dataclass(frozen=True)
class Circle:
    """A circle by its centre and a point on it, or a radius; labelme's."""

    centre: Point
    radius: float

    def draw(self, label: np.ndarray, value: int) -> None:
        """See `Shape.draw`."""
        image, draw = _painted(label)
        (x, y), radius = self.centre, self.radius
        draw.ellipse(
            (x - radius, y - radius, x + radius, y + radius),
            fill=value,
            outline=value,
        )
        label[:] = np.asarray(image)


@dataclasses.dataclass(frozen=True)
class Ellipse:
    """An ellipse: the pixels whose centre is in it."""

    centre: Point
    radii: Point
    degrees: float = 0.0

    def draw(self, label: np.ndarray, value: int) -> None:
        """See `Shape.draw`."""
        rows, columns = np.ogrid[: label.shape[0], : label.shape[1]]
        x, y = columns + 0.5 - self.centre[0], rows + 0.5 - self.centre[1]
        angle = math.radians(self.degrees)
        along = x * math.cos(angle) + y * math.sin(angle)
        across = y * math.cos(angle) - x * math.sin(angle)
        inside = (along / self.radii[0]) ** 2 + (across / self.radii[1]) ** 2
        label[inside <= 1] = value


@dataclasses.dataclass(frozen=True)
class Line:
    """Lines from point to point, of a width in pixels; labelme's."""

    points: Sequence[Point]
    width: int

    def draw(self, label: np.ndarray, value: int) -> None:
        """See `Shape.draw`."""
        image, draw = _painted(label)
        draw.line(list(self.points), fill=value, width=self.width)
        label[:] = np.asarray(image)


@dataclasses.dataclass(frozen=True)
class Points:
    """Discs around points, of a radius in pixels."""

    points: Sequence[Point]
    radius: float

    def draw(self, label: np.ndarray, value: int) -> None:
        """See `Shape.draw`."""
        for point in self.points:
            Circle(point, self.radius).draw(label, value)


@dataclasses.dataclass(frozen=True)
class Mask:
    """A small mask whose upper left pixel is at a place.

    Attributes:
      pixels: bool `[height, width]`.
      left: Column of its first pixel; it may lie outside the picture.
      top: Row of it.
    """

    pixels: np.ndarray
    left: int
    top: int

    def draw(self, label: np.ndarray, value: int) -> None:
        """See `Shape.draw`."""
        top, left = max(self.top, 0), max(self.left, 0)
        bottom = min(self.top + self.pixels.shape[0], label.shape[0])
        right = min(self.left + self.pixels.shape[1], label.shape[1])
        if top < bottom and left < right:
            mask = self.pixels[
                top - self.top : bottom - self.top,
                left - self.left : right - self.left,
            ]
            label[top:bottom, left:right][mask] = value


@dataclasses.dataclass(frozen=True)
class Runs:
    """A run-length encoded mask of the whole picture, column by column; COCO's.

    Attributes:
      counts: Pixels outside and inside by turn, or COCO's text of them.
      size: (height, width).
    """

    counts: bytes | Sequence[int]
    size: tuple[int, int]

    def draw(self, label: np.ndarray, value: int) -> None:
        """See `Shape.draw`."""
        if self.size != label.shape:
            raise ValueError(
                f"its size is {self.size[1]}x{self.size[0]}, the picture's "
                f"{label.shape[1]}x{label.shape[0]} (width x height)"
            )
        if isinstance(self.counts, bytes):
            counts = runs.parse_counts(self.counts)
        else:
            counts = np.asarray(self.counts, np.int64)
        runs.paint_columns(label, counts, value)


@dataclasses.dataclass(frozen=True)
class RingPolygons:
    """Polygons as COCO's own code fills them: the union of all; also CVAT's."""

    polygons: Sequence[Sequence[float]]

    def draw(self, label: np.ndarray, value: int) -> None:
        """See `Shape.draw`."""
        # Imported here: only polygons need it.
        from pycocotools import mask

        height, width = label.shape
        for each in mask.frPyObjects(list(self.polygons), height, width):
            counts = runs.parse_counts(each["counts"])
            runs.paint_columns(label, counts, value)


@dataclasses.dataclass(frozen=True)
class RelativePolygon:
    """A polygon in parts of width and height; YOLO's.

    Its tools cut the corners to whole pixels, and fill the outline, too.
    """

    points: Sequence[Point]

    def draw(self, label: np.ndarray, value: int) -> None:
        """See `Shape.draw`."""
        height, width = label.shape
        corners = [(int(x * width), int(y * height)) for x, y in self.points]
        Polygon(corners).draw(label, value)


def turned_box(
    box: tuple[float, float, float, float], centre: Point, degrees: float
) -> RingPolygons:
    """A rectangle, filled as a polygon.

    Args:
      box: Left, top, width, height.
      centre: It is turned around it.
      degrees: Clockwise.
    """
    left, top, width, height = box
    cosine = math.cos(math.radians(degrees))
    sine = math.sin(math.radians(degrees))
    corners = []
    for x, y in (
        (left, top),
        (left + width, top),
        (left + width, top + height),
        (left, top + height),
    ):
        across, down = x - centre[0], y - centre[1]
        corners.append(centre[0] + across * cosine - down * sine)
        corners.append(centre[1] + across * sine + down * cosine)
    return RingPolygons([corners])
