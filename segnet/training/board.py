"""What TensorBoard shows beside the scalars: pictures, settings, weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.config import Config
from segnet.config.schedule import eval_batch_size
from segnet.data import resizing, sources
from segnet.evaluation import inference
from segnet.images.overlay import colour_labels

__all__ = ["Examples", "draw_confusion", "is_shown", "settings"]

_MOST_EXAMPLES = 4
# Evaluations of a run that are shown; TensorBoard itself keeps no more.
_MOST_SHOWN = 20
# Of an image, pixels; the files of a long run are to stay small.
_EXAMPLE_SIDE = 256
# A cell of a confusion matrix, pixels; a matrix of many classes stays small.
_CELL = 24
_LARGEST_SIDE = 768


class Examples:
    """The same images of the evaluation split at each evaluation."""

    def __init__(
        self,
        predictor: inference.Predictor,
        source: sources.RecordSource,
        config: Config,
        *,
        pad: bool,
    ) -> None:
        """Chooses images, evenly over the records.

        Args:
          predictor: The network as it is scored.
          source: Records of the evaluation split, or this worker's part of it.
          config: Of the run.
          pad: As for `Evaluation`.
        """
        self._predictor = predictor
        self._source = source
        self._config = config
        self._pad = pad
        number = source.num_records
        places = np.linspace(0, number - 1, min(_MOST_EXAMPLES, number))
        self._indices = np.unique(places.astype(int)).tolist()

    def pictures(self) -> dict[str, np.ndarray]:
        """Image, annotation and prediction side by side.

        Returns:
          For each image uint8 `[height, 3 width, 3]`, of the input size or
          smaller, by a name that stays the same.

        Raises:
          DataError: A record is damaged.
        """
        if not self._indices:  # This worker has no shard of the split.
            return {}
        config = self._config
        size = (config.input_height, config.input_width)

        def read() -> Any:
            for index in self._indices:
                image, label = self._source(tf.constant(index, tf.int64))
                seen = resizing.to_uint8(resizing.resize_image(image, *size))
                truth = tf.image.resize(label[..., None], size, "nearest")
                yield seen, (index, seen.numpy(), truth.numpy()[..., 0])

        batch = min(eval_batch_size(config), self._source.num_records)
        found = {}
        for logits, (index, image, truth) in inference.predict_images(
            self._predictor, read(), batch, pad=self._pad
        ):
            labels = inference.labels_at(logits, *size)
            parts = (image, colour_labels(truth), colour_labels(labels))
            step = -(-max(size) // _EXAMPLE_SIDE)
            found[f"examples/{index:05d}"] = np.concatenate(
                [part[::step, ::step] for part in parts], 1
            )
        return found


def is_shown(config: Config, epoch: int) -> bool:
    """Whether the evaluation after an epoch is shown; that of the last one is.

    Args:
      config: Of the run.
      epoch: Epochs done.
    """
    between = config.evaluate_every_epochs or config.epochs
    every = between * max(1, -(-config.epochs // (between * _MOST_SHOWN)))
    return epoch % every == 0 or epoch >= config.epochs


def draw_confusion(matrix: np.ndarray) -> np.ndarray:
    """A confusion matrix as a picture.

    Args:
      matrix: Pixels `[classes, classes]`, rows truth, columns prediction.

    Returns:
      uint8 `[side, side, 3]`: the darker, the larger the share of the pixels
      of the row.
    """
    matrix = np.asarray(matrix, np.float64)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    cell = max(1, min(_CELL, _LARGEST_SIDE // len(matrix)))
    grey = np.rint(255 * (1 - shares)).astype(np.uint8)
    grey = grey.repeat(cell, 0).repeat(cell, 1)
    # Blue, so that it is not taken for a picture that lacks its colours.
    return np.stack([grey, grey, np.maximum(grey, 128)], -1)


def settings(config: Config) -> dict[str, bool | int | float | str]:
    """The flags of a run as TensorBoard's hparams take them."""
    found = {}
    for name, value in dataclasses.asdict(config).items():
        if isinstance(value, (bool, int, float, str)):
            found[name] = value
        else:
            found[name] = "" if value is None else str(value)
    return found
