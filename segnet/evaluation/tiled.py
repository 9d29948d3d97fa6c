"""Labels, overlays and the table for pictures that are cut into tiles."""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO

import numpy as np
import tensorflow as tf

from segnet.config import Config
from segnet.errors import DataError
from segnet.evaluation import results
from segnet.evaluation.inputs import Source
from segnet.evaluation.outlines import Outcome, Outlines, finish
from segnet.evaluation.tiles import Labelled, Tiling, label_strips
from segnet.files import gfile, write_bytes, write_errors
from segnet.images import overlay, png
from segnet.images.strips import open_strips
from segnet.progress import Progress

__all__ = ["predict_tiled"]

# An overlay of more is made smaller, to be looked at.
_OVERLAY_PIXELS = 2**25


def predict_tiled(
    predictor: Callable[[tf.Tensor], tf.Tensor],
    sources: Sequence[Source],
    output_dir: str,
    config: Config,
    tiling: Tiling,
    *,
    options: results.Options,
    are_logits: bool = True,
    pad: bool = True,
    show_progress: bool = False,
) -> Outcome:
    """Does what `predict.predict` does, tile by tile and row by row.

    Memory does not grow with the height of a picture, and with its width by
    an eighth of a tile's height, as float32 for each class.

    Args:
      predictor: Of images of `tiling.seen`; as for `evaluate.Evaluation`.
      sources: Pictures.
      output_dir: Folder to write to; made if needed.
      config: Of the run: names of the classes, batch size.
      tiling: How pictures are cut.
      options: What is written.
      are_logits: False if the predictor gives probabilities.
      pad: Whether the last pass is filled up, for static shapes.
      show_progress: Whether the tiles of each picture are counted.

    Raises:
      RunError: If a result cannot be written.
    """
    with write_errors(output_dir):
        gfile(output_dir).makedirs(output_dir)
    problems: list[str] = []
    rows: list[results.Row] = []
    outlines = Outlines(output_dir, config.class_names, options)

    def label(source: Source) -> results.Row:
        targets = _Targets(output_dir, source, options, outlines)
        with open_strips(
            source.path, options.max_pixels, options.bit_depth
        ) as strips:
            outlines.check_size(source, strips.height * strips.width)
            size = (strips.height, strips.width)
            count = math.prod(len(tiling.starts(length)) for length in size)
            outcome = _Outcome(
                *size,
                config.class_names,
                options,
                keep_labels=bool(outlines),
            )
            with Progress(
                count, unit="tile", label=source.file, enabled=show_progress
            ) as progress:
                labelled = label_strips(
                    strips,
                    tiling,
                    predictor,
                    len(config.class_names),
                    are_logits=are_logits,
                    batch_size=config.eval_batch_size or 1,
                    pad=pad,
                    keep_probabilities=options.probabilities,
                    keep_entropy=options.uncertainty,
                    advance=progress.advance,
                )
                targets.write(outcome, outcome.labels(labelled))
        if outlines:
            outlines.add(source, outcome.label())
        return outcome.row(source.file)

    for source in sources:
        try:
            rows.append(label(source))
        except DataError as error:
            problems.append(str(error))
    return finish(output_dir, rows, problems, config.class_names, outlines)


