"""Starting several processes of a test under horovodrun, on this machine."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HOROVODRUN = Path(sys.executable).with_name("horovodrun")

needs_horovod = pytest.mark.skipif(
    importlib.util.find_spec("horovod") is None
    and os.environ.get("CI") != "true",
    reason="Horovod is not installed: make setup-horovod",
)


def launch(size, program, arguments, *, env=None):
    """Runs a Python program in `size` processes; returns the result."""
    return subprocess.run(
        [
            # Addresses of this machine alone.
            str(HOROVODRUN), "-np", str(size), "-H", f"localhost:{size}",
            "--network-interfaces", "lo", sys.executable, str(program),
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
        # Some of the runs have synchronised batch norm, which waits for a
        # reduction in each layer.
        env={**os.environ, "HOROVOD_CYCLE_TIME": "1", **(env or {})},
    )  # fmt: skip
