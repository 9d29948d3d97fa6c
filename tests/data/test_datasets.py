"""Tests of segnet/data.py: order, sharding, caching, padding."""

from __future__ import annotations

import shutil
import struct

import conftest
import numpy as np
import picture_files as files
import pytest
import tensorflow as tf

from segnet.config import Config
from segnet.config.schedule import create_schedule
from segnet.data import datasets, sources
from segnet.errors import ConfigError, DataError
from segnet.records import encoding
from segnet.records.splits import read_manifest
from segnet.records.verify import verify_split


def _source(data_dir, split="train", cache=False):
    manifest = read_manifest(str(data_dir), split)
    return sources.RecordSource(manifest, str(data_dir), cache=cache)


def _train(source, *, rank=0, size=1, start=0, batch=2, seed=3, **changes):
    config = Config(epochs=3, batch_size=batch, input_height=32, input_width=48)
    schedule = create_schedule(config, source.num_records, size)
    dataset = datasets.create_train_dataset(
        source,
        schedule.stages[0],
        start_step=start,
        end_step=schedule.total_steps,
        **{"augment": "none", "seed": seed, **changes},
        shard_index=rank,
        shard_count=size,
    )
    return list(dataset.as_numpy_iterator())


def _order(epoch, seed=3, num_records=10):
    return [
        int(
            datasets.record_at(
                tf.constant(place, tf.int64),
                tf.constant(epoch, tf.int64),
                seed,
                num_records,
            )
        )
        for place in range(num_records)
    ]


def test_every_epoch_is_another_permutation():
    orders = [_order(epoch) for epoch in range(4)]
    for order in orders:
        assert sorted(order) == list(range(10))
    assert len({tuple(order) for order in orders}) == 4
    assert orders[1] == _order(1)
    assert orders[1] != _order(1, seed=4)


@pytest.mark.parametrize("num_records", [1, 2, 3, 7, 367])
def test_the_order_is_a_permutation_of_any_number(num_records):
    places = tf.range(num_records, dtype=tf.int64)
    order = tf.map_fn(
        lambda place: datasets.record_at(
            place, tf.constant(5, tf.int64), 1, num_records
        ),
        places,
    ).numpy()
    assert sorted(order) == list(range(num_records))


