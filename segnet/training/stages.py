"""The stages of a run, and what one is made of: its batches and its step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from segnet import models
from segnet.config.schedule import Schedule, Stage, create_schedule
from segnet.data import datasets, service
from segnet.data.sources import RecordSource
from segnet.errors import RunError
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
    run: Run,
    stage: Stage,
    *,
    start_step: int,
    end_step: int,
    augment: str,
    lost: Callable[[RunError], None],
) -> Iterator[service.Batch]:
    """This worker's batches of a stage.

    Args:
      run: Whose records and data service they come from.
      stage: See `datasets.create_train_dataset`.
      start_step: See there.
      end_step: See there.
      augment: See there.
      lost: Called when the data service does not answer; see
        `service.in_order`.

    Yields:
      Images and labels of each step.
    """
    settings: dict[str, Any] = {
        "augment": augment,
        "seed": run.config.seed,
        "shard_index": distributed.rank(),
        "shard_count": distributed.size(),
    }

    def batches(
        source: RecordSource, start: int, end: int, **part: Any
    ) -> Iterator[service.Batch]:
        dataset = datasets.create_train_dataset(
            source, stage, start_step=start, end_step=end, **settings, **part
        )
        return source.read(dataset)

    records = run.records
    if not isinstance(records, RecordSource):
        for epoch, start, end in _by_epoch(stage, start_step, end_step):
            source, part = records.part(epoch)
            yield from batches(source, start, end, part=part)
    elif not run.config.data_service:
        yield from batches(records, start_step, end_step)
    else:
        yield from service.in_order(
            datasets.create_served_dataset(
                records, stage, start_step=start_step, end_step=end_step,
                **settings,
            ),
            run.config.data_service,
            range(start_step, end_step),
            # Three bytes of image and four of label.
            batch_bytes=7 * stage.pixels,
            read=records.read,
            make=lambda step: next(batches(records, step, step + 1)),
            lost=lost,
        )  # fmt: skip


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
