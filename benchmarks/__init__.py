"""Measured ratios: `make bench`. Nothing here is imported by segnet."""

from __future__ import annotations

import os

# Before anything imports TensorFlow: the tables are the output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
