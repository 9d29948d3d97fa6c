"""Datasets: shards in, batches of uint8 images and int32 labels out.

The trainer's order is computed, not stored: the record at any place of any
epoch is a function of (seed, epoch, place), so a run can start anywhere and
workers need not talk to each other to take disjoint records. Records are
read by their offset, which the manifest holds.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import tensorflow as tf

from segnet import augment as augment_lib
from segnet import records
from segnet.constants import IGNORE_LABEL
from segnet.errors import ConfigError, DataError
from segnet.schedule import Stage

__all__ = [
    "RecordSource",
    "create_eval_dataset",
    "create_synthetic_dataset",
    "create_train_dataset",
    "record_at",
]


def record_at(
    place: tf.Tensor, epoch: tf.Tensor, seed: int, num_records: int
) -> tf.Tensor:
    """The record that stands at a place of an epoch's order.

    Args:
      place: int64 scalar, 0 to num_records - 1.
      epoch: int64 scalar.
      seed: Seed of the run.
      num_records: Records of the split.

    Returns:
      int64 scalar; over all places, a permutation of the records.
    """
    return tf.random.experimental.index_shuffle(
        place,
        seed=tf.stack([tf.constant(seed, tf.int64), epoch]),
        max_index=tf.constant(num_records - 1, tf.int64),
    )


class RecordSource:
    """Random access to the decoded records of a split, in the tf.data graph."""

    def __init__(
        self, manifest: records.Manifest, data_dir: str, *, cache: bool
    ) -> None:
        """Opens a split.

        Args:
          manifest: Of the split, checked.
          data_dir: Folder of its shards.
          cache: Whether to decode all of it now and keep it in memory.

        Raises:
          DataError: If a record is damaged (only when `cache` is set).
        """
        self.manifest = manifest
        self.data_dir = data_dir
        self.num_records = manifest.num_records
        shard_of, offsets = [], []
        for number, shard in enumerate(manifest.shards):
            shard_of += [number] * shard.records
            offsets += shard.offsets
        self._paths = tf.constant(manifest.paths(data_dir))
        self._shard_of = tf.constant(shard_of, tf.int32)
        self._offsets = tf.constant(offsets, tf.int64)
        # Read from the files until all of it is in memory.
        self._cached = None
        if cache:
            self._cached = self._decode_all()

    def __call__(self, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads one record.

        Args:
          index: int64 scalar.

        Returns:
          Image uint8 `[height, width, 3]` and label uint8 `[height, width]`.
        """
        if self._cached is not None:
            return self._from_memory(index)
        path = self._paths[self._shard_of[index]]
        serialized = records.read_record(path, self._offsets[index])
        return records.decode_record(serialized)

    def cache_bytes(self) -> int:
        """Bytes that the decoded split takes in memory."""
        return sum(4 * h * w * count for h, w, count in self.manifest.sizes)

    def _decode_all(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Decodes the split into one buffer: (bytes, starts, sizes)."""
        buffer = np.empty([self.cache_bytes()], np.uint8)
        starts = np.zeros([self.num_records + 1], np.int64)
        sizes = np.zeros([self.num_records, 2], np.int32)
        dataset = tf.data.Dataset.range(self.num_records).map(
            self, num_parallel_calls=tf.data.AUTOTUNE
        )
        with self.explain_damage():
            for index, (image, label) in enumerate(
                dataset.as_numpy_iterator()
            ):
                flat = np.concatenate([image.ravel(), label.ravel()])
                end = starts[index] + flat.size
                buffer[starts[index] : end] = flat
                starts[index + 1] = end
                sizes[index] = label.shape
        return tf.constant(buffer), tf.constant(starts), tf.constant(sizes)

    def _from_memory(self, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Cuts one record out of the buffer."""
        buffer, starts, sizes = self._cached
        height, width = sizes[index, 0], sizes[index, 1]
        middle = starts[index] + 3 * tf.cast(height * width, tf.int64)
        image = tf.reshape(
            buffer[starts[index] : middle], [height, width, 3]
        )
        label = tf.reshape(
            buffer[middle : starts[index + 1]], [height, width]
        )
        return image, label

    def explain_damage(self) -> records.ExplainDamage:
        """A context that turns a read error into one that names the file."""
        return records.ExplainDamage(self.manifest, self.data_dir)


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
) -> tf.data.Dataset:
    """Batches of one stage of a run, from any step on.

    Args:
      source: Records of the training split.
      stage: Input size, batch size and place in the run.
      start_step: First step to give, of the whole run.
      end_step: Step at which to end.
      augment: Policy of `segnet.augment`.
      seed: Seed of the run.
      shard_index: Number of this worker.
      shard_count: Number of workers; each takes its slice of every global
        batch.

    Returns:
      Dataset of (uint8 `[batch, height, width, 3]`, int32 `[batch, height,
      width]`), one element a step.

    Raises:
      ConfigError: If shard_index is not in 0..shard_count - 1.
    """
    if not 0 <= shard_index < shard_count:
        raise ConfigError(
            f"worker {shard_index} of {shard_count} does not exist"
        )
    batch = stage.batch_size

    def sample(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        step = start_step - stage.first_step + number // batch
        epoch = stage.first_epoch + step // stage.steps_per_epoch
        place = (step % stage.steps_per_epoch) * batch * shard_count
        place += shard_index * batch + number % batch
        index = record_at(place, epoch, seed, source.num_records)
        image, label = source(index)
        return augment_lib.augment(
            image,
            label,
            # Distinct for every (epoch, record) of a run.
            tf.stack([tf.constant(seed, tf.int64),
                      epoch * source.num_records + index]),
            height=stage.height,
            width=stage.width,
            policy=augment,
        )  # fmt: skip

    # Order by position first, so that only 8 bytes a sample are shuffled.
    dataset = tf.data.Dataset.range((end_step - start_step) * batch)
    # Read, decode and augment in parallel; the order stays that of the range.
    dataset = dataset.map(
        sample, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    # The stage's samples are a whole number of batches: static shapes.
    dataset = dataset.batch(batch, drop_remainder=True)
    # Last, so that the next batches are made while the device computes.
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(_options())


def create_eval_dataset(
    source: RecordSource,
    *,
    height: int,
    width: int,
    batch_size: int,
    shard_index: int,
    shard_count: int,
) -> tf.data.Dataset:
    """Every record of a split exactly once, padded to equal batches.

    Args:
      source: Records of the split.
      height: Input height, pixels.
      width: Input width, pixels.
      batch_size: Images a batch, per worker.
      shard_index: Number of this worker.
      shard_count: Number of workers; worker r takes records r, r + count, ...

    Returns:
      Dataset of dicts, the same number of batches on every worker: `image`
      uint8 `[batch, height, width, 3]`; `label` uint8 `[batch, largest
      height, largest width]` at the annotations' own size, filled up with the
      ignore label; `size` int32 `[batch, 2]`, the own height and width;
      `index` int64 `[batch]`, -1 for padding.
    """
    per_worker = math.ceil(source.num_records / shard_count)
    padded = math.ceil(per_worker / batch_size) * batch_size
    largest = [max(size[axis] for size in source.manifest.sizes)
               for axis in (0, 1)]  # fmt: skip

    def sample(number: tf.Tensor) -> dict[str, tf.Tensor]:
        index = number * shard_count + shard_index
        real = index < source.num_records
        index = tf.where(real, index, -1)
        image, label = source(tf.maximum(index, 0))
        size = tf.shape(label)
        label = tf.where(real, label, tf.cast(IGNORE_LABEL, tf.uint8))
        padding = [[0, largest[0] - size[0]], [0, largest[1] - size[1]]]
        label = tf.pad(label, padding, constant_values=IGNORE_LABEL)
        return {
            "image": to_uint8(augment_lib.resize_image(image, height, width)),
            "label": tf.ensure_shape(label, largest),
            "size": size,
            "index": index,
        }

    dataset = tf.data.Dataset.range(padded).map(
        sample, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    dataset = dataset.batch(batch_size, drop_remainder=True)
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(_options())


def to_uint8(image: tf.Tensor) -> tf.Tensor:
    """Rounds float32 in 0..255 to uint8."""
    return tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)


def _options() -> tf.data.Options:
    """Options of all datasets."""
    options = tf.data.Options()
    # Sharding is done by index above.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return options


def create_synthetic_dataset(
    *, height: int, width: int, batch_size: int, num_classes: int, seed: int
) -> tf.data.Dataset:
    """One random batch again and again: the step without the input.

    Args:
      height: Input height, pixels.
      width: Input width, pixels.
      batch_size: Images a batch.
      num_classes: Labels are 0 to num_classes - 1.
      seed: Seed of the batch.

    Returns:
      Endless dataset of batches like those of `create_train_dataset`.
    """
    rng = np.random.default_rng(seed)
    shape = (batch_size, height, width)
    image = rng.integers(0, 256, (*shape, 3), np.uint8)
    label = rng.integers(0, num_classes, shape, np.int32)
    return tf.data.Dataset.from_tensors((image, label)).repeat()


@dataclasses.dataclass(frozen=True)
class Splits:
    """Manifests of the splits of a run, checked against each other.

    Attributes:
      train: Of the training split.
      evaluation: Of the evaluation split.
    """

    train: records.Manifest
    evaluation: records.Manifest


def read_splits(data_dir: str, train_split: str, eval_split: str) -> Splits:
    """Reads both manifests.

    Args:
      data_dir: Folder of the shards.
      train_split: Name of the training split.
      eval_split: Name of the evaluation split.

    Returns:
      Both manifests.

    Raises:
      DataError: If one is missing or damaged, or their classes differ.
    """
    train = records.read_manifest(data_dir, train_split)
    evaluation = records.read_manifest(data_dir, eval_split)
    check_classes(evaluation, train.class_names, data_dir)
    return Splits(train, evaluation)


def check_classes(
    manifest: records.Manifest, class_names: tuple[str, ...], data_dir: str
) -> None:
    """Refuses a split whose classes are not those of the network.

    Raises:
      DataError: If they differ.
    """
    if manifest.class_names != class_names:
        raise DataError(
            f"{data_dir}: split '{manifest.split}' has the classes "
            f"{', '.join(manifest.class_names)}; expected "
            f"{', '.join(class_names)}: convert both splits with the same "
            "--num_classes and --class_names"
        )
