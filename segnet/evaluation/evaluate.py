"""One exact pass over a split: every image once, at its own size."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.config import Config
from segnet.config.schedule import eval_batch_size
from segnet.data import datasets, sources
from segnet.evaluation import boundary, inference, metrics
from segnet.evaluation.ahead import map_ahead
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
    ) -> None:
        """Opens the split.

        Args:
          predictor: Images, uint8 `[batch, height, width, 3]`, to logits,
            float32 `[batch, height, width, num_classes]`; see
            `inference.Predictor`.
          manifest: Of the split.
          config: Of the run: where the data lies, input and batch size.
          pad: Whether the last batch is filled up, for static shapes.
        """
        self._predictor = predictor
        self._config = config
        self._class_names = manifest.class_names
        self._source = sources.RecordSource(
            manifest, config.data_dir, cache=False
        )
        self._pad = pad

    def __call__(
        self,
        *,
        with_boundary_f1: bool = False,
        show_progress: bool = False,
        guard: Callable[[Iterator[Any]], Iterator[Any]] = iter,
    ) -> dict[str, Any]:
        """Scores the network as it is now; the same result on every worker.

        Args:
          with_boundary_f1: Whether to compute the boundary F1, which takes
            longer.
          show_progress: Whether rank 0 shows how far its own share is.
          guard: What the images of a worker's share pass through; may raise.

        Returns:
          `images`, what `metrics.summarize` gives and `confusion_matrix`
          (pixel counts, rows truth, columns prediction); with boundary F1 also
          `boundary_f1` (of the split and of each class) and
          `boundary_f1_seconds` (of all workers).

        Raises:
          DataError: A record is damaged.
        """
        # Asked at each call: an elastic run has other workers by then.
        rank, size = distributed.rank(), distributed.size()
        scores = _Scores(len(self._class_names), with_boundary_f1)
        progress = Progress(
            len(range(rank, self._source.num_records, size)),
            unit="image",
            label="evaluate",
            enabled=show_progress and distributed.is_chief(),
        )
        with progress, concurrent.futures.ThreadPoolExecutor() as pool:
            for score in map_ahead(
                pool,
                scores.score,
                self._predictions(rank, size, guard),
                limit=_MAX_WAITING_BYTES,
                cost=_num_bytes,
            ):
                scores.add(score)
                progress.advance()
        return scores.summarize(self._class_names, distributed.allreduce_array)

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
            min(eval_batch_size(self._config), self._source.num_records),
            pad=self._pad,
        )


def _num_bytes(tensors: tuple[tf.Tensor, ...]) -> int:
    return sum(x.shape.num_elements() * x.dtype.size for x in tensors)


@dataclasses.dataclass(frozen=True)
class _Score:
    """Of one image: confusion matrix, boundary F1 of each class, its time."""

    confusion: np.ndarray
    boundary_f1: np.ndarray | None = None
    seconds: float = 0.0


class _Scores:
    """Adds up the scores of images."""

    def __init__(self, num_classes: int, with_boundary_f1: bool) -> None:
        self._num_classes = num_classes
        self._with_boundary_f1 = with_boundary_f1
        self._confusion = np.zeros([num_classes, num_classes], np.int64)
        self._images = 0
        self._seconds = 0.0
        # Sum of F1 and count, for each class and, last, over the images.
        self._boundary = np.zeros([2, num_classes + 1])

    def score(self, predicted: tuple[tf.Tensor, tf.Tensor]) -> _Score:
        """Scores one image; adds nothing yet, so threads may call it.

        Args:
          predicted: Logits, float32 `[input height, input width,
            num_classes]`, and label, uint8 `[height, width]`.
        """
        logits, truth = predicted[0], predicted[1].numpy()
        number = self._num_classes
        labels = inference.labels_at(logits, *truth.shape)
        confusion = metrics.confusion_matrix(truth, labels, number)
        if not self._with_boundary_f1:
            return _Score(confusion)
        start = time.perf_counter()
        f1 = boundary.boundary_f1_scores(truth, labels, number)
        return _Score(confusion, f1, time.perf_counter() - start)

    def add(self, score: _Score) -> None:
        """Adds one image."""
        self._confusion += score.confusion
        self._images += 1
        self._seconds += score.seconds
        f1 = score.boundary_f1
        if f1 is not None and not np.all(np.isnan(f1)):
            f1 = np.append(f1, np.nanmean(f1))
            self._boundary += [np.nan_to_num(f1), ~np.isnan(f1)]

    def summarize(
        self,
        class_names: tuple[str, ...],
        reduce_sum: Callable[[np.ndarray, str], np.ndarray],
    ) -> dict[str, Any]:
        """Sums over the workers, then divides."""
        confusion = reduce_sum(self._confusion, "confusion")
        images = reduce_sum(np.array([self._images], np.int64), "images")
        result = {
            "images": int(images[0]),
            **metrics.summarize(confusion, class_names),
            "confusion_matrix": confusion.tolist(),
        }
        if self._with_boundary_f1:
            sums, counts = reduce_sum(self._boundary, "boundary")
            means = [
                float(total / count) if count else None
                for total, count in zip(sums, counts, strict=True)
            ]
            result["boundary_f1"] = means[-1]
            for name, mean in zip(class_names, means[:-1], strict=True):
                result["per_class"][name]["boundary_f1"] = mean
            seconds = reduce_sum(np.array([self._seconds]), "seconds")
            result["boundary_f1_seconds"] = float(seconds[0])
        return result
