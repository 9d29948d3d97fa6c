"""The input alone: the trainer's dataset, and a cv2 loop of the usual kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.contender import Work

if TYPE_CHECKING:  # Not for the cv2 loop.
    import tensorflow as tf

__all__ = ["create_cv2_loop", "create_pipeline"]


def create_pipeline(
    *,
    data_dir: str,
    height: int,
    width: int,
    batch_size: int,
    batches: int,
    augment: str = "basic",
    cache: bool = False,
) -> Work:
    """Prepares the trainer's dataset, with nothing behind it.

    Args:
      data_dir: Folder of the shards; the split is `train`.
      height: Of the network's input, pixels.
      width: Of the network's input, pixels.
      batch_size: Images a batch.
      batches: Batches a round.
      augment: Policy of `segnet.data.augment`.
      cache: Whether the decoded split is kept in memory.

    Returns:
      Work that takes `batches` batches and gives the number of images.
    """
    from benchmarks import step
    from segnet.records.splits import read_manifest

    dataset = step.create_dataset(
        read_manifest(data_dir, "train"),
        data_dir,
        height=height,
        width=width,
        batch_size=batch_size,
        augment=augment,
        cache=cache,
    )

    return _Batches(dataset, batches, height, width)


class _Batches:
    """Batches of a pipeline that has just started."""

    def __init__(
        self, dataset: tf.data.Dataset, count: int, height: int, width: int
    ) -> None:
        """Keeps what a round needs."""
        self._dataset = dataset
        self._count = count
        self._size = (height, width)

    def prepare(self) -> None:
        """Starts anew: an iterator that waits between rounds fills up."""
        self._batches = iter(self._dataset)
        next(self._batches)

    def __call__(self) -> int:
        """One round."""
        images = 0
        for _ in range(self._count):
            batch = next(self._batches)
            images += len(batch[0])
        _check(batch[0].numpy(), batch[1].numpy(), *self._size)
        return images


def create_cv2_loop(
    *,
    images_dir: str,
    annotations_dir: str,
    height: int,
    width: int,
    num_classes: int,
    batch_size: int,
    batches: int,
) -> Work:
    """Prepares a generator as many training scripts have it.

    Decode, resize, subtract the means, one-hot labels, in Python, one image
    after the other; without random changes of the images.

    Args:
      images_dir: Folder of images.
      annotations_dir: Folder of annotations of the same stems.
      height: Of the network's input, pixels.
      width: Of the network's input, pixels.
      num_classes: Classes.
      batch_size: Images a batch.
      batches: Batches a round.

    Returns:
      Work that takes `batches` batches and gives the number of images.
    """
    annotations = sorted(Path(annotations_dir).iterdir())
    images = sorted(Path(images_dir).iterdir())
    samples = _cv2_samples(images, annotations, height, width, num_classes)

    def work() -> int:
        for _ in range(batches):
            batch = [next(samples) for _ in range(batch_size)]
            image, one_hot = map(np.stack, zip(*batch, strict=True))
        _check(image, one_hot.argmax(-1), height, width)
        return batches * batch_size

    return work


def _cv2_samples(
    images: list[Path],
    annotations: list[Path],
    height: int,
    width: int,
    num_classes: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless samples: float32 image and one-hot labels."""
    import cv2

    # One thread: the loop itself is what such a script has.
    cv2.setNumThreads(1)
    means = np.array([103.939, 116.779, 123.68], np.float32)
    while True:
        for image, annotation in zip(images, annotations, strict=True):
            pixels = cv2.resize(cv2.imread(str(image), 1), (width, height))
            label = cv2.imread(str(annotation), 1)[:, :, 0]
            label = cv2.resize(
                label, (width, height), interpolation=cv2.INTER_NEAREST
            )
            one_hot = np.zeros((height, width, num_classes))
            for number in range(num_classes):
                one_hot[:, :, number] = (label == number).astype(int)
            yield pixels.astype(np.float32) - means, one_hot


def _check(
    images: np.ndarray, labels: np.ndarray, height: int, width: int
) -> None:
    """Refuses what is no batch."""
    right = images.shape[1:] == (height, width, 3)
    if not right or labels.shape != images.shape[:3] or not images.any():
        raise RuntimeError(f"batch {images.shape}, labels {labels.shape}")
