"""Fetches Habana's sample data set or Keras' VGG16 weights, and checks them.

Started by `tools/download_dataset.sh`, whose `--help` says more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

# Python is started with -I, which leaves this folder out.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from segnet import entry

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Runs the program; see `downloading.main`."""
    # Imported here, so that a signal meanwhile is answered by `entry`.
    from tools import downloading

    return downloading.main(argv)


if __name__ == "__main__":
    sys.exit(entry.run("download_dataset.sh", main))
