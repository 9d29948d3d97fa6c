"""One exact pass over a split: every image once, at its own size."""

from __future__ import annotations

import collections
import concurrent.futures
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.config import Config
from segnet.data import datasets, sources
from segnet.evaluation import boundary, inference, metrics
from segnet.records.manifest import Manifest
from segnet.runtime import distributed

__all__ = ["SplitEvaluation", "evaluate"]

# Post-processing of so many images may wait while the network goes on.
_MAX_WAITING = 64


class SplitEvaluation:
    """Scores a network on a split, shared among the workers; for any time."""

    def __init__(
        self,
        eval_step: Callable[[tf.Tensor], tf.Tensor],
        manifest: Manifest,
        config: Config,
        *,
        pad: bool = True,
    ) -> None:
        """Prepares the pass over the split.

        Args:
          eval_step: As `inference.create_eval_step` gives it.
          manifest: Of the split.
          config: Of the run: where the data lies, input and batch size.
          pad: Whether the last batch is filled up, for static shapes.
        """
        self._eval_step = eval_step
        self._class_names = manifest.class_names
        self._source = sources.RecordSource(
            manifest, config.data_dir, cache=False
        )
        self._dataset = datasets.create_eval_dataset(
            self._source,
            height=config.input_height,
            width=config.input_width,
            # The same for training and evaluation alone: one shape is traced.
            batch_size=min(config.batch_size, manifest.num_records),
            shard_index=distributed.rank(),
            shard_count=distributed.size(),
            pad=pad,
        )

    def __call__(
        self,
        *,
        with_boundary_f1: bool = False,
        advance: Callable[[int], None] = lambda images: None,
    ) -> dict[str, Any]:
        """Scores the network as it is now; the same result on every worker.

        Args:
          with_boundary_f1: See `evaluate`.
          advance: See `evaluate`.

        Raises:
          DataError: If a record is damaged.
        """
        with self._source.explain_damage():
            return evaluate(
                self._eval_step,
                self._dataset,
                self._class_names,
                reduce_sum=distributed.allreduce_array,
                with_boundary_f1=with_boundary_f1,
                advance=advance,
            )


def evaluate(
    eval_step: Callable[[tf.Tensor], tf.Tensor],
    dataset: tf.data.Dataset,
    class_names: tuple[str, ...],
    *,
    reduce_sum: Callable[[np.ndarray, str], np.ndarray],
    with_boundary_f1: bool = False,
    advance: Callable[[int], None] = lambda images: None,
) -> dict[str, Any]:
    """Scores a network.

    The network sees each image at its input size; its logits are brought to
    the size of the annotation, and scored there.

    Args:
      eval_step: As `inference.create_eval_step` gives it.
      dataset: As `data.create_eval_dataset` gives it.
      class_names: One for each class.
      reduce_sum: (array, name) -> its sum over the workers. Counts are
        summed and divided once, so the result is that of a single worker.
      with_boundary_f1: Whether to compute the boundary F1, which takes
        longer.
      advance: Called with the number of images scored.

    Returns:
      `images`, what `metrics.summarize` gives and `confusion_matrix` (pixel
      counts, rows truth, columns prediction); with boundary F1 also
      `boundary_f1` (of the split and of each class) and
      `boundary_f1_seconds`.
    """
    scores = _Scores(len(class_names), with_boundary_f1)
    waiting: collections.deque = collections.deque()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for batch in dataset:
            logits = eval_step(batch["image"])
            index, sizes = batch["index"].numpy(), batch["size"].numpy()
            labels = batch["label"].numpy()
            for i in np.flatnonzero(index >= 0):
                waiting.append(
                    pool.submit(
                        _score,
                        logits,
                        int(i),
                        labels[i, : sizes[i, 0], : sizes[i, 1]],
                        len(class_names),
                        with_boundary_f1,
                    )
                )
            while len(waiting) > _MAX_WAITING:
                scores.add(waiting.popleft().result())
            advance(int(np.sum(index >= 0)))
        while waiting:
            scores.add(waiting.popleft().result())
    return scores.summarize(class_names, reduce_sum)


def _score(
    logits: tf.Tensor,
    place: int,
    truth: np.ndarray,
    num_classes: int,
    with_boundary_f1: bool,
) -> tuple[np.ndarray, np.ndarray | None, float]:
    """Confusion matrix, boundary F1 and its time, of one image of a batch."""
    prediction = inference.labels_at(logits[place], *truth.shape)
    confusion = metrics.confusion_matrix(truth, prediction, num_classes)
    if not with_boundary_f1:
        return confusion, None, 0.0
    start = time.perf_counter()
    f1 = boundary.boundary_f1_scores(truth, prediction, num_classes)
    return confusion, f1, time.perf_counter() - start


class _Scores:
    """Adds up the scores of images."""

    def __init__(self, num_classes: int, with_boundary_f1: bool) -> None:
        self._confusion = np.zeros([num_classes, num_classes], np.int64)
        self._images = 0
        self._with_boundary_f1 = with_boundary_f1
        self._seconds = 0.0
        # Of each class and, last, of the images: sum of F1 and count.
        self._boundary = np.zeros([2, num_classes + 1])

    def add(self, score: tuple[np.ndarray, np.ndarray | None, float]) -> None:
        """Adds one image."""
        confusion, f1, seconds = score
        self._confusion += confusion
        self._images += 1
        self._seconds += seconds
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
            result["boundary_f1_seconds"] = self._seconds
        return result
