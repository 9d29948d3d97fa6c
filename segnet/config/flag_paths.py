"""The values of flags that name files and folders."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from segnet.config.config import Config
from segnet.constants import CLASS_WEIGHTINGS
from segnet.errors import ConfigError
from segnet.files import expand_path

__all__ = ["check_names", "found", "resolve", "same"]


def resolve(field: dataclasses.Field, value: Any) -> Any:
    """The value of a flag, `~` expanded, as it is to be kept.

    Args:
      field: Of `Config`.
      value: What the user gave, or the default.

    Returns:
      For what is read again when a run is resumed an absolute path: that may
      be from another folder.
    """
    if not value or not _is_path(field, value):
        return value
    path = expand_path(value)
    if not field.metadata.get("remembered") or "://" in path:
        return path
    return os.path.abspath(path)


def _is_path(field: dataclasses.Field, value: str) -> bool:
    if field.name == "class_weights":
        return value.partition("^")[0] not in CLASS_WEIGHTINGS
    return bool(field.metadata.get("path"))


def found(config: Config) -> Config:
    """A config whose relative paths, where they lead somewhere, are whole.

    Runs of former versions have such; from here they are found.
    """
    paths = {
        field.name: resolve(field, getattr(config, field.name))
        for field in dataclasses.fields(config)
        if field.metadata.get("remembered")
    }
    there = {name: path for name, path in paths.items() if os.path.exists(path)}
    return dataclasses.replace(config, **there)


def same(name: str, value: Any, other: Any) -> bool:
    """Whether two values of a flag mean the same."""
    fields = {field.name: field for field in dataclasses.fields(Config)}
    paths = [each for each in (value, other) if isinstance(each, str)]
    if len(paths) < 2 or not all(paths) or "://" in value + other:
        return value == other
    if not all(_is_path(fields[name], path) for path in paths):
        return value == other
    return os.path.realpath(value) == os.path.realpath(other)


def check_names(given: dict[str, Any]) -> None:
    """Refuses names that cannot be handed to TensorFlow, or be printed.

    Args:
      given: Values of flags, by name.

    Raises:
      ConfigError: A value is not UTF-8 or would break a line in two.
    """
    for name, value in given.items():
        if not isinstance(value, str):
            continue
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ConfigError(
                f"--{name}={ascii(value)[1:-1]}: the name is not UTF-8; "
                "rename the file or folder, or use a link to it"
            ) from None
        if any(ord(character) < 32 for character in value):
            raise ConfigError(
                f"--{name}={ascii(value)[1:-1]} has a line break or another "
                "control character; use a name without"
            )
