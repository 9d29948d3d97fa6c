"""The input as many training scripts have it: a loop in Python with OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.harness.timing import Work
from segnet.config import Config

__all__ = ["cv2_loop"]

_MEANS = np.array([103.939, 116.779, 123.68], np.float32)


def cv2_loop(
    *, config: Config, images_dir: str, annotations_dir: str, batches: int
) -> Work:
    """Decodes, resizes, subtracts the means and makes one-hot labels.

    One image after the other, without random changes.

    Args:
      config: Its input size, batch size and number of classes count.
      images_dir: Folder of images.
      annotations_dir: Folder of annotations of the same stems.
      batches: Batches a round.
    """
    # One thread: a loop without threads is what such scripts have.
    cv2.setNumThreads(1)
    paths = [
        sorted(Path(folder).iterdir())
        for folder in (images_dir, annotations_dir)
    ]
    pairs = list(zip(*paths, strict=True))
    samples = _read_samples(
        pairs,
        (config.input_width, config.input_height),
        len(config.class_names),
    )

    def run(prepared: None) -> int:
        for _ in range(batches):
            batch = [next(samples) for _ in range(config.batch_size)]
            for arrays in zip(*batch, strict=True):
                np.stack(arrays)
        return batches * config.batch_size

    return Work(run)


def _read_samples(
    pairs: list[tuple[Path, Path]], size: tuple[int, int], num_classes: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless float32 images and one-hot labels of a (width, height)."""
    while True:
        for image, annotation in pairs:
            pixels = cv2.resize(cv2.imread(str(image), 1), size)
            label = cv2.imread(str(annotation), 1)[:, :, 0]
            label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST)
            one_hot = np.zeros((*label.shape, num_classes))
            for number in range(num_classes):
                one_hot[:, :, number] = (label == number).astype(int)
            yield pixels.astype(np.float32) - _MEANS, one_hot
