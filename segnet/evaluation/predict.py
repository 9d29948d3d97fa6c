"""Labels and overlays for a picture or a folder of pictures."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import tensorflow as tf

from segnet.config import Config
from segnet.config.schedule import eval_batch_size
from segnet.data import resizing
from segnet.errors import DataError
from segnet.evaluation import inference, results
from segnet.evaluation.ahead import Budget, map_ahead
from segnet.evaluation.inputs import Source
from segnet.evaluation.outlines import Outcome, Outlines, finish
from segnet.evaluation.results import Options
from segnet.files import gfile, write_bytes, write_errors
from segnet.images import image_files, overlay
from segnet.images.films import FilmWriter, open_film
from segnet.progress import Progress

__all__ = ["predict"]

# Pictures that are read ahead or wait to be written. Those that have more
# pixels than are kept are read a second time when they are written.
_MAX_WAITING = 32
_MAX_WAITING_BYTES = 2**29  # of logits
_KEPT_PIXELS = 2**21
# What is decoded, coloured and encoded at a time, in threads.
_MAX_PIXELS = 2**26
# Frames of a film that wait to be written.
_MAX_FRAMES = 8
# Of a film of pages, which says nothing of time.
_PAGES_A_SECOND = 1.0
_Result = TypeVar("_Result")


def predict(
    predictor: Callable[[tf.Tensor], tf.Tensor],
    sources: Sequence[Source],
    output_dir: str,
    config: Config,
    *,
    films: Sequence[Source] = (),
    options: Options | None = None,
    are_logits: bool = True,
    pad: bool = True,
    advance: Callable[[int], None] = lambda count: None,
) -> Outcome:
    """Writes `NAME_labels.png` and `NAME_overlay.png` for each picture.

    And `predictions.csv`, a line for each picture that was labelled.

    A picture of any size is resized to the network's input, as in training;
    the logits are brought back to the picture's own size. A picture that
    cannot be read does not keep the others from being labelled, nor does one
    whose results would replace files that are none.

    Args:
      predictor: As for `evaluate.Evaluation`.
      sources: Pictures.
      output_dir: Folder to write to; made if needed.
      config: Of the run: names of the classes, input and batch size.
      films: What has several frames: each frame has results of its own, in a
        folder with the name of the film.
      options: What is written.
      are_logits: False if the predictor gives probabilities.
      pad: Whether the last pass is filled up, for static shapes.
      advance: Called with the number of pictures done.

    Raises:
      RunError: If a result cannot be written.
    """
    with write_errors(output_dir):
        gfile(output_dir).makedirs(output_dir)
    problems: list[str] = []
    rows: list[results.Row] = []
    work = _Work(output_dir, config, options or Options(), are_logits)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        loaded = map_ahead(pool, work.load, sources, limit=_MAX_WAITING)
        good = _without_problems(loaded, problems, advance)
        predicted = inference.predict_images(
            predictor,
            ((picture.pixels, picture) for picture in good),
            min(eval_batch_size(config), len(sources)),
            pad=pad,
        )
        written = map_ahead(
            pool,
            work.write,
            predicted,
            limit=_MAX_WAITING_BYTES,
            cost=lambda item: 4 * item[0].shape.num_elements(),
        )
        for row in _without_problems(written, problems, advance):
            rows.append(row)
            advance(1)
        for film in films:
            try:
                _predict_film(
                    film, work, predictor, pool, rows, problems, pad=pad
                )
            except DataError as error:
                problems.append(str(error))
            advance(1)
    return finish(output_dir, rows, problems, config.class_names, work.outlines)


def _predict_film(
    source: Source,
    work: _Work,
    predictor: Callable[[tf.Tensor], tf.Tensor],
    pool: concurrent.futures.Executor,
    rows: list[results.Row],
    problems: list[str],
    *,
    pad: bool,
) -> None:
    """Labels the frames of a film, one after the other.

    Args:
      source: The film.
      work: What is done before and after the network.
      predictor: As for `predict`.
      pool: Threads.
      rows: Of the table; gets one for each frame.
      problems: Gets one for each damaged frame.
      pad: As for `predict`.

    Raises:
      DataError: It cannot be read, or its results would replace other files.
      RunError: A result cannot be written.
    """
    options = work.options
    if options.polygons:
        raise DataError(
            f"{source.path}: polygons are made of pictures alone; leave "
            "--format out for films"
        )
    with contextlib.ExitStack() as stack:
        film = stack.enter_context(
            open_film(source.path, options.max_pixels, options.bit_depth)
        )
        writer = None
        if options.overlay_video:
            target = work.target(source, results.FILM)
            results.check_targets(source.path, [target])
            with write_errors(target):
                gfile(target).makedirs(os.path.dirname(target))
            writer = stack.enter_context(
                FilmWriter(target, film.rate or _PAGES_A_SECOND)
            )
        progress = stack.enter_context(
            Progress(film.count, unit="frame", label=source.file)
        )

        def frames() -> Iterator[tuple[tf.Tensor, _Picture]]:
            for number, frame in enumerate(film.frames, 1):
                if isinstance(frame, DataError):
                    problems.append(str(frame))
                    continue
                # A GIF or TIFF of one picture is named like a picture.
                shown = number if film.count != 1 else 0
                picture = work.picture(
                    dataclasses.replace(source, frame=shown), frame
                )
                yield picture.pixels, picture

        predicted = inference.predict_images(
            predictor, frames(), work.batch_size, pad=pad
        )
        for row, blended in map_ahead(
            pool, work.write_frame, predicted, limit=_MAX_FRAMES
        ):
            rows.append(row)
            if writer is not None:
                writer.add(blended)
            progress.advance()


@dataclasses.dataclass(frozen=True)
class _Picture:
    """A picture and what the network sees of it.

    Attributes:
      source: Where it is.
      image: uint8 `[image height, image width, 3]`; None of a large one.
      pixels: uint8 `[input height, input width, 3]`.
    """

    source: Source
    image: np.ndarray | None
    pixels: tf.Tensor


class _Work:
    """What threads do with a picture before and after the network."""

    def __init__(
        self,
        output_dir: str,
        config: Config,
        options: Options,
        are_logits: bool,
    ) -> None:
        """Writes to a folder."""
        self.options = options
        self.batch_size = eval_batch_size(config)
        self._output_dir = output_dir
        self._config = config
        self._are_logits = are_logits
        self._budget = Budget(_MAX_PIXELS)
        self.outlines = Outlines(output_dir, config.class_names, options)

    def load(self, source: Source) -> _Picture | DataError:
        """A picture, or why it cannot be labelled."""
        path = source.path
        try:
            targets = [self.target(source, x) for x in self.options.endings]
            targets += self.outlines.targets(source)
            results.check_targets(path, targets)
            with self._budget.taken(image_files.count_pixels(path)):
                image = self._load_image(path)
                resized = resizing.resize_image(
                    inference.to_tensor(image),
                    self._config.input_height,
                    self._config.input_width,
                )
                small = image.shape[0] * image.shape[1] <= _KEPT_PIXELS
                kept = image if small else None
                del image  # before others have their turn
        except DataError as error:
            return error
        return _Picture(source, kept, resizing.to_uint8(resized))

    def _load_image(self, path: str) -> np.ndarray:
        """uint8 RGB `[height, width, 3]`."""
        return image_files.load_image(
            path, self.options.max_pixels, self.options.bit_depth
        )

    def target(self, source: Source, ending: str) -> str:
        """Where a result of a picture goes."""
        return results.result_path(self._output_dir, source.name, ending)

    def picture(self, source: Source, frame: np.ndarray) -> _Picture:
        """A frame of a film; its results may replace only such.

        Raises:
          DataError: They would replace other files.
        """
        results.check_targets(
            source.path, [self.target(source, x) for x in self._frame_endings()]
        )
        resized = resizing.resize_image(
            inference.to_tensor(np.ascontiguousarray(frame)),
            self._config.input_height,
            self._config.input_width,
        )
        return _Picture(source, frame, resizing.to_uint8(resized))

    def _frame_endings(self) -> tuple[str, ...]:
        endings = self.options.endings
        if self.options.overlay_video:
            endings = tuple(x for x in endings if x != results.OVERLAY)
        return endings

    def write_frame(
        self, predicted: tuple[tf.Tensor, _Picture]
    ) -> tuple[results.Row, np.ndarray]:
        """Writes the results of a frame; gives it with colours and legend."""
        logits, picture = predicted
        image = picture.image
        if image is None:
            raise ValueError("frames are kept")
        row, label = self._write(
            logits, image, picture.source, self._frame_endings()
        )
        row = dataclasses.replace(row, is_frame=True)
        if not self.options.overlay_video:
            return row, image
        names = self._config.class_names
        legend = overlay.draw_classes(
            names, image.shape[1], self.options.palette
        )
        blended = overlay.blend_labels(image, label, self.options.palette)
        return row, np.concatenate([blended, legend])

    def write(
        self, predicted: tuple[tf.Tensor, _Picture]
    ) -> results.Row | DataError:
        """Writes the results of a picture."""
        logits, picture = predicted
        path = picture.source.path
        with self._budget.taken(image_files.count_pixels(path)):
            try:
                image = picture.image
                if image is None:
                    image = self._load_image(path)
            except DataError as error:  # It has changed since.
                return error
            endings = self.options.endings
            return self._write(logits, image, picture.source, endings)[0]

    def _write(
        self,
        logits: tf.Tensor,
        image: np.ndarray,
        source: Source,
        endings: Sequence[str],
    ) -> tuple[results.Row, np.ndarray]:
        """Of large pictures there is one copy of each at a time."""
        height, width = image.shape[:2]
        names, software = self._config.class_names, results.SOFTWARE
        label = inference.labels_at(logits, height, width)
        folder = os.path.dirname(self.target(source, results.LABELS))
        with write_errors(folder):
            gfile(folder).makedirs(folder)
        write_bytes(
            self.target(source, results.LABELS),
            image_files.encode_label(label, software),
        )
        if results.OVERLAY in endings:
            write_bytes(
                self.target(source, results.OVERLAY),
                overlay.encode_overlay(
                    image, label, names, software, self.options.palette
                ),
            )
        if results.PROBABILITIES in endings:
            found = inference.probability_bytes_at(
                logits, height, width, are_logits=self._are_logits
            )
            write_bytes(
                self.target(source, results.PROBABILITIES),
                results.encode_probabilities(found, names),
            )
        undecided = None
        if results.UNCERTAINTY in endings:
            grey = inference.entropy_bytes_at(
                logits, height, width, are_logits=self._are_logits
            )
            write_bytes(
                self.target(source, results.UNCERTAINTY),
                image_files.encode_label(grey, software),
            )
            undecided = inference.entropy_of(
                logits, are_logits=self._are_logits
            )
        self.outlines.add(source, label)
        row = results.Row(
            source.shown,
            height,
            width,
            inference.confidence_of(logits, are_logits=self._are_logits),
            results.shares_of(label, len(names)),
            undecided,
        )
        return row, label


def _without_problems(
    found: Iterable[_Result | DataError],
    problems: list[str],
    advance: Callable[[int], None],
) -> Iterator[_Result]:
    """Passes what was found on; pictures with a problem are noted and done."""
    for result in found:
        if isinstance(result, DataError):
            problems.append(str(result))
            advance(1)
        else:
            yield result
