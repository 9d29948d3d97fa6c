"""What the measurements were made on."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from segnet.constants import num_cores

__all__ = ["describe"]

_PACKAGES = (
    "tensorflow",
    "numpy",
    "pillow",
    "torch",
    "opencv-python-headless",
)


def describe() -> dict[str, Any]:
    """Processor, cores, versions, revision, load and time, for JSON."""
    return {
        "processor": _processor(),
        "cores": num_cores(),
        "memory_gb": round(
            os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1
        ),
        "load_average": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "revision": _revision(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(
            timespec="seconds"
        ),
    }


def _processor() -> str:
    """Model, and the number formats that matter here."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    fields = dict(
        map(str.strip, line.split(":", 1)) for line in lines if ":" in line
    )
    known = fields.get("flags", "").split()
    formats = [
        name
        for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
        if name in known
    ]
    return f"{fields.get('model name', '?')} ({', '.join(formats)})"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _revision() -> str | None:
    """The commit that is measured, with + if files were changed."""
    command = ["git", "describe", "--always", "--dirty=+"]
    root = Path(__file__).resolve().parents[1]
    try:
        return subprocess.run(
            command, cwd=root, check=True, capture_output=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
