"""What the user may say: the options of a run, their flags, rules and file."""

from __future__ import annotations

from segnet.config.config import Config
from segnet.config.validate import CHANGEABLE_ON_RESUME, validate

__all__ = ["CHANGEABLE_ON_RESUME", "Config", "validate"]
