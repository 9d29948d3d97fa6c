"""Labels and overlays for a picture or a folder of pictures."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf

from segnet.config import Config
from segnet.config.schedule import eval_batch_size
from segnet.data import resizing
from segnet.errors import ConfigError, DataError
from segnet.evaluation import inference
from segnet.evaluation.ahead import map_ahead
from segnet.files import write_bytes, write_errors
from segnet.images import image_files, overlay

__all__ = ["find_inputs", "predict"]

# Pictures that are read ahead or wait to be written.
_MAX_WAITING = 32


def find_inputs(image_path: str) -> list[str]:
    """The pictures to label.

    Args:
      image_path: A file or a folder.

    Returns:
      Paths, sorted by name.

    Raises:
      ConfigError: If there is no such path.
      DataError: If the folder has no image, or two with one stem.
    """
    if not image_path:
        raise ConfigError(
            "--mode=predict needs --image_path: an image file or a folder"
        )
    if os.path.isfile(image_path):
        return [image_path]
    if not os.path.isdir(image_path):
        raise ConfigError(
            f"--image_path={image_path} does not exist; give an image file "
            "or a folder of images"
        )
    paths = [str(path) for path in image_files.list_images(image_path)]
    if not paths:
        raise DataError(
            f"{image_path}: no image "
            f"({', '.join(image_files.IMAGE_SUFFIXES)}) in this folder; give "
            "another --image_path"
        )
    by_stem: dict[str, str] = {}
    for path in paths:
        other = by_stem.setdefault(_stem(path), path)
        if other != path:
            raise DataError(
                f"{path} and {other} have the same stem, so their results "
                "would overwrite each other; rename one"
            )
    return paths


def predict(
    predictor: Callable[[tf.Tensor], tf.Tensor],
    paths: list[str],
    output_dir: str,
    config: Config,
    *,
    pad: bool = True,
    advance: Callable[[int], None] = lambda count: None,
) -> list[str]:
    """Writes `STEM_labels.png` and `STEM_overlay.png` for each picture.

    A picture of any size is resized to the network's input, as in training;
    the logits are brought back to the picture's own size. A picture that
    cannot be read does not keep the others from being labelled.

    Args:
      predictor: As for `evaluate.Evaluation`.
      paths: Pictures.
      output_dir: Folder to write to; made if needed.
      config: Of the run: names of the classes, input and batch size.
      pad: Whether the last pass is filled up, for static shapes.
      advance: Called with the number of pictures done.

    Returns:
      One line for each picture that could not be read.

    Raises:
      RunError: If a result cannot be written.
    """
    with write_errors(output_dir):
        tf.io.gfile.makedirs(output_dir)
    problems: list[str] = []
    load = functools.partial(
        _load, height=config.input_height, width=config.input_width
    )
    write = functools.partial(
        _write, output_dir=output_dir, class_names=config.class_names
    )
    with concurrent.futures.ThreadPoolExecutor() as pool:
        loaded = map_ahead(pool, load, paths, limit=_MAX_WAITING)
        good = _without_problems(loaded, problems)
        predicted = inference.predict_images(
            predictor,
            ((picture.pixels, picture) for picture in good),
            min(eval_batch_size(config), len(paths)),
            pad=pad,
        )
        for _ in map_ahead(pool, write, predicted, limit=_MAX_WAITING):
            advance(1)
    return problems


@dataclasses.dataclass(frozen=True)
class _Picture:
    """A picture and what the network sees of it.

    Attributes:
      path: Of the file.
      image: uint8 `[image height, image width, 3]`.
      pixels: uint8 `[input height, input width, 3]`.
    """

    path: str
    image: np.ndarray
    pixels: tf.Tensor


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _load(path: str, height: int, width: int) -> _Picture | DataError:
    """A picture, or what is wrong with it."""
    try:
        image = image_files.load_image(path)
    except DataError as error:
        return error
    resized = resizing.resize_image(tf.constant(image), height, width)
    return _Picture(path, image, resizing.to_uint8(resized))


def _without_problems(
    loaded: Iterable[_Picture | DataError], problems: list[str]
) -> Iterator[_Picture]:
    """Passes pictures on and notes what could not be read."""
    for result in loaded:
        if isinstance(result, DataError):
            problems.append(str(result))
        else:
            yield result


def _write(
    predicted: tuple[tf.Tensor, _Picture],
    output_dir: str,
    class_names: tuple[str, ...],
) -> None:
    """Writes both results of one picture."""
    logits, picture = predicted
    label = inference.labels_at(logits, *picture.image.shape[:2])
    drawn = overlay.draw_overlay(picture.image, label, class_names)
    target = os.path.join(output_dir, _stem(picture.path))
    write_bytes(f"{target}_labels.png", image_files.encode_label(label))
    pixels = np.asarray(drawn)
    write_bytes(f"{target}_overlay.png", image_files.encode_image_png(pixels))
