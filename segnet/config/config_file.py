"""A config as JSON, and against the flags of a later command.

Standard library only.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from segnet.config import Config
from segnet.errors import ConfigError

__all__ = ["contradictions", "from_json", "to_json"]


def contradictions(
    saved: Config, given: dict[str, Any], changeable: frozenset[str]
) -> dict[str, Any]:
    """The flags given that differ from a saved config and may not.

    Args:
      saved: The config of the workdir.
      given: Flags that the user gave, by name.
      changeable: Names that may differ.

    Returns:
      {name: given value} of those that contradict.
    """
    return {
        name: value
        for name, value in given.items()
        if name not in changeable and getattr(saved, name) != value
    }


def to_json(config: Config) -> str:
    """The config as JSON text, one field a line."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str, where: str) -> Config:
    """Reads what `to_json` wrote.

    Args:
      text: JSON.
      where: Path it came from, for the error.

    Raises:
      ConfigError: If it is not JSON, or has fields that are not known.
    """
    try:
        values = json.loads(text)
        values["class_names"] = tuple(values.get("class_names", ()))
        return Config(**values)
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{where} is not a config of this version of segnet ({error}); "
            "use the version that wrote it or another --workdir"
        ) from error
