"""What the tests of the importer share: pictures, runs, what came out."""

from __future__ import annotations

import json
import pathlib

import numpy as np
from PIL import Image

from tools import import_annotations

# Two pictures of other sides, so that exchanged axes are seen.
HEIGHT, WIDTH = 8, 12


def picture(path: pathlib.Path, height=HEIGHT, width=WIDTH, **options):
    """Writes a picture, grey with a corner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((height, width, 3), 128, np.uint8)
    pixels[0, 0] = 255
    Image.fromarray(pixels).save(path, **options)
    return path


def write_json(path: pathlib.Path, value) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def run(kind: str, source, output, *more: str) -> int:
    return import_annotations.main(
        [
            "import_annotations.py",
            f"--format={kind}",
            f"--input={source}",
            f"--output_dir={output}",
            "--num_workers=1",
            *more,
        ]
    )


def label(output: pathlib.Path, stem: str) -> np.ndarray:
    image = Image.open(output / "annotations" / f"{stem}.png")
    assert image.mode == "L"
    return np.asarray(image)


def names(output: pathlib.Path) -> list[str]:
    text = (output / "class_names.txt").read_text(encoding="utf-8")
    return text.splitlines()


def drawn(*rows: str) -> np.ndarray:
    """Labels by hand: a digit a pixel, a dot for 0, v for 255."""
    values = [
        [
            {".": 0, "v": 255}.get(char) if char in ".v" else int(char)
            for char in x
        ]
        for x in rows
    ]
    return np.array(values, np.uint8)
