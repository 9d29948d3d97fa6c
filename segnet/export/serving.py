"""The network as it is exported: pictures of any size in, labels out."""

from __future__ import annotations

import tensorflow as tf

from segnet.data import resizing

__all__ = ["Serving", "save"]


class Serving(tf.Module):
    """A network with all that prediction does before and after it.

    No device is fixed: whoever loads it decides.
    """

    def __init__(self, model: tf.keras.Model, height: int, width: int) -> None:
        """Takes a network.

        Args:
          model: Of uint8 `[batch, height, width, 3]` to float32 logits.
          height: Of its input, pixels.
          width: Likewise.
        """
        super().__init__(name="segnet")
        # Not the Keras model, of which each layer would be saved as well.
        self.variables_of_model = model.variables
        self._size = (height, width)

        def forward(images: tf.Tensor) -> tf.Tensor:
            return model(images, training=False)

        self._forward = forward

    def _logits(self, images: tf.Tensor) -> tf.Tensor:
        """uint8 `[n, h, w, 3]` to logits `[n, h, w, classes]`."""
        size = tf.shape(images)[1:3]
        resized = resizing.resize_images(images, *self._size)
        logits = self._forward(resizing.to_uint8(resized))
        return tf.image.resize(logits, size, "bilinear")

    def labels(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """`labels`, uint8 `[n, h, w]`."""
        logits = self._logits(images)
        _, found = tf.math.top_k(logits, 1)
        return {"labels": tf.cast(found[..., 0], tf.uint8)}

    def probabilities(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """`labels`, and `probabilities`, float32 `[n, h, w, classes]`."""
        logits = self._logits(images)
        _, found = tf.math.top_k(logits, 1)
        return {
            "labels": tf.cast(found[..., 0], tf.uint8),
            "probabilities": tf.nn.softmax(logits),
        }

    def encoded(self, encoded_image: tf.Tensor) -> dict[str, tf.Tensor]:
        """`labels`, uint8 `[1, h, w]`, of a JPEG or PNG file's contents."""
        data = encoded_image[0]
        image = tf.cond(
            tf.io.is_jpeg(data),
            # As Pillow decodes it, and so prediction.
            lambda: tf.io.decode_jpeg(
                data, channels=3, dct_method="INTEGER_ACCURATE"
            ),
            lambda: tf.io.decode_png(data, channels=3),
        )
        return self.labels(image[None])


def save(serving: Serving, folder: str) -> None:
    """Writes a SavedModel.

    Args:
      serving: The network.
      folder: To write to.
    """
    images = tf.TensorSpec([None, None, None, 3], tf.uint8, "images")
    encoded = tf.TensorSpec([1], tf.string, "encoded_image")
    signatures = {
        name: tf.function(method, autograph=False).get_concrete_function(spec)
        for name, method, spec in (
            ("serving_default", serving.labels, images),
            ("probabilities", serving.probabilities, images),
            ("encoded_images", serving.encoded, encoded),
        )
    }
    tf.saved_model.save(serving, folder, signatures)
