"""Starts the programs of the project as a user does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "run_program"]

ROOT = Path(__file__).resolve().parents[2]


def run_program(program: str, *arguments: str) -> str:
    """Runs a Python program of the project.

    Args:
      program: Path below the root, such as `main.py`.
      *arguments: Its flags.

    Returns:
      What it printed.

    Raises:
      RuntimeError: If it fails.
    """
    done = subprocess.run(
        [sys.executable, str(ROOT / program), *arguments],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(
            f"{program} ended with status {done.returncode}:\n{done.stderr}"
        )
    return done.stdout
