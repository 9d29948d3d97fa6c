"""Tests of main.py: whole commands, in this process, on tiny data."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import CLASS_NAMES, lines, run_flags
from PIL import Image

import main
from segnet.config.config_file import load_config
from segnet.training import checkpoint

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def workdir(trained, tmp_path):
    """A copy of the trained workdir that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_training_writes_all_it_promises(trained):
    written = {path.name for path in trained.iterdir()}
    assert written == {
        "config.json",
        "checkpoints",
        "metrics.jsonl",
        "tensorboard",
    }
    latest = tf.train.latest_checkpoint(str(trained / "checkpoints"))
    assert latest.endswith("ckpt-10")
    config = load_config(str(trained))
    assert config.class_names == CLASS_NAMES
    assert config.uses_encoder_batch_norm
    logged = [line for line in lines(trained) if "loss" in line]
    assert [line["step"] for line in logged] == [2, 4, 6, 8, 10]
    assert all(line["loss"] > 0 for line in logged)
    scored = [line for line in lines(trained) if "val_mean_iou" in line]
    assert [line["epoch"] for line in scored] == [1, 2]
    assert set(scored[0]["val_iou"]) == set(CLASS_NAMES)


def test_evaluate_needs_only_the_workdir(workdir, capsys):
    assert (
        main.main(["main.py", "--mode=evaluate", f"--workdir={workdir}"]) == 0
    )
    out = capsys.readouterr().out
    for word in (
        *CLASS_NAMES,
        "IoU",
        "accuracy",
        "F1",
        "pixels",
        "confusion",
        "boundary F1 took",
    ):
        assert word.lower() in out.lower()
    result = json.loads((workdir / "evaluation-val.json").read_text())
    assert result["split"] == "val"
    assert result["images"] == 5
    for key in (
        "pixels",
        "pixel_accuracy",
        "mean_class_accuracy",
        "mean_iou",
        "frequency_weighted_iou",
        "boundary_f1",
    ):
        assert result[key] is not None
    assert set(result["per_class"]) == set(CLASS_NAMES)
    best = max(
        line["val_mean_iou"]
        for line in lines(workdir)
        if "val_mean_iou" in line
    )
    assert result["mean_iou"] == pytest.approx(best, abs=1e-6)


def test_predict_equals_evaluate(workdir, folders, capsys):
    """The labels that predict writes give the score that evaluate gives."""
    assert (
        main.main(
            [
                "main.py",
                "--mode=predict",
                f"--workdir={workdir}",
                f"--image_path={folders / 'val' / 'images'}",
                f"--output_dir={workdir / 'out'}",
            ]
        )
        == 0
    )
    assert (
        main.main(["main.py", "--mode=evaluate", f"--workdir={workdir}"]) == 0
    )
    right = total = 0
    for path in (folders / "val" / "annotations").iterdir():
        with Image.open(path) as image:
            truth = np.asarray(image)
        with Image.open(workdir / "out" / f"{path.stem}_labels.png") as image:
            labels = np.asarray(image)
        assert labels.shape == truth.shape
        right += np.sum((labels == truth) & (truth < 3))
        total += np.sum(truth < 3)
    result = json.loads((workdir / "evaluation-val.json").read_text())
    assert result["pixels"] == total
    assert result["pixel_accuracy"] == pytest.approx(right / total)


def test_evaluate_shows_its_scores_before_it_saves_them(workdir, capsys):
    """Where --output_dir says; the folder is made, the workdir left alone."""
    before = sorted(path.name for path in workdir.iterdir())
    command = ["main.py", "--mode=evaluate", f"--workdir={workdir}"]
    output = workdir.parent / "out" / "scores"
    assert main.main([*command, f"--output_dir={output}"]) == 0
    assert (output / "evaluation-val.json").exists()
    assert sorted(path.name for path in workdir.iterdir()) == before
    checkpoint_path = workdir / "checkpoints" / "best" / "ckpt-"
    assert f"weights: {checkpoint_path}" in capsys.readouterr().out
    # A file in the place of the folder: nobody, root included, can write there.
    blocked = workdir.parent / "file"
    blocked.touch()
    assert main.main([*command, f"--output_dir={blocked}"]) == 1
    captured = capsys.readouterr()
    assert "mean IoU" in captured.out
    assert captured.err.startswith(f"segnet: {blocked}: cannot be written")
    assert captured.err.count("\n") == 1


def test_predict_says_what_it_does_not_label(workdir, folders, capsys):
    pictures = workdir.parent / "pictures"
    pictures.mkdir()
    shutil.copy(folders / "val" / "images" / "000.png", pictures / "a.png")
    (pictures / "b.png").write_bytes(b"no picture")
    (pictures / "notes.txt").touch()
    command = ["main.py", "--mode=predict", f"--workdir={workdir}"]
    command += [f"--image_path={pictures}", f"--output_dir={pictures}"]
    assert main.main(command) == 1
    captured = capsys.readouterr()
    assert "1 of 2 images labelled" in captured.out
    warning, error = captured.err.splitlines()
    assert warning.startswith(f"warning: {pictures}: 1 other files and folders")
    assert error.startswith(f"segnet: {pictures / 'b.png'}: is not a")
    # The same again: its own results are neither labelled nor mentioned.
    (pictures / "b.png").unlink()
    assert main.main([*command, "--silence=left_aside"]) == 0
    captured = capsys.readouterr()
    assert "1 of 1 images labelled" in captured.out
    assert captured.err == ""


