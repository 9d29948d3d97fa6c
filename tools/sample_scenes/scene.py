"""Composes a street scene: what is where, in which light and weather."""

from __future__ import annotations

import dataclasses

import numpy as np

from .buildings import draw_buildings, draw_skyline
from .canvas import Canvas
from .cars import draw_car, draw_crossing_car
from .roadside import draw_pedestrian, draw_sign, draw_tree
from .sky import paint_sky
from .street import Street, draw_ground, draw_markings
from .view import Camera, Light, pick

__all__ = ["render_scene"]

# How often each kind of light occurs, and what it is like with most clouds.
_SHARES = {"day": 9, "overcast": 5, "dusk": 4, "night": 2}
_LIGHTS = {
    "day": Light(
        ambient=(1.0, 1.0, 1.0),
        sky_top=(72, 132, 205),
        sky_low=(190, 212, 232),
        cloud=(244, 244, 246),
        cloudiness=0.75,
        shadow=0.5,
        lit=0.02,
    ),
    "overcast": Light(
        ambient=(0.86, 0.86, 0.86),
        sky_top=(158, 166, 176),
        sky_low=(206, 208, 210),
        cloud=(186, 190, 196),
        cloudiness=1.0,
        shadow=0.08,
        lit=0.1,
    ),
    "dusk": Light(
        ambient=(0.81, 0.7, 0.66),
        sky_top=(84, 88, 140),
        sky_low=(238, 172, 124),
        cloud=(206, 130, 122),
        cloudiness=0.8,
        shadow=0.2,
        lit=0.35,
    ),
    "night": Light(
        ambient=(0.48, 0.53, 0.67),
        sky_top=(18, 24, 50),
        sky_low=(58, 64, 96),
        cloud=(44, 48, 70),
        cloudiness=0.7,
        shadow=0.05,
        lit=0.6,
    ),
}


