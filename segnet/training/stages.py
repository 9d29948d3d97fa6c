"""What a stage of a run is made of: its batches and its step."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import tensorflow as tf

from segnet import models
from segnet.config.schedule import Stage
from segnet.data import datasets
from segnet.runtime import distributed
from segnet.training import optim, steps
from segnet.training.run import Run

__all__ = ["create_train_step", "training_batches"]


def training_batches(
    run: Run, stage: Stage, *, start_step: int, end_step: int, augment: str
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """This worker's batches of a stage; see `datasets.create_train_dataset`."""
    dataset = datasets.create_train_dataset(
        run.source,
        stage,
        start_step=start_step,
        end_step=end_step,
        augment=augment,
        seed=run.config.seed,
        shard_index=distributed.rank(),
        shard_count=distributed.size(),
    )
    return run.source.read(dataset)


def create_train_step(run: Run, *, freeze_encoder: bool) -> steps.TrainStep:
    """A step for one set of weights that learn; traced for each input size.

    Args:
      run: Whose network learns.
      freeze_encoder: Whether its encoder keeps its weights from now on.
    """
    config, model = run.config, run.model
    encoder = models.encoder_layers(model)
    for layer in encoder:
        layer.trainable = not freeze_encoder
    updater = optim.Updater(
        run.optimizer,
        model.trainable_variables,
        clip_norm=config.gradient_clip_norm,
        encoder_variables=[
            weight for layer in encoder for weight in layer.trainable_variables
        ],
        encoder_scale=config.encoder_learning_rate_scale,
        averages=run.averages,
    )
    return steps.create_train_step(
        model,
        run.loss,
        updater,
        run.totals,
        device_name=run.runtime.device_name,
        reduce_sum=distributed.allreduce_sum,
        reduce_gradients=functools.partial(
            distributed.allreduce_gradients,
            compression=config.allreduce_compression,
            grouped=config.deterministic,
        ),
        accumulate_steps=config.accumulate_steps,
        position=run.position,
        run_eagerly=config.run_eagerly,
    )
