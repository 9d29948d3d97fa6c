"""Tests of segnet/data/plausibility.py, and of splits that are refused."""

from __future__ import annotations

import json

import pytest

from segnet.config import Config
from segnet.data import sources
from segnet.data.plausibility import images_digest, suspicions
from segnet.data.sources import Splits
from segnet.errors import DataError
from segnet.records.manifest import Manifest

NAMES = ("soil", "crop", "weed")


def _manifest(split, **changes):
    values = {
        "split": split,
        "num_classes": 3,
        "class_names": NAMES,
        "ignore_label": 255,
        "shards": (),
        "pixel_counts": (70, 20, 10),
        "ignored_pixels": 0,
        "present_images": (4, 4, 4),
        "present_pixels": (100, 100, 100),
        "sizes": ((48, 64, 4),),
    }
    return Manifest(**{**values, **changes})


def _found(train, evaluation, **config):
    """Message by name."""
    splits = Splits(train, evaluation)
    config = Config(**{"input_height": 96, "input_width": 128, **config})
    return dict(suspicions(splits, config))


def test_clean_data_gives_no_suspicion():
    assert _found(_manifest("train"), _manifest("val")) == {}


def test_one_class():
    found = _found(_manifest("train"), _manifest("val", pixel_counts=(0, 9, 0)))
    assert found["one_class"].startswith(
        "split val: all labelled pixels are of the class crop"
    )


def test_a_resumed_run_whose_images_are_other_ones():
    began = _manifest("train", image_digests=("1", "2", "2", "3"))
    digest = images_digest(began)
    val = _manifest("val")
    # In another order, as with other shards; with other labels.
    same = _manifest(
        "train", image_digests=("3", "2", "1", "2"), pixel_counts=(60, 30, 10)
    )
    assert _found(same, val, images_digest=digest) == {}
    other = _manifest("train", image_digests=("1", "2", "3", "3"))
    found = _found(other, val, images_digest=digest)
    assert found["other_images"].startswith(
        "split train: its 0 images are not those that this run began with"
    )
    # A run from before this was noted; records from before digests.
    assert _found(other, val) == {}
    assert _found(_manifest("train"), val, images_digest=digest) == {}


@pytest.mark.parametrize(
    ("train", "val", "words"),
    [
        ((5, 5, 5), (5, 5, 0), "val: has no pixel of weed, which split train"),
        ((5, 0, 0), (5, 5, 5), "train: has no pixel of crop, weed, which"),
    ],
)
def test_classes_of_one_split(train, val, words):
    found = _found(
        _manifest("train", pixel_counts=train),
        _manifest("val", pixel_counts=val),
    )
    assert words in found["split_classes"]


def test_images_of_both_splits():
    found = _found(
        _manifest("train", image_digests=("a" * 16, "b" * 16)),
        _manifest("val", image_digests=("c" * 16, "b" * 16)),
    )
    assert found["shared_images"].startswith(
        "split val: 1 of 2 pictures is in split train too, "
    )


def test_evaluating_on_the_training_split_is_no_accident():
    train = _manifest("train", image_digests=("a" * 16,))
    assert _found(train, train) == {}


@pytest.mark.parametrize(
    ("sizes", "size", "words"),
    [
        # 4:3 at 2:1, as Habana's recipe sees CamVid, is usual.
        ([(360, 480, 9)], (320, 640), []),
        ([(48, 64, 2), (48, 128, 1)], (96, 128), []),
        # 3:4 at 4:3 is 16/9 times too wide; 12288 pixels at 3:4 are 128x96.
        ([(640, 480, 1)], (96, 128),
         ["1.8 times too wide", "640x480", "--input_height=128",
          "--input_width=96"]),
        # 4:1 at 4:3: 12288 pixels at 4:1 are 55x222, in steps of 16 48x224.
        ([(100, 400, 3), (100, 100, 1)], (96, 128),
         ["3.0 times too high", "--input_height=48 --input_width=224"]),
    ],
)  # fmt: skip
def test_aspect_ratio(sizes, size, words):
    train = _manifest("train", sizes=tuple(sizes))
    found = _found(
        train, _manifest("val"), input_height=size[0], input_width=size[1]
    )
    assert bool(found) == bool(words)
    assert all(word in found["aspect_ratio"] for word in words)


def _change(data_dir, tmp_path, split, change):
    """A copy of the tiny data set with another manifest."""
    for file in data_dir.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / f"{split}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_a_labelled_pixel_is_refused(split, data_dir, tmp_path):
    def unlabel(content):
        for entry in content["classes"]:
            content["ignored_pixels"] += entry["pixels"]
            entry.update(pixels=0, images=0, pixels_in_images=0)

    _change(data_dir, tmp_path, split, unlabel)
    with pytest.raises(DataError, match=f"split '{split}' has no labelled"):
        sources.read_splits(str(tmp_path), "train", "val")


def test_the_order_of_the_classes_is_part_of_them(data_dir, tmp_path):
    def swap(content):
        names = content["class_names"]
        names[1], names[2] = names[2], names[1]
        for entry, name in zip(content["classes"], names, strict=True):
            entry["name"] = name

    _change(data_dir, tmp_path, "val", swap)
    with pytest.raises(DataError) as caught:
        sources.read_splits(str(tmp_path), "train", "val")
    assert "'train' and 'val' differ: label 1 is 'wall'" in str(caught.value)
    assert "'disc' in the other" in str(caught.value)
