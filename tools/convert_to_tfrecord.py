"""Packs a folder of images and a folder of annotations into TFRecord shards.

`python tools/convert_to_tfrecord.py --help` lists the flags.
"""

from __future__ import annotations

import io
import os
import pathlib
import sys

# The tool is started by its path, from any folder. Worker processes import
# this file too, so nothing heavy may be imported here.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from segnet.convert.program import convert, main, verify

__all__ = ["convert", "main", "verify"]

if __name__ == "__main__":
    # Nothing here is for a GPU, which another process may be using.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
