"""The cars of a sample scene."""

from __future__ import annotations

import math

from .board import Board, rectangle, scaled
from .canvas import CAR, Canvas
from .view import Colour, jitter, pick

__all__ = ["draw_car", "draw_crossing_car"]

_PAINTS = (
    (185, 30, 35),
    (35, 70, 150),
    (225, 225, 228),
    (30, 32, 38),
    (150, 155, 162),
    (30, 105, 75),
    (220, 160, 40),
    (110, 60, 50),
    (90, 150, 190),
)
# (width, length, height of the body, of the roof, rear and front overhang of
# the body over the cabin)
_CAR_MODELS = (
    (1.8, 4.4, 0.95, 1.5, 0.8, 1.2),
    (1.75, 3.8, 0.95, 1.55, 0.1, 1.0),
    (1.9, 4.6, 1.1, 1.75, 0.1, 1.1),
    (2.0, 5.2, 1.25, 2.2, 0.0, 0.7),
)
_GLASS = (62, 78, 92)
_TYRE = (24, 24, 26)


class _Box:
    """Draws the faces of a car's body and cabin in perspective."""

    def __init__(self, canvas: Canvas, x: float, depth: float, code: int):
        """Starts at `x`, `depth` metres; `code` is what labels get."""
        self._canvas, self._x, self._depth = canvas, x, depth
        self._code = code
        # The side of the car that can be seen is the one toward the middle.
        self._inward = -1.0 if x > 0 else 1.0

    def fill(self, corners: list, colour: Colour) -> None:
        """Fills a polygon of (x, depth, height) corners, from the car on."""
        project = self._canvas.camera.project
        placed = [
            project(self._x + dx, self._depth + dz, height)
            for dx, dz, height in corners
        ]
        tone = self._canvas.tone(colour, self._depth)
        self._canvas.polygon(placed, tone, self._code)

    def side(self, half: float, outline: list, colour: Colour) -> None:
        """Fills a polygon of (depth, height) corners on the visible side."""
        x = self._inward * half
        self.fill([(x, dz, height) for dz, height in outline], colour)

    def across(self, ends: tuple, colour: Colour) -> None:
        """Fills a face between two edges of (half width, depth, height)."""
        (half, *low), (top, *high) = ends
        corners = [(-half, *low), (half, *low), (top, *high), (-top, *high)]
        self.fill(corners, colour)

    def cast(self, half: float, length: float) -> None:
        """Casts the shadow under the car."""
        project = self._canvas.camera.project
        near, far = self._depth - 0.3, self._depth + length
        ends = ((-half, near), (half, near), (half, far), (-half, far))
        self._canvas.shadow([project(self._x + dx, z) for dx, z in ends])


def draw_car(canvas: Canvas, x: float, depth: float, oncoming: bool) -> None:
    """Draws a car that drives along the street, seen from behind or ahead."""
    rng = canvas.rng
    width, length, body, roof, back, front = pick(rng, _CAR_MODELS)
    if oncoming:
        back, front = front, back
    paint = jitter(rng, pick(rng, _PAINTS), 22)
    code = CAR
    box, half = _Box(canvas, x, depth, code), width / 2
    box.cast(half + 0.25, length)
    corners = [(0, 0.3), (length, 0.3), (length, body), (0, body)]
    box.side(half, corners, scaled(paint, 0.7))
    for axle in (0.85, length - 0.85):
        turn = [math.tau * i / 12 for i in range(12)]
        tyre = [
            (axle + 0.34 * math.cos(t), 0.34 + 0.34 * math.sin(t)) for t in turn
        ]
        box.side(half, tyre, _TYRE)
    bonnet = ((half, 0, body), (half, length, body))
    box.across(bonnet, scaled(paint, 1.12))
    rake = 0.12 if body > 1.2 else 0.4
    start, stop = back, length - front
    cabin = [(start, body), (stop, body), (stop - rake, roof)]
    box.side(half - 0.1, [*cabin, (start + rake, roof)], scaled(_GLASS, 0.8))
    top = (half - 0.12, start + rake, roof)
    box.across((top, (half - 0.12, stop - rake, roof)), scaled(paint, 1.25))
    box.across(((half - 0.06, start, body), top), paint)
    pane = (half - 0.26, start + rake, roof - 0.08)
    box.across(((half - 0.18, start, body + 0.05), pane), _GLASS)
    _car_face(Board(canvas, x, depth, code), width, body, paint, oncoming)


def _car_face(
    board: Board, width: float, body: float, paint: Colour, oncoming: bool
) -> None:
    """Draws the near end of a car: bumper, lights, number plate, tyres."""
    half = width / 2
    for sign in (-1, 1):
        inner, outer = sorted((sign * (half - 0.3), sign * (half - 0.04)))
        board.part(rectangle(inner, outer, 0.0, 0.4), _TYRE)
    board.part(rectangle(-half, half, 0.28, body), paint)
    board.part(rectangle(-half, half, 0.28, 0.46), scaled(paint, 0.45))
    lamp = (255, 250, 215) if oncoming else (225, 25, 20)
    for sign in (-1, 1):
        inner, outer = sorted((sign * (half - 0.4), sign * (half - 0.05)))
        board.part(
            rectangle(inner, outer, body - 0.33, body - 0.12), lamp, True
        )
    board.part(rectangle(-0.28, 0.28, 0.48, 0.62), (228, 226, 205))


def draw_crossing_car(
    canvas: Canvas, x: float, depth: float, heading: float
) -> None:
    """Draws a car from the side; it drives to the right if `heading` is 1."""
    rng = canvas.rng
    board = Board(canvas, x, depth, CAR)
    paint = jitter(rng, pick(rng, _PAINTS), 22)
    roof = rng.uniform(1.42, 1.7)
    tail = rng.uniform(-1.9, -1.35)

    def shape(corners: list, colour: Colour, glow: bool = False) -> None:
        board.part([(heading * dx, h) for dx, h in corners], colour, glow)

    board.cast(4.0, 0.8)
    lower = [(-2.1, 0.3), (2.15, 0.3), (2.2, 0.75), (1.2, 0.98)]
    upper = [(0.55, roof), (tail + 0.3, roof), (tail, 1.02), (-2.1, 0.95)]
    shape(lower + upper, paint)
    shape([(-2.1, 0.3), (2.15, 0.3), (2.18, 0.45), (-2.1, 0.45)], (45, 45, 48))
    glass = [(tail + 0.18, 1.0), (1.0, 1.0), (0.48, roof - 0.08)]
    shape([*glass, (tail + 0.38, roof - 0.08)], _GLASS)
    shape(rectangle(-0.5, -0.38, 0.98, roof), paint)
    shape(rectangle(2.0, 2.2, 0.66, 0.82), (255, 248, 215), True)
    shape(rectangle(-2.1, -1.95, 0.72, 0.92), (225, 25, 20), True)
    for dx in (-1.3, 1.35):
        board.disc(dx, 0.36, (0.36, 0.36), _TYRE)
        board.disc(dx, 0.36, (0.18, 0.18), (150, 150, 155))
