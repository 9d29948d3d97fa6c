"""Writes a small dataset of drawn street scenes, ready to be converted.

`python tools/make_sample_dataset.py --help` lists the flags.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

# The tool is started by its path, from any folder.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from segnet import entry

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Runs the program; see `sample_scenes.program.main`."""
    # Imported here, so that `entry` can tell which package is missing.
    from tools.sample_scenes import program

    return program.main(argv)


if __name__ == "__main__":
    incomplete = "the dataset is incomplete; give --overwrite to draw it again"
    sys.exit(entry.run("make_sample_dataset", main, stopped=incomplete))
