"""Whether an exported file gives what the network gives, in a new process."""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from segnet.data.sources import RecordSource
from segnet.errors import RunError
from segnet.evaluation import metrics
from segnet.evaluation.model import Model

__all__ = ["MAX_IMAGES", "Checked", "check", "read_images"]

# Of the evaluation split, evenly over it.
MAX_IMAGES = 100
_SAID_CHARACTERS = 300
_RUNNERS = {"saved_model": "run_saved_model.py"}


@dataclasses.dataclass(frozen=True)
class Checked:
    """What came of a check.

    Attributes:
      images: How many there were.
      agreement: Share of the pixels with the label of the network, 0 to 1.
      mean_iou: Of the file, 0 to 1; None where nothing is labelled.
      network_mean_iou: Of the network on the same images.
      milliseconds: Median for an image, loading and the first one left out.
    """

    images: int
    agreement: float
    mean_iou: float | None
    network_mean_iou: float | None
    milliseconds: float


def read_images(source: RecordSource) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images and annotations of a split, `MAX_IMAGES` at most.

    Returns:
      uint8 `[height, width, 3]` and uint8 `[height, width]` each.

    Raises:
      DataError: A record is damaged.
    """
    count = min(MAX_IMAGES, source.num_records)
    numbers = np.linspace(0, source.num_records - 1, count).round()
    dataset = tf.data.Dataset.from_tensor_slices(numbers.astype(np.int64))
    return [
        (image.numpy(), label.numpy())
        for image, label in source.read(dataset.map(source))
    ]


def check(
    kind: str,
    path: str,
    model: Model,
    images: Sequence[tuple[np.ndarray, np.ndarray]],
) -> Checked:
    """Compares a file with the network.

    Args:
      kind: Of the file, for example `saved_model`.
      path: Of the file.
      model: The network.
      images: As `read_images` gives them.

    Raises:
      RunError: The file does not run.
    """
    number = len(model.class_names)
    equal = pixels = 0
    ours = np.zeros([number, number], np.int64)
    theirs = ours.copy()
    with tempfile.TemporaryDirectory(prefix="segnet-export-") as folder:
        for index, (image, _) in enumerate(images):
            np.save(_path(folder, index), image)
        milliseconds = _run(kind, path, folder)
        found = _found(folder, len(images))
        for (image, truth), labels in zip(images, found, strict=True):
            expected = model.predict(image)
            if labels.shape != expected.shape:
                raise RunError(
                    f"{path}: gives labels of {list(labels.shape)} for an "
                    f"image of {list(expected.shape)}"
                )
            equal += np.count_nonzero(labels == expected)
            pixels += labels.size
            ours += metrics.confusion_matrix(truth, expected, number)
            theirs += metrics.confusion_matrix(truth, labels, number)
    scores = [
        metrics.summarize(each, model.class_names)["mean_iou"]
        for each in (theirs, ours)
    ]
    return Checked(
        len(images),
        equal / pixels,
        scores[0],
        scores[1],
        statistics.median(milliseconds),
    )


def _path(folder: str, index: int) -> str:
    return os.path.join(folder, f"{index:06d}.npy")


def _found(folder: str, count: int) -> Iterator[np.ndarray]:
    for index in range(count):
        path = _path(folder, index).removesuffix(".npy") + ".labels.npy"
        yield np.load(path, allow_pickle=False)


def _run(kind: str, path: str, folder: str) -> list[float]:
    """Runs a file on pictures; gives milliseconds for each."""
    runner = os.path.join(os.path.dirname(__file__), _RUNNERS[kind])
    done = subprocess.run(
        # -I: it finds neither segnet nor what the environment tells Python.
        [sys.executable, "-I", runner, os.path.abspath(path), folder],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = " ".join(done.stderr.split())[-_SAID_CHARACTERS:]
        raise RunError(f"{path}: does not run in a process of its own ({said})")
    return json.loads(done.stdout.splitlines()[-1])
