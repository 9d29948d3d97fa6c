"""Disks that are full, read-only or gone, and limits on files."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from fault_programs import (
    PROGRAMS,
    copy,
    finish,
    mounted,
    needs_mount,
    start,
    wait_for,
)

pytestmark = pytest.mark.faults

# Name of the program and kilobytes that its disk has.
FULL = [
    ("convert", 4), ("convert", 16), ("convert", 40),
    ("train", 4), ("train", 8), ("train", 64), ("train", 1500),
    ("train", 3000), ("evaluate", 4), ("predict", 4), ("predict", 16),
]  # fmt: skip


@needs_mount
@pytest.mark.parametrize(
    ("name", "size"), FULL, ids=[f"{name}-{size}k" for name, size in FULL]
)
def test_full_disk(programs, tmp_path, name, size):
    """One line; with room the same command goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", f"size={size}k", "tmpfs") as mount:
        output = disk / "out"
        if name == "evaluate":
            subprocess.run(f"head -c 9999 /dev/zero > {disk}/x", shell=True)
        finish(start(programs.command(name, output))).refused("space")
        mount("-o", "remount,size=64m")
        (disk / "x").unlink(missing_ok=True)
        programs.run_again(name, output)


@needs_mount
@pytest.mark.parametrize("name", PROGRAMS)
def test_read_only_disk(programs, tmp_path, name):
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "--bind", str(disk)) as mount:
        mount("-o", "remount,ro,bind")
        result = finish(start(programs.command(name, disk / "out")))
        result.refused("Read-only file system")
        mount("-o", "remount,rw,bind")
        programs.run_again(name, disk / "out")


@needs_mount
@pytest.mark.parametrize("name", ["evaluate", "predict", "train"])
def test_inputs_on_a_read_only_disk(programs, tmp_path, name):
    """They need not be writable, but for what training writes."""
    disk = tmp_path / "disk"
    workdir = copy(programs.trained, disk / "run")
    with mounted(disk, "--bind", str(disk)) as mount:
        mount("-o", "remount,ro,bind")
        command = programs.command(name, tmp_path / "out")
        flags = [f"--workdir={workdir}"]
        if name == "train":
            flags = [f"--workdir={workdir}", "--epochs=3"]
            command = [*command[:2], *flags]
            finish(start(command)).refused("Read-only file system")
        else:
            finish(start([*command, *flags])).done()
            programs.check(name, tmp_path / "out")


def _step(output) -> int:
    names = (output / "checkpoints").glob("ckpt-*.index")
    return max(int(path.stem.removeprefix("ckpt-")) for path in names)


# Kilobytes that a file may have.
SIZES = [
    ("convert", 4), ("convert", 16), ("train", 0), ("train", 1),
    ("train", 100), ("evaluate", 1), ("predict", 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "size"), SIZES, ids=[f"{name}-{size}k" for name, size in SIZES]
)
def test_limit_of_file_size(programs, tmp_path, name, size):
    output = tmp_path / "out"
    shell = f"ulimit -f {size}"
    # TensorFlow's temporary files come first.
    short = name != "convert" and size < 100
    words = "temporary files" if short else "too large"
    finish(start(programs.command(name, output), shell)).refused(words)
    programs.run_again(name, output)


@pytest.mark.parametrize("name", PROGRAMS)
def test_output_is_a_file(programs, tmp_path, name):
    output = tmp_path / "out"
    output.write_text("mine")
    result = finish(start(programs.command(name, output)))
    assert result.status in (1, 2)
    result.refused(str(output), status=result.status)
    assert output.read_text() == "mine"


def test_training_whose_workdir_is_removed(programs, tmp_path):
    output = tmp_path / "out"
    process = start(programs.command("train", output, "--epochs=900"))
    try:
        wait_for(process, (output / "checkpoints/ckpt-2.index").exists)
        output.rename(tmp_path / "moved")
        result = finish(process)
    finally:
        process.kill()
    result.refused(str(output))
    moved = tmp_path / "moved"
    if _step(moved) < 10:
        programs.run_again("train", moved)


@pytest.mark.parametrize("what", ["records", "one-shard", "manifest"])
def test_training_whose_records_are_removed(programs, tmp_path, what):
    records = copy(programs.records, tmp_path / "records")
    output = tmp_path / "out"
    flags = [f"--data_dir={records}", "--epochs=900"]
    process = start(programs.command("train", output, *flags))
    try:
        wait_for(process, (output / "checkpoints/ckpt-2.index").exists)
        if what == "records":
            shutil.rmtree(records)
        elif what == "one-shard":
            (records / "train-00000-of-00002.tfrecord").unlink()
        else:
            (records / "train.json").unlink()
        result = finish(process)
    finally:
        process.kill()
    result.refused(str(records))
    assert _step(output) >= 2
    before = _step(output)
    again = programs.command("train", output, f"--max_steps={before + 3}")
    finish(start([*again, "--epochs=900"])).done()
    assert _step(output) == before + 3
