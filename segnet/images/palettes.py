"""The colours in which classes are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segnet.constants import MAX_CLASSES

__all__ = ["COLOURBLIND", "DEFAULT", "VOC", "Palette", "by_name"]

# Red, green and blue of each class id.
Palette = tuple[tuple[int, int, int], ...]

# Twelve colours that stay apart when blended over a photograph.
_BASE_COLOURS = (
    (230, 80, 70),
    (70, 130, 200),
    (250, 200, 60),
    (110, 90, 150),
    (80, 180, 100),
    (240, 140, 60),
    (90, 210, 220),
    (220, 100, 180),
    (150, 110, 70),
    (170, 220, 90),
    (60, 70, 140),
    (245, 170, 190),
)
# Twenty that stay apart for who sees no red, no green or no blue, too: no two,
# nor one and black or white, are nearer than 19 in CIELAB, as seen by any of
# them (Machado, Oliveira and Fernandes 2009, severity 1). The first ones are
# the farthest apart.
_COLOURBLIND_COLOURS = (
    (135, 60, 255),
    (210, 45, 0),
    (120, 0, 105),
    (0, 255, 180),
    (255, 225, 0),
    (210, 105, 180),
    (120, 0, 0),
    (150, 165, 90),
    (165, 255, 135),
    (120, 120, 240),
    (255, 120, 15),
    (255, 165, 255),
    (60, 60, 60),
    (45, 0, 180),
    (90, 0, 135),
    (150, 195, 180),
    (150, 90, 60),
    (180, 60, 120),
    (180, 135, 120),
    (120, 75, 165),
)


def _in_turn(base: Palette) -> Palette:
    """As many colours as there can be classes.

    The base colours, darkened each time they recur.
    """
    laps = MAX_CLASSES // len(base) + 1
    colours = []
    for index in range(MAX_CLASSES):
        lap, position = divmod(index, len(base))
        shade = 1.0 - 0.6 * (lap / laps)
        red, green, blue = base[position]
        colours.append(
            (round(red * shade), round(green * shade), round(blue * shade))
        )
    return tuple(colours)


def _voc_colour(index: int) -> tuple[int, int, int]:
    """Pascal VOC's: the bits of the index, spread over the channels."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= (index & 1) << (7 - place)
            index >>= 1
    return channels[0], channels[1], channels[2]


DEFAULT = _in_turn(_BASE_COLOURS)
COLOURBLIND = _in_turn(_COLOURBLIND_COLOURS)
VOC = tuple(_voc_colour(index) for index in range(MAX_CLASSES))


def by_name(
    class_names: Sequence[str], colours: Mapping[str, tuple[int, int, int]]
) -> Palette:
    """The colours that classes have by their names.

    Args:
      class_names: One for each class.
      colours: Of some names; case, spaces and underscores do not matter.

    Returns:
      A colour for each possible class id; classes of other names have colours
      of `DEFAULT` that no class has.
    """
    known = {_plain(name): colour for name, colour in colours.items()}
    found = [known.get(_plain(name)) for name in class_names]
    taken = set(found)
    rest = iter(colour for colour in DEFAULT if colour not in taken)
    palette = [colour or next(rest) for colour in found]
    # Of ids that are no class, such as those of other tools.
    return (*palette, *DEFAULT[len(palette) :])


def _plain(name: str) -> str:
    return "".join(name.lower().replace("_", " ").split())
