from __future__ import annotations

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import picture_files as files
import pytest
import tensorflow as tf

from segnet import conversion, records
from tools import convert_to_tfrecord as convert


@pytest.fixture
def root(tmp_path):
    return files.write_folders(tmp_path, 4)


def fail(capsys, argv, status=1) -> list[str]:
    """The lines on standard error of a run that ends with `status`."""
    assert convert.main(argv) == status
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("convert_to_tfrecord: ")
    return lines


RGB = files.picture(1)
LABEL = files.labels(1)
JPEG = files.saved(RGB, "JPEG")
PNG = files.saved(RGB, "PNG")
OUT_OF_RANGE = LABEL.copy() % 3
OUT_OF_RANGE[7, 5] = 9
OUT_OF_RANGE[8, 0] = 255

# What happens to the pair f01, and what the line about it must hold.
BAD_PAIRS = {
    "empty image": ({"images/f01.jpg": b""}, "is empty (0 bytes)"),
    "text": ({"images/f01.jpg": b"hello"}, "is not a JPEG, PNG or BMP image"),
    "truncated jpg": ({"images/f01.jpg": JPEG[:-300]}, "damaged or incomplete"),
    "truncated png": (
        {"images/f01.jpg": None, "images/f01.png": PNG[:-30]},
        "damaged or incomplete",
    ),
    "no annotation": (
        {"annotations/f01.png": None},
        "f01.jpg: image without an annotation f01.png in",
    ),
    "no image": ({"images/f01.jpg": None}, "annotation without an image"),
    "same stem": ({"images/f01.png": PNG}, "has the same stem as f01.jpg"),
    "same stem, case": ({"images/f01.JPG": JPEG}, "has the same stem as"),
    "annotated twice": (
        {"annotations/f01.bmp": files.saved(LABEL, "BMP")},
        "has the same stem as f01.bmp",
    ),
    "two and none": (
        {"images/f01.png": PNG, "annotations/f01.png": None},
        "f01.*: image without an annotation",
    ),
    "sizes": (
        {"annotations/f01.png": files.saved(LABEL[:-1], "PNG")},
        "f01.png: is 40x23 (width x height) but f01.jpg is 40x24",
    ),
    "turned": (
        {"annotations/f01.png": files.saved(np.rot90(LABEL), "PNG")},
        "turn one of them",
    ),
    "label": (
        {"annotations/f01.png": files.blue_png(OUT_OF_RANGE)},
        "f01.png: label 9 at pixel (x=5, y=7) is not below --num_classes=3 "
        "(also 255)",
    ),
    "palette": (
        {"annotations/f01.png": files.saved(LABEL, "PNG", "P")},
        "give --annotation_mode=index",
    ),
    "16-bit": (
        {"annotations/f01.png": files.png16(LABEL.astype(np.uint16))},
        "is a 16-bit annotation",
    ),
    "jpg annotation": (
        {"annotations/f01.png": None, "annotations/f01.jpg": JPEG},
        "f01.jpg: is a JPEG, whose compression changes labels",
    ),
    "jpg named png": ({"annotations/f01.png": JPEG}, "f01.png: is a JPEG"),
}


def spoil(root, changes) -> None:
    for name, data in changes.items():
        if data is None:
            (root / name).unlink()
        else:
            (root / name).write_bytes(data)


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_bad_pair_is_one_line_with_file_and_remedy(root, capsys, case):
    changes, message = BAD_PAIRS[case]
    spoil(root, changes)
    lines = fail(capsys, files.flags(root))
    about = [line for line in lines if message in line]
    assert len(about) == 1
    assert about[0].startswith("error: ")
    assert "nothing was written" in lines[-1]
    assert not (root / "out").exists()


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_bad_pair_is_skipped_and_listed_if_asked_for(root, capsys, case):
    changes, message = BAD_PAIRS[case]
    spoil(root, changes)
    assert convert.main(files.flags(root, "--skip_invalid")) == 0
    captured = capsys.readouterr()
    assert f"{message}" in captured.err
    assert "skipped: " in captured.err
    assert "left out: " in captured.out
    manifest = records.verify_split(root / "out", "train")
    assert manifest.num_records == 3
    assert [shard.records for shard in manifest.shards] == [1, 1, 1]
    for entry in manifest.skipped:
        assert entry["file"].split("/")[-1].startswith("f01.")
        assert str(root) not in entry["file"]


