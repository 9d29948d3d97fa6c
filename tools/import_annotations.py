"""Turns what a labelling tool wrote into folders that the converter takes.

`python tools/import_annotations.py --help` lists the flags.
"""

from __future__ import annotations

import os
import sys

# The tool is started by its path, from any folder. Worker processes import
# this file too, so nothing heavy may be imported here.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from segnet import cli

__all__ = ["main"]

main = cli.import_annotations

if __name__ == "__main__":
    sys.exit(cli.segnet_import())
