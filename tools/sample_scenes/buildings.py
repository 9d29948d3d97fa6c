"""Houses and hedges along the street, and what closes the view."""

from __future__ import annotations

import numpy as np

from .canvas import BUILDING, TREE, Canvas
from .street import FAR, Street
from .view import Colour, jitter, pick

__all__ = ["draw_buildings", "draw_skyline"]

_FACADES = (
    (172, 98, 78),
    (206, 178, 138),
    (186, 186, 180),
    (140, 112, 98),
    (214, 200, 176),
    (120, 132, 146),
    (198, 146, 110),
    (156, 72, 62),
    (166, 178, 160),
    (228, 222, 212),
)
_AWNINGS = ((150, 45, 45), (40, 90, 80), (50, 70, 120), (190, 150, 70))
_LIT = (255, 214, 130)


def draw_skyline(canvas: Canvas, street: Street) -> None:
    """Draws far houses, or trees, that close the view at the horizon."""
    rng, camera = canvas.rng, canvas.camera
    base = camera.project(0, FAR)[1] + 1
    code = TREE if rng.random() < 0.25 else BUILDING
    column, unit = 0.0, camera.bottom / 100
    while column < canvas.width:
        wide = rng.uniform(6, 16) * unit
        high = rng.uniform(4, 11 if code == TREE else 20) * unit
        if code == TREE:
            tone = canvas.tone(jitter(rng, (62, 98, 52), 14), 45)
            middle = (column + wide / 2, base - high / 2)
            canvas.ellipse(middle, (wide, high), tone, code)
            column += wide * 0.7
            continue
        tone = canvas.tone(jitter(rng, pick(rng, _FACADES), 12), 45)
        rows = (base - high, base + unit)
        corners = [(column, rows[0]), (column + wide, rows[0])]
        corners += [(column + wide, rows[1]), (column, rows[1])]
        canvas.polygon(corners, tone, code)
        dark = tuple(int(c * 0.75) for c in tone)
        for y in np.arange(rows[0] + 2 * unit, base - unit, 2.5 * unit):
            canvas.line([(column + unit, y), (column + wide - unit, y)], dark)
        column += wide
    low = [(0, base), (canvas.width, base)]
    canvas.polygon(
        [*low, (canvas.width, base + unit), (0, base + unit)],
        canvas.tone((110, 108, 104), 60),
        code,
    )


def draw_buildings(canvas: Canvas, street: Street) -> None:
    """Draws the rows of houses, and at times hedges, along both sides."""
    rng = canvas.rng
    for side in (-1.0, 1.0):
        kerb = street.right if side > 0 else street.left
        wall = kerb + side * street.pavement
        depth, plots = rng.uniform(3.0, 9.0), []
        while depth < 80:
            length = rng.uniform(7, 17)
            plots.append((depth, min(depth + length, 90.0)))
            depth += length
        usual = rng.uniform(4.5, 10.5)
        for near, far in reversed(plots):
            if rng.random() < 0.13:
                _draw_hedge(canvas, wall, (near, far))
            else:
                high = max(usual * rng.uniform(0.6, 1.5), 3.8)
                _draw_house(canvas, wall, side, (near, far), high)


def _draw_hedge(canvas: Canvas, wall: float, span: tuple) -> None:
    """Draws the hedge and the bushes of a garden between two houses."""
    rng, project = canvas.rng, canvas.camera.project
    green = jitter(rng, (62, 98, 46), 16)
    near, far = span
    high = rng.uniform(1.6, 2.6)
    corners = [(wall, near, 0), (wall, far, 0)]
    corners += [(wall, far, high), (wall, near, high)]
    tone = canvas.tone(green, near)
    canvas.polygon([project(*c) for c in corners], tone, TREE)
    for depth in np.linspace(far, near, 26):
        scale = canvas.camera.scale(depth)
        at = project(wall, depth, high * rng.uniform(0.3, 1.0))
        tone = canvas.tone(jitter(rng, green, 26), depth)
        canvas.ellipse(at, (0.5 * scale, 0.55 * scale), tone, TREE)


