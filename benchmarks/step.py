"""The training step, on a synthetic batch and end to end from shards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from benchmarks.contender import Work
from benchmarks.network import Network
from segnet import config, models
from segnet.config import schedule
from segnet.data import datasets, sources
from segnet.records.manifest import Manifest
from segnet.records.splits import read_manifest
from segnet.runtime.device import setup_runtime
from segnet.training import losses, optim, steps

__all__ = ["create_end_to_end", "create_step", "create_train_step"]

# More epochs than a benchmark can take.
_MANY = 10**6


def create_train_step(network: Network) -> steps.TrainStep:
    """The step of the trainer with Adam and cross-entropy, on the CPU."""
    device = setup_runtime("cpu", network.precision)
    model = models.create_model(
        network.architecture,
        network.num_classes,
        width_multiplier=network.width_multiplier,
        folded_upsampling=network.folded_upsampling,
        filtered_gradient=network.filtered_gradient,
    )
    optimizer = optim.create_optimizer(
        "adam", momentum=0.9, weight_decay=0.0, loss_scaling=False
    )
    optimizer.build(model.trainable_variables)
    return steps.create_train_step(
        model,
        losses.create_loss_fn("cross_entropy", network.num_classes),
        optim.Updater(optimizer, model.trainable_variables),
        steps.Totals(),
        device_name=device.device_name,
        reduce_sum=lambda values, name: values,
        reduce_gradients=lambda gradients: gradients,
    )


def create_step(*, network: Mapping[str, Any], steps: int) -> Work:
    """Prepares training steps on one random batch.

    Args:
      network: Of `Network`.
      steps: Steps a round.

    Returns:
      Work that does `steps` steps and gives the number of images.
    """
    shown = Network(**network)
    train_step = create_train_step(shown)
    dataset = datasets.create_synthetic_dataset(
        height=shown.height,
        width=shown.width,
        batch_size=shown.batch_size,
        num_classes=shown.num_classes,
        seed=0,
    )
    return _rounds(train_step, iter(dataset), steps, shown.batch_size)


def create_end_to_end(
    *,
    network: Mapping[str, Any],
    steps: int,
    data_dir: str,
    augment: str = "basic",
    cache: bool = False,
) -> Work:
    """Prepares training steps on what the input pipeline gives.

    Args:
      network: Of `Network`.
      steps: Steps a round.
      data_dir: Folder of the shards; the split is `train`.
      augment: Policy of `segnet.data.augment`.
      cache: Whether the decoded split is kept in memory.

    Returns:
      Work that does `steps` steps and gives the number of images.
    """
    shown = Network(**network)
    train_step = create_train_step(shown)
    dataset = create_dataset(
        read_manifest(data_dir, "train"),
        data_dir,
        height=shown.height,
        width=shown.width,
        batch_size=shown.batch_size,
        augment=augment,
        cache=cache,
    )

    return _EndToEnd(train_step, dataset, steps, shown.batch_size)


class _EndToEnd:
    """Steps on what a pipeline gives that has just started."""

    def __init__(
        self,
        train_step: steps.TrainStep,
        dataset: tf.data.Dataset,
        count: int,
        batch_size: int,
    ) -> None:
        """Keeps what a round needs."""
        self._train_step = train_step
        self._dataset = dataset
        self._count = count
        self._batch_size = batch_size

    def prepare(self) -> None:
        """Starts anew: an iterator that waits between rounds fills up."""
        self._batches = iter(self._dataset)
        next(self._batches)

    def __call__(self) -> int:
        """One round."""
        return _rounds(
            self._train_step, self._batches, self._count, self._batch_size
        )()


def create_dataset(
    manifest: Manifest,
    data_dir: str,
    *,
    height: int,
    width: int,
    batch_size: int,
    augment: str,
    cache: bool,
) -> tf.data.Dataset:
    """The trainer's dataset, for as long as wanted."""
    settings = config.Config(
        input_height=height,
        input_width=width,
        batch_size=batch_size,
        epochs=_MANY,
    )
    plan = schedule.create_schedule(settings, manifest.num_records, 1)
    return datasets.create_train_dataset(
        sources.RecordSource(manifest, data_dir, cache=cache),
        plan.stages[0],
        start_step=0,
        end_step=_MANY,
        augment=augment,
        seed=0,
        shard_index=0,
        shard_count=1,
    )


def _rounds(
    train_step: steps.TrainStep, batches: object, count: int, batch_size: int
) -> Work:
    """Work of `count` steps a round."""
    rate, votes = tf.constant(1e-4), tf.zeros([2])

    def work() -> int:
        for _ in range(count):
            images, labels = next(batches)
            # The host waits for each step, as the trainer does.
            train_step(images, labels, rate, votes).numpy()
        return count * batch_size

    return work