def test_all_errors_are_found_before_it_stops(root, capsys):
    spoil(
        root,
        {
            "images/f00.jpg": b"",
            "annotations/f00.png": b"",
            "images/f01.jpg": None,
            "annotations/f03.png": files.blue_png(OUT_OF_RANGE),
        },
    )
    for more in ((), ("--num_workers=2",), ("--verify_only",)):
        lines = fail(capsys, files.flags(root, *more))
        assert len(lines) == 5
        assert "4 errors (above)" in lines[-1]
        for name in ("images/f00.jpg", "annotations/f00.png", "f01", "f03"):
            assert sum(name in line for line in lines[:-1]) == 1


def test_no_good_pair_is_an_error_even_if_skipping(root, capsys):
    for path in (root / "images").iterdir():
        path.write_bytes(b"")
    lines = fail(capsys, files.flags(root, "--skip_invalid"))
    assert "no good pair in" in lines[-1]
    assert not (root / "out").exists()


@pytest.mark.parametrize("name", ["images", "annotations"])
def test_missing_and_empty_folders(root, capsys, name):
    folder = root / name
    for path in folder.iterdir():
        path.unlink()
    (folder / "a.tif").touch()
    (line,) = fail(capsys, files.flags(root))
    assert f"{folder}: has no {name[:-1]} (" in line
    (folder / "a.tif").unlink()
    folder.rmdir()
    (line,) = fail(capsys, files.flags(root))
    assert f"{folder}: no such folder" in line


BAD_FLAGS = {
    "--num_clases=3": "Did you mean: num_classes",
    "stray": "'stray' is not a flag",
    "--num_classes=1": "[2, 255]",
    "--num_classes=256": "[2, 255]",
    "--num_classes=x": "num_classes=x",
    "--num_shards=0": "num_shards=0",
    "--num_workers=-1": "num_workers=-1",
    "--annotation_mode=red": "<blue|index>",
    "--resize=320": "--resize=320: is not HEIGHTxWIDTH",
    "--resize=0x3": "--resize=0x3",
    "--void_labels=11,": "'' is not a label from 0 to 255",
    "--void_labels=256": "'256' is not a label",
    "--void_labels=-1": "'-1' is not a label",
    "--split=a/b": "--split=a/b",
    "--split=": "--split must be given",
    "--images_dir=": "--images_dir must be given",
    "--class_names=a,b": "has 2 names, --num_classes is 3",
    "--class_names=a,,c": "has 2 names",
    "--class_names=a,b,a": "'a' is there twice",
    "--class_names=none.txt": "there is no such file",
    f"--class_names={sys.executable}": "cannot be read as text",
}


@pytest.mark.parametrize("flag", BAD_FLAGS)
def test_bad_flags_are_one_line_and_exit_2(root, capsys, flag):
    (line,) = fail(capsys, files.flags(root, flag), status=2)
    assert BAD_FLAGS[flag] in line
    assert not (root / "out").exists()


def test_verify_only_needs_one_of_input_and_output(root, capsys):
    tool = "convert_to_tfrecord.py"
    (line,) = fail(capsys, [tool, "--verify_only"], status=2)
    assert "--output_dir, --split must be given" in line
    argv = [tool, "--verify_only", f"--images_dir={root / 'images'}"]
    (line,) = fail(capsys, argv, status=2)
    assert "--annotations_dir, --num_classes must be given" in line


def test_existing_output_is_kept_unless_told(root, capsys):
    argv = files.flags(root, "--num_shards=2")
    assert convert.main(argv) == 0
    before = {p.name: p.read_bytes() for p in (root / "out").iterdir()}
    (line,) = fail(capsys, argv)
    assert "train.json: is already there; give --overwrite" in line
    after = {p.name: p.read_bytes() for p in (root / "out").iterdir()}
    assert after == before
    (root / "out" / "train.json").unlink()
    (line,) = fail(capsys, argv)
    assert "without a manifest (there are 2)" in line


