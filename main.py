#!/usr/bin/env python
"""Train, evaluate and use a VGG-SegNet: flags in, one call, an exit status.

python main.py --flagfile=configs/demo.flags [--flag=value ...]
"""

from __future__ import annotations

import sys

from segnet import cli

main = cli.main

if __name__ == "__main__":
    sys.exit(cli.segnet())
