"""What the user may say: the options of a run, their flags, rules and file."""

from __future__ import annotations

from segnet.config.config import Config
from segnet.config.validate import validate

__all__ = ["Config", "validate"]
