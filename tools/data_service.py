"""Decodes training images for runs of other hosts: a tf.data service.

`python tools/data_service.py --help` tells how.
"""

from __future__ import annotations

import os
import sys

# The tool is started by its path, from any folder.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from segnet import cli

__all__ = ["main"]

main = cli.data_service

if __name__ == "__main__":
    sys.exit(cli.segnet_data_service())
