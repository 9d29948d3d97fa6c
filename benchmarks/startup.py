"""From the command to the help text, and to the first step."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contender import Work

__all__ = ["create_first_step", "create_help", "create_python"]

_ROOT = Path(__file__).resolve().parents[1]


def create_python() -> Work:
    """Prepares the start of Python and nothing else: the floor."""

    def work() -> int:
        _run(["-c", "pass"])
        return 1

    return work


def create_help() -> Work:
    """Prepares `main.py --help`."""

    def work() -> int:
        if "--workdir" not in _run([str(_ROOT / "main.py"), "--help"]):
            raise RuntimeError("the help text lacks --workdir")
        return 1

    return work


def create_first_step(*, data_dir: str, flags: Sequence[str]) -> Work:
    """Prepares a training command that ends after one step.

    Args:
      data_dir: Folder of the shards.
      flags: Further flags of `main.py`.

    Returns:
      Work that runs it once, with its evaluation and checkpoint at the end.
    """

    def work() -> int:
        folder = tempfile.mkdtemp(prefix="bench-start-")
        _run([
            str(_ROOT / "main.py"),
            f"--data_dir={data_dir}",
            f"--workdir={folder}",
            "--max_steps=1",
            "--log_every_steps=1",
            *flags,
        ])  # fmt: skip
        lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
        shutil.rmtree(folder)
        if not any("loss" in json.loads(line) for line in lines):
            raise RuntimeError("no step was logged")
        return 1

    return work


def _run(arguments: list[str]) -> str:
    """Runs Python; returns what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout
