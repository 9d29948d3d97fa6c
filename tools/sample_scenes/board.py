"""Flat parts, in metres, from which the upright objects are put together."""

from __future__ import annotations

from collections.abc import Sequence

from .canvas import Canvas
from .view import Colour

__all__ = ["Board", "rectangle", "scaled"]


def rectangle(left: float, right: float, low: float, high: float) -> list:
    """Returns the corners of an upright rectangle."""
    return [(left, low), (right, low), (right, high), (left, high)]


def scaled(colour: Colour, factor: float) -> Colour:
    """Returns `colour` made lighter or darker, at most 255."""
    return tuple(min(c * factor, 255.0) for c in colour)


class Board:
    """Draws flat parts that stand upright at one place of the scene."""

    def __init__(self, canvas: Canvas, x: float, depth: float, code: int):
        """Stands at `x`, `depth` metres; `code` is what labels get."""
        self._canvas, self._depth, self._code = canvas, depth, code
        self._foot = canvas.camera.project(x, depth)
        self._scale = canvas.camera.scale(depth)

    def at(self, dx: float, height: float) -> tuple[float, float]:
        """Canvas position `dx` beside and `height` above the foot."""
        column, row = self._foot
        return column + dx * self._scale, row - height * self._scale

    def part(
        self,
        outline: Sequence[tuple[float, float]],
        colour: Colour,
        glow: bool = False,
    ) -> None:
        """Fills a polygon of (dx, height) corners."""
        tone = self._canvas.tone(colour, self._depth, glow)
        corners = [self.at(*corner) for corner in outline]
        self._canvas.polygon(corners, tone, self._code)

    def disc(
        self,
        dx: float,
        height: float,
        radii: tuple[float, float],
        colour: Colour,
        glow: bool = False,
    ) -> None:
        """Fills an ellipse around (dx, height)."""
        tone = self._canvas.tone(colour, self._depth, glow)
        size = (radii[0] * self._scale, radii[1] * self._scale)
        self._canvas.ellipse(self.at(dx, height), size, tone, self._code)

    def cast(self, width: float, height: float) -> None:
        """Casts the shadow of a thing of this width and height."""
        away = -self._canvas.light.sun_side * height * 0.7
        self._canvas.shadow(
            [
                self.at(-width / 2, 0.05),
                self.at(width / 2, -0.08),
                self.at(width / 2 + away, height * 0.12),
                self.at(-width / 2 + away, height * 0.16),
            ],
            0.9,
        )
