"""Splits that networks have looked at, for the parts of a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.config import Config
from segnet.config.schedule import eval_batch_size
from segnet.data import resizing, sources
from segnet.evaluation import inference
from segnet.evaluation.counting import Prediction
from segnet.evaluation.evaluate import Evaluation
from segnet.evaluation.image_scores import ImageScores
from segnet.images.palettes import DEFAULT, Palette
from segnet.records.manifest import Manifest
from segnet.report.advice import speck_share
from segnet.report.suspects import Suspect, SuspectList, find_suspects

__all__ = ["MOST_SUSPECTS", "Measured", "Network", "choose", "measure"]

# Regions whose labels look wrong, of a split.
MOST_SUSPECTS = 30
# Of predictions that are kept, to be shown without another pass: three bytes a
# pixel, for some hundred images of a megapixel.
_KEPT_PIXELS = 2**27
# Of the ends of each order, if not all images are shown.
_OF_EACH_END = 3


@dataclasses.dataclass(frozen=True)
class Network:
    """What looks at images.

    Attributes:
      predictor: With its weights.
      config: Of its run.
      checkpoint: Path of the weights, and their step.
      pad: As for `Evaluation`.
      palette: Colour of each class on the page.
    """

    predictor: inference.Predictor
    config: Config
    checkpoint: str
    pad: bool
    palette: Palette = DEFAULT

    def evaluation(self, manifest: Manifest) -> Evaluation:
        """Of the images of a split."""
        return Evaluation(
            self.predictor,
            manifest,
            self.config,
            pad=self.pad,
            are_logits=not self.predictor.gives_probabilities,
        )

    def shrunk(self, image: tf.Tensor) -> tf.Tensor:
        """What it sees of an image, uint8 `[input height, input width, 3]`."""
        size = (self.config.input_height, self.config.input_width)
        return resizing.to_uint8(resizing.resize_image(image, *size))

    def look(
        self, images: Iterator[tuple[tf.Tensor, Any]], count: int
    ) -> Iterator[tuple[tf.Tensor, Any]]:
        """Logits of images; see `inference.predict_images`.

        Args:
          images: As `shrunk` gives them, and what goes with them.
          count: How many there are.
        """
        batch = min(eval_batch_size(self.config), max(1, count))
        return inference.predict_images(
            self.predictor, images, batch, pad=self.pad
        )

    def predicted(
        self, measured: Measured, indices: Sequence[int]
    ) -> Iterator[tuple[int, np.ndarray, Prediction]]:
        """Predicts some records once more: (number, image, prediction)."""

        def read() -> Iterator[tuple[tf.Tensor, Any]]:
            for index in indices:
                image, label = measured.source(tf.constant(index, tf.int64))
                yield self.shrunk(image), (index, image.numpy(), label.numpy())

        for logits, (index, image, truth) in self.look(read(), len(indices)):
            certain = inference.certainty_at(
                logits,
                *truth.shape,
                are_logits=not self.predictor.gives_probabilities,
            )
            yield index, image, Prediction(truth, *certain)


@dataclasses.dataclass(frozen=True)
class Measured:
    """A split that was scored and looked through.

    Attributes:
      manifest: Of the split.
      source: Its records.
      scores: As `Evaluation.detailed` gives them.
      images: Of each image.
      names: File names of the images.
      suspects: Regions whose labels look wrong, the largest first.
      specks: `speck_share` of predictions and annotations, mean over images.
      kept: Labels, confidence and entropy (255 for 1) of each image, uint8
        `[height, width]`; empty of large splits.
    """

    manifest: Manifest
    source: sources.RecordSource
    scores: dict[str, Any]
    images: ImageScores
    names: list[str]
    suspects: list[Suspect]
    specks: tuple[float, float]
    kept: dict[int, tuple[np.ndarray, ...]]

    def seen(
        self, network: Network, indices: Sequence[int]
    ) -> Iterator[tuple[int, np.ndarray, Prediction]]:
        """What `Network.predicted` gives, of the network that measured it."""
        if not self.kept:
            yield from network.predicted(self, indices)
            return
        for index in indices:
            image, truth = self.source(tf.constant(index, tf.int64))
            labels, *rest = self.kept[index]
            confidence, entropy = (x.astype(np.float32) / 255 for x in rest)
            yield (
                index,
                image.numpy(),
                Prediction(truth.numpy(), labels, confidence, entropy),
            )


def measure(
    network: Network, manifest: Manifest, *, boundaries: bool = True
) -> Measured:
    """Scores a split, and looks for labels that look wrong.

    Args:
      network: What looks at it.
      manifest: Of the split.
      boundaries: As for `Evaluation.detailed`; without them there are no
        specks either.

    Raises:
      DataError: A record is damaged.
    """
    evaluation = network.evaluation(manifest)
    found = SuspectList(MOST_SUSPECTS)
    specks = np.full([manifest.num_records, 2], np.nan)
    pixels = sum(
        height * width * count for height, width, count in manifest.sizes
    )
    kept: dict[int, tuple[np.ndarray, ...]] = {}

    def visit(index: int, seen: Prediction) -> None:
        found.add(
            find_suspects(
                index,
                seen.truth,
                seen.labels,
                seen.confidence,
                manifest.num_classes,
            )
        )
        if pixels <= _KEPT_PIXELS:
            kept[index] = (
                seen.labels,
                *(
                    np.rint(255 * x).astype(np.uint8)
                    for x in (seen.confidence, seen.entropy)
                ),
            )
        if boundaries and min(seen.truth.shape) >= 3:
            specks[index] = speck_share(seen.labels), speck_share(seen.truth)

    scores, images = evaluation.detailed(
        show_progress=True, visit=visit, boundaries=boundaries
    )
    known = specks[~np.isnan(specks[:, 0])]
    mean = known.mean(0).tolist() if len(known) else [0.0, 0.0]
    return Measured(
        manifest,
        sources.RecordSource(manifest, network.config.data_dir, cache=False),
        scores,
        images,
        evaluation.image_names(),
        found.largest(),
        (mean[0], mean[1]),
        kept,
    )


def choose(images: ImageScores, most: int) -> list[int]:
    """The images that are shown.

    Args:
      images: Of the split.
      most: How many.

    Returns:
      Numbers of records, rising: all of them or the worst, the best and the
      middle ones, and those in which each class is missed or invented most.
    """
    number = len(images)
    if number <= most:
        return list(range(number))
    by_iou = np.argsort(np.nan_to_num(images.mean_iou, nan=2.0), kind="stable")
    middle = number // 2
    hits, truth, predicted = np.moveaxis(images.counts, 1, 0)
    of_classes = [
        np.argsort(-wrong, kind="stable")[:_OF_EACH_END]
        for wrong in (*(truth - hits).T, *(predicted - hits).T)
    ]
    order = np.concatenate(
        [
            by_iou[: 2 * _OF_EACH_END],
            by_iou[-_OF_EACH_END:],
            by_iou[middle : middle + _OF_EACH_END],
            # The worst of each class in turn.
            np.stack(of_classes, 1).ravel(),
            by_iou,
        ]
    )
    return sorted(list(dict.fromkeys(order.tolist()))[:most])