def test_predict_writes_into_the_workdir_by_default(workdir, folders):
    picture = folders / "val" / "images" / "000.png"
    assert (
        main.main(
            [
                "main.py",
                "--mode=predict",
                f"--workdir={workdir}",
                f"--image_path={picture}",
            ]
        )
        == 0
    )
    assert sorted(p.name for p in (workdir / "predictions").iterdir()) == [
        "000_labels.png",
        "000_overlay.png",
        "predictions.csv",
    ]


def test_starting_again_on_a_finished_run_changes_nothing(workdir, capsys):
    before = (workdir / "metrics.jsonl").read_text()
    assert main.main(["main.py", f"--workdir={workdir}"]) == 0
    assert "resumed from" in capsys.readouterr().out
    assert (workdir / "metrics.jsonl").read_text() == before


def test_a_longer_run_goes_on(workdir):
    status = main.main(["main.py", f"--workdir={workdir}", "--epochs=3"])
    assert status == 0
    steps = [line["step"] for line in lines(workdir) if "loss" in line]
    # The last step of a run is logged in any case.
    assert steps == [2, 4, 6, 8, 10, 12, 14, 15]
    assert load_config(str(workdir)).epochs == 3


def test_flags_that_contradict_the_workdir_are_named(workdir, capsys):
    status = main.main(
        [
            "main.py",
            f"--workdir={workdir}",
            "--input_height=64",
            "--learning_rate=0.5",
            "--epochs=9",
        ]
    )
    assert status == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "--input_height=64 (it has 32)" in error
    assert "--learning_rate=0.5" in error
    assert "--epochs" not in error


def test_help_exits_with_0(capsys):
    assert main.main(["main.py", "--help"]) == 0
    assert "--learning_rate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_saves_and_leaves(number, status, data_dir, tmp_path, capsys):
    workdir = tmp_path / "run"

    def send():
        for _ in range(6000):
            if (workdir / "metrics.jsonl").exists():
                os.kill(os.getpid(), number)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=send)
    thread.start()
    got = main.main(run_flags(data_dir, workdir, "--epochs=500"))
    thread.join()
    assert got == status
    assert "all is saved" in capsys.readouterr().out
    latest = tf.train.latest_checkpoint(str(workdir / "checkpoints"))
    step = int(latest.rsplit("-", 1)[1])
    assert step >= 2
    # The same command goes on from there.
    assert main.main(run_flags(data_dir, workdir, f"--max_steps={step + 1}",
                           "--epochs=500")) == 0  # fmt: skip
    assert f"step {step} of {step + 1}" in capsys.readouterr().out


@pytest.mark.slow
def test_killed_and_started_again_finishes_all_epochs(data_dir, tmp_path):
    """A process that is killed with SIGKILL; then the same command again."""
    workdir = tmp_path / "run"
    command = [
        sys.executable,
        str(ROOT / "main.py"),
        *run_flags(
            data_dir, workdir, "--epochs=4", "--checkpoint_every_steps=1"
        )[1:],
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        for line in process.stdout:
            if line.startswith(b"step 6/"):
                break
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    again = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300
    )
    assert again.returncode == 0, again.stderr
    assert again.stderr == ""
    assert "resumed from" in again.stdout
    scored = [line for line in lines(workdir) if "val_mean_iou" in line]
    assert [line["epoch"] for line in scored] == [1, 2, 3, 4]
    steps = [line["step"] for line in lines(workdir)]
    assert steps == sorted(steps)


def test_deterministic_runs_are_equal(data_dir, tmp_path):
    """Bit for bit in all that is saved; with another seed in no kernel."""

    def variables(name: str, seed: int) -> dict[str, np.ndarray]:
        options = ("--max_steps=3", "--augment=strong", "--dropout=0.2")
        command = run_flags(data_dir, tmp_path / name, *options)
        command += [f"--seed={seed}", "--deterministic"]
        assert main.main(command) == 0
        path = checkpoint.saved_checkpoint(str(tmp_path / name), "latest")
        reader = tf.train.load_checkpoint(path)
        return {
            key: reader.get_tensor(key)
            for key in reader.get_variable_to_shape_map()
            if key.startswith(("model/", "optimizer/", "state/"))
        }

    first, second, other = (
        variables(*run) for run in (("a", 5), ("b", 5), ("c", 6))
    )
    assert first.keys() == second.keys() == other.keys()
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key], err_msg=key)
        if np.ndim(value) == 4:
            assert not np.array_equal(value, other[key]), key


def test_run_eagerly_and_profile(data_dir, tmp_path):
    workdir = tmp_path / "run"
    status = main.main(
        run_flags(
            data_dir,
            workdir,
            "--max_steps=3",
            "--run_eagerly",
            "--profile_steps=2,3",
            "--evaluate_every_epochs=0",
        )
    )
    assert status == 0
    assert list(workdir.rglob("*.xplane.pb"))
