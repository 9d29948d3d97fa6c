"""The stages of a run, and what one is made of: its batches and its step."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import tensorflow as tf

from segnet import models
from segnet.config.schedule import Schedule, Stage, create_schedule
from segnet.data import datasets
from segnet.data.sources import RecordSource
from segnet.runtime import distributed
from segnet.runtime.device import prepare_xla
from segnet.training import ending, optim, steps
from segnet.training.run import Run

__all__ = ["create_train_step", "plan", "training_batches"]


def plan(run: Run, num_workers: int) -> Schedule:
    """The schedule of a run, going on where the one of its workers stood.

    Args:
      run: Notes the workers that it is laid out for.
      num_workers: Workers that there are.

    Raises:
      ConfigError: The run has passed the end that is asked for.
    """
    config, state = run.config, run.state
    num_records = run.splits.train.num_records
    schedule = create_schedule(config, num_records, num_workers)
    num_before = int(state.workers.numpy())
    if num_before:
        before = create_schedule(
            config, int(state.records.numpy()), num_before
        ).moved(int(state.offset.numpy()))
        ending.check_end(config, before, run.step)
        schedule = schedule.taken_over(before, run.step)
    state.workers.assign(num_workers)
    state.records.assign(num_records)
    state.offset.assign(schedule.offset)
    return schedule


def training_batches(
    run: Run, stage: Stage, *, start_step: int, end_step: int, augment: str
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """This worker's batches of a stage; see `datasets.create_train_dataset`."""

    def batches(
        source: RecordSource,
        part: Sequence[int] | None,
        start: int,
        end: int,
    ) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        dataset = datasets.create_train_dataset(
            source,
            stage,
            start_step=start,
            end_step=end,
            augment=augment,
            seed=run.config.seed,
            shard_index=distributed.rank(),
            shard_count=distributed.size(),
            part=part,
        )
        return source.read(dataset)

    if isinstance(run.records, RecordSource):
        yield from batches(run.records, None, start_step, end_step)
        return
    for epoch, start, end in _by_epoch(stage, start_step, end_step):
        yield from batches(*run.records.part(epoch), start, end)


def _by_epoch(
    stage: Stage, start_step: int, end_step: int
) -> Iterator[tuple[int, int, int]]:
    """The epochs of some steps: number, first step, step at which it ends."""
    while start_step < end_step:
        done = (start_step - stage.first_step) // stage.steps_per_epoch
        end = stage.first_step + (done + 1) * stage.steps_per_epoch
        yield stage.first_epoch + done, start_step, min(end, end_step)
        start_step = end


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
    # The Lovasz loss sorts, which XLA does slowly on a CPU.
    compiles = run.runtime.compiles_parts and config.loss != "lovasz_softmax"
    if compiles:
        prepare_xla()
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
        compile_loss=compiles,
        position=run.position,
        run_eagerly=config.run_eagerly,
    )