def render_scene(
    rng: np.random.Generator, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a scene.

    Args:
      rng: Decides everything in the scene.
      height: Rows of the result, at least 16.
      width: Columns of the result, at least 16.

    Returns:
      The picture, uint8 RGB `[height, width, 3]`, and its labels, uint8
      `[height, width]`: indices into `CLASS_NAMES`, or `VOID` at the border
      of the picture and around some of the objects.
    """
    size = Canvas.canvas_size(height, width)
    camera, light = _camera(rng, size), _light(rng)
    canvas = Canvas(rng, *size, camera, light)
    canvas.backdrop(paint_sky(rng, light, camera, size))
    street = _street(rng)
    draw_skyline(canvas, street)
    draw_ground(canvas, street)
    draw_markings(canvas, street)
    draw_buildings(canvas, street)
    # The painter's algorithm: what is near covers what is far.
    things = _traffic(rng, street, camera) + _roadside(rng, street, camera)
    for depth, draw, x, *rest in sorted(things, key=lambda t: -t[0]):
        draw(canvas, x, depth, *rest)
    return canvas.finish()


def _camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """Where the scene is seen from."""
    rows, columns = size
    return Camera(
        focal=rows * rng.uniform(1.05, 1.25),
        eye=rng.uniform(1.5, 1.9),
        centre=columns * rng.uniform(0.38, 0.62),
        horizon=rows * rng.uniform(0.41, 0.51),
        bottom=rows,
        width=columns,
        bend=columns * rng.uniform(-0.14, 0.14),
    )


def _light(rng: np.random.Generator) -> Light:
    """Time of day and weather."""
    kind = pick(rng, [k for k, share in _SHARES.items() for _ in range(share)])
    base = _LIGHTS[kind]
    weather = pick(rng, ("clear",) * 7 + ("rain", "fog"))
    haze = rng.uniform(35, 60) if weather == "fog" else rng.uniform(150, 400)
    warm = rng.uniform(0.96, 1.04)
    if weather != "clear" and kind == "day":
        base = dataclasses.replace(
            _LIGHTS["overcast"], sky_top=base.sky_low, sky_low=(205, 208, 212)
        )
    red, green, blue = base.ambient
    return dataclasses.replace(
        base,
        ambient=(red * warm, green, blue * (2.0 - warm)),
        cloudiness=rng.uniform(0.1, base.cloudiness),
        shadow=base.shadow * rng.uniform(0.6, 1.0),
        sun_side=pick(rng, (-1.0, 1.0)),
        haze=haze,
        rain=weather == "rain",
    )


def _street(rng: np.random.Generator) -> Street:
    """Widths of road and pavements, and where the camera is on the road."""
    lanes = pick(rng, (2, 2, 2, 3, 3))
    road = lanes * rng.uniform(2.9, 3.5)
    # The camera drives near the middle of one of the lanes.
    lane = int(rng.integers(lanes))
    place = road * (lane + 0.5) / lanes + rng.uniform(-0.5, 0.5)
    return Street(-place, road - place, rng.uniform(2.6, 4.2), lanes)


def _traffic(
    rng: np.random.Generator, street: Street, camera: Camera
) -> list[tuple]:
    """Cars that drive, park or cross, as (depth, function, x, ...)."""
    things = []
    start = camera.nearest() + 2.5
    for lane in range(street.lanes):
        x = street.lane_centre(lane) + rng.uniform(-0.25, 0.25)
        depth = start + rng.uniform(0, 7)
        while depth < 30 and rng.random() < 0.7:
            things.append((depth, draw_car, x, x < -1.2))
            depth += rng.uniform(9, 16)
    if rng.random() < 0.3:
        side = pick(rng, (-1, 1))
        x = street.right - 0.7 if side > 0 else street.left + 0.7
        for depth in np.arange(start + rng.uniform(0, 5), 40, 6.3):
            if rng.random() < 0.7:
                things = [t for t in things if abs(t[2] - x) > 2]
                things.append((float(depth), draw_car, x, side < 0))
    if rng.random() < 0.25:
        depth = start + rng.uniform(3, 10)
        things = [t for t in things if not depth - 6 < t[0] < depth + 2]
        x = rng.uniform(street.left, street.right)
        things.append((depth, draw_crossing_car, x, pick(rng, (-1.0, 1.0))))
    return things


def _roadside(
    rng: np.random.Generator, street: Street, camera: Camera
) -> list[tuple]:
    """People, signs and trees on the pavements, as (depth, function, x)."""
    things = []
    near = camera.nearest()
    for side, kerb in ((-1, street.left), (1, street.right)):
        for _ in range(int(rng.integers(0, 3))):
            x = kerb + side * rng.uniform(0.6, street.pavement - 0.5)
            things.append((_visible(rng, camera, x, 6), draw_pedestrian, x))
        sign = 0.0
        if rng.random() < 0.62:
            x = kerb + side * rng.uniform(0.35, 0.7)
            sign = _visible(rng, camera, x, 6)
            things.append((sign, draw_sign, x))
        if rng.random() < 0.6:
            x = kerb + side * rng.uniform(0.8, 1.5)
            # No tree hides a sign, just as in a street that is looked after.
            first = max(_visible(rng, camera, x, 10), sign + 1.0)
            for depth in np.arange(first, 40, rng.uniform(7, 11)):
                things.append((float(depth), draw_tree, x))
    if rng.random() < 0.2:
        x = rng.uniform(street.left + 1, street.right - 1)
        things.append((near + rng.uniform(1, 7), draw_pedestrian, x))
    if rng.random() < 0.2:
        x = street.right + 0.6
        things.append((rng.uniform(15, 22), draw_pedestrian, x))
    return things


def _visible(
    rng: np.random.Generator, camera: Camera, x: float, spread: float
) -> float:
    """A depth, from where `x` comes into view to `spread` metres farther."""
    edge = camera.centre if x < 0 else camera.width - camera.centre
    depth = max(camera.nearest() + 0.8, abs(x) * camera.focal * 1.1 / edge)
    return depth + spread * rng.random() ** 1.6
