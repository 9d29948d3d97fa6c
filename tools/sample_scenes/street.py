"""The ground of a sample scene: road, lane markings, pavements."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from .canvas import LANE_MARKING, PAVEMENT, ROAD, Canvas
from .view import Camera, Colour, jitter, pick

__all__ = ["FAR", "Street", "draw_ground", "draw_markings"]

# Depth in metres at which the street ends.
FAR = 120.0


@dataclasses.dataclass(frozen=True)
class Street:
    """Where the parts of the street lie, in metres beside the camera.

    Attributes:
      left: Left kerb.
      right: Right kerb.
      pavement: Width of the pavements.
      lanes: Number of lanes.
    """

    left: float
    right: float
    pavement: float
    lanes: int

    def lane_centre(self, lane: int) -> float:
        """Returns the middle of a lane, counted from the left."""
        step = (self.right - self.left) / self.lanes
        return self.left + (lane + 0.5) * step


def _depths(camera: Camera, count: int) -> np.ndarray:
    """Depths from under the lower edge to far off, evenly spaced in rows."""
    nearness = np.linspace(1.08, camera.nearest() / FAR, count)
    return camera.nearest() / nearness


def draw_ground(canvas: Canvas, street: Street) -> None:
    """Draws pavements with slabs and kerbs, and the road between them."""
    rng, camera = canvas.rng, canvas.camera
    slabs = jitter(rng, pick(rng, ((178, 170, 158), (168, 150, 136))), 14)
    asphalt = jitter(rng, pick(rng, ((88, 88, 92), (104, 100, 98))), 14)
    depths = _depths(camera, 24)
    for near, far in itertools.pairwise(depths):
        rows = [camera.project(0, z)[1] for z in (near, far)]
        for left, right, colour, code in (
            (None, None, slabs, PAVEMENT),
            (street.left - 0.3, street.right + 0.3, (205, 203, 198), PAVEMENT),
            (street.left - 0.08, street.right + 0.08, (70, 68, 66), PAVEMENT),
            (street.left, street.right, asphalt, ROAD),
        ):
            corners = [(0, rows[0]), (0, rows[1])]
            corners += [(canvas.width, rows[1]), (canvas.width, rows[0])]
            if left is not None:
                corners = [
                    camera.project(x, z)
                    for x, z in (
                        (left, near),
                        (left, far),
                        (right, far),
                        (right, near),
                    )
                ]
            canvas.polygon(corners, canvas.tone(colour, near), code)
    joint = tuple(c * 0.72 for c in slabs)
    _draw_slabs(canvas, street, joint)


def _draw_slabs(canvas: Canvas, street: Street, colour: Colour) -> None:
    """Draws the joints between the slabs of both pavements."""
    camera = canvas.camera
    for kerb, way in ((street.left - 0.3, -1), (street.right + 0.3, 1)):
        for depth in np.arange(camera.nearest() * 0.9, 28, 1.1):
            ends = [camera.project(kerb, depth)]
            ends.append(camera.project(kerb + way * 12, depth))
            canvas.line(ends, canvas.tone(colour, depth))
        for step in (1.1, 2.2, 3.3, 4.4):
            points = [
                camera.project(kerb + way * step, z)
                for z in _depths(camera, 12)
                if z < 30
            ]
            canvas.line(points, canvas.tone(colour, 10))


def _draw_bar(
    canvas: Canvas, edges: tuple, depths: tuple, colour: Colour
) -> None:
    """Draws a painted rectangle that lies on the road."""
    (left, right), (near, far) = edges, depths
    steps = np.linspace(near, far, 2 + int((far - near) // 3))
    corners = [canvas.camera.project(left, z) for z in steps]
    corners += [canvas.camera.project(right, z) for z in steps[::-1]]
    canvas.polygon(corners, canvas.tone(colour, near), LANE_MARKING)


def draw_markings(canvas: Canvas, street: Street) -> None:
    """Draws lane markings, edge lines and sometimes a zebra crossing."""
    rng, nearest = canvas.rng, canvas.camera.nearest()
    white = jitter(rng, pick(rng, ((236, 236, 230), (232, 214, 150))), 10)
    half = rng.uniform(0.15, 0.2)
    # Farther away a line is about as thin as a pixel of the result.
    far = max(0.8 * canvas.camera.focal * half, nearest + 3.0)
    phase = rng.uniform(0, 5)
    for lane in range(1, street.lanes):
        x = (street.lane_centre(lane - 1) + street.lane_centre(lane)) / 2
        if rng.random() < 0.3:
            _draw_bar(canvas, (x - half, x + half), (nearest, far), white)
            continue
        for start in np.arange(nearest - phase, far, 5.0):
            span = (max(start, nearest * 0.9), min(start + 2.6, far))
            if span[1] > span[0]:
                _draw_bar(canvas, (x - half, x + half), span, white)
    if rng.random() < 0.35:
        for x in (street.left + 0.35, street.right - 0.35):
            edges = (x - half * 0.8, x + half * 0.8)
            _draw_bar(canvas, edges, (nearest, far * 0.8), white)
    if rng.random() < 0.18:
        start = nearest + rng.uniform(2.0, 6.0)
        for x in np.arange(street.left + 0.4, street.right - 0.5, 1.1):
            _draw_bar(canvas, (x, x + 0.55), (start, start + 2.4), white)
