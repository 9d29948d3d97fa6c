"""Labels as polygons: the outlines of connected pixels of one class.

Pixels are connected through their sides. An outline runs along the sides of
pixels, clockwise, and is then thinned out (Douglas and Peucker, 1973). Where
three areas meet it keeps its corner, and between such corners neighbours have
the same line, so that no gap comes between them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

__all__ = ["Polygon", "find_polygons"]

# Sides of a pixel, clockwise from the top, each from a corner to the next one:
# the first corner, the neighbour beyond the side, and the one at its end.
_FIRST_CORNER = ((0, 0), (0, 1), (1, 1), (1, 0))
_BEYOND = ((-1, 0), (0, 1), (1, 0), (0, -1))


@dataclasses.dataclass(frozen=True)
class Polygon:
    """Connected pixels of one class.

    Attributes:
      label: Class id.
      corners: float64 `[points, 2]`, x and y of its outline, along the sides
        of pixels: the picture is from 0 to its width and height.
      pixels: float64 `[points, 2]`, x and y of the outline for who draws it
        through the middles of pixels: along the outermost ones, or, thinned
        out, half a pixel beside `corners`, so that neighbours have one line.
      holes: Outlines of what is inside of it and not of it, like `corners`.
      area: What the outline encloses, holes included, pixels.
    """

    label: int
    corners: np.ndarray
    pixels: np.ndarray
    holes: tuple[np.ndarray, ...]
    area: float


def find_polygons(label: np.ndarray, tolerance: float) -> list[Polygon]:
    """Outlines everything in labels.

    Args:
      label: uint8 `[height, width]`, class ids.
      tolerance: How far an outline may be from the sides of the pixels, pixels.

    Returns:
      The largest first: what lies in another one comes after it, so that
      painted in this order, without holes, they give the labels.
    """
    rings = list(_rings(label))
    junctions = _junctions(label)
    outer = [ring for ring in rings if ring.area > 0]
    outer.sort(key=lambda ring: -ring.area)
    holes: dict[int, list[np.ndarray]] = {}
    owner_of = _Owners(outer)
    for ring in rings:
        if ring.area < 0:
            owner = owner_of(ring)
            kept = _thin(ring.corners, junctions, tolerance)
            holes.setdefault(owner, []).append(ring.corners[kept])
    polygons = []
    for index, ring in enumerate(outer):
        kept = _thin(ring.corners, junctions, tolerance)
        corners = ring.corners[kept].astype(np.float64)
        exact = ring.pixels[kept].astype(np.float64)
        polygons.append(
            Polygon(
                ring.label,
                corners,
                exact if tolerance <= 0 else corners - 0.5,
                tuple(holes.get(index, ())),
                ring.area,
            )
        )
    return polygons


@dataclasses.dataclass(frozen=True)
class _Ring:
    """A closed line around pixels, or around a hole in them.

    Attributes:
      label: Class id of the pixels.
      corners: int64 `[points, 2]`, x and y, where the line turns.
      pixels: int64 `[points, 2]`, x and y of the pixel inside each corner.
      area: What it encloses, pixels; below 0 for a hole.
    """

    label: int
    corners: np.ndarray
    pixels: np.ndarray
    area: float


def _rings(label: np.ndarray) -> Iterator[_Ring]:
    """All closed lines.

    Each side of a pixel beyond which another class lies is followed by one
    other: at its end the line turns to the next side of the same pixel, goes on
    along the neighbour, or turns to the pixel beyond that.
    """
    height, width = label.shape
    padded = np.full([height + 2, width + 2], -1, np.int16)
    padded[1:-1, 1:-1] = label
    step = padded.shape[1]
    flat = padded.ravel()
    pixels = np.arange(flat.size).reshape(padded.shape)[1:-1, 1:-1].ravel()
    offsets = [dy * step + dx for dy, dx in _BEYOND]
    following: dict[int, int] = {}
    for side, beyond in enumerate(offsets):
        ahead = offsets[(side + 1) % 4]
        at = pixels[flat[pixels] != flat[pixels + beyond]]
        goes_on = flat[at] == flat[at + ahead]
        turns_left = goes_on & (flat[at] == flat[at + ahead + beyond])
        then = 4 * at + (side + 1) % 4
        then[goes_on] = 4 * (at[goes_on] + ahead) + side
        turned = at[turns_left] + ahead + beyond
        then[turns_left] = 4 * turned + (side + 3) % 4
        following.update(
            zip((4 * at + side).tolist(), then.tolist(), strict=True)
        )
    while following:
        start, edge = following.popitem()
        edges = [start]
        while edge != start:
            edges.append(edge)
            edge = following.pop(edge)
        yield _ring(np.array(edges), flat, step)


def _ring(edges: np.ndarray, flat: np.ndarray, step: int) -> _Ring:
    """A line from its sides, 4 * pixel + side, in their order."""
    at, side = np.divmod(edges, 4)
    y, x = np.divmod(at, step)
    first = np.array(_FIRST_CORNER)[side]
    corners = np.stack([x - 1 + first[:, 1], y - 1 + first[:, 0]], -1)
    turns = side != np.roll(side, 1)
    # Half a pixel inwards from both sides that meet in the corner.
    inwards = -np.array(_BEYOND)
    moved = (inwards[side] + inwards[np.roll(side, 1)]) / 2
    inside = corners + moved[:, ::-1] - 0.5
    after = np.roll(corners, -1, axis=0)
    doubled = corners[:, 0] * after[:, 1] - after[:, 0] * corners[:, 1]
    return _Ring(
        int(flat[at[0]]),
        corners[turns],
        np.rint(inside[turns]).astype(np.int64),
        float(doubled.sum()) / 2,
    )


def _junctions(label: np.ndarray) -> np.ndarray:
    """Corners of pixels where lines meet, bool `[height + 1, width + 1]`."""
    padded = np.pad(label.astype(np.int16), 1, constant_values=-1)
    corners = (
        padded[:-1, :-1], padded[:-1, 1:], padded[1:, 1:], padded[1:, :-1],
    )  # fmt: skip
    changes = np.zeros(corners[0].shape, np.uint8)
    for index, corner in enumerate(corners):
        changes += corner != corners[(index + 1) % 4]
    return changes > 2


class _Owners:
    """Finds which area has a hole: the smallest around it of the same class."""

    def __init__(self, outer: list[_Ring]) -> None:
        """Takes the outlines of all areas, the largest first."""
        self._outer = outer
        self._labels = np.array([ring.label for ring in outer])
        self._low = np.array([ring.corners.min(0) for ring in outer])
        self._high = np.array([ring.corners.max(0) for ring in outer])

    def __call__(self, hole: _Ring) -> int:
        """The index of its area."""
        point = hole.pixels[0]
        around = (self._low <= point) & (point < self._high)
        x, y = map(float, point)
        near = np.flatnonzero(around.all(1) & (self._labels == hole.label))
        for index in near[::-1]:
            if _is_inside(x, y, self._outer[index].corners - 0.5):
                return int(index)
        raise ValueError("a hole in nothing")


def _is_inside(x: float, y: float, corners: np.ndarray) -> bool:
    """Whether a point is inside a line: it crosses to the right oddly often."""
    x0, y0 = corners.T
    x1, y1 = np.roll(corners, -1, axis=0).T
    crosses = (y0 > y) != (y1 > y)
    at = x0 + (y - y0) * (x1 - x0) / np.where(crosses, y1 - y0, 1)
    return bool(np.count_nonzero(crosses & (at > x)) % 2)


def _thin(
    corners: np.ndarray, junctions: np.ndarray, tolerance: float
) -> np.ndarray:
    """The indices of corners that a line keeps, rising; three at least."""
    count = len(corners)
    if tolerance <= 0 or count < 5:
        return np.arange(count)
    fixed = np.flatnonzero(junctions[corners[:, 1], corners[:, 0]])
    if len(fixed) < 2:
        # The same for both sides of the line.
        first = np.lexsort(corners.T)[0]
        far = np.hypot(*(corners - corners[first]).T).argmax()
        fixed = np.unique([*fixed, first, far])
    keep = np.zeros([count], bool)
    keep[fixed] = True
    ends = [*fixed[1:], fixed[0] + count]
    for start, end in zip(fixed, ends, strict=True):
        section = np.arange(start, end + 1) % count
        points = corners[section]
        # From the same end on both sides of the line.
        if tuple(points[0]) > tuple(points[-1]):
            section, points = section[::-1], points[::-1]
        keep[section[_peucker(points, tolerance)]] = True
    if np.count_nonzero(keep) < 3:
        return np.arange(count)
    return np.flatnonzero(keep)


def _peucker(points: np.ndarray, tolerance: float) -> np.ndarray:
    """Which points of an open line are kept, bool `[points]`."""
    keep = np.zeros([len(points)], bool)
    keep[[0, -1]] = True
    waiting = [(0, len(points) - 1)]
    while waiting:
        start, end = waiting.pop()
        if end - start < 2:
            continue
        between = points[start + 1 : end] - points[start]
        along = points[end] - points[start]
        length = np.hypot(*along)
        if length:
            cross = between[:, 0] * along[1] - between[:, 1] * along[0]
            distance = np.abs(cross) / length
        else:
            distance = np.hypot(*between.T)
        farthest = int(distance.argmax())
        if distance[farthest] > tolerance:
            middle = start + 1 + farthest
            keep[middle] = True
            waiting += [(start, middle), (middle, end)]
    return keep
