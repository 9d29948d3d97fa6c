"""Converting pairs of files, in worker processes: decode, check, encode.

No TensorFlow here: the worker processes import this module.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import itertools
import multiprocessing
import pathlib
from collections.abc import Iterator, Sequence

import google_crc32c
import numpy as np
from PIL import Image

from segnet import images, processes
from segnet.constants import IGNORE_LABEL
from segnet.errors import DataError, RunError
from segnet.pairs import Pair, Problem

__all__ = ["Converted", "Rules", "convert_pair", "convert_pairs"]

# Pairs a worker takes at a time, at most, and lots waiting for each worker:
# enough to keep it busy, few enough that memory does not depend on the number
# of pairs.
_LOT = 16
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
        label = images.read_annotation(pair.annotation, rules.annotation_mode)
        histogram = label.histogram()
        _check_labels(pair.annotation, label, histogram, rules)
        if image is not None:
            _check_sizes(pair, image, label)
    except DataError as error:
        problems.append(Problem(str(pair.annotation), str(error)))
    if problems:
        return tuple(problems)
    if any(histogram[value] for value in rules.void_labels):
        label = _void(label, histogram, rules.void_labels)
    if label.size != (image.width, image.height):
        size = (image.width, image.height)
        label = label.resize(size, Image.Resampling.NEAREST)
        histogram = label.histogram()
    if not rules.encode:
        image = dataclasses.replace(image, data=b"", kept=False)
    encoded = images.encode_label(np.asarray(label)) if rules.encode else b""
    return Converted(
        image=image,
        label=encoded,
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
    size = min(_LOT, -(-len(pairs) // (num_workers * _LOTS_PER_WORKER)))
    lots = (pairs[start : start + size] for start in range(0, len(pairs), size))
    pool = concurrent.futures.ProcessPoolExecutor(
        num_workers,
        mp_context=processes.start_context(),
        initializer=processes.start_worker,
    )
    strangers = set(multiprocessing.active_children())
    waiting: collections.deque[
        tuple[Sequence[Pair], concurrent.futures.Future]
    ] = collections.deque()

    def submit(count: int) -> None:
        with processes.signals_held():
            for lot in itertools.islice(lots, count):
                waiting.append((lot, pool.submit(_convert_lot, lot, rules)))

    try:
        submit(num_workers * _LOTS_PER_WORKER)
        while waiting:
            lot, future = waiting.popleft()
            yield from map(_read_again, lot, *future.result())
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


def _void(
    label: Image.Image, histogram: list[int], void_labels: Sequence[int]
) -> Image.Image:
    """Writes void labels as 255, in the histogram too, which is changed."""
    table = list(range(256))
    for value in void_labels:
        table[value] = IGNORE_LABEL
        count, histogram[value] = histogram[value], 0
        histogram[IGNORE_LABEL] += count
    return label.point(table)


def _check_labels(
    path: pathlib.Path, label: Image.Image, histogram: list[int], rules: Rules
) -> None:
    bad = [
        value
        for value in range(rules.num_classes, 256)
        if histogram[value] and value not in rules.void_labels
    ]
    if not bad:
        return
    y, x = np.argwhere(np.isin(np.asarray(label), bad))[0]
    first = label.getpixel((int(x), int(y)))
    others = [str(value) for value in bad if value != first]
    more = f" (also {', '.join(others)})" if others else ""
    raise DataError(
        f"{path}: label {first} at pixel (x={x}, y={y}) is not below "
        f"--num_classes={rules.num_classes}{more}; correct it, raise "
        "--num_classes, or list it in --void_labels to have it ignored"
    )


def _check_sizes(
    pair: Pair, image: images.EncodedImage, label: Image.Image
) -> None:
    width, height = label.size
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
) -> tuple[list[Converted | tuple[Problem, ...]], list[int | None]]:
    """Results without the images that are files as they were, see below.

    Returns:
      The results, and checksums of what was left out.
    """
    results, checksums = [], []
    for pair in lot:
        result, checksum = convert_pair(pair, rules), None
        if isinstance(result, Converted) and result.image.kept:
            checksum = google_crc32c.value(result.image.data)
            image = dataclasses.replace(result.image, data=b"")
            result = dataclasses.replace(result, image=image)
        results.append(result)
        checksums.append(checksum)
    return results, checksums


def _read_again(
    pair: Pair,
    result: Converted | tuple[Problem, ...],
    checksum: int | None,
) -> Converted | tuple[Problem, ...]:
    """Puts the image back into a result of a worker process.

    Reading a file once more takes a fifth of the time that its way through a
    pipe between two processes does.
    """
    if checksum is None:
        return result
    try:
        data = pair.image.read_bytes()
    except OSError:
        data = b""
    if google_crc32c.value(data) != checksum:
        text = f"{pair.image}: was changed while it was converted; try again"
        return (Problem(str(pair.image), text),)
    image = dataclasses.replace(result.image, data=data)
    return dataclasses.replace(result, image=image)
