from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys

import numpy as np
import picture_files as files
import pytest
import tensorflow as tf
from PIL import Image

from segnet.convert import shard_files, split_writer
from segnet.records.manifest import Manifest
from segnet.records.reading import parse_record
from segnet.records.splits import read_manifest
from segnet.records.verify import verify_split
from tools import convert_to_tfrecord as convert


@pytest.fixture
def root(tmp_path):
    return files.write_folders(tmp_path, 5)


def run(root, *more: str) -> Manifest:
    assert convert.main(files.flags(root, *more)) == 0
    return verify_split(root / "out", "train")


def read_all(folder) -> dict[str, dict]:
    """Records by stem, in the order of the shards, by TensorFlow's reader."""
    manifest = read_manifest(folder, "train")
    fields = [
        parse_record(serialized)
        for serialized in tf.data.TFRecordDataset(manifest.paths(folder))
    ]
    return {
        each["image/source_id"].numpy().decode(): {
            key: value.numpy() for key, value in each.items()
        }
        for each in fields
    }


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_records_hold_the_files_and_the_blue_channel(root, capsys):
    run(root, "--num_shards=2", "--class_names=sky, road,car")
    found = read_all(root / "out")
    assert list(found) == [f"f{index:02d}" for index in range(5)]
    for index, (stem, fields) in enumerate(found.items()):
        source = (root / "images" / f"{stem}.jpg").read_bytes()
        assert fields["image/encoded"] == source
        assert fields["image/format"] == b"jpeg"
        assert fields["image/filename"] == f"{stem}.jpg".encode()
        assert (fields["image/height"], fields["image/width"]) == (24, 40)
        assert fields["image/channels"] == 3
        label = fields["image/segmentation/class/encoded"]
        np.testing.assert_array_equal(decoded(label), files.labels(index))
    output = capsys.readouterr().out
    assert "train: 5 images in 2 shards" in output
    assert re.search(r"road +\d+\.\d\d% +5", output)
    assert "next: convert the other split with --split=val" in output
    assert "5 of 5 images" in output


def test_manifest_says_what_was_written(root):
    run(root, "--num_shards=2")
    content = json.loads((root / "out" / "train.json").read_text())
    assert content["schema_version"] == 1
    assert content["class_names"] == ["class_0", "class_1", "class_2"]
    assert content["num_records"] == 5
    assert content["skipped"] == []
    assert content["image_sizes"] == [{"height": 24, "width": 40, "images": 5}]
    for shard in content["shards"]:
        data = (root / "out" / shard["file"]).read_bytes()
        assert shard["bytes"] == len(data)
        assert shard["sha256"] == hashlib.sha256(data).hexdigest()
    label = np.stack([files.labels(index) for index in range(5)])
    for value, entry in enumerate(content["classes"]):
        present = (label == value).any(axis=(1, 2))
        assert entry["pixels"] == (label == value).sum()
        assert entry["images"] == present.sum()
        assert entry["pixels_in_images"] == present.sum() * 24 * 40


@pytest.mark.parametrize(
    ("count", "num_shards", "expected"),
    [
        (11, 10, [1, 1, 1, 1, 1, 1, 1, 1, 1, 2]),
        (5, 3, [1, 2, 2]),
        (2, 7, [1, 1]),
    ],
)
def test_shards_are_even_and_never_empty(tmp_path, count, num_shards, expected):
    statistics = {
        "pixel_counts": (1,), "ignored_pixels": 0, "present_images": (1,),
        "present_pixels": (1,), "sizes": ((1, 1, count),),
    }  # fmt: skip
    # Parts as uneven as they come when pairs are left out.
    with split_writer.SplitWriter(str(tmp_path), "train") as writer:
        parts = []
        for number, records_ in enumerate([[0], range(1, count - 1), [], [-1]]):
            part = shard_files.ShardWriter(writer.part_path(number))
            with part:
                for index in records_:
                    part.write(bytes(index % count))
            parts.append(part.file)
        manifest = writer.commit(
            parts,
            num_shards=num_shards,
            class_names=["a"],
            skipped=[],
            statistics=statistics,
        )
    assert sorted(shard.records for shard in manifest.shards) == expected
    name = f"train-00000-of-{len(expected):05d}.tfrecord"
    assert manifest.shards[0].file == name
    read = tf.data.TFRecordDataset(manifest.paths(tmp_path))
    lengths = [len(each) for each in read.as_numpy_iterator()]
    assert lengths == list(range(count))


