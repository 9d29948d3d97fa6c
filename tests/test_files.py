"""Tests of segnet/files.py."""

from __future__ import annotations

import os
import resource
import secrets
import threading
from collections.abc import Iterator

import pytest
import tensorflow as tf

from segnet import files
from segnet.errors import DataError, RunError


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("disk is full", "disk is full"),
        ("a/b.txt; No space left on device", "No space left on device"),
        ("{{function_node f_x}} corrupted record at 12",
         "corrupted record at 12"),
        ("bad crc\n\t [[{{node Read}}]] [Op:Next]", "bad crc"),
        ("{{function_node __wrapped__SaveV2_d_}} a.index; Disk quota exceeded "
         "[Op:SaveV2] name: ", "Disk quota exceeded"),
    ],
)  # fmt: skip
def test_reason_is_what_people_can_read(message, expected):
    assert (
        files.reason(tf.errors.DataLossError(None, None, message)) == expected
    )


@pytest.fixture(params=["local", "remote"])
def folder(request, tmp_path) -> Iterator[str]:
    """One on disk, and one that only TensorFlow can reach."""
    if request.param == "local":
        yield str(tmp_path)
        return
    path = f"ram://{tmp_path.name}"
    tf.io.gfile.makedirs(path)
    yield path
    tf.io.gfile.rmtree(path)


def contents(folder: str) -> dict[str, str]:
    functions = files.gfile(folder)
    found = {}
    for name in functions.listdir(folder):
        with functions.GFile(os.path.join(folder, name)) as file:
            found[name] = file.read()
    return found


def test_a_text_replaces_what_was_there(folder):
    for text in ("one", "zwölf", ""):
        files.write_text(os.path.join(folder, "a.txt"), text)
        assert contents(folder) == {"a.txt": text}


def test_a_rename_that_fails_leaves_the_old_file_alone(folder, monkeypatch):
    path = os.path.join(folder, "a.txt")
    files.write_text(path, "one")

    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.gfile(folder), "rename", fail)
    with pytest.raises(RunError, match=r"a.txt: cannot be .*put/output error"):
        files.write_text(path, "two")
    assert contents(folder) == {"a.txt": "one"}


def test_a_full_disk_leaves_the_old_file_alone(tmp_path):
    """A limit on the size of files fails writes as a full disk does."""
    path = str(tmp_path / "a.bin")
    files.write_bytes(path, b"one")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(RunError, match="cannot be written"):
            files.write_bytes(path, bytes(1001))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert contents(str(tmp_path)) == {"a.bin": "one"}


def test_an_interrupt_leaves_the_old_file_alone(tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    files.write_text(str(tmp_path / "a.txt"), "one")
    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_text(str(tmp_path / "a.txt"), "two")
    assert contents(str(tmp_path)) == {"a.txt": "one"}


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(RunError, match=r"no/a.txt: cannot be written"):
        files.write_text(str(tmp_path / "no" / "a.txt"), "one")
    assert contents(str(tmp_path)) == {}


def test_nothing_is_written_through_a_link(tmp_path, monkeypatch):
    """Neither in the place of the file nor of the one aside."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    path = tmp_path / "a.txt"
    path.symlink_to(precious)
    files.write_text(str(path), "one")
    assert not path.is_symlink()
    monkeypatch.setattr(secrets, "token_hex", lambda count: "known")
    aside = tmp_path / ".segnet-known.tmp"
    aside.symlink_to(precious)
    with pytest.raises(RunError, match="File exists"):
        files.write_text(str(path), "two")
    assert aside.is_symlink()
    assert path.read_text() == "one"
    assert precious.read_text() == "mine"


def test_others_may_read_what_is_written(tmp_path):
    (tmp_path / "plain").touch()
    files.write_text(str(tmp_path / "a.txt"), "one")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert files.expand_path("~/a b") == "/home/me/a b"
    assert files.expand_path("~") == "/home/me"
    for path in ("", "a/~/b", "~nobody-here/x", "gs://b/~/x"):
        assert files.expand_path(path) == path


@pytest.mark.parametrize(
    "data",
    [
        "straße\n小径\n".encode(),
        "straße\r\n小径\r\n".encode("utf-8-sig"),
        "straße\r小径\r".encode("utf-16"),
        b"\xfe\xff" + "straße\r\n小径\n".encode("utf-16-be"),
    ],
)
def test_a_text_is_the_same_from_every_system(folder, data):
    path = os.path.join(folder, "names.txt")
    files.write_bytes(path, data)
    assert files.read_text(path) == "straße\n小径\n"


@pytest.mark.parametrize(
    "data",
    ["straße".encode("latin-1"), "ab".encode("utf-16-le"), b"\xff\xfea"],
)
def test_what_is_no_text_is_one_line_with_the_encoding(tmp_path, data):
    path = tmp_path / "names.txt"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"names.txt: is not text in UTF-8 "):
        files.read_text(path)
    with pytest.raises(DataError, match=r"no.txt: cannot be read \(No such"):
        files.read_text(tmp_path / "no.txt")


@pytest.mark.parametrize("inside", ["", "x/y"])
def test_a_file_in_the_place_of_a_folder_is_told_as_such(tmp_path, inside):
    path = tmp_path / "results"
    path.touch()
    with (
        pytest.raises(RunError, match="a file is where a folder should be"),
        files.write_errors(str(path)),
    ):
        os.makedirs(path / inside)


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "terminal"])
def test_what_is_no_plain_file_is_not_waited_for(tmp_path, kind):
    path = tmp_path / "a.txt"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"device": "/dev/zero", "terminal": "/dev/ptmx"}[kind])
    with pytest.raises(DataError, match=r"a.txt: cannot be read \((not|is) a"):
        files.read_text(path)


def test_a_pipe_of_the_shell_is_read_to_its_end():
    reader, writer = os.pipe()
    try:
        threading.Timer(0.1, lambda: (os.write(writer, b"a\nb\n"),
                                      os.close(writer))).start()  # fmt: skip
        assert files.read_text(f"/dev/fd/{reader}") == "a\nb\n"
    finally:
        os.close(reader)


def test_a_text_has_a_largest_size(folder):
    path = os.path.join(folder, "a.txt")
    files.write_text(path, "x" * 10)
    assert files.read_text(path, limit=10) == "x" * 10
    with pytest.raises(DataError, match="has more than the 9 bytes"):
        files.read_text(path, limit=9)


def test_a_device_without_end_is_refused_through_a_pipe_too():
    reader, writer = os.pipe()
    try:
        os.write(writer, b"x" * 60_000)
        with pytest.raises(DataError, match="more than the 50,000 bytes"):
            files.read_text(f"/dev/fd/{reader}", limit=50_000)
    finally:
        os.close(reader)
        os.close(writer)
