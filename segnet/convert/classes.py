"""Which classes there are, as the flags of the converter say."""

from __future__ import annotations

from segnet.annotations.label_map import LabelMap, load_label_map
from segnet.annotations.presets import PRESETS
from segnet.errors import ConfigError, DataError
from segnet.files import expand_path, is_readable, read_text

__all__ = ["read_label_map", "resolve_names"]


def read_label_map(source: str, annotation_mode: str) -> LabelMap | None:
    """The label map of a conversion.

    Args:
      source: Value of `--label_map`, may be empty.
      annotation_mode: Value of the flag.

    Returns:
      The map; None if none is given.

    Raises:
      ConfigError: The map cannot be read, or does not suit the mode.
    """
    if not source:
        if annotation_mode == "color":
            raise ConfigError(
                "--annotation_mode=color needs --label_map, which says what "
                "class a colour is: a file, or one of "
                f"{', '.join(PRESETS)}"
            )
        return None
    label_map = load_label_map(expand_path(source))
    if annotation_mode == "color" and not label_map.colours:
        raise ConfigError(
            f"--label_map={source}: has values but no colours, which "
            "--annotation_mode=color needs; write them as #rrggbb, or give "
            "another mode"
        )
    if annotation_mode != "color" and not label_map.values:
        raise ConfigError(
            f"--label_map={source}: has colours but no values, which "
            f"--annotation_mode={annotation_mode} needs; give "
            "--annotation_mode=color"
        )
    return label_map


def resolve_names(
    num_classes: int | None, text: str, label_map: LabelMap | None
) -> tuple[str, ...]:
    """The names of the classes.

    Args:
      num_classes: Value of `--num_classes`; None if a label map tells.
      text: Value of `--class_names`: names, a file of them, or empty for those
        of the label map or numbered ones.
      label_map: Says how many classes there are, if it is given.

    Raises:
      ConfigError: The numbers differ, or the names cannot be read, are not
        there or not all different.
    """
    count = num_classes or 0
    origin = f"--num_classes is {count}"
    if label_map is not None:
        mapped = len(label_map.names)
        if count not in (0, mapped):
            raise ConfigError(
                f"--num_classes={count}: --label_map={label_map.source} has "
                f"{mapped} classes; leave --num_classes out, or correct one"
            )
        count, origin = mapped, f"--label_map has {mapped} classes"
        if not text:
            return label_map.names
    if not text:
        return tuple(f"class_{label}" for label in range(count))
    return _parse_names(text, count, origin)


def _parse_names(text: str, count: int, origin: str) -> tuple[str, ...]:
    names = _read_names(text)
    if len(names) != count or not all(names):
        given = sum(map(bool, names))
        raise ConfigError(
            f"--class_names={text}: has {given} name{'s' * (given != 1)}, "
            f"{origin}; give one for each class"
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(
            f"--class_names={text}: '{twice}' is there twice; names must differ"
        )
    return tuple(names)


def _read_names(text: str) -> list[str]:
    """Names from the value of the flag, or from the file that it names."""
    path = expand_path(text)
    if is_readable(path):
        try:
            lines = read_text(path).splitlines()
        except DataError as error:
            raise ConfigError(f"--class_names={error}") from None
        names = [line.strip() for line in lines if line.strip()]
        if len(names) != 1:
            return names
        text = names[0]
    elif "," not in text or text.endswith(".txt"):
        raise ConfigError(
            f"--class_names={text}: there is no such file; give names, such "
            "as sky,road, or a file with one a line"
        )
    return [name.strip() for name in text.split(",")]
