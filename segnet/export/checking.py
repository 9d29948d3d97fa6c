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

from segnet.data import resizing
from segnet.data.sources import RecordSource
from segnet.errors import RunError
from segnet.evaluation import metrics
from segnet.evaluation.model import Model

__all__ = [
    "MAX_IMAGES",
    "Checked",
    "check",
    "read_images",
    "resized",
    "shortfall",
]

# Of the evaluation split, evenly over it.
MAX_IMAGES = 100
_SAID_CHARACTERS = 300
# Of labels: more than rounding changes is a fault.
_LEAST_AGREEMENT = 0.999
# Of mean IoU: what int8 may cost.
_MOST_LOSS = 0.01


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
    path: str,
    model: Model,
    images: Sequence[tuple[np.ndarray, np.ndarray]],
    size: tuple[int, int] | None = None,
) -> Checked:
    """Compares a file with the network.

    Args:
      path: Of the file.
      model: The network.
      images: As `read_images` gives them.
      size: (height, width) that the file takes, pixels: labels are compared at
        it, and scored at that of the annotation, by the nearest pixel. None:
        any size.

    Raises:
      RunError: The file does not run.
    """
    number = len(model.class_names)
    equal = pixels = 0
    ours, theirs = np.zeros([2, number, number], np.int64)
    with tempfile.TemporaryDirectory(prefix="segnet-export-") as folder:
        seen = [resized(image, size) for image, _ in images]
        for index, image in enumerate(seen):
            np.save(_path(folder, index), image)
        milliseconds = _run(path, folder)
        found = _found(folder, len(images))
        for image, (_, truth), labels in zip(seen, images, found, strict=True):
            expected = model.predict(image)
            if labels.shape != expected.shape:
                raise RunError(
                    f"{path}: gives labels of {list(labels.shape)} for an "
                    f"image of {list(expected.shape)}"
                )
            equal += np.count_nonzero(labels == expected)
            pixels += labels.size
            for total, each in ((ours, expected), (theirs, labels)):
                total += metrics.confusion_matrix(
                    truth, _at_size(each, truth.shape), number
                )
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


def shortfall(found: Checked, precision: str) -> str:
    """Why a file is not good enough, or nothing.

    Args:
      found: What came of its check.
      precision: Of its numbers; `int8` may change labels, not the score.
    """
    if precision != "int8":
        if found.agreement >= _LEAST_AGREEMENT:
            return ""
        return (
            f"gives the network's labels to {found.agreement:.4%} of the "
            f"pixels, less than {_LEAST_AGREEMENT:.1%}"
        )
    theirs, ours = found.mean_iou, found.network_mean_iou
    if theirs is None or ours is None or ours - theirs <= _MOST_LOSS:
        return ""
    return (
        f"has a mean IoU of {theirs:.4f}, the network {ours:.4f}, and int8 may "
        f"cost {_MOST_LOSS}"
    )


def resized(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """An image, uint8 `[height, width, 3]`, as the network sees it at a size.

    Args:
      image: uint8 `[image height, image width, 3]`.
      size: (height, width), pixels; None: its own.
    """
    if size is None:
        return image
    floats = resizing.resize_image(tf.constant(image), *size)
    return resizing.to_uint8(floats).numpy()


def _at_size(labels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Labels at another size, by the nearest pixel."""
    if labels.shape == size:
        return labels
    return resizing.resize_label(tf.constant(labels), *size).numpy()


def _path(folder: str, index: int) -> str:
    return os.path.join(folder, f"{index:06d}.npy")


def _found(folder: str, count: int) -> Iterator[np.ndarray]:
    for index in range(count):
        path = _path(folder, index).removesuffix(".npy") + ".labels.npy"
        yield np.load(path, allow_pickle=False)


def _run(path: str, folder: str) -> list[float]:
    """Runs a file on pictures; gives milliseconds for each."""
    runner = os.path.join(os.path.dirname(__file__), "run_file.py")
    done = subprocess.run(
        # -I: it finds neither segnet nor what the environment tells Python.
        [sys.executable, "-I", runner, os.path.abspath(path), folder],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = " ".join(done.stderr.split())[-_SAID_CHARACTERS:]
        raise RunError(f"{path}: does not run in a process of its own ({said})")
    return json.loads(done.stdout.splitlines()[-1])
