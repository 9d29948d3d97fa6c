"""The drawing surface of the sample scenes, and the classes drawn on it.

A `Canvas` carries a picture and its label map, both at twice the size of the
result, and draws every shape into both, so that the labels are exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .view import Camera, Colour, Light, Point

__all__ = [
    "BUILDING",
    "CAR",
    "CLASS_NAMES",
    "LANE_MARKING",
    "PAVEMENT",
    "PEDESTRIAN",
    "ROAD",
    "SIGN",
    "SKY",
    "TREE",
    "VOID",
    "Canvas",
]

CLASS_NAMES = (
    "sky",
    "building",
    "road",
    "lane_marking",
    "pavement",
    "tree",
    "car",
    "pedestrian",
    "sign",
)
(
    SKY,
    BUILDING,
    ROAD,
    LANE_MARKING,
    PAVEMENT,
    TREE,
    CAR,
    PEDESTRIAN,
    SIGN,
) = range(len(CLASS_NAMES))
VOID = len(CLASS_NAMES)

# Small things, leaves and worn paint, of whose outline an annotator is unsure:
# what is around one becomes void unless it is of a class that comes before it
# here.
_UNSURE = (PEDESTRIAN, SIGN, LANE_MARKING, TREE)
# Strength of the fine and of the coarse texture noise, by class id.
_FINE = np.array([0.006, 0.045, 0.06, 0.05, 0.05, 0.17, 0.02, 0.04, 0.02])
_COARSE = np.array([0.0, 0.07, 0.09, 0.12, 0.08, 0.22, 0.03, 0.05, 0.03])
_GROUND = (ROAD, LANE_MARKING, PAVEMENT)


def _soft_noise(
    rng: np.random.Generator, height: int, width: int, cell: int
) -> np.ndarray:
    """Blobs about `cell` wide: `[height, width]`, float32, -1 to 1."""
    rows, columns = height // cell + 2, width // cell + 2
    coarse = rng.integers(0, 256, (rows, columns), dtype=np.uint8)
    grown = Image.fromarray(coarse).resize((width, height), Image.BICUBIC)
    return np.asarray(grown, np.float32) / 127.5 - 1.0


class Canvas:
    """A picture and its labels, drawn together."""

    def __init__(
        self,
        rng: np.random.Generator,
        height: int,
        width: int,
        camera: Camera,
        light: Light,
    ):
        """Starts an all-sky canvas.

        Args:
          rng: Where all chance comes from.
          height: Rows of the canvas (from `canvas_size`).
          width: Columns of the canvas.
          camera: Projects metres on the canvas.
          light: Time of day and weather.
        """
        self.rng, self.camera, self.light = rng, camera, light
        self.height, self.width = height, width
        self._image = Image.new("RGB", (width, height))
        self._label = Image.new("L", (width, height), SKY)
        self._shadow = Image.new("L", (width, height), 0)
        self._paint = ImageDraw.Draw(self._image)
        self._mark = ImageDraw.Draw(self._label)
        self._shade = ImageDraw.Draw(self._shadow)

    @staticmethod
    def canvas_size(height: int, width: int) -> tuple[int, int]:
        """Returns rows and columns of the canvas for a result of this size."""
        return height * 2, width * 2

    def backdrop(self, picture: np.ndarray) -> None:
        """Puts `picture`, uint8 `[height, width, 3]`, behind everything."""
        self._image.paste(Image.fromarray(picture))

    def tone(
        self, colour: Colour, depth: float, glow: bool = False
    ) -> tuple[int, int, int]:
        """Returns how `colour` looks in this light from `depth` metres."""
        clear = math.exp(-depth / self.light.haze)
        ambient = (1.0, 1.0, 1.0) if glow else self.light.ambient
        seen = zip(colour, ambient, self.light.sky_low, strict=True)
        return tuple(
            int(min(c * a * clear + far * (1.0 - clear), 255.0))
            for c, a, far in seen
        )

    def polygon(
        self,
        points: Iterable[Point],
        colour: tuple[int, int, int],
        code: int | None = None,
    ) -> None:
        """Fills a polygon; without `code` the labels stay as they are."""
        corners = list(points)
        self._paint.polygon(corners, fill=colour)
        if code is not None:
            self._mark.polygon(corners, fill=code)

    def ellipse(
        self,
        centre: Point,
        radii: Point,
        colour: tuple[int, int, int],
        code: int | None = None,
    ) -> None:
        """Fills an ellipse; without `code` the labels stay as they are."""
        (x, y), (across, up) = centre, radii
        box = (x - across, y - up, x + across, y + up)
        self._paint.ellipse(box, fill=colour)
        if code is not None:
            self._mark.ellipse(box, fill=code)

    def line(
        self, points: Iterable[Point], colour: tuple[int, int, int]
    ) -> None:
        """Draws a hairline into the picture only."""
        self._paint.line(list(points), fill=colour, width=1)

    def shadow(self, points: Iterable[Point], strength: float = 1.0) -> None:
        """Casts a shadow; it shows on the ground only."""
        self._shade.polygon(list(points), fill=int(255 * min(strength, 1.0)))

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Adds texture, shadow and weather and shrinks to the result's size.

        Returns:
          The picture, uint8 RGB `[height, width, 3]`, and its labels, uint8
          `[height, width]`, 0 to 8 and `VOID`.
        """
        classes = np.asarray(self._label)
        picture = np.asarray(self._image, np.float32)
        picture = picture * self._texture(classes)[..., None]
        rows = picture[0::2] + picture[1::2]
        small = self._weather((rows[:, 0::2] + rows[:, 1::2]) / 4.0)
        small += 2.0 * self.rng.standard_normal(small.shape, np.float32)
        image = np.clip(small, 0.0, 255.0).astype(np.uint8)
        return image, _labels(classes[1::2, 1::2])

    def _texture(self, classes: np.ndarray) -> np.ndarray:
        """Brightness factor of every pixel: material texture and shadows."""
        shape = (self.height, self.width)
        fine = self.rng.random(shape, dtype=np.float32) * 2.0 - 1.0
        # The material texture must survive the shrinking by two.
        blobs = _soft_noise(self.rng, *shape, cell=max(self.height // 85, 2))
        coarse = _soft_noise(self.rng, *shape, cell=max(self.height // 20, 3))
        factor = 1.0 + _FINE.astype(np.float32)[classes] * (fine + blobs)
        factor += _COARSE.astype(np.float32)[classes] * (0.5 * blobs + coarse)
        blur = ImageFilter.BoxBlur(max(self.height // 200, 1))
        shadow = np.asarray(self._shadow.filter(blur), np.float32) / 255.0
        on_ground = np.isin(classes, _GROUND)
        return factor * (1.0 - self.light.shadow * shadow * on_ground)

    def _weather(self, picture: np.ndarray) -> np.ndarray:
        """Rain streaks, and a little change of contrast and brightness."""
        rows, columns = picture.shape[:2]
        if self.light.rain:
            streaks = Image.new("L", (columns, rows), 0)
            draw = ImageDraw.Draw(streaks)
            slant = self.rng.uniform(-0.3, 0.3)
            for _ in range(rows * columns // 300):
                x, y = self.rng.uniform(0, columns), self.rng.uniform(0, rows)
                length = self.rng.uniform(0.03, 0.09) * rows
                end = (x + slant * length, y + length)
                draw.line([(x, y), end], fill=int(self.rng.integers(20, 75)))
            veil = np.asarray(streaks, np.float32)[..., None] / 255.0
            picture = picture * (1.0 - veil) + 205.0 * veil
        contrast = self.rng.uniform(0.9, 1.1)
        return (picture - 110.0) * contrast + 110.0 + self.rng.uniform(-8, 8)


def _labels(classes: np.ndarray) -> np.ndarray:
    """Labels `[height, width]` with void, from drawn classes.

    As in hand-made annotations, the surroundings of what is hard to outline
    are left undecided. All else touches: these are the boundaries to score.
    """
    size = 2 * max(1, round(classes.shape[0] / 128)) + 1
    labels = classes.astype(np.uint8)
    kept = np.zeros(classes.shape, bool)
    for code in _UNSURE:
        there = classes == code
        kept |= there
        mask = Image.fromarray(there.astype(np.uint8))
        near = np.asarray(mask.filter(ImageFilter.MaxFilter(size)), bool)
        labels[near & ~kept] = VOID
    labels[[0, -1], :] = VOID
    labels[:, [0, -1]] = VOID
    return labels
