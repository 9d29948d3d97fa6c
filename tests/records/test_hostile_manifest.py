"""Manifests that were changed, and what else can be in their place."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import socket
from pathlib import Path

import picture_files as files
import pytest

from segnet.errors import DataError
from segnet.records.splits import read_manifest

convert = importlib.import_module("tools.convert_to_tfrecord")


@pytest.fixture(scope="module")
def converted(tmp_path_factory) -> Path:
    root = files.write_folders(tmp_path_factory.mktemp("hostile"), 3)
    assert convert.main(files.flags(root, "--num_shards=2")) == 0
    return root / "out"


@pytest.fixture
def folder(converted, tmp_path) -> Path:
    return shutil.copytree(converted, tmp_path / "out")


def refused(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_manifest(folder, "train")
    message = str(caught.value)
    assert message.startswith(f"{folder}/train.json: ")
    assert "\n" not in message
    assert len(message) < len(str(folder)) + 300
    return message


def place(path: Path, kind: str) -> None:
    """Puts something that is no plain file where one is looked for."""
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            before = Path.cwd()
            os.chdir(path.parent)  # Their names have 107 bytes at most.
            server.bind(path.name)
            os.chdir(before)
    else:
        path.symlink_to(kind)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("fifo", "not a plain file"),
        ("folder", "is a folder"),
        ("socket", "No such device"),
        ("/dev/zero", "not a plain file"),
        ("/dev/tty", ""),
        ("/proc/self/mem", ""),
    ],
)
def test_what_is_no_file_is_refused_at_once(folder, kind, message):
    place(folder / "train.json", kind)
    assert message in refused(folder)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"schema_version": 1' + b"0" * 400 + b"}",
        b'{"schema_version": 1, "schema_version": 1}',
        b'{"schema_version": NaN}',
        b"\xff\xfe",
        b"\xff\xfe\x00\xd8",
        b"\x80",
        b"{}\0",
        b'"schema_version"',
        b"1",
        b'{"schema_version": true}',
        b'{"schema_version": 1.0}',
        b'{"schema_version": [[]]}',
    ],
    ids=lambda data: ascii(data)[:24],
)
def test_bytes_that_are_no_manifest_are_one_line(folder, data):
    (folder / "train.json").write_bytes(data)
    refused(folder)


def test_a_file_without_end_is_not_read_to_it(folder, monkeypatch):
    monkeypatch.setattr("segnet.records.splits.LARGE_TEXT_BYTES", 100)
    assert "more than the 100 bytes" in refused(folder)


def everywhere(content, value):
    """Copies of a content with a value in the place of each part."""
    yield value
    parts = ()
    if isinstance(content, dict):
        parts = content.items()
    elif isinstance(content, list):
        parts = list(enumerate(content))[:2]
    for key, part in parts:
        for changed in everywhere(part, value):
            copy = dict(content) if type(content) is dict else list(content)
            copy[key] = changed
            yield copy


@pytest.mark.parametrize(
    "value",
    [None, True, -1, 2**62, 0.5, "", "\0", "\udcff", [], [[]], {}, {"a": 1}],
    ids=ascii,
)
def test_another_value_in_any_place_is_one_line(folder, value):
    path = folder / "train.json"
    whole = json.loads(path.read_text())
    right = read_manifest(folder, "train")
    contents = list(everywhere(whole, value))
    assert len(contents) > 40
    for content in contents:
        path.write_text(json.dumps(content))
        # What says nothing, such as the names of skipped files, may change.
        with contextlib.suppress(DataError):
            assert read_manifest(folder, "train").sizes == right.sizes


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([(24, 40, 2), (24, 41, 1)], "has 2904 pixels, the classes 2880"),
        ([(24, 40, 2), (0, 40, 1)], "has 1 images of 0x40"),
        ([(24, 40, 3), (9, 9, 0)], "has 0 images of 9x9"),
        ([(24, 40, 2), (24, 40, 1)], "has a size twice"),
        ([(2**40, 2**40, 3)], "has 3 images of"),
        ([(20000, 20000, 3)], "has 3 images of 20000x20000"),
    ],
)
def test_sizes_that_cannot_be_are_refused(folder, entries, message):
    path = folder / "train.json"
    content = json.loads(path.read_text())
    content["image_sizes"] = [
        {"height": height, "width": width, "images": images}
        for height, width, images in entries
    ]
    path.write_text(json.dumps(content))
    assert message in refused(folder)


@pytest.mark.parametrize(
    "entry", [{"images": 4}, {"images": 0}, {"pixels_in_images": 1},
              {"pixels_in_images": 2881}]
)  # fmt: skip
def test_a_class_that_contradicts_the_rest_is_refused(folder, entry):
    path = folder / "train.json"
    content = json.loads(path.read_text())
    content["classes"][1].update(entry)
    path.write_text(json.dumps(content))
    assert "about class 1" in refused(folder)


@pytest.mark.parametrize(
    "name", ["a\0b", "\udcff", "x/y", "..", ".", "a\\b", ""], ids=ascii
)
def test_a_shard_of_another_name_is_refused(folder, name):
    path = folder / "train.json"
    content = json.loads(path.read_text())
    content["shards"][0]["file"] = name
    path.write_text(json.dumps(content))
    assert "not a plain file name" in refused(folder)
