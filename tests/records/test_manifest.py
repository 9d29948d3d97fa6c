from __future__ import annotations

import importlib
import json
import shutil

import numpy as np
import picture_files as files
import pytest
import tensorflow as tf

from segnet.errors import DataError
from segnet.records.reading import read_record
from segnet.records.splits import has_manifest, read_manifest
from segnet.records.statistics import Statistics
from segnet.records.verify import explain_damage, verify_split

convert = importlib.import_module("tools.convert_to_tfrecord")


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    root = files.write_folders(tmp_path_factory.mktemp("converted"), 5)
    assert convert.main(files.flags(root, "--num_shards=2")) == 0
    return root / "out"


@pytest.fixture
def folder(converted, tmp_path):
    return shutil.copytree(converted, tmp_path / "out")


SECOND = "train-00001-of-00002.tfrecord"


def refused(folder, check=read_manifest) -> str:
    with pytest.raises(DataError) as caught:
        check(folder, "train")
    message = str(caught.value)
    assert "\n" not in message
    return message


def change(folder, **entries) -> None:
    path = folder / "train.json"
    content = json.loads(path.read_text())
    for key, value in entries.items():
        if value is None:
            del content[key]
        else:
            content[key] = value
    path.write_text(json.dumps(content))


def test_statistics_by_hand():
    # Image 1 (2x3): labels 0 0 1 / 1 1 255. Image 2 (1x2): labels 0 0.
    statistics = Statistics(3)
    for label, digest in (([[0, 0, 1], [1, 1, 255]], "b"), ([[0, 0]], "a")):
        label = np.array(label)
        counts = np.bincount(label.ravel(), minlength=256)
        statistics.add(counts, *label.shape, digest)
    assert statistics.fields() == {
        "pixel_counts": (4, 3, 0),
        "ignored_pixels": 1,
        "present_images": (2, 1, 0),
        "present_pixels": (7, 5, 0),
        "sizes": ((1, 2, 1), (2, 3, 1)),
        "image_digests": ("b", "a"),
    }


def test_good_split_is_read_and_verified(folder):
    manifest = read_manifest(folder, "train")
    assert len(set(manifest.image_digests)) == 5
    assert [shard.records for shard in manifest.shards] == [2, 3]
    assert manifest.sizes == ((24, 40, 5),)
    expected = np.zeros(256, int)
    for index in range(5):
        expected += np.bincount(files.labels(index).ravel(), minlength=256)
    assert manifest.pixel_counts == tuple(expected[:3])
    assert verify_split(folder, "train") == manifest
    assert has_manifest(folder, "train")
    assert not has_manifest(folder, "val")


def test_missing_manifest_says_what_is_there_and_how_to_make_it(folder):
    with pytest.raises(DataError) as caught:
        read_manifest(folder, "val")
    message = str(caught.value)
    assert message.startswith(f"{folder}/val.json: no such manifest")
    assert "splits there: train" in message
    assert "tools/convert_to_tfrecord.py" in message
    assert "--split=val" in message
    (folder / "train.json").unlink()
    assert "no splits" in refused(folder)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"schema_version": 2}, "has schema version 2, this program reads 1"),
        ({"schema_version": None}, "schema version None"),
        ({"shards": None}, "entry 'shards' is missing"),
        ({"num_classes": True}, "'num_classes' is True, not int"),
        ({"num_classes": -1}, "'num_classes' is -1"),
        ({"num_classes": 300}, "'num_classes' is 300"),
        ({"num_classes": 4}, "'class_names' does not hold 4 names"),
        ({"ignore_label": 0}, "'ignore_label' is 0"),
        ({"class_names": [1, 2, 3]}, "'class_names'"),
        ({"classes": []}, "'classes' does not have 3 entries"),
        ({"num_records": 6}, "'num_records' is 6, the shards hold 5"),
        ({"num_records": 0, "shards": [], "image_sizes": []}, "is 0"),
        ({"split": "val"}, "is the manifest of split 'val'"),
    ],
)
def test_manifest_that_is_not_right_is_refused(folder, entries, message):
    change(folder, **entries)
    text = refused(folder)
    assert text.startswith(f"{folder}/train.json: ")
    assert message in text


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("file", "../train-00001-of-00002.tfrecord", "not a plain file name"),
        ("file", "/etc/passwd", "not a plain file name"),
        ("file", "a\\b", "not a plain file name"),
        ("file", "..", "not a plain file name"),
        ("offsets", [0], "has 3 records but 1 offsets"),
        ("offsets", [0, 9, 9], "do not rise"),
        ("offsets", [0, 9, 10**9], "do not rise"),
        ("offsets", [], "do not rise"),
        ("offsets", [0, 1.5, 9], "are not all int"),
        ("bytes", "9", "'bytes' is '9', not int"),
    ],
)
def test_shard_entry_that_is_not_right_is_refused(folder, key, value, message):
    shards = json.loads((folder / "train.json").read_text())["shards"]
    shards[1][key] = value
    change(folder, shards=shards)
    assert message in refused(folder)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_manifest_that_is_not_json_is_refused(folder, text):
    (folder / "train.json").write_text(text, encoding="latin-1")
    message = refused(folder)
    assert "not valid JSON" in message or "schema version" in message


