"""The value of --palette."""

from __future__ import annotations

from collections.abc import Sequence

from segnet.annotations.label_map import load_label_map
from segnet.annotations.presets import PRESETS
from segnet.errors import ConfigError
from segnet.files import is_readable
from segnet.images import palettes

__all__ = ["check_palette", "read_palette"]

_BY_ID = {
    "": palettes.DEFAULT,
    "colourblind": palettes.COLOURBLIND,
    "voc": palettes.VOC,
}
_BY_NAME = ("camvid", "cityscapes")


def read_palette(name: str, class_names: Sequence[str]) -> palettes.Palette:
    """The colours that are asked for.

    Args:
      name: A name, or a file in a format of `--label_map`.
      class_names: One for each class of the run.

    Raises:
      ConfigError: There is no such palette, or it has no colour for any class.
    """
    if name in _BY_ID:
        return _BY_ID[name]
    check_palette(name)
    try:
        found = load_label_map(name)
    except ConfigError as error:
        message = str(error).replace("--label_map=", "--palette=", 1)
        raise ConfigError(message) from None
    colours: dict[str, tuple[int, int, int]] = {}
    for colour, label in found.colours.items():
        if label < len(found.names):
            colours.setdefault(found.names[label], colour)
    palette = palettes.by_name(class_names, colours)
    if palette == palettes.DEFAULT:
        raise ConfigError(
            f"--palette={name}: has a colour for none of the classes "
            f"({', '.join(class_names)}); write 'name: #rrggbb', one a line"
        )
    return palette


def check_palette(name: str) -> None:
    """Refuses what is no palette, before any work.

    Raises:
      ConfigError: It is neither a name nor a file.
    """
    known = (*filter(None, _BY_ID), *_BY_NAME)
    if name in (*known, "") or (name not in PRESETS and is_readable(name)):
        return
    raise ConfigError(
        f"--palette={name}: is neither a file nor one of {', '.join(known)}"
    )
