"""Shards of which each worker reads a part of its own."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from segnet.config import Config
from segnet.config.schedule import create_schedule
from segnet.data import datasets, placement
from segnet.errors import ConfigError, DataError
from segnet.records.manifest import Manifest, Shard
from segnet.records.splits import read_manifest


def _shards(*sizes: int) -> tuple[Shard, ...]:
    return tuple(
        Shard(f"train-{n}", records=2 + n, bytes=size, sha256="", offsets=())
        for n, size in enumerate(sizes)
    )


def _manifest(*sizes: int) -> Manifest:
    return Manifest(
        split="train", num_classes=2, class_names=("a", "b"), ignore_label=255,
        shards=_shards(*sizes), pixel_counts=(1, 1), ignored_pixels=0,
        present_images=(1, 1), present_pixels=(1, 1), sizes=((1, 1, 1),),
    )  # fmt: skip


def _files(parts):
    return [[shard.file[-1] for shard in part.shards] for part in parts]


def test_parts_have_about_as_many_bytes():
    # Half of 25 is 12.5: 9 and 3, since more than half of the 8 would be beyond
    # it. The records are 2, 3, 4, 5 and 6.
    parts = placement.divide(_manifest(9, 3, 8, 4, 1), 2)
    assert _files(parts) == [["0", "1"], ["2", "3", "4"]]
    assert parts[0].records == tuple(range(5))
    assert parts[1].records == tuple(range(5, 20))
    # From the second on: 3 and 8, then 4, 1 and 9.
    parts = placement.divide(_manifest(9, 3, 8, 4, 1), 2, 1)
    assert _files(parts) == [["1", "2"], ["0", "3", "4"]]
    assert parts[0].records == (2, 3, 4, 5, 6, 7, 8)
    assert parts[1].records == (0, 1, *range(9, 20))


@pytest.mark.parametrize("first", range(5))
@pytest.mark.parametrize("num_parts", range(1, 6))
def test_each_part_has_a_shard_and_each_shard_a_part(num_parts, first):
    manifest = _manifest(1, 1, 1, 100, 1)
    parts = placement.divide(manifest, num_parts, first)
    assert all(part.shards for part in parts)
    numbers = [number for part in parts for number in part.records]
    assert sorted(numbers) == list(range(manifest.num_records))


def test_a_part_may_be_empty():
    parts = placement.divide(_manifest(5), 2)
    assert [part.records for part in parts] == [(0, 1), ()]
    split = placement.PlacedSplit(_manifest(5), "", rank=0, size=2)
    with pytest.raises(ConfigError, match="has 1 shard for 2 workers"):
        split.check_enough()


@pytest.fixture(scope="module")
def divided(data_dir, tmp_path_factory):
    """For each of two workers a folder with the shards of its part alone."""
    manifest = read_manifest(data_dir, "train")
    folders = []
    for part in placement.divide(manifest, 2):
        folder = tmp_path_factory.mktemp("host")
        shutil.copy(data_dir / "train.json", folder)
        for shard in part.shards:
            shutil.copy(data_dir / shard.file, folder)
        folders.append(folder)
    return manifest, folders


def _batches(manifest, folder, rank, start, *, rotates=False):
    split = placement.PlacedSplit(
        manifest, str(folder), rank=rank, size=2, rotates=rotates
    )
    config = Config(batch_size=1, epochs=3, input_height=16, input_width=32)
    schedule = create_schedule(config, manifest.num_records, 2)
    (stage,) = schedule.stages
    source, part = split.part()
    dataset = datasets.create_train_dataset(
        source, stage, start_step=start, end_step=stage.end_step,
        augment="basic", seed=7, shard_index=rank, shard_count=2, part=part,
    )  # fmt: skip
    return [image.numpy() for image, _ in source.read(dataset)], part


def test_a_worker_needs_the_files_of_its_part_alone(divided):
    manifest, folders = divided
    for rank, folder in enumerate(folders):
        assert not placement.has_all_shards(manifest, str(folder))
        batches, part = _batches(manifest, folder, rank, 0)
        assert len(batches) == 3 * (manifest.num_records // 2)
        assert len(part) < manifest.num_records
        # Exactly the same from the middle on.
        later, _ = _batches(manifest, folder, rank, 4)
        for one, other in zip(batches[4:], later, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_part_of_another_is_not_there(divided):
    manifest, folders = divided
    with pytest.raises(DataError, match="shard is missing"):
        placement.PlacedSplit(manifest, str(folders[0]), rank=1, size=2).part()


def test_parts_go_round_where_all_have_all(divided, data_dir):
    manifest, _ = divided
    splits = [
        placement.PlacedSplit(
            manifest, str(data_dir), rank=rank, size=2, rotates=True
        )
        for rank in range(2)
    ]
    first, second = ([x.part(epoch)[1] for epoch in (0, 1, 2)] for x in splits)
    assert first[0] == first[2] == second[1]
    assert second[0] == second[2] == first[1]
    assert sorted(first[0] + second[0]) == list(range(manifest.num_records))
