"""How a scene is seen: camera, time of day, weather, colours.

Lengths in a scene are metres; `Camera` projects them on the picture plane.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["Camera", "Colour", "Light", "Point", "jitter", "pick"]

Colour = tuple[float, float, float]
Point = tuple[float, float]


def pick(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    """Returns one of `options`, each as likely as the other."""
    return options[int(rng.integers(len(options)))]


def jitter(
    rng: np.random.Generator, colour: Colour, spread: float = 18.0
) -> Colour:
    """Returns `colour` (0 to 255) moved at random by at most `spread`."""
    grey, *tint = rng.uniform(-spread, spread, 4).tolist()
    moved = [c + (2 * grey + t) / 3 for c, t in zip(colour, tint, strict=True)]
    return tuple(min(max(c, 0.0), 255.0) for c in moved)


@dataclasses.dataclass(frozen=True)
class Camera:
    """A camera over a level street that looks along the depth axis.

    Attributes:
      focal: Focal length in canvas pixels.
      eye: Height of the camera over the road in metres.
      centre: Column of the vanishing point in canvas pixels.
      horizon: Row of the horizon in canvas pixels.
      bottom: Rows of the canvas.
      width: Columns of the canvas.
      bend: Sideways shift of the far end of the street in canvas pixels.
    """

    focal: float
    eye: float
    centre: float
    horizon: float
    bottom: float
    width: float
    bend: float

    def scale(self, depth: float) -> float:
        """Returns the canvas pixels that one metre takes at `depth`."""
        return self.focal / depth

    def project(self, x: float, depth: float, height: float = 0.0) -> Point:
        """Returns (column, row) of a point given in metres."""
        scale = self.focal / depth
        nearness = scale * self.eye / (self.bottom - self.horizon)
        shift = self.bend * (1.0 - min(nearness, 1.0)) ** 2
        column = self.centre + x * scale + shift
        return column, self.horizon + (self.eye - height) * scale

    def nearest(self) -> float:
        """Returns the depth in metres of the ground at the lower edge."""
        return self.focal * self.eye / (self.bottom - self.horizon)


@dataclasses.dataclass(frozen=True)
class Light:
    """Time of day and weather; colours are RGB, 0 to 255.

    Attributes:
      ambient: Factor for each colour channel of what does not glow.
      sky_top: Colour of the sky at the upper edge.
      sky_low: Colour of the sky at the horizon, and of haze and fog.
      cloud: Colour of the clouds.
      cloudiness: Share of the sky that clouds cover, 0 to 1.
      shadow: How much light a shadow takes away, 0 to 1.
      lit: Probability that a window is lit.
      sun_side: -1 with the sun at the left, 1 with the sun at the right.
      haze: Metres after which about a third of a colour is left.
      rain: Whether it rains.
    """

    ambient: Colour
    sky_top: Colour
    sky_low: Colour
    cloud: Colour
    cloudiness: float
    shadow: float
    lit: float
    sun_side: float = 1.0
    haze: float = 300.0
    rain: bool = False
