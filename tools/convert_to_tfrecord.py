"""Packs a folder of images and a folder of annotations into TFRecord shards.

`python tools/convert_to_tfrecord.py --help` lists the flags.
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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the tool; see `segnet.convert.program.main`."""
    # Imported here, so that `entry` can tell which package is missing.
    from segnet.convert import program

    return program.main(argv)


if __name__ == "__main__":
    # Nothing here is for a GPU, which another process may be using.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    sys.exit(entry.run("convert_to_tfrecord", main))
