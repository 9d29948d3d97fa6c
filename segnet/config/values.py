"""Flag values that are more than one number: parsed in one place.

Standard library only.
"""

from __future__ import annotations

import re

from segnet.constants import ARCHITECTURES, parse_size
from segnet.errors import ConfigError

__all__ = [
    "check_size",
    "parse_crop",
    "parse_profile_steps",
    "parse_resolutions",
]


def parse_resolutions(text: str) -> list[tuple[int, int, int | None, int]]:
    """Parses `--resolution_schedule`.

    Args:
      text: `HxW[xBATCH]:EPOCHS,...` or empty.

    Returns:
      (height, width, batch size or None, epochs) of each stage, in order.

    Raises:
      ConfigError: If the text does not have this form.
    """
    stages = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"(\d+)x(\d+)(?:x(\d+))?:(\d+)", part.strip())
        if not match or any(
            group is not None and int(group) == 0 for group in match.groups()
        ):
            raise ConfigError(
                f"--resolution_schedule={text}: '{part}' is not "
                "HxW[xBATCH]:EPOCHS, for example 96x128x8:20"
            )
        height, width, batch, epochs = match.groups()
        stages.append(
            (int(height), int(width), int(batch) if batch else None,
             int(epochs))
        )  # fmt: skip
    return stages


def parse_crop(text: str) -> tuple[int, int] | None:
    """Parses `--train_crop`; None when empty.

    Raises:
      ConfigError: If it is not HxW, two numbers above 0.
    """
    if not text:
        return None
    try:
        return parse_size(text)
    except ValueError:
        raise ConfigError(
            f"--train_crop={text} is not HxW (height x width), for example "
            "96x128"
        ) from None


def parse_profile_steps(text: str) -> tuple[int, int] | None:
    """Parses `--profile_steps=FIRST,LAST`; None when empty.

    Raises:
      ConfigError: If it is not two rising step numbers.
    """
    if not text:
        return None
    match = re.fullmatch(r"(\d+),(\d+)", text)
    if not match or not 2 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            f"--profile_steps={text} is not FIRST,LAST with FIRST at least 2 "
            "(the first step traces), for example 10,15"
        )
    return int(match[1]), int(match[2])


def check_size(architecture: str, height: int, width: int) -> None:
    """Checks that the poolings divide the size without remainder.

    Raises:
      ConfigError: If not; names the nearest size that suits.
    """
    multiple = ARCHITECTURES[architecture]
    if height % multiple == 0 and width % multiple == 0:
        return
    near = "x".join(
        str(max(1, round(size / multiple)) * multiple)
        for size in (height, width)
    )
    raise ConfigError(
        f"input size {height}x{width} (height x width) does not suit "
        f"{architecture}: both must be multiples of {multiple}; the nearest "
        f"is {near} (--input_height, --input_width)"
    )
