"""Records and checkpoints that are damaged, replaced or not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import lines
from fault_programs import copy, finish, start, wait_for
from PIL import Image

pytestmark = pytest.mark.faults

SHARD = "train-00000-of-00002.tfrecord"


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "truncated": _truncate,
    "zeroed": _zero,
    "emptied": lambda path: path.write_bytes(b""),
    "flipped-bit": _flip,
    "removed": Path.unlink,
}


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        ("index", "truncated"), ("index", "emptied"), ("index", "removed"),
        ("data-00000-of-00001", "truncated"),
        ("data-00000-of-00001", "zeroed"),
        ("data-00000-of-00001", "removed"),
    ],
)  # fmt: skip
def test_newest_checkpoint(programs, tmp_path, part, damage):
    """The one before is taken, and nothing trained before it is lost."""
    workdir = copy(programs.trained, tmp_path / "run")
    DAMAGE[damage](workdir / "checkpoints" / f"ckpt-10.{part}")
    command = programs.command("train", workdir)[:2]
    result = finish(start([*command, f"--workdir={workdir}", "--epochs=3"]))
    result.done()
    assert (workdir / "checkpoints" / "ckpt-15.index").is_file()
    steps = [line["step"] for line in lines(workdir)]
    assert steps == sorted(steps) and steps[-1] == 15


@pytest.mark.parametrize(
    ("mode", "damage"),
    [("evaluate", "truncated"), ("train", "zeroed"), ("train", "removed")],
)
def test_all_checkpoints(programs, tmp_path, mode, damage):
    """One line, and nothing is begun anew over what was trained."""
    workdir = copy(programs.trained, tmp_path / "run")
    for path in (workdir / "checkpoints").rglob("ckpt-*"):
        if "data" in path.name:
            DAMAGE[damage](path)
    command = programs.command("train", workdir)[:2]
    more = ["--epochs=3"] if mode == "train" else []
    result = finish(
        start([*command, f"--mode={mode}", f"--workdir={workdir}", *more])
    )
    assert result.status == 1, result
    assert "Traceback" not in result.err, result.err
    assert lines(workdir)[-1]["step"] == 10


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", [SHARD, "train.json"])
def test_records_before_training(programs, tmp_path, name, damage):
    records = copy(programs.records, tmp_path / "records")
    DAMAGE[damage](records / name)
    output = tmp_path / "out"
    command = programs.command("train", output, f"--data_dir={records}")
    finish(start(command)).refused(name)
    # A record's checksum is computed when its turn comes.
    if (name, damage) != (SHARD, "flipped-bit"):
        assert not (output / "checkpoints").exists()


@pytest.mark.parametrize("damage", ["truncated", "zeroed", "flipped-bit"])
def test_records_under_training(programs, tmp_path, damage):
    """One line, the checkpoints stay, and with the records it goes on."""
    records = copy(programs.records, tmp_path / "records")
    output = tmp_path / "out"
    flags = [f"--data_dir={records}", "--epochs=900"]
    process = start(programs.command("train", output, *flags))
    try:
        wait_for(process, (output / "checkpoints/ckpt-2.index").exists)
        for path in records.glob("train-*"):
            DAMAGE[damage](path)
        result = finish(process)
    finally:
        process.kill()
    result.refused("train-0000")
    found = (output / "checkpoints").glob("ckpt-*.index")
    step = max(int(path.stem.removeprefix("ckpt-")) for path in found)
    flags = ["--epochs=900", f"--max_steps={step + 2}"]
    finish(start(programs.command("train", output, *flags))).done()


@pytest.mark.parametrize("which", ["other-pictures", "other-classes"])
def test_records_replaced_between_runs(programs, tmp_path, which):
    """Resuming on another data set is refused, or told."""
    records = copy(programs.records, tmp_path / "records")
    output = tmp_path / "out"
    flags = [f"--data_dir={records}"]
    finish(start(programs.command("train", output, *flags))).done()
    command = programs.command("convert", records, "--overwrite")
    if which == "other-classes":
        for path in records.glob("val*"):
            path.unlink()
        more = ["--num_classes=4", "--class_names=a,b,c,d"]
    else:
        pictures = copy(programs.folders / "train", tmp_path / "train")
        for path in (pictures / "images").iterdir():
            array = np.asarray(Image.open(path))
            Image.fromarray(255 - array).save(path)
        more = [f"--images_dir={pictures / 'images'}"]
        more += ["--class_names=ground,wall,disc"]
    finish(start([*command, *more])).done()
    if which == "other-classes":
        pictures = programs.folders / "val"
        more += ["--split=val", f"--images_dir={pictures / 'images'}"]
        more += [f"--annotations_dir={pictures / 'annotations'}"]
        finish(start([*command, *more])).done()
    flags += ["--epochs=3"]
    result = finish(start(programs.command("train", output, *flags)))
    if which == "other-classes":
        result.refused("a, b, c, d")
    else:
        result.done()
        assert "not those that this run began with" in result.err


@pytest.mark.parametrize("what", ["images", "annotations", "records", "input"])
def test_empty_folder(programs, tmp_path, what):
    empty = tmp_path / "empty"
    empty.mkdir()
    output = tmp_path / "out"
    name, flag = {
        "images": ("convert", "images_dir"),
        "annotations": ("convert", "annotations_dir"),
        "records": ("train", "data_dir"),
        "input": ("predict", "image_path"),
    }[what]
    result = finish(start(programs.command(name, output, f"--{flag}={empty}")))
    assert result.status in (1, 2)
    assert "Traceback" not in result.err, result.err
    assert str(empty) in result.err
    assert not output.exists() or not list(output.iterdir())
    shutil.rmtree(output, ignore_errors=True)
    programs.run_again(name, output)


def test_workdir_that_is_an_empty_folder(programs, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    programs.run_again("train", output)