def test_missing_truncated_and_grown_shards_are_named(folder):
    path = folder / SECOND
    data = path.read_bytes()
    path.write_bytes(data[:-7])
    assert refused(folder).startswith(f"{path}: shard is truncated")
    path.write_bytes(data + b"x")
    assert refused(folder).startswith(f"{path}: shard is not the one written")
    path.unlink()
    assert refused(folder).startswith(f"{path}: shard is missing")


def flip(folder, record: int, at: int) -> None:
    offsets = read_manifest(folder, "train").shards[1].offsets
    data = bytearray((folder / SECOND).read_bytes())
    data[offsets[record] + at] ^= 4
    (folder / SECOND).write_bytes(data)


@pytest.mark.parametrize("at", [3, 12 + 200, -1])
def test_flipped_byte_is_found_with_its_record(folder, at):
    flip(folder, 2, at)
    wrong = 1 if at == -1 else 2
    message = refused(folder, verify_split)
    assert message.startswith(f"{folder / SECOND}: record {wrong} at byte ")
    assert "is damaged" in message
    assert "--overwrite" in message


def test_only_damage_is_explained(folder):
    manifest = read_manifest(folder, "train")
    error = tf.errors.InvalidArgumentError(None, None, "something else")
    with (
        pytest.raises(tf.errors.InvalidArgumentError, match="something else"),
        explain_damage(manifest, folder),
    ):
        raise error
    with pytest.raises(KeyError), explain_damage(manifest, folder):
        raise KeyError("not of reading")
    offset = manifest.shards[1].offsets[2]
    flip(folder, 2, 100)
    with (
        pytest.raises(DataError, match=f"{SECOND}: record 2 at byte {offset}"),
        explain_damage(manifest, folder),
    ):
        read_record(str(folder / SECOND), tf.constant(offset))


def test_exchanged_shards_and_wrong_counts_are_found(folder, tmp_path):
    classes = json.loads((folder / "train.json").read_text())["classes"]
    classes[0]["pixels"] -= 1
    classes[1]["pixels"] += 1
    change(folder, classes=classes)
    message = refused(folder, verify_split)
    assert "'pixel_counts' is not what the records hold" in message
    shards = json.loads((folder / "train.json").read_text())["shards"]
    shards[0]["sha256"] = "0" * 64
    change(folder, shards=shards)
    message = refused(folder, verify_split)
    assert message.startswith(f"{folder / shards[0]['file']}: contents changed")


def test_label_out_of_range_in_a_record_is_found(folder):
    content = json.loads((folder / "train.json").read_text())
    change(
        folder,
        num_classes=2,
        class_names=content["class_names"][:2],
        classes=content["classes"][:2],
        ignored_pixels=content["classes"][2]["pixels"],
    )
    message = refused(folder, verify_split)
    assert "record 0 at byte 0 has label 2, which is not below 2" in message
