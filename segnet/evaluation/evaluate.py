"""One exact pass over a split: every image once, at its own size."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.config import Config
from segnet.config.schedule import eval_batch_size
from segnet.data import datasets, placement, sources
from segnet.evaluation import inference
from segnet.evaluation.ahead import map_ahead
from segnet.evaluation.counting import (
    Prediction,
    Score,
    Table,
    Total,
    confusion_of,
    score_image,
)
from segnet.evaluation.image_scores import ImageScores
from segnet.progress import Progress
from segnet.records.manifest import Manifest
from segnet.runtime import distributed

__all__ = ["Evaluation"]

# Of logits and labels whose scoring may wait while the network goes on.
_MAX_WAITING_BYTES = 2**29


class Evaluation:
    """Scores a network on a split, shared among the workers there are.

    The network sees each image at its input size; its logits are brought to
    the size of the annotation, and scored there. Counts are summed over the
    workers and divided once, so the result is that of a single worker,
    whatever their number is by then.
    """

    def __init__(
        self,
        predictor: Callable[[tf.Tensor], tf.Tensor],
        manifest: Manifest,
        config: Config,
        *,
        pad: bool = False,
        are_logits: bool = True,
    ) -> None:
        """Opens the split.

        Args:
          predictor: Images, uint8 `[batch, height, width, 3]`, to logits,
            float32 `[batch, height, width, num_classes]`; see
            `inference.Predictor`.
          manifest: Of the split.
          config: Of the run: where the data lies, input and batch size.
          pad: Whether the last batch is filled up, for static shapes.
          are_logits: False if the predictor gives probabilities.
        """
        self._predictor = predictor
        self._are_logits = are_logits
        self._config = config
        self._class_names = manifest.class_names
        self._num_records = manifest.num_records
        # The number of each record that this worker reads, if it has a part of
        # its own.
        self._part: Sequence[int] | None = None
        if config.shard_placement == "all":
            self._source = sources.RecordSource(
                manifest, config.data_dir, cache=False
            )
        else:
            self._source, self._part = placement.PlacedSplit(
                manifest,
                config.data_dir,
                rank=distributed.rank(),
                size=distributed.size(),
            ).part()
        self._pad = pad

    def __call__(
        self,
        *,
        show_progress: bool = False,
        guard: Callable[[Iterator[Any]], Iterator[Any]] = iter,
    ) -> dict[str, Any]:
        """Scores the network as it is now; the same result on every worker.

        Args:
          show_progress: Whether rank 0 shows how far its own share is.
          guard: What the images of a worker's share pass through; may raise.

        Returns:
          `images`, what `metrics.summarize` gives and `confusion_matrix`
          (pixel counts, rows truth, columns prediction).

        Raises:
          DataError: A record is damaged.
        """
        total = Total(len(self._class_names))
        for _, confusion in self._scored(confusion_of, show_progress, guard):
            total.add(confusion)
        return total.summarize(self._class_names, distributed.allreduce_array)

    def detailed(
        self,
        *,
        show_progress: bool = False,
        boundaries: bool = True,
        visit: Callable[[int, Prediction], None] = lambda index, seen: None,
    ) -> tuple[dict[str, Any], ImageScores]:
        """As a call, with all that takes longer.

        Args:
          show_progress: As for a call.
          boundaries: Whether to score them, too, which takes longest; without
            that what is said of them is None.
          visit: Called in threads, with the number of each record of this
            worker's share and what was predicted.

        Returns:
          The scores: also `boundary_f1`, `image_mean_iou` (mean of the images'
          mean IoUs), `mean_confidence`, `mean_entropy`, `calibration_error`,
          `reliability`, `uncertainty_rank_correlation` (of entropy and error
          over the images) and `intervals` (of `image_scores.SCORES`), for each
          class `boundary_f1`, `calibration_error`, `reliability` and
          `iou_interval`, and `boundary_f1_seconds` (of all workers). And the
          scores of each image.

        Raises:
          DataError: A record is damaged.
        """
        number = len(self._class_names)
        table = Table(self._num_records, number)

        def score(
            index: int, logits: tf.Tensor, truth: np.ndarray, number: int
        ) -> Score:
            seen = Prediction(
                truth,
                *inference.certainty_at(
                    logits, *truth.shape, are_logits=self._are_logits
                ),
            )
            visit(index, seen)
            return score_image(seen, number, boundaries)

        total = Total(number)
        for index, found in self._scored(score, show_progress, iter):
            total.add(found.confusion)
            table.add(index, found)
        reduce_sum = distributed.allreduce_array
        scores = total.summarize(self._class_names, reduce_sum)
        return table.summarize(scores, self._class_names, reduce_sum)

    @property
    def source(self) -> sources.RecordSource:
        """The records of the split."""
        return self._source

    def image_names(self) -> list[str]:
        """File names of the images, in the order of the records.

        Called by all workers alike; others than rank 0 may get none.
        """
        if self._part is None:
            return self._source.image_names() if distributed.is_chief() else []
        own = [list(self._part), self._source.image_names()]
        names = {
            record: name
            for records, found in distributed.allgather_json(own)
            for record, name in zip(records, found, strict=True)
        }
        return [names[record] for record in range(self._num_records)]

    def _scored(
        self,
        score: Callable[[int, tf.Tensor, np.ndarray, int], Any],
        show_progress: bool,
        guard: Callable[[Iterator[Any]], Iterator[Any]],
    ) -> Iterator[tuple[int, Any]]:
        """What threads make of the images of this worker's share, in order.

        Args:
          score: Takes the number of a record, its logits, its label and the
            number of classes.
          show_progress: As for a call.
          guard: Likewise.
        """
        # Asked at each call: an elastic run has other workers by then.
        rank, size = distributed.rank(), distributed.size()
        share: Sequence[int] = range(rank, self._num_records, size)
        if self._part is not None:
            rank, size, share = 0, 1, self._part
        progress = Progress(
            len(share),
            unit="image",
            label="evaluate",
            enabled=show_progress and distributed.is_chief(),
        )

        def scored(item: tuple[tuple[tf.Tensor, tf.Tensor], int]) -> Any:
            (logits, label), index = item
            number = len(self._class_names)
            return index, score(index, logits, label.numpy(), number)

        with progress, concurrent.futures.ThreadPoolExecutor() as pool:
            for found in map_ahead(
                pool,
                scored,
                # These first: the workers agree on how they end.
                zip(self._predictions(rank, size, guard), share, strict=False),
                limit=_MAX_WAITING_BYTES,
                cost=lambda item: _num_bytes(item[0]),
            ):
                yield found
                progress.advance()

    def _predictions(
        self,
        rank: int,
        size: int,
        guard: Callable[[Iterator[Any]], Iterator[Any]],
    ) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Logits and label of each image of a worker's share."""
        dataset = datasets.create_eval_dataset(
            self._source,
            height=self._config.input_height,
            width=self._config.input_width,
            shard_index=rank,
            shard_count=size,
        )
        return inference.predict_images(
            self._predictor,
            guard(self._source.read(dataset)),
            # The same in training and evaluation alone: one shape is traced.
            min(eval_batch_size(self._config), self._num_records),
            pad=self._pad,
        )


def _num_bytes(tensors: tuple[tf.Tensor, ...]) -> int:
    return sum(x.shape.num_elements() * x.dtype.size for x in tensors)
