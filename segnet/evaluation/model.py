"""A trained network for use from Python: a picture in, its classes out."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from segnet.config import Config
from segnet.config.schedule import eval_batch_size
from segnet.constants import MAX_PIXELS
from segnet.data import resizing
from segnet.errors import DataError
from segnet.evaluation import inference
from segnet.images import image_files

__all__ = ["Model"]


class Model:
    """A trained network; `segnet.load` gives one.

    A picture of any size is resized to the network's input, as in training,
    and what the network says is brought back to the picture's own size: the
    same labels as those of `--mode=predict`.

    Attributes:
      config: Of its run, `segnet.Config`.
      checkpoint: Path of the weights.
    """

    def __init__(
        self,
        predictor: inference.Predictor,
        config: Config,
        checkpoint: str,
        *,
        pad: bool = False,
        max_pixels: int = MAX_PIXELS,
        bit_depth: int = 0,
    ) -> None:
        """Takes a network with its weights.

        Args:
          predictor: The network.
          config: Of its run.
          checkpoint: Path of the weights.
          pad: Whether all batches are of one size, for static shapes.
          max_pixels: That a picture may have.
          bit_depth: See `image_files.load_image`.
        """
        self._predictor = predictor
        self._batch_size = eval_batch_size(config) if pad else 1
        self._max_pixels, self._bit_depth = max_pixels, bit_depth
        self.config = config
        self.checkpoint = checkpoint

    def __repr__(self) -> str:
        """For notebooks."""
        return (
            f"<segnet.Model {self.config.architecture}, "
            f"{len(self.class_names)} classes, {self.checkpoint}>"
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class; their positions are the class ids."""
        return self.config.class_names

    def predict(self, image: np.ndarray | str | os.PathLike[str]) -> np.ndarray:
        """The most likely class of each pixel.

        Args:
          image: uint8 RGB `[height, width, 3]`, or the path of a file.

        Returns:
          Class ids, uint8 `[height, width]`.

        Raises:
          DataError: The picture cannot be read, or is no such array.
        """
        logits, height, width = self._run(image)
        return inference.labels_at(logits, height, width)

    def probabilities(
        self, image: np.ndarray | str | os.PathLike[str]
    ) -> np.ndarray:
        """The probability of each class at each pixel.

        Args:
          image: As for `predict`.

        Returns:
          float32 `[height, width, classes]`, 0 to 1; those of a pixel add up
          to 1.

        Raises:
          DataError: As for `predict`.
        """
        logits, height, width = self._run(image)
        return inference.probabilities_at(
            logits,
            height,
            width,
            are_logits=not self._predictor.gives_probabilities,
        )

    def _run(
        self, image: np.ndarray | str | os.PathLike[str]
    ) -> tuple[tf.Tensor, int, int]:
        """Logits at the network's input size; height and width of the image."""
        if isinstance(image, (str, os.PathLike)):
            pixels = image_files.load_image(
                image, self._max_pixels, self._bit_depth
            )
        else:
            pixels = _checked(image)
        resized = resizing.resize_image(
            inference.to_tensor(pixels),
            self.config.input_height,
            self.config.input_width,
        )
        seen = tf.stack([resizing.to_uint8(resized)] * self._batch_size)
        return self._predictor(seen)[0], *pixels.shape[:2]


def _checked(image: np.ndarray) -> np.ndarray:
    """An array that is an image.

    Raises:
      DataError: It is none.
    """
    what = f"{type(image).__name__}"
    if isinstance(image, np.ndarray):
        is_image = image.ndim == 3 and image.shape[2] == 3 and image.size
        if is_image and image.dtype == np.uint8:
            return image
        what = f"{image.dtype} {list(image.shape)}"
    raise DataError(
        f"the image is {what}; give uint8 RGB [height, width, 3] with values "
        "from 0 to 255, or the path of a file"
    )
