"""What was measured on which machine, for people to read."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import re
from collections.abc import Sequence
from pathlib import Path

from segnet.constants import num_cores

__all__ = ["describe_machine", "describe_packages", "format_table"]

# Instructions that decide how fast convolutions are.
_CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
_PACKAGES = (
    "tensorflow", "numpy", "pillow", "torch", "opencv-python-headless",
    "onnxruntime", "openvino",
)  # fmt: skip


def describe_machine() -> str:
    """Processor, cores and day, as the pages of `docs/` have them."""
    day = datetime.datetime.now(datetime.timezone.utc).date()
    return f"{_processor()}, {num_cores()} cores, {day}"


def describe_packages() -> str:
    """Versions of what is compared and of what it depends on."""
    installed = []
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join(installed)


def _processor() -> str:
    """Model, and the instructions that matter here."""
    text = Path("/proc/cpuinfo").read_text()
    fields = dict(re.findall(r"^(model name|flags)\s*: (.*)", text, re.M))
    known = fields["flags"].split()
    flags = ", ".join(flag for flag in _CPU_FLAGS if flag in known)
    return f"{fields['model name']} ({flags})"


def format_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, to be pasted into a page.

    Args:
      titles: One for each column.
      rows: As many cells in each.
    """
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
