"""What --compare_to and --image_path add to the report of a run."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from conftest import convert, run_flags, write_folders
from PIL import Image

import main


@pytest.fixture(scope="module")
def other(data_dir, tmp_path_factory):
    """Another run on the same records."""
    workdir = tmp_path_factory.mktemp("other") / "run"
    flags = run_flags(data_dir, workdir, "--epochs=1", "--seed=3")
    assert main.main(flags) == 0
    return workdir


@pytest.fixture
def workdir(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def _report(workdir, *extra):
    status = main.main(["main.py", "report", f"--workdir={workdir}", *extra])
    return status, (workdir / "report" / "index.html").read_text()


def test_two_runs_are_compared(workdir, other):
    status, page = _report(workdir, f"--compare_to={other}")
    assert status == 0
    words = " ".join(page.split())
    assert "on the same 5 images" in words
    assert '<th scope="row">seed</th><td>0</td><td>3</td>' in words
    assert "augment" in words
    for line in ("Pictures that changed most", "this run of 00"):
        assert line in words
    # The records are there: none of these images was among those of training.
    assert "looks better" not in words and "is not known" not in words


@pytest.mark.slow
def test_images_that_the_other_run_knows_are_said(
    workdir, folders, tmp_path, data_dir
):
    convert_dir = tmp_path / "leaky"
    folder = tmp_path / "folders"
    shutil.copytree(folders / "val", folder / "train")
    shutil.copytree(folders / "val", folder / "val")
    for split in ("train", "val"):
        convert(folder, split, convert_dir)
    leaky = tmp_path / "leaky_run"
    assert main.main(run_flags(convert_dir, leaky, "--max_steps=1")) == 0
    _, page = _report(workdir, f"--compare_to={leaky}")
    assert "5 of these images were in the training split" in page
    shutil.rmtree(convert_dir)
    _, page = _report(workdir, f"--compare_to={leaky}")
    assert "is not known: its records are not there" in page


def test_runs_that_cannot_be_compared_are_refused(
    workdir, other, tmp_path, capsys
):
    strange = shutil.copytree(other, tmp_path / "strange")
    config = json.loads((strange / "config.json").read_text())
    config["class_names"] = ["ground", "wall", "sky"]
    (strange / "config.json").write_text(json.dumps(config))
    for path, said in (
        (strange, "has other classes (ground, wall, sky)"),
        (workdir, "is the run of the report itself"),
        (tmp_path / "none", "has no config.json"),
    ):
        command = ["main.py", "report", f"--workdir={workdir}"]
        assert main.main([*command, f"--compare_to={path}"]) == 2
        assert said in capsys.readouterr().err
    command = ["main.py", "evaluate", f"--workdir={workdir}"]
    assert main.main([*command, f"--compare_to={other}"]) == 2
    assert "is for --mode=report" in capsys.readouterr().err
    assert not (workdir / "report").exists()


def test_what_to_label_next(workdir, tmp_path, capsys):
    write_folders(tmp_path / "new", "x", [(32, 48), (40, 72), (33, 47)], 9)
    photos = tmp_path / "new" / "x" / "images"
    noise = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    Image.fromarray(noise).save(photos / "noise <b>.png")
    (photos / "broken.png").write_bytes(b"\x89PNG")
    status, page = _report(workdir, f"--image_path={photos}")
    assert status == 1
    assert "broken.png" in capsys.readouterr().err
    assert "What to label next" in page
    assert "Of 4 pictures without labels" in page
    assert "uncertainty of noise &lt;b&gt;.png" in page
    with open(workdir / "report" / "label_next.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    values = [float(row["uncertainty"]) for row in rows]
    assert len(rows) == 4
    assert values == sorted(values, reverse=True)
    # As predict has it.
    command = ["main.py", "predict", f"--workdir={workdir}", "--notta",
               f"--image_path={photos}", f"--output_dir={tmp_path / 'out'}",
               "--uncertainty"]  # fmt: skip
    assert main.main(command) == 1
    with open(tmp_path / "out" / "predictions.csv", newline="") as file:
        predicted = {row["file"]: row for row in csv.DictReader(file)}
    for row in rows:
        assert float(row["uncertainty"]) == pytest.approx(
            float(predicted[row["file"]]["uncertainty"]), abs=1e-4
        )


def test_no_picture_is_told_before_any_work(workdir, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    command = ["main.py", "report", f"--workdir={workdir}"]
    assert main.main([*command, f"--image_path={tmp_path / 'empty'}"]) == 1
    assert "no image to label here" in capsys.readouterr().err
    assert not (workdir / "report").exists()
