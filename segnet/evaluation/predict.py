"""Labels and overlays for a picture or a folder of pictures."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf

from segnet.config import Config
from segnet.config.schedule import eval_batch_size
from segnet.constants import MAX_PIXELS
from segnet.data import resizing
from segnet.errors import DataError
from segnet.evaluation import inference, results
from segnet.evaluation.ahead import Budget, map_ahead
from segnet.files import gfile, write_bytes, write_errors
from segnet.images import image_files, overlay

__all__ = ["predict"]

# Pictures that are read ahead or wait to be written. Those that have more
# pixels than are kept are read a second time when they are written.
_MAX_WAITING = 32
_MAX_WAITING_BYTES = 2**29  # of logits
_KEPT_PIXELS = 2**21
# What is decoded, coloured and encoded at a time, in threads.
_MAX_PIXELS = 2**26


def predict(
    predictor: Callable[[tf.Tensor], tf.Tensor],
    paths: list[str],
    output_dir: str,
    config: Config,
    *,
    max_pixels: int = MAX_PIXELS,
    pad: bool = True,
    advance: Callable[[int], None] = lambda count: None,
) -> list[str]:
    """Writes `STEM_labels.png` and `STEM_overlay.png` for each picture.

    A picture of any size is resized to the network's input, as in training;
    the logits are brought back to the picture's own size. A picture that
    cannot be read does not keep the others from being labelled, nor does one
    whose results would replace files that are none.

    Args:
      predictor: As for `evaluate.Evaluation`.
      paths: Pictures.
      output_dir: Folder to write to; made if needed.
      config: Of the run: names of the classes, input and batch size.
      max_pixels: That a picture may have.
      pad: Whether the last pass is filled up, for static shapes.
      advance: Called with the number of pictures done.

    Returns:
      One line for each picture that was not labelled.

    Raises:
      RunError: If a result cannot be written.
    """
    with write_errors(output_dir):
        gfile(output_dir).makedirs(output_dir)
    problems: list[str] = []
    work = _Work(output_dir, config, max_pixels)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        loaded = map_ahead(pool, work.load, paths, limit=_MAX_WAITING)
        good = _without_problems(loaded, problems, advance)
        predicted = inference.predict_images(
            predictor,
            ((picture.pixels, picture) for picture in good),
            min(eval_batch_size(config), len(paths)),
            pad=pad,
        )
        written = map_ahead(
            pool,
            work.write,
            predicted,
            limit=_MAX_WAITING_BYTES,
            cost=lambda item: 4 * item[0].shape.num_elements(),
        )
        for _ in _without_problems(written, problems, advance):
            advance(1)
    return problems


@dataclasses.dataclass(frozen=True)
class _Picture:
    """A picture and what the network sees of it.

    Attributes:
      path: Of the file.
      image: uint8 `[image height, image width, 3]`; None of a large one.
      pixels: uint8 `[input height, input width, 3]`.
    """

    path: str
    image: np.ndarray | None
    pixels: tf.Tensor


class _Work:
    """What threads do with a picture before and after the network."""

    def __init__(
        self, output_dir: str, config: Config, max_pixels: int
    ) -> None:
        """Writes to a folder."""
        self._max_pixels = max_pixels
        self._output_dir = output_dir
        self._config = config
        self._budget = Budget(_MAX_PIXELS)

    def load(self, path: str) -> _Picture | DataError:
        """A picture, or why it cannot be labelled."""
        try:
            for target in results.result_paths(self._output_dir, path):
                if not results.may_write(target):
                    raise DataError(
                        f"{path}: is not labelled, because {target} is there "
                        "and no result of an earlier prediction; move it away "
                        "or give another --output_dir"
                    )
            with self._budget.taken(image_files.count_pixels(path)):
                image = image_files.load_image(path, self._max_pixels)
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
        return _Picture(path, kept, resizing.to_uint8(resized))

    def write(
        self, predicted: tuple[tf.Tensor, _Picture]
    ) -> _Picture | DataError:
        """Writes both results of a picture."""
        logits, picture = predicted
        with self._budget.taken(image_files.count_pixels(picture.path)):
            try:
                image = picture.image
                if image is None:
                    image = image_files.load_image(
                        picture.path, self._max_pixels
                    )
            except DataError as error:  # It has changed since.
                return error
            self._write(logits, image, picture.path)
        return picture

    def _write(self, logits: tf.Tensor, image: np.ndarray, path: str) -> None:
        """Of large pictures there is one copy of each at a time."""
        label = inference.labels_at(logits, *image.shape[:2])
        labels_path, overlay_path = results.result_paths(self._output_dir, path)
        write_bytes(
            labels_path, image_files.encode_label(label, results.SOFTWARE)
        )
        names = self._config.class_names
        write_bytes(
            overlay_path,
            overlay.encode_overlay(image, label, names, results.SOFTWARE),
        )


def _without_problems(
    pictures: Iterable[_Picture | DataError],
    problems: list[str],
    advance: Callable[[int], None],
) -> Iterator[_Picture]:
    """Passes pictures on; those with a problem are noted and done."""
    for result in pictures:
        if isinstance(result, DataError):
            problems.append(str(result))
            advance(1)
        else:
            yield result
