"""How far the seams of tiles show: labels with two positions of the tiles.

python -m benchmarks.seams --workdir=RUN --image_path=PICTURE [--tile_size=512]

Labels a picture, and the same picture with a reflected border at its top and
left that moves all tiles by a quarter of one. Prints the share of pixels that
get another label, near the seams of either and away from them, and how much the
seams add to the picture as a whole. The border is left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.harness.programs import ROOT
from segnet.evaluation.tiles import Tiling

__all__ = ["compare", "main", "seams"]

# Of the networks' poolings.
_MULTIPLE = 32


def main(argv: Sequence[str]) -> None:
    """Labels twice, compares and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--image_path", required=True)
    parser.add_argument("--tile_size", type=int, default=512)
    arguments = parser.parse_args(argv)
    tiling = Tiling.create(arguments.tile_size, 1.0, _MULTIPLE)
    moved = tiling.size // 4 // tiling.cell * tiling.cell
    with Image.open(arguments.image_path) as file:
        image = np.asarray(file.convert("RGB"))
    border = np.pad(image, ((moved, 0), (moved, 0), (0, 0)), "reflect")
    with tempfile.TemporaryDirectory() as folder:
        found = _label(arguments, {"a": image, "b": border}, Path(folder))
    near, away, added = compare(
        found["a"], found["b"][moved:, moved:], tiling, moved
    )
    height, width = image.shape[:2]
    print(
        f"{height}x{width} pixels, tiles of {tiling.size}: other labels near "
        f"seams {near:.4%}, away from them {away:.4%}; seams add {added:.4%} "
        "of the picture"
    )


def _label(
    arguments: argparse.Namespace,
    images: dict[str, np.ndarray],
    folder: Path,
) -> dict[str, np.ndarray]:
    """Labels uint8 `[height, width]` of pictures, by their names."""
    (folder / "in").mkdir()
    for name, image in images.items():
        Image.fromarray(image).save(folder / "in" / f"{name}.png")
    command = [
        sys.executable, "main.py", "--mode=predict", "--tile_scale=1",
        f"--workdir={Path(arguments.workdir).absolute()}",
        f"--tile_size={arguments.tile_size}", f"--image_path={folder / 'in'}",
        f"--output_dir={folder / 'out'}",
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True)
    labels = {}
    for name in images:
        with Image.open(folder / "out" / f"{name}_labels.png") as file:
            labels[name] = np.asarray(file)
    return labels


def compare(
    first: np.ndarray, second: np.ndarray, tiling: Tiling, moved: int
) -> tuple[float, float, float]:
    """Shares of pixels with other labels.

    Args:
      first: Labels uint8 `[height, width]`.
      second: Of the same picture with a border of `moved` pixels at its top and
        left, without that border.
      tiling: Of both.
      moved: By how much the tiles were moved; as much is left out at the top
        and the left, where the network saw the border.

    Returns:
      Near the seams of either, away from them, and what the seams add to the
      share of the whole picture.
    """
    height, width = first.shape
    near = seams(tiling, height, width)
    near |= seams(tiling, height + moved, width + moved)[moved:, moved:]
    inner = np.s_[moved:, moved:]
    near, other = near[inner], (first != second)[inner]
    by_seams, away = float(other[near].mean()), float(other[~near].mean())
    return by_seams, away, (by_seams - away) * float(near.mean())


def seams(tiling: Tiling, height: int, width: int) -> np.ndarray:
    """Where one tile passes over into another, bool `[height, width]`."""

    def along(length: int) -> np.ndarray:
        found = np.zeros(length, bool)
        for part in tiling.parts(length):
            found[part.first : part.first + part.rise] = True
        return found

    return along(height)[:, None] | along(width)[None]


if __name__ == "__main__":
    main(sys.argv[1:])
