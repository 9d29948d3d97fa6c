"""Fields of what others have written: each is checked before it is used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

__all__ = [
    "FieldError",
    "field",
    "flat_points",
    "number",
    "numbers",
    "parsed_numbers",
    "points",
    "whole",
]

# Pixels; shapes may lie outside the picture, but not anywhere.
_FARTHEST = 100_000
# Of a polygon; each costs time in every row of the picture.
_MAX_POINTS = 100_000
# Pixels; COCO's code walks along the outline.
_MAX_OUTLINE = 4_000_000
_KINDS: dict[type, str] = {str: "a text", list: "a list", dict: "an object"}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)


class FieldError(ValueError):
    """A field that cannot be used; the message names object and field."""


def field(thing: Any, name: str, kind: type, where: str) -> Any:
    """The value of a field that is a text, a list or an object.

    Args:
      thing: That has it.
      name: Of the field.
      kind: `str`, `list` or `dict`.
      where: What the thing is, for the message.

    Raises:
      FieldError: It is not there, or of another kind.
    """
    value = _value(thing, name, where)
    if not isinstance(value, kind):
        raise FieldError(f"{where}: '{name}' is not {_KINDS[kind]}")
    return value


def number(
    thing: Any,
    name: str,
    where: str,
    low: float = -_FARTHEST,
    high: float = _FARTHEST,
) -> float:
    """The value of a field that is a number from `low` to `high`."""
    return _number(_value(thing, name, where), name, where, low, high)


def whole(
    thing: Any, name: str, where: str, low: int = 0, high: int = 2**63 - 1
) -> int:
    """The value of a field that is a whole number."""
    value = _number(_value(thing, name, where), name, where, low, high)
    if value != int(value):
        raise FieldError(f"{where}: '{name}' is {value}, not a whole number")
    return int(value)


def numbers(thing: Any, name: str, where: str) -> list[float]:
    """The value of a field that is a list of numbers, such as x, y, x, y."""
    values = field(thing, name, list, where)
    return [_number(x, name, where, -_FARTHEST, _FARTHEST) for x in values]


def points(
    thing: Any, name: str, where: str, low: int = 1, high: int = _MAX_POINTS
) -> list[tuple[float, float]]:
    """The value of a field that is a list of [x, y].

    Args:
      thing: That has it.
      name: Of the field.
      where: What the thing is, for the message.
      low: Points at least.
      high: Points at most.

    Raises:
      FieldError: It is no such list.
    """
    found = field(thing, name, list, where)
    if not low <= len(found) <= high:
        wanted = f"{low}" if low == high else f"{low} or more"
        raise FieldError(
            f"{where}: '{name}' has {len(found)} points, not {wanted}"
        )
    for point in found:
        if not isinstance(point, list) or len(point) < 2:
            raise FieldError(f"{where}: '{name}' has what is no point [x, y]")
    flat = [
        _number(value, name, where, -_FARTHEST, _FARTHEST)
        for point in found
        for value in point[:2]
    ]
    return list(zip(flat[::2], flat[1::2], strict=True))


def flat_points(
    values: Sequence[float], name: str, where: str, low: int = 3
) -> list[float]:
    """Checks x, y, x, y, ... of a polygon.

    Raises:
      FieldError: They are odd, too few, too many, or too far apart.
    """
    if len(values) % 2 or not 2 * low <= len(values) <= 2 * _MAX_POINTS:
        raise FieldError(
            f"{where}: '{name}' has {len(values)} numbers, not x, y of {low} "
            "points or more"
        )
    outline = sum(
        abs(one - two) for one, two in zip(values, values[2:], strict=False)
    )
    if outline > _MAX_OUTLINE:
        raise FieldError(f"{where}: '{name}' is far larger than any picture")
    return list(values)


def parsed_numbers(text: str, name: str, where: str) -> list[float]:
    """Numbers of a text, with spaces, commas or semicolons between them.

    Raises:
      FieldError: Something in it is no number, or too large.
    """
    found = []
    for part in re.split(r"[\s,;]+", text.strip()):
        if not _NUMBER.fullmatch(part):
            raise FieldError(f"{where}: '{name}' has '{part[:20]}', no number")
        found.append(_number(float(part), name, where, -_FARTHEST, _FARTHEST))
    return found


def _value(thing: Any, name: str, where: str) -> Any:
    if not isinstance(thing, dict):
        raise FieldError(f"{where}: is not an object with fields")
    if name not in thing:
        raise FieldError(f"{where}: has no '{name}'")
    return thing[name]


def _number(
    value: Any, name: str, where: str, low: float, high: float
) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FieldError(f"{where}: '{name}' is not a number")
    if not low <= value <= high:
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        raise FieldError(
            f"{where}: '{name}' is {shown}, not from {low:g} to {high:g}"
        )
    return value
