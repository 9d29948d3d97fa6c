"""Converting pairs of files, in worker processes: decode, check, encode.

No TensorFlow here: the worker processes import this module.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import itertools
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import signal
import threading
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from segnet import images
from segnet.constants import IGNORE_LABEL
from segnet.errors import DataError, RunError
from segnet.pairs import Pair, Problem

__all__ = ["Converted", "Rules", "convert_pair", "convert_pairs"]

# Pairs a worker takes at a time, and lots waiting for each worker: enough to
# keep it busy, few enough that memory does not depend on the number of pairs.
_LOT = 4
_LOTS_PER_WORKER = 3


@dataclasses.dataclass(frozen=True)
class Rules:
    """How pairs are converted.

    Attributes:
      num_classes: Labels are below it.
      void_labels: Labels written as 255 (ignore), also below `num_classes`.
      annotation_mode: "blue" or "index", see `images.load_annotation`.
      resize: (height, width), or None to keep the sizes.
      encode: Whether to give the encoded files as well as check the pair.
    """

    num_classes: int
    void_labels: tuple[int, ...] = ()
    annotation_mode: str = "blue"
    resize: tuple[int, int] | None = None
    encode: bool = True


@dataclasses.dataclass(frozen=True)
class Converted:
    """A checked pair as its record holds it.

    Attributes:
      image: As `images.read_image` gives it.
      label: Greyscale PNG; empty if only checked.
      histogram: 256 pixel counts of the written labels.
      filename: Of the image.
      stem: Of both files.
    """

    image: images.EncodedImage
    label: bytes
    histogram: tuple[int, ...]
    filename: str
    stem: str


def convert_pair(pair: Pair, rules: Rules) -> Converted | tuple[Problem, ...]:
    """Decodes, checks and encodes a pair.

    Returns:
      The result, or what is wrong with either file.
    """
    problems = []
    image = label = None
    try:
        image = images.read_image(pair.image, rules.resize)
    except DataError as error:
        problems.append(Problem(str(pair.image), str(error)))
    try:
        label = images.load_annotation(pair.annotation, rules.annotation_mode)
        histogram = _count_labels(label)
        _check_labels(pair.annotation, label, histogram, rules)
        if image is not None:
            _check_sizes(pair, image, label)
    except DataError as error:
        problems.append(Problem(str(pair.annotation), str(error)))
    if problems:
        return tuple(problems)
    if any(histogram[value] for value in rules.void_labels):
        table = list(range(256))
        for value in rules.void_labels:
            table[value] = IGNORE_LABEL
            count, histogram[value] = histogram[value], 0
            histogram[IGNORE_LABEL] += count
        label = np.asarray(Image.fromarray(label).point(table))
    if label.shape != (image.height, image.width):
        size = (image.width, image.height)
        resized = Image.fromarray(label).resize(size, Image.Resampling.NEAREST)
        label = np.asarray(resized)
        histogram = _count_labels(label)
    if not rules.encode:
        image = dataclasses.replace(image, data=b"")
    return Converted(
        image=image,
        label=images.encode_label(label) if rules.encode else b"",
        histogram=tuple(histogram),
        filename=pair.image.name,
        stem=pair.image.stem,
    )


def convert_pairs(
    pairs: Sequence[Pair], rules: Rules, num_workers: int
) -> Iterator[Converted | tuple[Problem, ...]]:
    """Converts pairs in worker processes; results come in the pairs' order.

    Args:
      pairs: What to convert.
      rules: How.
      num_workers: Processes; 1 works in this one.

    Raises:
      RunError: A worker process died (out of memory, killed).
    """
    if num_workers == 1:
        for pair in pairs:
            yield convert_pair(pair, rules)
        return
    lots = (pairs[start : start + _LOT] for start in range(0, len(pairs), _LOT))
    pool = concurrent.futures.ProcessPoolExecutor(
        num_workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    strangers = set(multiprocessing.active_children())
    waiting: collections.deque[concurrent.futures.Future] = collections.deque()

    def submit(count: int) -> None:
        with _signals_held():
            for lot in itertools.islice(lots, count):
                waiting.append(pool.submit(_convert_lot, lot, rules))

    try:
        submit(num_workers * _LOTS_PER_WORKER)
        while waiting:
            yield from waiting.popleft().result()
            submit(1)
    except BaseException as error:
        # What they still do is of no use, and the pool's own ending can wait
        # for ever on a worker that started while another one died.
        for process in set(multiprocessing.active_children()) - strangers:
            process.kill()
        if isinstance(error, concurrent.futures.BrokenExecutor):
            raise RunError(
                "a worker process died, most likely for want of memory; give "
                "a smaller --num_workers"
            ) from None
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _count_labels(label: np.ndarray) -> list[int]:
    """Pixels of each of the 256 values."""
    return Image.fromarray(label).histogram()


def _check_labels(
    path: pathlib.Path, label: np.ndarray, histogram: list[int], rules: Rules
) -> None:
    bad = [
        value
        for value in range(rules.num_classes, 256)
        if histogram[value] and value not in rules.void_labels
    ]
    if not bad:
        return
    y, x = np.argwhere(np.isin(label, bad))[0]
    first = int(label[y, x])
    others = [str(value) for value in bad if value != first]
    more = f" (also {', '.join(others)})" if others else ""
    raise DataError(
        f"{path}: label {first} at pixel (x={x}, y={y}) is not below "
        f"--num_classes={rules.num_classes}{more}; correct it, raise "
        "--num_classes, or list it in --void_labels to have it ignored"
    )


def _check_sizes(
    pair: Pair, image: images.EncodedImage, label: np.ndarray
) -> None:
    height, width = label.shape
    size = (image.source_height, image.source_width)
    if (height, width) == size:
        return
    hint = (
        "turn one of them (EXIF rotation is already applied)"
        if (width, height) == size
        else "they must be of one size"
    )
    raise DataError(
        f"{pair.annotation}: is {width}x{height} (width x height) but "
        f"{pair.image.name} is {size[1]}x{size[0]}; {hint}"
    )


def _convert_lot(
    lot: Sequence[Pair], rules: Rules
) -> list[Converted | tuple[Problem, ...]]:
    return [convert_pair(pair, rules) for pair in lot]


def _start_worker() -> None:
    """Makes the process end when its parent has ended, however that was."""
    parent = multiprocessing.parent_process()

    def follow() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Holds SIGINT and SIGTERM back while worker processes start.

    A start that is cut in two would leave a process that complains. The
    workers inherit that SIGINT is blocked: Ctrl-C is the parent's to handle.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    before = {
        number: signal.signal(number, lambda it, frame: arrived.append(it))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in arrived[:1]:
        signal.raise_signal(number)
