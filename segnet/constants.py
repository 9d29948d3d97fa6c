"""Numbers that several packages share."""

from __future__ import annotations

__all__ = ["IGNORE_LABEL", "MAX_CLASSES"]

# A pixel with this label takes no part in loss or metrics.
IGNORE_LABEL = 255
# Class ids are 8 bit and 255 means "ignore".
MAX_CLASSES = 255