@pytest.mark.parametrize(
    ("megabytes", "images", "expected"),
    [(0, 5, 5), (75, 367, 8), (800, 9999, 8), (801, 9999, 16),
     (10**7, 10**6, 256)],
)  # fmt: skip
def test_default_number_of_shards(megabytes, images, expected):
    count = split_writer.default_num_shards(megabytes * 1024 * 1024, images)
    assert count == expected


def test_output_is_the_same_with_any_number_of_workers(tmp_path):
    root = files.write_folders(tmp_path, 23)
    (root / "images" / "f07.jpg").write_bytes(b"")
    more = ("--num_shards=3", "--skip_invalid", "--resize=16x20")
    run(root, *more)
    first = contents(root / "out")
    assert len(first) == 4
    run(root, *more, "--num_workers=2", "--overwrite")
    assert contents(root / "out") == first
    run(root, *more, "--overwrite")
    assert contents(root / "out") == first


def test_void_labels_become_255(root, capsys):
    run(root, "--num_classes=2", "--void_labels=2,255")
    fields = read_all(root / "out")["f01"]
    label = files.labels(1)
    expected = np.where(label == 2, 255, label)
    found = decoded(fields["image/segmentation/class/encoded"])
    np.testing.assert_array_equal(found, expected)
    manifest = run(root, "--void_labels=0", "--overwrite")
    assert "void label 0 is below --num_classes=3" in capsys.readouterr().out
    assert manifest.present_images[0] == 0
    assert manifest.ignored_pixels == sum(
        (files.labels(index) == 0).sum() for index in range(5)
    )


def test_resize_brings_labels_to_the_nearest(root):
    run(root, "--resize=12x20")
    fields = read_all(root / "out")["f02"]
    assert (fields["image/height"], fields["image/width"]) == (12, 20)
    assert fields["image/format"] == b"png"
    found = decoded(fields["image/segmentation/class/encoded"])
    np.testing.assert_array_equal(found, files.labels(2)[1::2, 1::2])


def test_files_that_need_converting_are_accepted(root):
    rgb = files.picture(7)
    images = {
        "f00.jpg": files.saved(rgb, "JPEG", "CMYK"),
        "f01.png": files.png16(rgb.astype(np.uint16) * 257),
        "f02.bmp": files.saved(rgb, "BMP"),
        "f03.jpg": files.saved(rgb, "JPEG", exif=files.orientation(6)),
        "f04.jpg": files.saved(rgb[..., 0], "JPEG"),
    }
    for path in (root / "images").iterdir():
        path.unlink()
    for name, data in images.items():
        (root / "images" / name).write_bytes(data)
    turned = files.labels(3, height=40, width=24)
    (root / "annotations" / "f03.png").write_bytes(files.blue_png(turned))
    run(root)
    found = read_all(root / "out")
    assert {fields["image/format"] for fields in found.values()} == {b"png"}
    for stem in ("f01", "f02"):
        np.testing.assert_array_equal(
            decoded(found[stem]["image/encoded"]), rgb
        )
    upright = np.rot90(decoded(images["f03.jpg"]), -1)
    np.testing.assert_array_equal(
        decoded(found["f03"]["image/encoded"]), upright
    )
    assert (found["f03"]["image/height"], found["f03"]["image/width"]) == (
        40,
        24,
    )


def test_palette_index_is_the_label_if_asked_for(root):
    for index in range(5):
        image = Image.fromarray(files.labels(index)).convert("P")
        image.putpalette(bytes(range(255, 0, -1)))
        image.save(root / "annotations" / f"f{index:02d}.png")
    run(root, "--annotation_mode=index")
    fields = read_all(root / "out")["f04"]
    data = fields["image/segmentation/class/encoded"]
    assert Image.open(io.BytesIO(data)).mode == "L"
    np.testing.assert_array_equal(decoded(data), files.labels(4))


