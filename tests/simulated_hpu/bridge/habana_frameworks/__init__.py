"""Stand-in for the package of that name: see `tests/simulated_hpu`."""

from __future__ import annotations
