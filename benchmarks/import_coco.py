"""How long an import from COCO takes, beside bare decoding of its run lengths.

nice python -m benchmarks.import_coco [--pictures=10000] [--objects=7]

Writes pictures of 640x480 with some objects each, as many as COCO has on
average, as compressed run lengths. Decodes all of them with pycocotools in one
process, then imports the set in one process and in one for each core; prints
the times and their ratios to bare decoding.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from benchmarks.harness.programs import ROOT
from benchmarks.harness.report import describe_machine, format_table
from segnet.constants import num_cores

__all__ = ["main"]

_HEIGHT, _WIDTH = 480, 640
_SHAPES = 500  # Different ones; they are used again and again.


def main(argv: Sequence[str]) -> int:
    """Runs the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=10000)
    parser.add_argument("--objects", type=int, default=7)
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "set")
        folder.mkdir()
        runs = _write(folder, given.pictures, given.objects)
        bare = _decode(runs)
        rows = [["bare decoding", "1", f"{bare:.1f}", "1"]]
        for workers in sorted({1, num_cores()}):
            seconds = _import(folder, workers)
            ratio = f"{seconds / bare:.2f}"
            rows.append(["import", str(workers), f"{seconds:.1f}", ratio])
    print(f"{describe_machine()}: {given.pictures} pictures")
    print(format_table(["what", "processes", "seconds", "ratio"], rows))
    return 0


def _write(folder: Path, pictures: int, objects: int) -> list[dict[str, Any]]:
    """Writes pictures and their file; gives all run lengths."""
    rng = np.random.default_rng(0)
    known = [_shape(rng) for _ in range(_SHAPES)]
    small = rng.integers(0, 256, (6, 8, 3), np.uint8)
    picture = Image.fromarray(small).resize((_WIDTH, _HEIGHT))
    (folder / "train").mkdir()
    picture.save(folder / "first.jpg")
    data = (folder / "first.jpg").read_bytes()
    (folder / "first.jpg").unlink()
    images, annotations = [], []
    for number in range(pictures):
        file = f"{number:06d}.jpg"
        (folder / "train" / file).write_bytes(data)
        images.append(
            {"id": number, "file_name": file, "height": _HEIGHT,
             "width": _WIDTH}
        )  # fmt: skip
        annotations += [
            {"image_id": number, "category_id": int(rng.integers(1, 81)),
             "segmentation": known[rng.integers(_SHAPES)]}
            for _ in range(objects)
        ]  # fmt: skip
    categories = [{"id": x, "name": f"class {x}"} for x in range(1, 81)]
    value = {
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    (folder / "instances_train.json").write_text(json.dumps(value))
    return [each["segmentation"] for each in annotations]


def _shape(rng: np.random.Generator) -> dict[str, Any]:
    """An ellipse somewhere, a tenth of the picture wide or more."""
    rows, columns = np.ogrid[:_HEIGHT, :_WIDTH]
    y, x = rng.integers(0, (_HEIGHT, _WIDTH))
    radii = rng.integers((24, 32), (160, 200))
    inside = ((rows - y) / radii[0]) ** 2 + ((columns - x) / radii[1]) ** 2 < 1
    found = coco_mask.encode(np.asfortranarray(inside, np.uint8))
    return {"size": found["size"], "counts": found["counts"].decode()}


def _decode(runs: Sequence[dict[str, Any]]) -> float:
    """Seconds for decoding all, one after the other."""
    started = time.monotonic()
    for each in runs:
        coco_mask.decode(each)
    return time.monotonic() - started


def _import(folder: Path, workers: int) -> float:
    """Seconds for the program from start to end."""
    started = time.monotonic()
    subprocess.run(
        [
            sys.executable,
            os.path.join(ROOT, "tools/import_annotations.py"),
            "--format=coco",
            f"--input={folder}",
            f"--output_dir={folder}-out",
            "--overwrite",
            f"--num_workers={workers}",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
