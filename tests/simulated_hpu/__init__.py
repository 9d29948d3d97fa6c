"""A simulated Gaudi: device type, bridge package and hardware paths.

`simulated_hpu_env(folder)` gives the environment in which
`python main.py --device=hpu` (or any program that uses `segnet.runtime`)
finds one; `read_calls(env)` tells what the program did with it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(__file__).resolve().parent
_PROJECT = _FOLDER.parent.parent
_SOURCE = _FOLDER / "hpu_device.c"


def require_compiler() -> str:
    """Path of g++; skips the test without one, except where CI=true."""
    compiler = shutil.which("g++")
    if compiler is None:
        reason = "the simulated HPU needs g++"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    return compiler


def build_device(folder: Path) -> Path:
    """Compiles the device into `folder`, once, and returns the library."""
    library = folder / "simulated_hpu.so"
    if library.exists():
        return library
    compiler = require_compiler()
    tensorflow = Path(importlib.util.find_spec("tensorflow").origin).parent
    partial = folder / f"simulated_hpu.{os.getpid()}.so"
    command = [
        *(compiler, "-x", "c", "-std=c11", "-O1", "-shared", "-fPIC"),
        *("-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"),
        *(f"-I{tensorflow / 'include'}", str(_SOURCE), "-x", "none"),
        *(f"-L{tensorflow}", "-l:libtensorflow_cc.so.2"),
        *("-l:libtensorflow_framework.so.2", "-o", str(partial)),
    ]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False
    )
    if result.returncode:
        pytest.fail(f"the simulated HPU does not compile:\n{result.stderr}")
    partial.rename(library)
    return library


def simulated_hpu_env(
    folder: Path, library: Path | None = None
) -> dict[str, str]:
    """Environment variables of a machine with a simulated Gaudi.

    Args:
      folder: Empty folder for the device node and the record of calls.
      library: Result of `build_device`; built in `folder` without it.

    Returns:
      A copy of this process's environment, with what is needed added.
    """
    library = library or build_device(folder)
    (folder / "hl0").touch()
    python_path = [
        str(_FOLDER / "bridge"),
        str(_PROJECT),
        *filter(None, [os.environ.get("PYTHONPATH")]),
    ]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(python_path),
        "SEGNET_HPU_DEVICE_GLOB": str(folder / "hl*"),
        "SIMULATED_HPU_LIBRARY": str(library),
        "SIMULATED_HPU_CALLS": str(folder / "calls.jsonl"),
    }


def read_calls(env: dict[str, str]) -> list[dict[str, Any]]:
    """What the program did, in order: see the bridge's own description."""
    path = Path(env["SIMULATED_HPU_CALLS"])
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]
