"""Fonts that have the letters of a text, whatever script it is in.

Pillow's own font has the letters of ASCII alone. For others the fonts of the
system are looked through, where it keeps them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import TypeAlias

from PIL import ImageFont

__all__ = ["font_for", "has_all_glyphs"]

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

_FOLDERS = (
    "~/.fonts",
    "~/.local/share/fonts",
    "/usr/share/fonts",
    "/usr/local/share/fonts",
)
_SUFFIXES = (".ttf", ".otf", ".ttc")
# Looked into first, in this order: plain fonts with many letters.
_PLAIN = ("DejaVuSans.", "NotoSans-Regular", "NotoSansCJK-Regular", "wqy")
_TRIED_SIZE = 16
# No character; a font draws for it what it draws for all that it lacks.
_NOTHING = "\uffff"


def font_for(text: str, size: int) -> Font:
    """A font that has all letters of a text, if there is one.

    Args:
      text: To be drawn.
      size: Pixels.

    Returns:
      Pillow's own font, if that has them or none has.
    """
    own = ImageFont.load_default(size)
    path = _path_for(_letters(text))
    if not path:
        return own
    return ImageFont.truetype(path, size)


def has_all_glyphs(text: str) -> bool:
    """Whether `font_for` has found one for all letters of a text."""
    return _path_for(_letters(text)) is not None


def _letters(text: str) -> str:
    """Each once: texts of the same letters have the same font."""
    return "".join(sorted(set(text) - {" "}))


@functools.lru_cache(maxsize=1024)
def _path_for(letters: str) -> str | None:
    """The file of the first font with all letters; "" is Pillow's own."""
    if _has_all(ImageFont.load_default(_TRIED_SIZE), letters):
        return ""
    for path in _font_files():
        try:
            font = ImageFont.truetype(path, _TRIED_SIZE)
            if _has_all(font, letters):
                return path
        except (OSError, ValueError):  # A damaged one, or none at all.
            continue
    return None


def _has_all(font: Font, letters: str) -> bool:
    missing = _drawn(font, _NOTHING)
    return all(_drawn(font, letter) != missing for letter in letters)


def _drawn(font: Font, letter: str) -> tuple[object, bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


@functools.lru_cache(maxsize=1)
def _font_files() -> tuple[str, ...]:
    """The system's, plain ones first."""

    def rank(path: str) -> tuple[int, str]:
        name = os.path.basename(path)
        for place, start in enumerate(_PLAIN):
            if name.startswith(start):
                return place, path
        return len(_PLAIN), path

    return tuple(sorted(_walk(), key=rank))


def _walk() -> Iterator[str]:
    for folder in _FOLDERS:
        for root, _, names in os.walk(os.path.expanduser(folder)):
            for name in names:
                if name.lower().endswith(_SUFFIXES):
                    yield os.path.join(root, name)
