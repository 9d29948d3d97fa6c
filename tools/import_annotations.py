"""Turns what a labelling tool wrote into folders that the converter takes.

`python tools/import_annotations.py --help` lists the flags.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

# The tool is started by its path, from any folder. Worker processes import
# this file too, so nothing heavy may be imported here.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from segnet import entry

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Runs the tool; see `segnet.annotations.importing.program.main`."""
    # Imported here, so that `entry` can tell which package is missing.
    from segnet.annotations.importing import program

    return program.main(argv)


if __name__ == "__main__":
    sys.exit(entry.run("import_annotations", main))
