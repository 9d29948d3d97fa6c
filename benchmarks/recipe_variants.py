"""The variants that `compare_recipes.py` trains: what each changes."""

from __future__ import annotations

__all__ = ["VARIANTS"]

VARIANTS: dict[str, dict[str, list[str]]] = {
    "camvid": {
        "recipe": [],
    },
    "demo": {
        "recipe": [],
        "cross-entropy": ["--class_weights=none"],
    },
}
