"""The training step, on a synthetic batch and end to end from shards."""

from __future__ import annotations

import tensorflow as tf

from benchmarks.contender import Work
from segnet import (
    config,
    data,
    losses,
    models,
    optim,
    records,
    runtime,
    schedule,
    sources,
    steps,
)

__all__ = ["create_end_to_end", "create_step", "create_train_step"]

# More epochs than a benchmark can take.
_MANY = 10**6


def create_train_step(
    *,
    architecture: str,
    precision: str,
    num_classes: int,
    width_multiplier: float = 1.0,
    folded_upsampling: bool = True,
) -> steps.TrainStep:
    """The step of the trainer with Adam and cross-entropy, on the CPU.

    Args:
      architecture: `vgg_segnet` or `segnet`.
      precision: `float32` or `bfloat16`.
      num_classes: Classes.
      width_multiplier: Factor on the channels.
      folded_upsampling: See `models.create_model`.

    Returns:
      As `steps.create_train_step`.
    """
    device = runtime.setup_runtime("cpu", precision)
    model = models.create_model(
        architecture,
        num_classes,
        width_multiplier=width_multiplier,
        folded_upsampling=folded_upsampling,
    )
    optimizer = optim.create_optimizer(
        "adam", momentum=0.9, weight_decay=0.0, loss_scaling=False
    )
    optimizer.build(model.trainable_variables)
    return steps.create_train_step(
        model,
        losses.create_loss_fn("cross_entropy", num_classes),
        optim.Updater(optimizer, model.trainable_variables),
        steps.Totals(),
        device_name=device.device_name,
        reduce_sum=lambda values, name: values,
        reduce_gradients=lambda gradients: gradients,
    )


def create_step(
    *,
    architecture: str,
    precision: str,
    height: int,
    width: int,
    batch_size: int,
    num_classes: int,
    steps: int,
    width_multiplier: float = 1.0,
    folded_upsampling: bool = True,
) -> Work:
    """Prepares training steps on one random batch.

    Args:
      architecture: As for `create_train_step`.
      precision: As for `create_train_step`.
      height: Of the images, pixels.
      width: Of the images, pixels.
      batch_size: Images a step.
      num_classes: Classes.
      steps: Steps a round.
      width_multiplier: As for `create_train_step`.
      folded_upsampling: As for `create_train_step`.

    Returns:
      Work that does `steps` steps and gives the number of images.
    """
    train_step = create_train_step(
        architecture=architecture,
        precision=precision,
        num_classes=num_classes,
        width_multiplier=width_multiplier,
        folded_upsampling=folded_upsampling,
    )
    dataset = data.create_synthetic_dataset(
        height=height,
        width=width,
        batch_size=batch_size,
        num_classes=num_classes,
        seed=0,
    )
    batches = iter(dataset)
    return _rounds(train_step, batches, steps, batch_size)


def create_end_to_end(
    *,
    architecture: str,
    precision: str,
    height: int,
    width: int,
    batch_size: int,
    steps: int,
    data_dir: str,
    augment: str = "basic",
    cache: bool = False,
    width_multiplier: float = 1.0,
) -> Work:
    """Prepares training steps on what the input pipeline gives.

    Args:
      architecture: As for `create_train_step`.
      precision: As for `create_train_step`.
      height: Of the network's input, pixels.
      width: Of the network's input, pixels.
      batch_size: Images a step.
      steps: Steps a round.
      data_dir: Folder of the shards; the split is `train`.
      augment: Policy of `segnet.augment`.
      cache: Whether the decoded split is kept in memory.
      width_multiplier: As for `create_train_step`.

    Returns:
      Work that does `steps` steps and gives the number of images.
    """
    manifest = records.read_manifest(data_dir, "train")
    train_step = create_train_step(
        architecture=architecture,
        precision=precision,
        num_classes=manifest.num_classes,
        width_multiplier=width_multiplier,
    )
    dataset = create_dataset(
        manifest,
        data_dir,
        height=height,
        width=width,
        batch_size=batch_size,
        augment=augment,
        cache=cache,
    )

    def work() -> int:
        # A new iterator: one that waits between the rounds fills its buffers.
        return _rounds(train_step, iter(dataset), steps, batch_size)()

    return work


def create_dataset(
    manifest: records.Manifest,
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
    return data.create_train_dataset(
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
