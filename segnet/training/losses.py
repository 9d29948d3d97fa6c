"""Masked losses as (sum, weight).

A trainer divides the sum by the weight of ALL workers, so that the result
does not depend on how ignored pixels are spread over them; the weight needs
the labels alone and can be reduced before the backward pass. Static shapes,
int32 labels and masks by multiplication throughout, for Gaudi's sake.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import tensorflow as tf

from segnet.constants import LOSSES
from segnet.errors import ConfigError

__all__ = ["Loss", "create_loss_fn"]

_SMOOTHED_LOSSES = ("cross_entropy", "cross_entropy_dice")

# Pixels added to both sides of the Dice fraction.
_DICE_SMOOTH = 1.0


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss of logits and labels; see `create_loss_fn`.

    Pixels whose label is not in `0..num_classes - 1` (255 above all) are
    ignored: they change neither value nor gradient. Without a valid pixel,
    sum, weight and gradient are zero.

    Attributes:
      name: One of `constants.LOSSES`.
      num_classes: Number of classes.
      class_weights: One for each class; None: 1 each.
      label_smoothing: In 0..1, of the cross-entropy.
    """

    name: str
    num_classes: int
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0

    def weight(self, labels: tf.Tensor) -> tf.Tensor:
        """Sum of the class weights of the valid pixels.

        Without class weights it is the number of valid pixels.

        Args:
          labels: int32 `[batch, height, width]`.

        Returns:
          float32 scalar.
        """
        pixel_weights, _ = self._mask(tf.reshape(labels, [-1]), tf.float32)
        return tf.reduce_sum(pixel_weights)

    def __call__(
        self, logits: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes loss sum and weight.

        Args:
          logits: `[batch, height, width, num_classes]`; float32, or float64,
            in which it then computes; half precision is cast to float32.
          labels: int32 `[batch, height, width]`.

        Returns:
          (loss sum, weight as of `weight`), scalars of the logits' precision.
        """
        half = logits.dtype in (tf.float16, tf.bfloat16)
        logits = tf.cast(logits, tf.float32) if half else logits
        logits = tf.reshape(logits, [-1, self.num_classes])
        labels = tf.reshape(labels, [-1])
        pixel_weights, indices = self._mask(labels, logits.dtype)
        weight = tf.reduce_sum(pixel_weights)
        # Losses of regions are means over classes, not sums over pixels.
        # Times the weight they can be added to sums over pixels, and the mean
        # over several workers has each one's weight.
        if self.name == "dice":
            return self._dice(logits, indices) * weight, weight
        if self.name == "lovasz_softmax":
            return self._lovasz_softmax(logits, indices) * weight, weight
        losses = self._cross_entropy(logits, indices)
        if self.name == "focal":
            # 1 - p of the true class; expm1 keeps its digits where p is 1.
            losses *= tf.square(tf.math.expm1(-losses))
        loss_sum = tf.reduce_sum(losses * pixel_weights)
        if self.name == "cross_entropy_dice":
            loss_sum += self._dice(logits, indices) * weight
        return loss_sum, weight

    def differentiate(
        self, logits: tf.Tensor, labels: tf.Tensor, factor: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Computes the loss and its gradient.

        Args:
          logits: As for a call.
          labels: Likewise.
          factor: Scalar of the precision in which the loss computes, which
            the gradient is multiplied by before it is cast.

        Returns:
          (loss sum, weight) as of a call, and `factor` times the gradient of
          the sum with respect to the logits, of their shape and dtype.
        """
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss_sum, weight = self(logits, labels)
            value = loss_sum * factor
        return loss_sum, weight, tape.gradient(value, logits)

    def _mask(
        self, labels: tf.Tensor, dtype: tf.DType
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Weight of each pixel (0: ignored), and its class or -1."""
        labels = tf.cast(labels, tf.int32)
        valid = tf.logical_and(labels >= 0, labels < self.num_classes)
        indices = tf.where(valid, labels, -1)
        pixel_weights = tf.cast(valid, dtype)
        if self.class_weights is not None:
            weights = tf.constant(self.class_weights, dtype)
            pixel_weights *= tf.gather(weights, tf.maximum(indices, 0))
        return pixel_weights, indices

    def _cross_entropy(
        self, logits: tf.Tensor, indices: tf.Tensor
    ) -> tf.Tensor:
        """Cross-entropy of each pixel, `[pixels]`.

        By the dense op: as fast as the sparse one, takes smoothed targets,
        and is the one that the bridge to Gaudi is known to have.
        """
        rest = self.label_smoothing / self.num_classes
        targets = tf.one_hot(
            indices,
            self.num_classes,
            on_value=tf.constant(
                1.0 - self.label_smoothing + rest, logits.dtype
            ),
            off_value=tf.constant(rest, logits.dtype),
        )
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    def _dice(self, logits: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        """Mean over the classes present of 1 - soft Dice of the batch."""
        # The row of an ignored pixel, whose index is -1, is all zeros.
        truth = tf.one_hot(indices, self.num_classes, dtype=logits.dtype)
        # [truth, prediction], a confusion matrix of probabilities.
        confusion = tf.matmul(truth, tf.nn.softmax(logits), transpose_a=True)
        pixels = tf.reduce_sum(truth, 0)
        overlap = 2.0 * tf.linalg.diag_part(confusion)
        total = pixels + tf.reduce_sum(confusion, 0)
        dice = (overlap + _DICE_SMOOTH) / (total + _DICE_SMOOTH)
        return self._mean_over_present(1.0 - dice, pixels)

    def _lovasz_softmax(
        self, logits: tf.Tensor, indices: tf.Tensor
    ) -> tf.Tensor:
        """Mean over the classes present of the Lovasz-extended 1 - IoU.

        The extension is the inner product of the errors with the growth of
        the Jaccard loss as pixels become wrong one by one, the largest error
        first.
        """
        probabilities = tf.transpose(tf.nn.softmax(logits))
        truth = tf.one_hot(
            indices, self.num_classes, dtype=logits.dtype, axis=0
        )
        valid = tf.cast(indices >= 0, logits.dtype)
        # 1 - p of the true class, p of the others.
        errors = (truth + (1.0 - 2.0 * truth) * probabilities) * valid
        growth = tf.stop_gradient(_jaccard_growth(errors, truth, valid))
        losses = tf.reduce_sum(errors * growth, 1)
        return self._mean_over_present(losses, tf.reduce_sum(truth, 1))

    def _mean_over_present(
        self, losses: tf.Tensor, pixels: tf.Tensor
    ) -> tf.Tensor:
        """Weighted mean over the classes that have pixels; 0 if none has."""
        weights = tf.cast(pixels > 0.0, losses.dtype)
        if self.class_weights is not None:
            weights *= tf.constant(self.class_weights, losses.dtype)
        total = tf.reduce_sum(losses * weights)
        return tf.math.divide_no_nan(total, tf.reduce_sum(weights))


def _jaccard_growth(
    errors: tf.Tensor, truth: tf.Tensor, valid: tf.Tensor
) -> tf.Tensor:
    """Growth of each class's Jaccard loss when a pixel becomes wrong.

    It is written out for each pixel: differences of successive losses, as
    in the paper, cancel to noise in float32.

    Args:
      errors: `[classes, pixels]`, in 0..1; the largest becomes wrong first.
      truth: Whether the pixel is of the class, `[classes, pixels]`.
      valid: 0 for pixels to ignore, `[pixels]`.

    Returns:
      `[classes, pixels]`, in the order of the pixels.
    """
    # Ignored pixels get keys of about -1, so they come last.
    _, order = tf.math.top_k(errors + (valid - 1.0), tf.shape(errors)[1])
    wrong = tf.gather(truth, order, batch_dims=1)
    pixels = tf.reduce_sum(truth, 1, keepdims=True)
    overlap = pixels - tf.cumsum(wrong, 1)
    union = pixels + tf.cumsum(1.0 - wrong, 1)
    # A missed pixel shrinks the overlap, any other widens the union.
    growth = wrong + tf.math.divide_no_nan((1.0 - wrong) * overlap, union - 1.0)
    growth = tf.math.divide_no_nan(growth, union)
    num_pixels = tf.size(valid)
    rows = tf.range(tf.shape(errors)[0])[:, None] * num_pixels
    positions = tf.reshape(order + rows, [-1, 1])
    growth = tf.scatter_nd(
        positions, tf.reshape(growth, [-1]), [tf.size(errors)]
    )
    return tf.reshape(growth, tf.shape(errors))


def create_loss_fn(
    name: str,
    num_classes: int,
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
) -> Loss:
    """Creates a loss.

    With w the class weights, and W the sum of w over the valid pixels:

    - `cross_entropy`: sum over the pixels of w of the true class times the
      cross-entropy. Smoothing (Szegedy et al. 2016, section 7) moves that
      share of the target evenly to all classes; the pixel as a whole keeps
      the weight of its true class.
    - `focal`: the same with the factor (1 - p of the true class) ^ 2
      (Lin et al. 2017, arXiv:1708.02002, eq. 5, for a softmax).
    - `dice`: W times the mean, weighted by w, of 1 - Dice over the classes
      present in the labels. Dice is soft, without squares, of the batch as a
      whole, with one pixel added above and below. An absent class counts
      only by the probability that it takes from the others.
    - `lovasz_softmax`: the same with the Lovasz extension of 1 - IoU in
      place of 1 - Dice (Berman et al. 2018, arXiv:1705.08790, over the
      classes present, of the batch as a whole). It sorts all pixels once for
      each class, which on a CPU costs a dozen times the cross-entropy.
    - `cross_entropy_dice`: the sum of both.

    With several workers, cross-entropy and focal loss are those of the
    joined batch. Dice and Lovasz are the means of the workers' own values,
    weighted by W: regions are not pooled over workers.

    Args:
      name: One of `constants.LOSSES`.
      num_classes: Number of classes.
      class_weights: One for each class, not negative; None: 1 each.
      label_smoothing: At least 0, below 1; for losses with cross-entropy.

    Raises:
      ConfigError: If a value cannot be used.
    """
    if name not in LOSSES:
        raise ConfigError(
            f"--loss={name} is not known; use one of {', '.join(LOSSES)}"
        )
    if not 0.0 <= label_smoothing < 1.0:
        raise ConfigError(
            f"--label_smoothing={label_smoothing} must be at least 0 and "
            "below 1"
        )
    if label_smoothing and name not in _SMOOTHED_LOSSES:
        raise ConfigError(
            f"--label_smoothing={label_smoothing} has no meaning with "
            f"--loss={name}; use 0, or one of {', '.join(_SMOOTHED_LOSSES)}"
        )
    if class_weights is not None:
        class_weights = tuple(float(weight) for weight in class_weights)
        if len(class_weights) != num_classes or not all(
            math.isfinite(weight) and weight >= 0.0 for weight in class_weights
        ):
            raise ConfigError(
                f"class weights {class_weights}: need {num_classes} finite "
                "numbers, one for each class, none of them negative"
            )
    return Loss(name, num_classes, class_weights, label_smoothing)
