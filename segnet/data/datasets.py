"""Datasets: shards in, batches of uint8 images and int32 labels out.

The trainer's order is computed, not stored: the record at any position of any
epoch is a function of (seed, epoch, position), so a run can start anywhere and
workers need not talk to each other to take disjoint records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from segnet.config.schedule import Stage
from segnet.data import augment as augment_lib
from segnet.data import resizing
from segnet.data.sources import RecordSource
from segnet.errors import ConfigError
from segnet.records.reading import num_parallel_calls, pipeline_options

__all__ = [
    "create_eval_dataset",
    "create_served_dataset",
    "create_train_dataset",
    "record_at",
]


# Batches of training, and images of evaluation, that wait for the device.
_BATCHES_AHEAD = 8
_IMAGES_AHEAD = 16
_PIXELS_AHEAD = 2**26  # so fewer images where they are large
# Batches that wait at each worker of a data service, beside those that it works
# on: what it takes along when it dies, and by how much they come out of order.
_SERVED_AHEAD = 1


def record_at(
    position: tf.Tensor, epoch: tf.Tensor, seed: int, num_records: int
) -> tf.Tensor:
    """The record that stands at a position of an epoch's order.

    Args:
      position: int64 scalar, 0 to num_records - 1.
      epoch: int64 scalar.
      seed: Seed of the run.
      num_records: Records of the split.

    Returns:
      int64 scalar; over all positions, a permutation of the records.
    """
    return tf.random.experimental.index_shuffle(
        position,
        seed=tf.stack([tf.constant(seed, tf.int64), epoch]),
        max_index=tf.constant(num_records - 1, tf.int64),
    )


def create_train_dataset(
    source: RecordSource,
    stage: Stage,
    *,
    start_step: int,
    end_step: int,
    augment: str,
    seed: int,
    shard_index: int,
    shard_count: int,
    part: Sequence[int] | None = None,
) -> tf.data.Dataset:
    """Batches of one stage of a run, from any step on.

    Args:
      source: Records of the training split.
      stage: Input size, batch size and position in the run.
      start_step: Place in the run's schedule of the first batch.
      end_step: Place at which to end.
      augment: Policy of `segnet.data.augment`.
      seed: Seed of the run.
      shard_index: Number of this worker.
      shard_count: Number of workers; each takes its slice of every global
        batch.
      part: The number in the split of each record of `source`, where this
        worker has a part of its own and takes all of its batches from it. If
        an epoch's batches need more records than the part has, some come
        twice; if they need fewer, some do not come in that epoch.

    Returns:
      Dataset of (uint8 `[batch, height, width, 3]`, int32 `[batch, height,
      width]`), one element a step.

    Raises:
      ConfigError: If shard_index is not in 0..shard_count - 1.
    """
    batch = stage.batch_size
    sample = _sampler(
        source, stage, augment, seed, shard_index, shard_count, part
    )
    # Order by position first, so that only 8 bytes a sample are shuffled.
    first, end = (
        (step - stage.first_step) * batch for step in (start_step, end_step)
    )
    dataset = tf.data.Dataset.range(first, end)
    # Read, decode and augment in parallel; the order stays that of the range.
    dataset = dataset.map(
        sample, num_parallel_calls=num_parallel_calls(), deterministic=True
    )
    # The stage's samples are a whole number of batches: static shapes.
    dataset = dataset.batch(batch, drop_remainder=True)
    # Last, so that the next batches are made while the device computes.
    return dataset.prefetch(_BATCHES_AHEAD).with_options(pipeline_options())


def create_served_dataset(
    source: RecordSource,
    stage: Stage,
    *,
    start_step: int,
    end_step: int,
    augment: str,
    seed: int,
    shard_index: int,
    shard_count: int,
) -> tf.data.Dataset:
    """The same batches, for workers of a data service to make.

    A service deals out the elements of the first dataset of all. Here that is
    the steps, so that batches come whole, each from one worker.

    Args:
      source: Likewise, not in memory: it would be part of what is sent.
      stage: Likewise, and so are all others.
      start_step: See `create_train_dataset`.
      end_step: See there.
      augment: See there.
      seed: See there.
      shard_index: See there.
      shard_count: See there.

    Returns:
      Dataset of (int64 `[]`, the place of the step in the run's schedule;
      uint8 `[batch, height, width, 3]`; uint8 `[batch, height, width]`, labels
      in a quarter of the bytes).

    Raises:
      ConfigError: If shard_index is not in 0..shard_count - 1.
    """
    batch = stage.batch_size
    sample = _sampler(source, stage, augment, seed, shard_index, shard_count)

    @tf.autograph.experimental.do_not_convert
    def samples_of(step: tf.Tensor) -> tf.data.Dataset:
        first = (step - stage.first_step) * batch
        return tf.data.Dataset.range(first, first + batch)

    @tf.autograph.experimental.do_not_convert
    def numbered(number: tf.Tensor) -> tuple[tf.Tensor, ...]:
        image, label = sample(number)
        step = stage.first_step + number // batch
        return step, image, tf.cast(label, tf.uint8)

    dataset = tf.data.Dataset.range(start_step, end_step).flat_map(samples_of)
    # As many calls as the threads of whoever runs it, or more.
    dataset = dataset.map(
        numbered, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    dataset = dataset.batch(batch, drop_remainder=True)
    dataset = dataset.map(lambda steps, *others: (steps[0], *others))
    return dataset.prefetch(_SERVED_AHEAD).with_options(pipeline_options())


def _sampler(
    source: RecordSource,
    stage: Stage,
    augment: str,
    seed: int,
    shard_index: int,
    shard_count: int,
    part: Sequence[int] | None = None,
) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """A function from the number of a worker's sample in a stage to the sample.

    The arguments, and what is raised, are those of `create_train_dataset`.
    """
    if not 0 <= shard_index < shard_count:
        raise ConfigError(
            f"worker {shard_index} of {shard_count} does not exist"
        )
    batch = stage.batch_size
    if part is not None:
        shard_index, shard_count = 0, 1
        with tf.device("/device:CPU:0"):
            numbers = tf.constant(part, tf.int64)

    @tf.autograph.experimental.do_not_convert
    def sample(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        step = number // batch
        epoch = stage.first_epoch + step // stage.steps_per_epoch
        position = (step % stage.steps_per_epoch) * batch * shard_count
        position += shard_index * batch + number % batch
        index = record_at(
            position % source.num_records, epoch, seed, source.num_records
        )
        image, label = source(index)
        return augment_lib.augment(
            image,
            label,
            # Distinct for every (epoch, record) of a run.
            tf.stack([tf.constant(seed, tf.int64),
                      epoch * source.manifest.num_records
                      + (index if part is None else numbers[index])]),
            height=stage.height,
            width=stage.width,
            window=stage.window,
            policy=augment,
        )  # fmt: skip

    return sample


def create_eval_dataset(
    source: RecordSource,
    *,
    height: int,
    width: int,
    shard_index: int,
    shard_count: int,
) -> tf.data.Dataset:
    """A worker's share of a split: every record exactly once over all workers.

    Args:
      source: Records of the split.
      height: Input height, pixels.
      width: Input width, pixels.
      shard_index: Number of this worker.
      shard_count: Number of workers; worker r takes records r, r + count, ...

    Returns:
      Dataset of single images (not batches, since each label has a size of
      its own): the input, uint8 `[height, width, 3]`, and the label at the
      annotation's own size, uint8 `[label height, label width]`.
    """

    @tf.autograph.experimental.do_not_convert
    def sample(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, label = source(index)
        resized = resizing.resize_image(image, height, width)
        return resizing.to_uint8(resized), label

    largest = max(height * width for height, width, _ in source.manifest.sizes)
    images_ahead = max(1, min(_IMAGES_AHEAD, _PIXELS_AHEAD // largest))
    dataset = tf.data.Dataset.range(
        shard_index, source.num_records, shard_count
    )
    dataset = dataset.map(
        sample,
        num_parallel_calls=min(num_parallel_calls(), images_ahead),
        deterministic=True,
    )
    return dataset.prefetch(images_ahead).with_options(pipeline_options())
