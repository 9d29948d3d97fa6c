"""The converter, and nothing but decoding the same files."""

from __future__ import annotations

import atexit
import concurrent.futures
import itertools
import multiprocessing
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.harness.programs import run_program
from benchmarks.harness.timing import Work
from segnet.constants import num_cores

__all__ = ["conversion", "decoding"]

_FILES_A_TASK = 16


def conversion(
    *, images_dir: str, annotations_dir: str, num_classes: int, repeats: int
) -> Work:
    """`tools/convert_to_tfrecord.py` as a user starts it, once a round.

    Args:
      images_dir: Folder of images.
      annotations_dir: Folder of annotations.
      num_classes: Number of classes; the next number is void.
      repeats: How often each pair is there, under other names, so that the
        same files make a larger data set.
    """
    folder = Path(tempfile.mkdtemp(prefix="bench-convert-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    count = _link_files(images_dir, folder / "images", repeats)
    _link_files(annotations_dir, folder / "annotations", repeats)

    def run(prepared: None) -> int:
        run_program(
            "tools/convert_to_tfrecord.py",
            f"--images_dir={folder / 'images'}",
            f"--annotations_dir={folder / 'annotations'}",
            f"--output_dir={folder / 'records'}",
            "--split=train",
            f"--num_classes={num_classes}",
            f"--void_labels={num_classes}",
        )
        return count

    return Work(
        run, lambda: shutil.rmtree(folder / "records", ignore_errors=True)
    )


def _link_files(source: str, target: Path, repeats: int) -> int:
    """Gives each file several names in a folder; returns how many."""
    target.mkdir()
    paths = sorted(Path(source).resolve().iterdir())
    for path, number in itertools.product(paths, range(repeats)):
        (target / f"{path.stem}-{number}{path.suffix}").symlink_to(path)
    return repeats * len(paths)


def decoding(*, images_dir: str, annotations_dir: str, repeats: int) -> Work:
    """All files decoded with Pillow on all cores, once a round.

    Args:
      images_dir: Folder of images.
      annotations_dir: Folder of annotations.
      repeats: How often each file is decoded.
    """
    images = sorted(Path(images_dir).iterdir()) * repeats
    paths = [*images, *sorted(Path(annotations_dir).iterdir()) * repeats]

    def run(prepared: None) -> int:
        # Processes start anew each time, as those of the converter do.
        with concurrent.futures.ProcessPoolExecutor(
            num_cores(),
            mp_context=multiprocessing.get_context("spawn"),
        ) as pool:
            for _ in pool.map(_decode, paths, chunksize=_FILES_A_TASK):
                pass
        return len(images)

    return Work(run)


def _decode(path: Path) -> None:
    with Image.open(path) as image:
        image.load()