class _Outcome:
    """What is kept of a picture while its rows go by."""

    def __init__(
        self,
        height: int,
        width: int,
        class_names: tuple[str, ...],
        options: results.Options,
        keep_labels: bool,
    ) -> None:
        """Has seen nothing yet."""
        self._labels: list[np.ndarray] | None = [] if keep_labels else None
        self.height, self.width = height, width
        self._names = class_names
        self._step = math.ceil(math.sqrt(height * width / _OVERLAY_PIXELS))
        self._small: list[tuple[np.ndarray, np.ndarray]] = []
        self._counts = np.zeros([256], np.int64)
        self._sureness = 0.0
        self.archive = io.BytesIO()
        self._options = options
        self._undecided = 0.0
        self.entropy: list[np.ndarray] = []

    def labels(self, strips: Iterator[Labelled]) -> Iterator[np.ndarray]:
        """Passes the labels on, and keeps what is needed later."""
        if not self._options.probabilities:
            yield from self._each(strips, None)
            return
        shape = (self.height, self.width, len(self._names))
        with zipfile.ZipFile(
            self.archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1
        ) as archive:
            with archive.open(
                "probabilities.npy", "w", force_zip64=True
            ) as file:
                header = {"descr": "|u1", "fortran_order": False}
                np.lib.format.write_array_header_1_0(
                    file, {**header, "shape": shape}
                )
                yield from self._each(strips, file)
            with archive.open("class_names.npy", "w") as file:
                np.lib.format.write_array(file, np.array(self._names))

    def _each(
        self, strips: Iterator[Labelled], file: IO[bytes] | None
    ) -> Iterator[np.ndarray]:
        top = 0
        for strip in strips:
            self._counts += np.bincount(strip.label.ravel(), minlength=256)
            self._sureness += strip.sureness
            self._undecided += strip.undecided
            if strip.entropy is not None:
                self.entropy.append(strip.entropy)
            first = -top % self._step
            self._small.append(
                (
                    strip.image[first :: self._step, :: self._step].copy(),
                    strip.label[first :: self._step, :: self._step].copy(),
                )
            )
            top += len(strip.label)
            if self._labels is not None:
                self._labels.append(strip.label)
            if file is not None and strip.probabilities is not None:
                file.write(strip.probabilities.tobytes())
            yield strip.label

    def label(self) -> np.ndarray:
        """All labels, uint8 `[height, width]`, where they were kept."""
        return np.concatenate(self._labels or [])

    def overlay(self) -> bytes:
        """The picture under its colours, made smaller if it is a large one."""
        images, labels = zip(*self._small, strict=True)
        return overlay.encode_overlay(
            np.concatenate(images),
            np.concatenate(labels),
            self._names,
            results.SOFTWARE,
            self._options.palette,
        )

    def row(self, file: str) -> results.Row:
        """What the table says of it."""
        pixels = self.height * self.width
        return results.Row(
            file,
            self.height,
            self.width,
            self._sureness / pixels,
            tuple(self._counts[: len(self._names)] / pixels),
            self._undecided / pixels if self._options.uncertainty else None,
        )


class _Targets:
    """The files of a picture's results."""

    def __init__(
        self,
        output_dir: str,
        source: Source,
        options: results.Options,
        outlines: Outlines,
    ) -> None:
        """Looks for what is there.

        Raises:
          DataError: Something that is no result of an earlier prediction.
        """
        self._paths = {
            ending: results.result_path(output_dir, source.name, ending)
            for ending in options.endings
        }
        results.check_targets(
            source.path, [*self._paths.values(), *outlines.targets(source)]
        )

    def write(self, outcome: _Outcome, labels: Iterator[np.ndarray]) -> None:
        """Writes all results, once the last row was labelled.

        Raises:
          DataError: The picture is damaged; nothing is written.
          RunError: They cannot be written.
        """
        encoded = png.encode_bands(
            labels, outcome.height, outcome.width, png.GREY, results.SOFTWARE
        )
        folder = os.path.dirname(self._paths[results.LABELS])
        with write_errors(folder):
            gfile(folder).makedirs(folder)
        write_bytes(self._paths[results.LABELS], encoded)
        write_bytes(self._paths[results.OVERLAY], outcome.overlay())
        if results.PROBABILITIES in self._paths:
            write_bytes(
                self._paths[results.PROBABILITIES], outcome.archive.getvalue()
            )
        if results.UNCERTAINTY in self._paths:
            write_bytes(
                self._paths[results.UNCERTAINTY],
                png.encode_bands(
                    iter(outcome.entropy),
                    outcome.height,
                    outcome.width,
                    png.GREY,
                    results.SOFTWARE,
                ),
            )
