"""Draws street scenes with exact labels, for trying the trainer out.

`render_scene` is the only entry: the same generator state and size give the
same picture. Needs numpy and Pillow only.
"""

from __future__ import annotations

from .canvas import CLASS_NAMES, VOID
from .scene import render_scene

__all__ = ["CLASS_NAMES", "VOID", "render_scene"]