def test_overwrite_replaces_the_split_and_nothing_else(root):
    run(root, "--num_shards=4")
    other = root / "out" / "train2-00000-of-00001.tfrecord"
    other.write_bytes(b"another split")
    (root / "images" / "f00.jpg").unlink()
    (root / "annotations" / "f00.png").unlink()
    manifest = run(root, "--num_shards=3", "--overwrite")
    assert manifest.num_records == 4
    names = {shard.file for shard in manifest.shards}
    assert set(contents(root / "out")) == {*names, "train.json", other.name}


def test_class_names_come_from_a_file(root, tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("sky\r\n road \r\n\r\nfußweg", encoding="utf-16")
    manifest = run(root, f"--class_names={path}")
    assert manifest.class_names == ("sky", "road", "fußweg")


def test_verify_only_checks_folders_and_records(root, capsys):
    verify = files.flags(root, "--verify_only")
    assert convert.main(verify) == 0
    assert "5 pairs are good" in capsys.readouterr().out
    assert not (root / "out").exists()
    run(root)
    before = contents(root / "out")
    assert convert.main(verify) == 0
    assert "5 records are good" in capsys.readouterr().out
    tool, output = verify[0], [f"--output_dir={root}/out", "--split=train"]
    assert convert.main([tool, "--verify_only", *output]) == 0
    assert convert.main([tool, "--verify_only", *verify[1:3],
                         "--num_classes=3"]) == 0  # fmt: skip
    (root / "images" / "f00.jpg").unlink()
    (root / "annotations" / "f00.png").unlink()
    assert convert.main(verify) == 1
    assert "has 5 records but the folders 4" in capsys.readouterr().err
    assert contents(root / "out") == before


def test_class_names_come_in_one_line_from_a_file_or_a_pipe(root, tmp_path):
    path = tmp_path / "names"
    path.write_text("tv/monitor, sky,road\n")
    expected = ("tv/monitor", "sky", "road")
    assert run(root, f"--class_names={path}").class_names == expected
    more = ("--overwrite", f"--class_names={','.join(expected)}")
    assert run(root, *more).class_names == expected
    read, write = os.pipe()
    with os.fdopen(write, "w") as pipe:
        pipe.write("a: 0\nb: 1\nc: 2\n")
    argv = files.flags(root, f"--label_map=/dev/fd/{read}", "--overwrite")
    assert convert.main(argv) == 0
    os.close(read)


@pytest.mark.parametrize("kind", ["images", "annotations"])
def test_verify_only_sees_that_a_file_has_changed(root, capsys, kind):
    run(root)
    suffix = "jpg" if kind == "images" else "png"
    folder = root / kind
    (folder / f"f02.{suffix}").write_bytes(
        (folder / f"f03.{suffix}").read_bytes()
    )
    assert convert.main(files.flags(root, "--verify_only")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "but of other pictures or labels than the folders hold" in line
    assert convert.main(files.flags(root, "--overwrite")) == 0
    assert convert.main(files.flags(root, "--verify_only")) == 0


def test_other_files_are_mentioned(root, capsys):
    for name in ("Thumbs.db", "notes.txt", ".hidden"):
        (root / "images" / name).touch()
    run(root)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"warning: {root}/images: left aside 2 files (Thumbs.db, notes.txt), "
        "of other kinds (--silence=left_aside)"
    )
    run(root, "--overwrite", "--silence=left_aside")
    assert capsys.readouterr().err == ""


def test_bar_on_a_terminal(root, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(root)
    captured = capsys.readouterr()
    assert "5/5" in captured.err or "0/5" in captured.err
    assert "of 5 images" not in captured.out


def test_next_command_once_both_splits_are_there(root, capsys):
    run(root)
    (root / "out" / "val.json").touch()
    run(root, "--overwrite")
    assert (
        "next: python main.py --flagfile=configs/own.flags "
        f"--data_dir={root}/out --workdir=runs/first\n"
    ) in capsys.readouterr().out
