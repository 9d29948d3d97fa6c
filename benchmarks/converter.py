"""The converter against nothing but decoding the same files."""

from __future__ import annotations

import atexit
import concurrent.futures
import functools
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.contender import Work
from segnet.constants import num_cores

__all__ = ["create_conversion", "create_decoding"]

_ROOT = Path(__file__).resolve().parents[1]
_FILES_A_TASK = 16


def create_conversion(
    *,
    images_dir: str,
    annotations_dir: str,
    num_classes: int,
    void_labels: str = "",
    repeats: int = 1,
) -> Work:
    """Prepares `tools/convert_to_tfrecord.py` as a user starts it.

    Args:
      images_dir: Folder of images.
      annotations_dir: Folder of annotations.
      num_classes: Classes.
      void_labels: As the flag.
      repeats: How often each pair is there, under other names, so that the
        same files make a larger data set.

    Returns:
      Work that converts all of it once and gives the number of images.
    """
    folder = Path(tempfile.mkdtemp(prefix="bench-convert-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    count = 0
    for kind, source in (("images", images_dir), ("labels", annotations_dir)):
        (folder / kind).mkdir()
        for path in sorted(Path(source).iterdir()):
            for number in range(repeats):
                name = f"{path.stem}-{number}{path.suffix}"
                _link(path.resolve(), folder / kind / name)
            count += repeats * (kind == "images")
    command = [
        sys.executable,
        str(_ROOT / "tools" / "convert_to_tfrecord.py"),
        f"--images_dir={folder / 'images'}",
        f"--annotations_dir={folder / 'labels'}",
        f"--output_dir={folder / 'records'}",
        "--split=train",
        f"--num_classes={num_classes}",
        f"--void_labels={void_labels}",
    ]

    def work() -> int:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        manifest = json.loads((folder / "records" / "train.json").read_text())
        if manifest["num_records"] != count:
            raise RuntimeError(f"{manifest['num_records']} records of {count}")
        return count

    work.prepare = lambda: shutil.rmtree(folder / "records", ignore_errors=True)
    return work


def _link(path: Path, link: Path) -> None:
    """Gives a file another name; one that costs no look-up, if it can be."""
    try:
        os.link(path, link)
    except OSError:  # on another disk, or somebody else's
        os.symlink(path, link)


def create_decoding(
    *,
    images_dir: str,
    annotations_dir: str,
    repeats: int = 1,
    arrays: bool = False,
) -> Work:
    """Prepares the decoding of all files with Pillow, on all cores.

    Args:
      images_dir: Folder of images.
      annotations_dir: Folder of annotations.
      repeats: How often each file is decoded.
      arrays: Whether the pixels are put into NumPy arrays, too.

    Returns:
      Work that decodes all of it once and gives the number of images.
    """
    images = sorted(Path(images_dir).iterdir()) * repeats
    paths = [*images, *sorted(Path(annotations_dir).iterdir()) * repeats]
    tasks = [
        paths[start : start + _FILES_A_TASK]
        for start in range(0, len(paths), _FILES_A_TASK)
    ]

    def work() -> int:
        # Processes start anew each time, as those of the converter do.
        with concurrent.futures.ProcessPoolExecutor(
            num_cores(),
            mp_context=multiprocessing.get_context("spawn"),
        ) as pool:
            decode = functools.partial(_decode, arrays=arrays)
            decoded = sum(pool.map(decode, tasks))
        if decoded != len(paths):
            raise RuntimeError(f"{decoded} of {len(paths)} files decoded")
        return len(images)

    return work


def _decode(paths: list[Path], arrays: bool) -> int:
    """Decodes files; returns how many."""
    from PIL import Image

    if arrays:
        import numpy as np

    for path in paths:
        with Image.open(path) as image:
            image.load()
            if arrays:
                np.asarray(image)
    return len(paths)