def _draw_house(
    canvas: Canvas, wall: float, side: float, span: tuple, high: float
) -> None:
    """Draws one house: the side along the street and the end facing us."""
    rng, project = canvas.rng, canvas.camera.project
    near, far = span
    colour = jitter(rng, pick(rng, _FACADES), 16)
    sunny = 1.06 if side != canvas.light.sun_side else 0.84
    end = tuple(c * 0.92 for c in colour)
    outside = wall + side * 40
    corners = [(wall, near, 0), (outside, near, 0)]
    corners += [(outside, near, high), (wall, near, high)]
    tone = canvas.tone(end, near)
    canvas.polygon([project(*c) for c in corners], tone, BUILDING)
    glass = jitter(rng, pick(rng, ((60, 74, 92), (96, 120, 140))), 12)
    _draw_end(canvas, wall, side, (near, high), (end, glass))
    steps = np.linspace(near, far, 5)
    outline = [project(wall, z) for z in steps]
    outline += [project(wall, z, high) for z in steps[::-1]]
    face = tuple(min(c * sunny, 255) for c in colour)
    middle = near + 0.4 * (far - near)
    canvas.polygon(outline, canvas.tone(face, middle), BUILDING)
    shop = rng.random() < 0.45
    _draw_windows(canvas, (wall, near, far), high, (face, glass), shop)
    reach = 0.9 if side == canvas.light.sun_side else 0.0
    if reach:
        toward = wall - side * high * reach
        foot = [project(wall, near), project(wall, far)]
        canvas.shadow([*foot, project(toward, far), project(toward, near)])


def _draw_end(
    canvas: Canvas, wall: float, side: float, place: tuple, colours: tuple
) -> None:
    """Draws ledges and windows on the end of a house that faces us."""
    rng, project = canvas.rng, canvas.camera.project
    (depth, high), (face, glass) = place, colours

    def pane(x: tuple, h: tuple, colour: Colour, glow: bool = False) -> None:
        corners = [(x[0], h[0]), (x[1], h[0]), (x[1], h[1]), (x[0], h[1])]
        tone = canvas.tone(colour, depth, glow)
        canvas.polygon([project(a, depth, b) for a, b in corners], tone)

    dark = tuple(c * 0.7 for c in face)
    pane((wall, wall + side * 40), (high - 0.35, high), dark)
    pane((wall, wall + side * 40), (0.0, 0.35), dark)
    for floor in range(int((high - 0.5) / 2.9)):
        for number in range(4):
            x = wall + side * (1.6 + 2.4 * number)
            lit = rng.random() < canvas.light.lit
            colour = jitter(rng, _LIT if lit else glass, 14)
            sill = 0.8 + 2.9 * floor
            pane((x - 0.6, x + 0.6), (sill, sill + 1.4), colour, lit)


def _draw_windows(
    canvas: Canvas, plot: tuple, high: float, colours: tuple, shop: bool
) -> None:
    """Draws cornice, ledges, windows and shop front of a house."""
    rng, project = canvas.rng, canvas.camera.project
    (wall, near, far), (face, glass) = plot, colours

    def pane(z: tuple, h: tuple, colour: Colour, glow: bool = False) -> None:
        corners = [(z[0], h[0]), (z[1], h[0]), (z[1], h[1]), (z[0], h[1])]
        tone = canvas.tone(colour, sum(z) / 2, glow)
        canvas.polygon([project(wall, *c) for c in corners], tone)

    dark = tuple(c * 0.7 for c in face)
    pane((near, far), (high - 0.35, high), dark)
    pane((near, far), (0.0, 0.35), dark)
    bays = max(int((far - near) / rng.uniform(2.1, 3.2)), 1)
    bay, storey = (far - near) / bays, rng.uniform(2.5, 3.1)
    wide, tall = rng.uniform(0.22, 0.32) * bay, rng.uniform(0.5, 0.68) * storey
    for floor in range(int((high - 0.5) / storey)):
        ledge = floor * storey
        if floor:
            pane((near, far), (ledge - 0.08, ledge + 0.08), dark)
        for number in range(bays):
            z = near + (number + 0.5) * bay
            lit = rng.random() < canvas.light.lit
            colour = jitter(rng, _LIT if lit else glass, 14)
            size = wide * (1.5 if shop and not floor else 1.0)
            sill = ledge + (0.45 if floor or not shop else 0.3)
            pane((z - size, z + size), (sill, sill + tall), colour, lit)
    if shop:
        awning = jitter(rng, pick(rng, _AWNINGS), 15)
        pane((near + 0.3, far - 0.3), (storey - 0.5, storey), awning)
