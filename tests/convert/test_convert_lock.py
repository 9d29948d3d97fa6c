"""One conversion of a split at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import picture_files as files
import pytest

from segnet.records.verify import verify_split
from tools import convert_to_tfrecord as convert


@pytest.fixture
def root(tmp_path):
    return files.write_folders(tmp_path, 3)


@pytest.fixture
def other(root):
    """Another conversion, which has the lock and goes no further."""
    code = (
        "import sys, time; from segnet.convert import program, steps\n"
        "def process(settings, folders, chosen, writer, check):\n"
        "    print('locked', flush=True)\n"
        "    while True:\n"
        "        check()\n"
        "        time.sleep(0.02)\n"
        "steps.process = process\n"
        "program.main(sys.argv)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *files.flags(root)[1:]],
        cwd=files.ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_conversion_of_a_split_is_refused(root, other, capsys):
    for more in ((), ("--overwrite",)):
        assert convert.main(files.flags(root, *more)) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "another conversion of this split, train, is running" in line
        assert str(other.pid) in line
    # Other splits, and checking, are no business of it.
    assert convert.main(files.flags(root, "--split=val")) == 0
    assert convert.main(files.flags(root, "--verify_only")) == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_was_ended_is_not_in_the_way(root, other, number):
    os.kill(other.pid, number)
    other.wait()
    assert convert.main(files.flags(root)) == 0
    assert verify_split(root / "out", "train").num_records == 3
    names = os.listdir(root / "out")
    assert [name for name in names if name.startswith(".")] == []
