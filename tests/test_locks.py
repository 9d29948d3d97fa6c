"""Tests of segnet/locks.py and segnet/processes.py."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

from segnet import locks
from segnet.errors import RunError
from segnet.processes import Process

_HOLD = """
import sys, time
from segnet import locks
with locks.held(sys.argv[1], "RUN: taken", "wait"):
    print("held", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def holder(path: Path, *wrap: str) -> Iterator[subprocess.Popen]:
    """Another process that holds a lock."""
    process = subprocess.Popen(
        [*wrap, sys.executable, "-c", _HOLD, str(path)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def hold(path: Path):
    return locks.held(str(path), "RUN: another run is training here", "wait")


def test_a_second_process_is_told_who_holds_it(tmp_path):
    path = tmp_path / "run" / ".lock"
    with holder(path) as process:
        with pytest.raises(RunError) as caught, hold(path):
            pass
        text = str(caught.value)
        assert text.startswith("RUN: another run is training here (host ")
        assert f", process {process.pid}, since 20" in text
        assert text.endswith("); wait")
        # Killed, it leaves its file behind, which is in nobody's way.
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.exists()
    with hold(path):
        assert json.loads(path.read_text())["holder"]["process"] == os.getpid()
    assert not path.exists()


def test_the_lock_of_another_user_is_told_from_one_that_is_left(
    tmp_path, monkeypatch
):
    path = tmp_path / "lock"

    def open_file(name, flags, mode=0o777):
        if flags & os.O_RDWR:  # Root, whom tests may run as, may do that.
            raise PermissionError(errno.EACCES, "Permission denied", name)
        return real(name, flags, mode)

    real = os.open
    with holder(path) as process:
        monkeypatch.setattr(os, "open", open_file)
        held = pytest.raises(RunError, match=f"process {process.pid}")
        with held, hold(path):
            pass
    path.touch()
    with pytest.raises(RunError, match="Permission denied"), hold(path):
        pass


def test_nothing_is_left_where_nothing_was(tmp_path):
    folder = tmp_path / "a" / "b"
    with hold(folder / ".lock"):
        assert (folder / ".lock").exists()
    assert not (tmp_path / "a").exists()
    with hold(folder / ".lock"):
        (folder / "result").touch()
    assert [path.name for path in folder.iterdir()] == ["result"]


def test_an_error_within_frees_it(tmp_path):
    with pytest.raises(ZeroDivisionError), hold(tmp_path / ".lock"):
        raise ZeroDivisionError
    with hold(tmp_path / ".lock"):
        pass


def test_one_process_cannot_take_it_twice(tmp_path):
    with hold(tmp_path / ".lock"), pytest.raises(RunError, match="is training"):
        hold(tmp_path / ".lock").__enter__()


def test_a_lock_that_is_taken_over_can_be_waited_for(tmp_path):
    path = tmp_path / ".lock"
    lock = locks.Lock(str(path), "RUN: taken", "wait")
    with holder(path) as process:
        with pytest.raises(RunError):
            lock.acquire()
        os.kill(process.pid, signal.SIGKILL)
        lock.acquire(wait_seconds=30)
    lock.acquire()  # It has it.
    lock.release()
    lock.release()


def test_a_child_neither_keeps_nor_frees_it(tmp_path):
    path = tmp_path / ".lock"
    lock = locks.Lock(str(path), "RUN: taken", "wait")
    lock.acquire()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        lock.release()
        os.read(reader, 1)
        os._exit(0)
    try:
        with pytest.raises(RunError):
            hold(path).__enter__()
        lock.release()
        with hold(path):  # Though the child still runs.
            pass
    finally:
        os.write(writer, b"x")
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def test_a_program_that_is_started_does_not_keep_it(tmp_path):
    with hold(tmp_path / ".lock"):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with hold(tmp_path / ".lock"):
            pass
        folder = Path(f"/proc/{child.pid}/fd")
        links = [os.readlink(descriptor) for descriptor in folder.iterdir()]
        assert not [link for link in links if ".lock" in link]
    finally:
        child.kill()
        child.wait()


def test_another_pid_namespace_is_refused_too(tmp_path):
    wrap = ("unshare", "-rpf", "--kill-child", "--mount-proc")
    if subprocess.run([*wrap, "true"], check=False).returncode:
        pytest.skip("unshare does not work here")
    with (
        holder(tmp_path / ".lock", *wrap),
        pytest.raises(RunError, match="process 1,"),
    ):
        hold(tmp_path / ".lock").__enter__()


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "missing"])
def test_what_is_no_lock_file_is_one_line(kind, tmp_path):
    path = tmp_path / ".lock"
    other = tmp_path / "other"
    other.write_text("mine")
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path = other / "run" / ".lock"
    with pytest.raises(RunError, match="cannot be written") as caught:
        hold(path).__enter__()
    assert "\n" not in str(caught.value)
    assert other.read_text() == "mine"


def test_a_full_disk_is_the_reason_that_is_given(tmp_path, monkeypatch):
    def full(descriptor, data, offset):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    path = tmp_path / "run" / ".lock"
    with pytest.raises(RunError, match="No space left on device"):
        hold(path).__enter__()
    monkeypatch.undo()
    with hold(path):
        pass
    assert not (tmp_path / "run").exists()


def test_half_a_file_is_in_nobodys_way(tmp_path):
    path = tmp_path / ".lock"
    path.write_text('{"holder": {"host"')
    with hold(path):
        assert "host" in json.loads(path.read_text())["holder"]


# Without flock.


@pytest.fixture
def renewed(monkeypatch):
    """A file system without `flock`, and a holder that is in a hurry."""

    def fail(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    monkeypatch.setattr(locks, "_RENEW_SECONDS", 0.05)
    monkeypatch.setattr(locks, "_SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(locks, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(locks, "_ABANDONED_SECONDS", 0.5)


def test_without_flock_one_that_lives_is_seen(renewed, tmp_path):
    path = tmp_path / "run" / ".lock"
    with hold(path):
        with pytest.raises(RunError, match=f"process {os.getpid()}, since"):
            hold(path).__enter__()
        first = json.loads(path.read_text())["number"]
        for _ in range(500):
            if json.loads(path.read_text())["number"] > first:
                break
            time.sleep(0.02)
        else:
            raise AssertionError("the number stands still")
    assert not path.parent.exists()


def _write(path: Path, **changes) -> None:
    process = dataclasses.replace(Process.this(), **changes)
    text = json.dumps({"holder": dataclasses.asdict(process), "number": 3})
    path.write_text(text)


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        # Of a number that a process has again, and of one that none has.
        ({"begun": "1"}, False),
        ({"process": 2**22 + 1}, False),
        # Of another machine, or of processes that are not shown here.
        ({"machine": "other", "process": 2**22 + 1}, True),
    ],
)
def test_without_flock_an_abandoned_one_is_taken(
    renewed, tmp_path, monkeypatch, changes, waits
):
    waited = []
    sleep = time.sleep

    def note(seconds):
        waited.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", note)
    path = tmp_path / ".lock"
    _write(path, **changes)
    with hold(path):
        text = json.loads(path.read_text())["holder"]
        assert text["process"] == os.getpid()
    # Looking for changes, and once to see who came last.
    assert (len(waited) > 1) is waits


def test_of_two_that_find_nothing_the_last_one_holds_it(
    renewed, tmp_path, monkeypatch
):
    path = tmp_path / ".lock"
    sleep = time.sleep

    def overtaken(seconds):
        _write(path, host="faster")
        sleep(0)

    monkeypatch.setattr(time, "sleep", overtaken)
    with pytest.raises(RunError, match="host faster"):
        hold(path).__enter__()
    assert "faster" in path.read_text()


def test_a_remote_lock(renewed, tmp_path):
    tf = pytest.importorskip("tensorflow")
    path = f"ram://{tmp_path.name}/run/.lock"
    with locks.held(path, "RUN: taken", "wait"):
        with pytest.raises(RunError, match="RUN: taken"):
            locks.held(path, "RUN: taken", "wait").__enter__()
        assert tf.io.gfile.exists(path)
    assert not tf.io.gfile.exists(path)


def test_a_process_is_known_by_its_beginning():
    this = Process.this()
    assert not this.has_gone()
    child = subprocess.Popen(["sleep", "60"])
    stat = Path(f"/proc/{child.pid}/stat").read_text()
    begun = stat.rpartition(")")[2].split()[19]
    other = dataclasses.replace(this, process=child.pid, begun=begun)
    assert not other.has_gone()
    child.kill()
    for _ in range(500):  # Not waited for, it stays as a zombie.
        if other.has_gone():
            break
        time.sleep(0.02)
    assert other.has_gone()
    child.wait()
