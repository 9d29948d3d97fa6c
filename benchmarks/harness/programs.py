"""Starts the programs of the project as a user does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "run_program"]

ROOT = Path(__file__).resolve().parents[2]


def run_program(program: str, *arguments: str) -> None:
    """Runs a Python program of the project, quietly.

    Args:
      program: Path below the root, such as `main.py`.
      *arguments: Its flags.

    Raises:
      RuntimeError: If it fails.
    """
    command = [sys.executable, str(ROOT / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{program} failed:\n{done.stderr}")