def test_neighbours_of_one_epoch_are_far_apart_in_another():
    first, second = (np.array(_order(e, num_records=367)) for e in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.2
    assert abs(np.corrcoef(first, np.arange(367))[0, 1]) < 0.2
    # A random permutation has about one fixed step of +1 in 367.
    assert np.sum(np.diff(first) == 1) < 8


def test_batches_are_the_records_in_order(data_dir):
    source = _source(data_dir)
    batches = _train(source)
    assert len(batches) == 15
    image, label = batches[0]
    assert image.shape == (2, 32, 48, 3) and image.dtype == np.uint8
    assert label.shape == (2, 32, 48) and label.dtype == np.int32
    for step, (images, labels) in enumerate(batches[:8]):
        for position in range(2):
            epoch, place = divmod(step * 2 + position, 10)
            index = _order(epoch)[place]
            expected_image, expected_label = source(tf.constant(index))
            if expected_label.shape == (32, 48):
                np.testing.assert_array_equal(images[position], expected_image)
                np.testing.assert_array_equal(labels[position], expected_label)


@pytest.mark.parametrize("augment", ["none", "basic"])
def test_starting_anywhere_gives_what_a_whole_run_gives(data_dir, augment):
    source = _source(data_dir)
    whole = _train(source, augment=augment)
    for start in (1, 7):
        part = _train(source, start=start, augment=augment)
        assert len(part) == len(whole) - start
        for ours, theirs in zip(part, whole[start:], strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
            np.testing.assert_array_equal(ours[1], theirs[1])


def test_workers_together_make_the_batches_of_one(data_dir):
    source = _source(data_dir)
    alone = _train(source, batch=4, augment="basic")
    parts = [
        _train(source, batch=2, rank=rank, size=2, augment="basic")
        for rank in (0, 1)
    ]
    assert len(alone) == len(parts[0]) == len(parts[1])
    for step, batch in enumerate(alone):
        together = np.concatenate([parts[0][step][0], parts[1][step][0]])
        np.testing.assert_array_equal(together, batch[0])


def test_the_memory_cache_changes_nothing(data_dir):
    plain, cached = _source(data_dir), _source(data_dir, cache=True)
    for ours, theirs in zip(
        _train(cached, augment="basic"),
        _train(plain, augment="basic"),
        strict=True,
    ):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_large_jpegs_give_the_same_from_memory_and_from_files(tmp_path):
    folders = {
        kind: tmp_path / "train" / kind for kind in ("images", "annotations")
    }
    for folder in folders.values():
        folder.mkdir(parents=True)
    for number, size in enumerate([(130, 197), (64, 96), (64, 96)]):
        picture = files.picture(number, *size)
        (folders["images"] / f"{number}.jpg").write_bytes(
            files.saved(picture, "JPEG")
        )
        label = files.labels(number, 4, *size)
        (folders["annotations"] / f"{number}.png").write_bytes(
            files.saved(label, "PNG")
        )
    conftest.convert(tmp_path, "train", tmp_path)
    manifest = read_manifest(str(tmp_path), "train")
    plain, cached = (
        sources.RecordSource(
            manifest, str(tmp_path), cache=cache, smallest=(32, 48)
        )
        for cache in (False, True)
    )
    assert plain(tf.constant(0))[0].shape == (33, 50, 3)
    assert plain(tf.constant(1))[0].shape == (32, 48, 3)
    for ours, theirs in zip(
        _train(cached, augment="basic", batch=1),
        _train(plain, augment="basic", batch=1),
        strict=True,
    ):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_a_worker_that_does_not_exist_is_refused(data_dir):
    with pytest.raises(ConfigError, match="worker 2 of 2"):
        _train(_source(data_dir), rank=2, size=2)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
def test_evaluation_sees_every_image_once(data_dir, size):
    source = _source(data_dir, "val")
    seen = {}
    for rank in range(size):
        share = datasets.create_eval_dataset(
            source, height=32, width=48, shard_index=rank, shard_count=size
        ).as_numpy_iterator()
        seen |= {rank + size * turn: pair for turn, pair in enumerate(share)}
    assert sorted(seen) == list(range(5))
    for index, (image, label) in seen.items():
        _, expected = source(tf.constant(index))
        assert image.shape == (32, 48, 3)
        # At the annotation's own size.
        np.testing.assert_array_equal(label, expected)


def test_large_images_of_an_evaluation_come_one_by_one(data_dir, monkeypatch):
    source = _source(data_dir, "val")
    options = {"height": 32, "width": 48, "shard_index": 0, "shard_count": 1}
    many = list(datasets.create_eval_dataset(source, **options))
    monkeypatch.setattr(datasets, "_PIXELS_AHEAD", 1)
    ahead = []
    prefetch = tf.data.Dataset.prefetch

    def note(dataset, count):
        ahead.append(count)
        return prefetch(dataset, count)

    monkeypatch.setattr(tf.data.Dataset, "prefetch", note)
    few = list(datasets.create_eval_dataset(source, **options))
    assert ahead == [1]
    for pair, other in zip(many, few, strict=True):
        for ours, theirs in zip(pair, other, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_damaged_record_names_the_shard(data_dir, tmp_path):
    for file in data_dir.iterdir():
        content = bytearray(file.read_bytes())
        if file.name == "train-00001-of-00002.tfrecord":
            content[len(content) // 2] ^= 0xFF
        (tmp_path / file.name).write_bytes(content)
    with pytest.raises(DataError, match="train-00001-of-00002.tfrecord"):
        _source(tmp_path, cache=True)
    source = _source(tmp_path)
    dataset = tf.data.Dataset.range(10).map(source)
    with pytest.raises(DataError, match="train-00001-of-00002.tfrecord"):
        list(source.read(dataset))


def test_splits_with_other_classes_are_refused(data_dir):
    manifest = read_manifest(str(data_dir), "val")
    with pytest.raises(DataError, match="same --num_classes"):
        sources.check_classes(manifest, ("a", "b", "c"), str(data_dir))


def test_a_record_that_claims_more_than_there_is(data_dir, tmp_path):
    """TensorFlow would take its length for true, and crash."""
    folder = tmp_path / "records"
    shutil.copytree(data_dir, folder)
    manifest = read_manifest(str(folder), "train")
    shard = manifest.shards[-1]
    length = struct.pack("<Q", 1 << 60)
    head = length + encoding._checksum(length)
    with open(folder / shard.file, "r+b") as file:
        file.seek(shard.offsets[-1])
        file.write(head)
    for use in (
        lambda: sources.RecordSource(manifest, str(folder), cache=False),
        lambda: verify_split(str(folder), "train"),
    ):
        with pytest.raises(DataError, match="record .* at byte .* is damaged"):
            use()
