"""main.py on what cannot run: one clear line, exit status 1 or 2."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import run_flags

import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--epoch=3"], 2, ["epochs"]),
        (["--epochs=0"], 2, ["--epochs=0", "at least 1"]),
        (["--batch_size=x"], 2, ["--batch_size=x"]),
        (["--input_height=100"], 2, ["multiples of 16", "96x48"]),
        (["--data_dir="], 2, ["--data_dir"]),
        (["--workdir="], 2, ["--workdir"]),
        (["--mode=deploy"], 2, ["train|evaluate|predict"]),
        (["--mode=serve"], 2, ["train|evaluate|predict|export|report"]),
        (["--architecture=unet"], 2, ["vgg_segnet"]),
        (["--loss=hinge"], 2, ["cross_entropy"]),
        (["--device=hpu"], 2, ["hpu"]),
        (["--precision=float16"], 2, ["float16", "bfloat16"]),
        (["--batch_size=11"], 2, ["10 training images", "at most 10"]),
        (["--train_split=nope"], 1, ["nope.json", "--split=nope"]),
        (["--data_dir=/does/not/exist"], 1, ["/does/not/exist"]),
        (
            ["--encoder_weights=/no/vgg.h5", "--width_multiplier=1"],
            2,
            ["/no/vgg.h5"],
        ),
        (["--init_from=/no/run"], 2, ["/no/run"]),
        (["--mode=predict"], 2, ["--image_path"]),
        (["--mode=evaluate"], 2, ["config.json", "train first"]),
    ],
)
def test_what_cannot_run_is_one_clear_line(
    arguments, status, words, data_dir, tmp_path, capsys
):
    workdir = tmp_path / "run"
    got = main.main(run_flags(data_dir, workdir, "--max_steps=1", *arguments))
    error = capsys.readouterr().err
    assert got == status, error
    assert error.count("\n") == 1
    assert "Traceback" not in error
    for word in words:
        assert word in error


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: (d / "train.json").unlink(), ["train.json"]),
        (
            lambda d: (d / "train-00000-of-00002.tfrecord").unlink(),
            ["train-00000-of-00002.tfrecord", "missing"],
        ),
        (
            lambda d: os.truncate(d / "train-00001-of-00002.tfrecord", 900),
            ["train-00001-of-00002.tfrecord", "truncated"],
        ),
        (
            lambda d: _flip(d / "train-00001-of-00002.tfrecord"),
            ["train-00001-of-00002.tfrecord", "damaged"],
        ),
        (
            lambda d: _replace(
                d / "train.json", '"schema_version": 1', '"schema_version": 99'
            ),
            ["train.json", "schema version 99"],
        ),
        (lambda d: (d / "val.json").write_text("{"), ["val.json", "JSON"]),
    ],
)
def test_damaged_records_are_one_clear_line(
    damage, words, data_dir, tmp_path, capsys
):
    copy = Path(shutil.copytree(data_dir, tmp_path / "records"))
    damage(copy)
    status = main.main(run_flags(copy, tmp_path / "run", "--epochs=1"))
    error = capsys.readouterr().err
    assert status == 1, error
    assert error.count("\n") == 1
    for word in words:
        assert word in error


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def _replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_start_needs_no_tensorflow_for_bad_flags():
    """Bad flags are refused before anything heavy is imported."""
    code = (
        "import sys, main; status = main.main(['main.py', '--epochs=0']);"
        "print(status, 'tensorflow' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["2", "False"]
