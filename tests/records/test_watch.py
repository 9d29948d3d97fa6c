"""Records that change while they are read."""

from __future__ import annotations

import os
import shutil

import conftest
import pytest
import tensorflow as tf

import main
from segnet.data import sources
from segnet.errors import DataError
from segnet.records.splits import read_manifest

SHARD = "train-00000-of-00002.tfrecord"


@pytest.fixture
def records(data_dir, tmp_path):
    """A copy of the tiny data set that a test may change."""
    return shutil.copytree(data_dir, tmp_path / "records")


def _source(records, **options):
    manifest = read_manifest(str(records), "train")
    return sources.RecordSource(manifest, str(records), **options)


def _replace(records):
    """Equal bytes in another file, as when the split is converted again."""
    copy = records / "copy"
    shutil.copyfile(records / SHARD, copy)
    os.replace(copy, records / SHARD)


def _truncate(records):
    os.truncate(records / SHARD, (records / SHARD).stat().st_size // 2)


def _delete(records):
    (records / SHARD).unlink()


def _overwrite_in_place(records):
    with (records / SHARD).open("r+b") as file:
        file.seek(100)
        file.write(b"other")


def _new_manifest(records):
    path = records / "train.json"
    path.write_text(path.read_text().replace("wall", "door"))


CHANGES = (_replace, _truncate, _delete, _overwrite_in_place, _new_manifest)


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_in_the_middle_of_a_pass_is_noticed(change, cache, records):
    source = _source(records, cache=cache)
    dataset = tf.data.Dataset.range(10).map(source)
    elements = source.read(dataset)
    next(elements)
    change(records)
    name = "train.json" if change is _new_manifest else SHARD
    with pytest.raises(DataError, match=f"{name}: has changed while"):
        next(elements)
    # So is one between two passes.
    with pytest.raises(DataError, match="has changed while"):
        next(source.read(dataset))


def test_a_manifest_that_is_not_the_one_read_is_noticed(records):
    manifest = read_manifest(str(records), "train")
    _new_manifest(records)
    with pytest.raises(DataError, match=r"train\.json: has changed"):
        sources.RecordSource(manifest, str(records), cache=False)


def test_what_only_reads_is_no_change(records):
    source = _source(records, cache=False)
    elements = source.read(tf.data.Dataset.range(10).map(source))
    next(elements)
    shutil.copytree(records, records.parent / "copy")
    (records / "notes.txt").write_text("beside the shards")
    assert len(list(elements)) == 9


@pytest.mark.parametrize(
    "split", ["train", pytest.param("val", marks=pytest.mark.slow)]
)
def test_a_run_stops_with_one_line_and_goes_on(
    split, records, folders, tmp_path, capsys
):
    """In the middle of an epoch, or in the evaluation between two."""
    command = conftest.run_flags(records, tmp_path / "run", "--epochs=3")

    def convert_again(step):
        if step == 8:  # Epochs are of five steps.
            for path in records.glob(f"{split}*"):
                path.unlink()
            conftest.convert(folders, split, records)

    assert main.main(command, after_step=convert_again) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{split}" in error and "has changed while" in error
    steps = [line["step"] for line in conftest.lines(tmp_path / "run")]
    assert max(steps) == (8 if split == "train" else 10)
    assert main.main(command) == 0
    assert "resumed from" in capsys.readouterr().out
    assert conftest.lines(tmp_path / "run")[-1]["step"] == 15
