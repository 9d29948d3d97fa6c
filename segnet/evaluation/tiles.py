"""Tiles: a picture of any size as windows that the network sees one by one.

Neighbours overlap by a quarter. In the middle of the overlap the probabilities
of one pass over into those of the other, over an eighth of a tile, so that no
seam shows; what is nearer to the border of a tile is not used, for there the
network sees no further. Tiles begin where the network's poolings do in a whole
picture, so that away from the borders a tile has what a whole picture has.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from segnet.data import resizing
from segnet.evaluation import inference
from segnet.images.strips import Strips

__all__ = ["SMALLEST_CELLS", "Labelled", "Tiling", "label_strips"]

# Of the network's poolings in a tile, so that one of them overlaps.
SMALLEST_CELLS = 4


@dataclasses.dataclass(frozen=True)
class Tiling:
    """How pictures are cut.

    Attributes:
      size: Height and width of a tile, pixels of the picture.
      cell: Tiles begin at multiples of it.
      seen: Height and width at which the network sees a tile.
    """

    size: int
    cell: int
    seen: int

    @classmethod
    def create(cls, size: int, scale: float, multiple: int) -> Tiling:
        """The tiling nearest to what is asked for.

        Args:
          size: Of a tile, pixels of the picture.
          scale: Factor from the picture to what the network sees.
          multiple: What the network's poolings want its input to be one of.
        """
        cells = max(SMALLEST_CELLS, round(size * scale / multiple))
        cell = max(1, round(size / cells))
        return cls(cells * cell, cell, cells * multiple)

    def starts(self, length: int) -> list[int]:
        """Where tiles begin in one direction; the last may end beyond.

        Args:
          length: Of the picture, pixels.
        """
        last = max(0, math.ceil((length - self.size) / self.cell))
        overlap = math.ceil(self.size / 4 / self.cell)
        step = max(1, self.size // self.cell - overlap)
        count = math.ceil(last / step)
        return [
            round(last * number / max(1, count)) * self.cell
            for number in range(count + 1)
        ]

    def parts(self, length: int) -> list[_Part]:
        """What each tile gives in one direction.

        Args:
          length: Of the picture, pixels.
        """
        starts = self.starts(length)
        ramp = max(1, self.size // 8)
        firsts = [0] + [
            (before + self.size + start - ramp) // 2
            for before, start in itertools.pairwise(starts)
        ]
        ends = [first + ramp for first in firsts[1:]]
        return [
            _Part(start, first, end, ramp * (first > 0), ramp * (end < length))
            for start, first, end in zip(
                starts, firsts, [*ends, length], strict=True
            )
        ]


@dataclasses.dataclass(frozen=True)
class _Part:
    """Of a tile, in one direction, pixels of the picture.

    Attributes:
      start: Where the tile begins.
      first: Where what is used of it begins.
      end: Where that ends.
      rise: Over how much at its beginning it takes over from the one before.
      fall: Over how much at its end the next one does.
    """

    start: int
    first: int
    end: int
    rise: int
    fall: int


def _blend(
    found: np.ndarray, part: _Part, before: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """What is final along the first axis, and what the next one goes on from.

    Args:
      found: float32 `[size, ...]`, of the tile.
      part: What is used of it.
      before: float32 `[rise, ...]`, what the one before left.
    """
    used = found[part.first - part.start : part.end - part.start]
    if before is not None:
        weight = _ramp(part.rise, used.ndim)
        used = np.concatenate(
            [used[: part.rise] * weight + before, used[part.rise :]]
        )
    if not part.fall:
        return used, None
    last = used[-part.fall :] * (1 - _ramp(part.fall, used.ndim))
    return used[: -part.fall], last


def _ramp(length: int, axes: int) -> np.ndarray:
    """Weights from 0 to 1 along the first of some axes."""
    rising = (np.arange(length, dtype=np.float32) + 0.5) / length
    return rising.reshape(-1, *[1] * (axes - 1))


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Some rows of a picture, and what the network makes of them.

    Attributes:
      image: uint8 RGB `[rows, width, 3]`.
      label: uint8 `[rows, width]`, class ids.
      sureness: Sum of the probabilities of the labels.
      probabilities: uint8 `[rows, width, num_classes]`, 255 for 1; None unless
        asked for.
      entropy: uint8 `[rows, width]`, 255 for 1; likewise.
      undecided: Sum of the entropies, 0 to 1 each; 0 unless asked for.
    """

    image: np.ndarray
    label: np.ndarray
    sureness: float
    probabilities: np.ndarray | None
    entropy: np.ndarray | None = None
    undecided: float = 0.0


