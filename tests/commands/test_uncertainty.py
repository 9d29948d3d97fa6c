"""Dropout samples and uncertainty by way of main.py."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import run_flags
from PIL import Image

import main
from segnet.commands.trained import load_trained
from segnet.config.flags import parse_command
from segnet.data import resizing
from segnet.evaluation import inference


@pytest.fixture(scope="module")
def dropped(data_dir, tmp_path_factory):
    """A run with dropout."""
    workdir = tmp_path_factory.mktemp("dropped") / "run"
    flags = run_flags(data_dir, workdir, "--epochs=1", "--dropout=0.4")
    assert main.main(flags) == 0
    return workdir


def _evaluate(workdir, folder, *extra):
    command = ["main.py", "evaluate", f"--workdir={workdir}",
               f"--output_dir={folder}", *extra]  # fmt: skip
    assert main.main(command) == 0
    scores = json.loads((folder / "evaluation-val.json").read_text())
    scores.pop("boundary_f1_seconds")
    return scores


def test_samples_change_the_scores_and_repeat(dropped, tmp_path):
    plain = _evaluate(dropped, tmp_path)
    sampled = _evaluate(dropped, tmp_path, "--mc_samples=3")
    assert (plain["mc_samples"], sampled["mc_samples"]) == (0, 3)
    assert sampled["confusion_matrix"] != plain["confusion_matrix"]
    assert _evaluate(dropped, tmp_path, "--mc_samples=3") == sampled
    assert _evaluate(dropped, tmp_path, "--mc_samples=0") == plain


@pytest.mark.parametrize("mode", ["evaluate", "predict", "report"])
def test_a_run_without_dropout_is_told(mode, trained, tmp_path, capsys):
    command = [
        "main.py", mode, f"--workdir={trained}", "--mc_samples=5",
        f"--image_path={tmp_path}", f"--output_dir={tmp_path / 'out'}",
    ]  # fmt: skip
    Image.new("RGB", (48, 32)).save(tmp_path / "a.png")
    assert main.main(command) == 2
    assert "--mc_samples=5: the run in" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def _predict(workdir, folder, *extra):
    command = ["main.py", "predict", f"--workdir={workdir}",
               f"--image_path={folder}", f"--output_dir={folder / 'out'}",
               "--uncertainty", *extra]  # fmt: skip
    assert main.main(command) == 0
    with open(folder / "out" / "predictions.csv", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    return rows, command


def _draw(folder):
    rng = np.random.default_rng(4)
    for name, size in (("a.png", (40, 72)), ("b.png", (33, 47))):
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return pixels


@pytest.mark.parametrize(
    "extra",
    [
        (),
        ("--notta",),
        pytest.param(("--mc_samples=2",), marks=pytest.mark.slow),
    ],
)
def test_uncertainty_is_the_entropy_of_the_mean(extra, dropped, tmp_path):
    pixels = _draw(tmp_path)
    rows, command = _predict(dropped, tmp_path, *extra)
    with Image.open(tmp_path / "out" / "b_uncertainty.png") as image:
        assert image.mode == "L"
        grey = np.asarray(image)
    network = load_trained(parse_command(command)).predictor
    assert network.gives_probabilities
    small = resizing.resize_image(tf.constant(pixels), 32, 48)
    seen = resizing.to_uint8(small)[None]
    found = inference.probabilities_at(
        network(seen)[0], 33, 47, are_logits=False
    )
    entropy = -np.sum(found * np.log(np.maximum(found, 1e-30)), -1) / np.log(3)
    np.testing.assert_allclose(grey / 255, entropy, atol=0.02)
    # The table's is of the input size.
    assert float(rows["b.png"]["uncertainty"]) == pytest.approx(
        entropy.mean(), abs=0.02
    )
    assert list(rows["a.png"])[3:5] == ["confidence", "uncertainty"]


def test_tiles_have_it_too(dropped, tmp_path):
    _draw(tmp_path)
    rows, _ = _predict(
        dropped, tmp_path, "--tile_size=64", "--tile_scale=1", "--notta",
        "--mc_samples=2",
    )  # fmt: skip
    with Image.open(tmp_path / "out" / "a_uncertainty.png") as image:
        grey = np.asarray(image)
    assert grey.shape == (40, 72)
    assert float(rows["a.png"]["uncertainty"]) == pytest.approx(
        grey.mean() / 255, abs=0.002
    )


def test_it_is_replaced_and_not_labelled_itself(trained, tmp_path):
    """Of a run without dropout: what mirror images disagree about."""
    _draw(tmp_path)
    for _ in range(2):
        command = ["main.py", "predict", f"--workdir={trained}",
                   f"--image_path={tmp_path}", f"--output_dir={tmp_path}",
                   "--uncertainty"]  # fmt: skip
        assert main.main(command) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [f"{x}{end}" for x in "ab" for end in (
            ".png", "_labels.png", "_overlay.png", "_uncertainty.png")]
        + ["predictions.csv"]
    )  # fmt: skip
