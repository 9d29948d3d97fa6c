"""Worker processes of the converter: what can go wrong between them."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys

import picture_files as files
import pytest

from segnet import pools, signals
from segnet.convert import shard_files, workers
from segnet.errors import RunError
from segnet.records.manifest import Manifest
from tools import convert_to_tfrecord as convert


@pytest.fixture
def root(tmp_path):
    return files.write_folders(tmp_path, 5)


def test_a_progress_bar_does_not_keep_workers_from_being_forked():
    code = (
        "import sys; from segnet.progress import Progress; "
        "from segnet import pools; "
        "sys.stderr.isatty = lambda: True\n"
        "with Progress(3, unit='image', label='convert') as progress:\n"
        "    progress.advance()\n"
        "print(pools._start_context().get_start_method())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=files.ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "fork\n"
    assert "/3" in done.stderr


def test_progress_is_what_all_jobs_have_done():
    counts = [3, 4]
    futures = [concurrent.futures.Future() for _ in counts]
    for future in futures:
        future.set_result(None)
    reported = []
    pools._follow(futures, counts, reported.append)
    assert reported == [7]


def test_a_signal_while_workers_start_comes_before_what_it_broke():
    def start():
        with signals.signals_held():
            signal.raise_signal(signal.SIGINT)
            raise RuntimeError("broken")

    with pytest.raises(KeyboardInterrupt):
        start()


def test_work_with_signals_held_ends_where_it_asks_to():
    steps = []

    def work():
        with signals.signals_held() as check:
            check()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.raise_signal(number)
            steps.append("not cut in two")
            check()
            steps.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["not cut in two"]


def test_processes_that_cannot_start_are_one_line(root, capsys, monkeypatch):
    def fail(self, kind, size):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(multiprocessing.context.BaseContext, "RawArray", fail)
    assert convert.main(files.flags(root, "--num_workers=2")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "worker processes cannot be started" in line
    assert not (root / "out").exists()


@pytest.mark.parametrize("num_workers", [1, 2])
def test_too_little_memory_is_one_line(root, capsys, monkeypatch, num_workers):
    def fail(*arguments):
        raise MemoryError

    target = (workers, "convert_part") if num_workers == 1 else (pools, "_run")
    monkeypatch.setattr(*target, fail)
    assert convert.main(files.flags(root, f"--num_workers={num_workers}")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "because memory ran out" in line


def test_a_manifest_that_cannot_be_written_leaves_the_old_split(
    root, capsys, monkeypatch
):
    assert convert.main(files.flags(root)) == 0
    before = {p.name: p.read_bytes() for p in (root / "out").iterdir()}

    def fail(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Manifest, "to_json", fail)
    assert convert.main(files.flags(root, "--overwrite")) == 1
    assert "No space left" in capsys.readouterr().err
    after = {p.name: p.read_bytes() for p in (root / "out").iterdir()}
    assert after == before


def test_a_part_that_was_cut_short_is_not_spread(tmp_path):
    path = str(tmp_path / "part")
    with shard_files.ShardWriter(path) as writer:
        writer.write(b"one")
        writer.write(b"two")
    os.truncate(path, 30)
    targets = [str(tmp_path / name) for name in "ab"]
    with pytest.raises(RunError, match="not written completely"):
        shard_files.rearrange([writer.file], [1, 1], targets)


def test_moving_records_can_be_ended(tmp_path):
    path = str(tmp_path / "part")
    with shard_files.ShardWriter(path) as writer:
        for _ in range(3):
            writer.write(b"record")
    ended = iter([None, signals.Terminated])

    def check():
        if error := next(ended):
            raise error

    targets = [str(tmp_path / name) for name in "abc"]
    with pytest.raises(signals.Terminated):
        shard_files.rearrange([writer.file], [1, 1, 1], targets, check)
    assert {path.name for path in tmp_path.iterdir()} == {"part", "a"}


def test_a_link_to_itself_is_no_image(root):
    os.symlink("loop.png", root / "images" / "loop.png")
    assert convert.main(files.flags(root)) == 0