def label_strips(
    strips: Strips,
    tiling: Tiling,
    predictor: Callable[[tf.Tensor], tf.Tensor],
    num_classes: int,
    *,
    are_logits: bool,
    batch_size: int,
    pad: bool,
    keep_probabilities: bool = False,
    keep_entropy: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> Iterator[Labelled]:
    """Takes a picture through the network.

    Args:
      strips: The picture.
      tiling: How it is cut.
      predictor: Of images of `tiling.seen`; as for `evaluate.Evaluation`.
      num_classes: Of the network.
      are_logits: False if it gives probabilities.
      batch_size: Tiles a forward pass.
      pad: Whether the last pass is filled up, for static shapes.
      keep_probabilities: Whether these are wanted.
      keep_entropy: Likewise.
      advance: Called with the number of tiles done.

    Yields:
      Rows from the top to the bottom.

    Raises:
      DataError: The file is damaged.
    """
    columns = tiling.parts(strips.width)
    rows = tiling.parts(strips.height)
    left = np.empty([rows[0].fall, strips.width, num_classes], np.float32)
    for row in rows:
        image = strips.rows(
            row.start, min(row.start + tiling.size, strips.height)
        )
        tiles = ((_seen(image, x.start, tiling), x) for x in columns)
        found = inference.predict_images(
            predictor, tiles, min(batch_size, len(columns)), pad=pad
        )
        height = row.end - row.fall - row.first
        label = np.empty([height, strips.width], np.uint8)
        kept = None
        if keep_probabilities:
            kept = np.empty([*label.shape, num_classes], np.uint8)
        entropy = np.empty(label.shape, np.uint8) if keep_entropy else None
        sureness, undecided, beside = 0.0, 0.0, None
        for logits, column in found:
            probabilities = inference.probabilities_at(
                logits, tiling.size, tiling.size, are_logits=are_logits
            )
            # Columns first: they are the first axis of what is blended.
            done, beside = _blend(
                probabilities.transpose(1, 0, 2), column, beside
            )
            place = slice(column.first, column.first + len(done))
            above = left[:, place] if row.rise else None
            final, below = _blend(done.transpose(1, 0, 2), row, above)
            if below is not None:
                left[:, place] = below
            label[:, place] = final.argmax(-1)
            sureness += float(final.max(-1).sum(dtype=np.float64))
            if kept is not None:
                kept[:, place] = np.rint(255 * final)
            if entropy is not None:
                own = inference.relative_entropy(final)
                undecided += float(own.sum(dtype=np.float64))
                entropy[:, place] = np.rint(255 * own)
            advance(1)
        first = row.first - row.start
        yield Labelled(
            image[first : first + height],
            label,
            sureness,
            kept,
            entropy,
            undecided,
        )


def _seen(image: np.ndarray, start: int, tiling: Tiling) -> tf.Tensor:
    """A tile as the network sees it; beyond the picture its last pixels."""
    tile = image[:, start : start + tiling.size]
    missing = [tiling.size - length for length in tile.shape[:2]]
    if any(missing):
        tile = np.pad(tile, [(0, x) for x in (*missing, 0)], mode="edge")
    resized = resizing.resize_image(
        inference.to_tensor(np.ascontiguousarray(tile)),
        tiling.seen,
        tiling.seen,
    )
    return resizing.to_uint8(resized)