def test_output_that_cannot_be_made(root, capsys):
    (root / "out").touch()
    (line,) = fail(capsys, files.flags(root))
    assert "cannot be written" in line


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (KeyboardInterrupt, 130, "interrupted"),
        (tf.errors.ResourceExhaustedError(None, None, "x; No space left"), 1,
         "No space left"),
        (OSError(28, "No space left on device"), 1, "No space left"),
    ],
    ids=["interrupt", "tensorflow", "os"],
)  # fmt: skip
@pytest.mark.parametrize("step", ["write", "rename"])
def test_run_that_fails_midway_leaves_nothing(
    root, capsys, monkeypatch, error, status, word, step
):
    def stop(*args, **kwargs):
        raise error

    if step == "write":
        monkeypatch.setattr(records, "encode_record", stop)
        if status == 1:
            monkeypatch.undo()
            monkeypatch.setattr(tf.io, "TFRecordWriter", stop)
    else:
        monkeypatch.setattr(tf.io.gfile, "rename", stop)
    (line,) = fail(capsys, files.flags(root), status)
    assert word in line
    assert not (root / "out").exists()
    monkeypatch.undo()
    assert convert.main(files.flags(root)) == 0


def test_interrupted_overwrite_keeps_the_old_split(root, capsys, monkeypatch):
    assert convert.main(files.flags(root)) == 0
    before = {p.name: p.read_bytes() for p in (root / "out").iterdir()}

    def stop(**kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "encode_record", stop)
    fail(capsys, files.flags(root, "--overwrite"), 130)
    after = {p.name: p.read_bytes() for p in (root / "out").iterdir()}
    assert after == before


def test_leftovers_of_a_killed_run_are_removed(root):
    leftover = root / "out" / ".train.tmp" / "00000"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half a shard")
    assert convert.main(files.flags(root)) == 0
    assert not leftover.parent.exists()


def test_dead_worker_is_one_line(root, capsys, monkeypatch):
    monkeypatch.setattr(conversion, "_convert_lot", files.die)
    (line,) = fail(capsys, files.flags(root, "--num_workers=2"))
    assert "a worker process died" in line
    assert "--num_workers" in line
    assert not (root / "out").exists()


def start(root, *more: str) -> subprocess.Popen:
    tool = files.ROOT / "tools" / "convert_to_tfrecord.py"
    return subprocess.Popen(
        [sys.executable, str(tool), *files.flags(root, *more)[1:]],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_full_disk_is_one_line_and_leaves_nothing(root, capsys):
    """A limit on the size of files fails writes as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    argv = files.flags(root, "--num_shards=1")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
    try:
        (line,) = fail(capsys, argv)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot be written" in line
    assert "free space" in line
    assert not (root / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_clean_up(tmp_path, number):
    root = files.write_folders(tmp_path, 4)
    big = files.saved(files.picture(0, 1000, 1500), "PNG", compress_level=1)
    label = files.saved(np.zeros((1000, 1500), np.uint8), "PNG")
    for index in range(40):
        image = root / "images" / f"big{index}.png"
        annotation = root / "annotations" / f"big{index}.png"
        if index:
            os.link(root / "images" / "big0.png", image)
            os.link(root / "annotations" / "big0.png", annotation)
        else:
            image.write_bytes(big)
            annotation.write_bytes(label)
    process = start(root, "--num_workers=2")
    aside = root / "out" / ".train.tmp"
    deadline = time.monotonic() + 60
    while not aside.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, number)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number
    assert len(error.splitlines()) == 1
    assert "nothing kept" in error
    assert not (root / "out").exists()


def test_skipped_files_are_in_the_manifest(root):
    spoil(root, {"images/f02.jpg": b""})
    assert convert.main(files.flags(root, "--skip_invalid")) == 0
    path = pathlib.Path(root / "out" / "train.json")
    assert json.loads(path.read_text())["skipped"] == [
        {"file": "images/f02.jpg", "reason": "is empty (0 bytes); get it again"}
    ]
