"""The converter: bad flags, output in the way, ends before its time."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import picture_files as files
import pytest
import tensorflow as tf

from segnet import pools
from segnet.records import encoding
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


BAD_FLAGS = {
    "--num_clases=3": "Did you mean: num_classes",
    "stray": "'stray' is not a flag",
    "--num_classes=1": "[2, 255]",
    "--num_classes=256": "[2, 255]",
    "--num_classes=x": "num_classes=x",
    "--num_shards=0": "num_shards=0",
    "--num_workers=-1": "num_workers=-1",
    "--annotation_mode=red": "<blue|index|color>",
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
    "--class_names=names": "there is no such file; give names, such as",
    f"--class_names={sys.executable}": "is not text in UTF-8",
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
        monkeypatch.setattr(encoding, "frame", stop)
    else:
        monkeypatch.setattr(os, "replace", stop)
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

    monkeypatch.setattr(encoding, "encode_record", stop)
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
    monkeypatch.setattr(pools, "_do_job", files.die)
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
