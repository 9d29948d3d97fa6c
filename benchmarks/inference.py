"""Evaluation and prediction against the network's forward pass alone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.contender import Work
from segnet import (
    data,
    evaluate,
    inference,
    models,
    predict,
    records,
    runtime,
    sources,
)

__all__ = ["create_evaluation", "create_forward", "create_prediction"]


def _create_eval_step(
    architecture: str,
    precision: str,
    num_classes: int,
    width_multiplier: float,
    input_size: tuple[int, int],
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The forward pass that evaluation and prediction have."""
    device = runtime.setup_runtime("cpu", precision)
    model = models.create_model(
        architecture,
        num_classes,
        width_multiplier=width_multiplier,
        batch_norm=None,
    )
    return inference.create_eval_step(
        model, device_name=device.device_name, input_size=input_size
    )


def create_forward(
    *,
    architecture: str,
    precision: str,
    height: int,
    width: int,
    batch_size: int,
    num_classes: int,
    batches: int,
    width_multiplier: float = 1.0,
) -> Work:
    """Prepares forward passes of one random batch.

    Args:
      architecture: `vgg_segnet` or `segnet`.
      precision: `float32` or `bfloat16`.
      height: Of the network's input, pixels.
      width: Of the network's input, pixels.
      batch_size: Images a batch.
      num_classes: Classes.
      batches: Batches a round.
      width_multiplier: Factor on the channels.

    Returns:
      Work that does `batches` passes and gives the number of images.
    """
    eval_step = _create_eval_step(
        architecture, precision, num_classes, width_multiplier, (height, width)
    )
    rng = np.random.default_rng(0)
    shape = (batch_size, height, width, 3)
    images = tf.constant(rng.integers(0, 256, shape, np.uint8))

    def work() -> int:
        for _ in range(batches):
            logits = eval_step(images)
        if not np.isfinite(logits.numpy()).all():
            raise RuntimeError("logits are not finite")
        return batches * batch_size

    return work


def create_evaluation(
    *,
    architecture: str,
    precision: str,
    height: int,
    width: int,
    batch_size: int,
    data_dir: str,
    width_multiplier: float = 1.0,
) -> Work:
    """Prepares the evaluation of a split, without boundary F1.

    Args:
      architecture: As for `create_forward`.
      precision: As for `create_forward`.
      height: Of the network's input, pixels.
      width: Of the network's input, pixels.
      batch_size: Images a batch.
      data_dir: Folder of the shards; the split is `val`.
      width_multiplier: As for `create_forward`.

    Returns:
      Work that scores the split once and gives the number of images.
    """
    manifest = records.read_manifest(data_dir, "val")
    eval_step = _create_eval_step(
        architecture,
        precision,
        manifest.num_classes,
        width_multiplier,
        (height, width),
    )

    dataset = data.create_eval_dataset(
        sources.RecordSource(manifest, data_dir, cache=False),
        height=height,
        width=width,
        batch_size=batch_size,
        shard_index=0,
        shard_count=1,
        pad=False,
    )

    def work() -> int:
        scores = evaluate.evaluate(
            eval_step,
            dataset,
            manifest.class_names,
            reduce_sum=lambda values, name: values,
        )
        if scores["images"] != manifest.num_records:
            raise RuntimeError(f"{scores['images']} images were scored")
        return scores["images"]

    return work


def create_prediction(
    *,
    architecture: str,
    precision: str,
    height: int,
    width: int,
    batch_size: int,
    num_classes: int,
    images_dir: str,
    width_multiplier: float = 1.0,
) -> Work:
    """Prepares the labelling of a folder, writing of PNG files included.

    Args:
      architecture: As for `create_forward`.
      precision: As for `create_forward`.
      height: Of the network's input, pixels.
      width: Of the network's input, pixels.
      batch_size: Images a batch.
      num_classes: Classes.
      images_dir: Folder of images.
      width_multiplier: As for `create_forward`.

    Returns:
      Work that labels the folder once and gives the number of images.
    """
    eval_step = _create_eval_step(
        architecture, precision, num_classes, width_multiplier, (height, width)
    )
    paths = predict.find_inputs(images_dir)
    names = tuple(f"class {number}" for number in range(num_classes))

    def work() -> int:
        folder = tempfile.mkdtemp(prefix="bench-predict-")
        problems = predict.predict(
            eval_step,
            paths,
            folder,
            names,
            height=height,
            width=width,
            batch_size=batch_size,
            pad=False,
        )
        written = len(list(Path(folder).glob("*.png")))
        shutil.rmtree(folder)
        if problems or written != 2 * len(paths):
            raise RuntimeError(f"{written} files, problems: {problems}")
        return len(paths)

    return work
