"""Evaluation and prediction against the network's forward pass alone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.contender import Work
from benchmarks.network import Network
from segnet import models
from segnet.data import datasets, sources
from segnet.evaluation import evaluate, inference, predict
from segnet.records.splits import read_manifest
from segnet.runtime.device import setup_runtime

__all__ = ["create_evaluation", "create_forward", "create_prediction"]


def _create_eval_step(network: Network) -> Callable[[tf.Tensor], tf.Tensor]:
    """The forward pass that evaluation and prediction have."""
    device = setup_runtime("cpu", network.precision)
    model = models.create_model(
        network.architecture,
        network.num_classes,
        width_multiplier=network.width_multiplier,
        batch_norm=None,
    )
    return inference.create_eval_step(
        model,
        device_name=device.device_name,
        input_size=(network.height, network.width),
    )


def create_forward(*, network: Mapping[str, Any], batches: int) -> Work:
    """Prepares forward passes of one random batch.

    Args:
      network: Of `Network`.
      batches: Batches a round.

    Returns:
      Work that does `batches` passes and gives the number of images.
    """
    shown = Network(**network)
    eval_step = _create_eval_step(shown)
    rng = np.random.default_rng(0)
    shape = (shown.batch_size, shown.height, shown.width, 3)
    images = tf.constant(rng.integers(0, 256, shape, np.uint8))

    def work() -> int:
        for _ in range(batches):
            logits = eval_step(images)
        if not np.isfinite(logits.numpy()).all():
            raise RuntimeError("logits are not finite")
        return batches * shown.batch_size

    return work


def create_evaluation(*, network: Mapping[str, Any], data_dir: str) -> Work:
    """Prepares the evaluation of a split, without boundary F1.

    Of the larger split: what the start of the input takes, 0.04 s, would be
    one per cent of the 101 images of CamVid's other one.

    Args:
      network: Of `Network`.
      data_dir: Folder of the shards; the split is `train`.

    Returns:
      Work that scores the split once and gives the number of images.
    """
    shown = Network(**network)
    manifest = read_manifest(data_dir, "train")
    eval_step = _create_eval_step(shown)
    dataset = datasets.create_eval_dataset(
        sources.RecordSource(manifest, data_dir, cache=False),
        height=shown.height,
        width=shown.width,
        batch_size=shown.batch_size,
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


def create_prediction(*, network: Mapping[str, Any], images_dir: str) -> Work:
    """Prepares the labelling of a folder, writing of PNG files included.

    Args:
      network: Of `Network`.
      images_dir: Folder of images.

    Returns:
      Work that labels the folder once and gives the number of images.
    """
    shown = Network(**network)
    eval_step = _create_eval_step(shown)
    paths = predict.find_inputs(images_dir)
    names = tuple(f"class {number}" for number in range(shown.num_classes))

    def work() -> int:
        folder = tempfile.mkdtemp(prefix="bench-predict-")
        problems = predict.predict(
            eval_step,
            paths,
            folder,
            names,
            height=shown.height,
            width=shown.width,
            batch_size=shown.batch_size,
            pad=False,
        )
        written = len(list(Path(folder).glob("*.png")))
        shutil.rmtree(folder)
        if problems or written != 2 * len(paths):
            raise RuntimeError(f"{written} files, problems: {problems}")
        return len(paths)

    return work
