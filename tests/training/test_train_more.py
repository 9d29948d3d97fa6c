"""Runs with all that `--augment`, averages and the like bring."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import lines, run_flags

import main
from segnet.evaluation import inference
from segnet.training import checkpoint, recalibration

ALL = (
    "--epochs=2",
    "--augment=strong",
    "--optimizer=adamw",
    "--gradient_clip_norm=1",
    "--encoder_learning_rate_scale=0.5",
    "--ema_decay=0.9",
    "--recalibrate_batch_norm",
    "--dropout=0.2",
    "--batch_size=2",
    "--accumulate_steps=2",
    "--resolution_schedule=16x32:1",
    "--best_metric=val_pixel_accuracy",
    "--deterministic",
)


def _variables(workdir):
    path = checkpoint.saved_checkpoint(str(workdir), "latest")
    reader = tf.train.load_checkpoint(path)
    return {
        key: reader.get_tensor(key)
        for key in reader.get_variable_to_shape_map()
        if not key.startswith("_CHECKPOINTABLE") and "save_counter" not in key
    }


@pytest.fixture(scope="module")
def undisturbed(data_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("more") / "run"
    assert main.main(run_flags(data_dir, workdir, *ALL)) == 0
    return workdir


def test_all_of_it_together(undisturbed):
    # 10 images, 4 a step.
    assert lines(undisturbed)[-1]["step"] == 4
    scored = [line for line in lines(undisturbed) if "val_mean_iou" in line]
    variables = _variables(undisturbed)
    best = variables["state/best_score/.ATTRIBUTES/VARIABLE_VALUE"]
    assert best == max(line["val_pixel_accuracy"] for line in scored)
    assert variables["averages/count/.ATTRIBUTES/VARIABLE_VALUE"] == 4
    saved = json.loads(Path(undisturbed, "config.json").read_text())
    assert saved["weight_decay"] == 0.01


@pytest.mark.parametrize(
    "stop_after", [2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_stopped_and_resumed_is_the_same_run(
    stop_after, undisturbed, data_dir, tmp_path
):
    """Bit for bit, all variables, wherever it stopped."""

    def stop(step):
        # The step that follows is the last one: it carries the signal.
        if step == stop_after - 1:
            signal.raise_signal(signal.SIGTERM)

    command = run_flags(data_dir, tmp_path / "run", *ALL)
    assert main.main(command, after_step=stop) == 143
    state = _variables(tmp_path / "run")
    assert state["state/step/.ATTRIBUTES/VARIABLE_VALUE"] == stop_after
    assert main.main(command) == 0
    _assert_equal_runs(tmp_path / "run", undisturbed)


def _assert_equal_runs(found, expected):
    scores = [
        [line for line in lines(run) if line.pop("val_seconds", None)]
        for run in (found, expected)
    ]
    assert scores[0] == scores[1]
    found, expected = _variables(found), _variables(expected)
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(value, found[key], err_msg=key)


def _signal_at_call(number, function):
    """A function whose so many-th call begins with a SIGTERM."""
    calls = []

    def call(*arguments):
        calls.append(arguments)
        if len(calls) == number:
            signal.raise_signal(signal.SIGTERM)
        return function(*arguments)

    return call


@pytest.mark.parametrize(
    ("owner", "number"),
    [
        # 5 images, 4 a pass: the first and the last pass of the evaluations,
        # between which are those of TensorBoard's pictures.
        pytest.param(inference.Predictor, 1, marks=pytest.mark.slow),
        pytest.param(inference.Predictor, 6, marks=pytest.mark.slow),
        pytest.param(recalibration.Recalibration, 2, marks=pytest.mark.slow),
    ],
)
def test_an_evaluation_that_a_signal_ends_is_made_up_for(
    owner, number, undisturbed, data_dir, tmp_path, monkeypatch, capsys
):
    command = run_flags(data_dir, tmp_path / "run", *ALL)
    with monkeypatch.context() as patched:
        stopped = _signal_at_call(number, owner.__call__)
        patched.setattr(owner, "__call__", stopped)
        assert main.main(command) == 143
    step = 2 if number == 1 else 4
    assert f"stopped after step {step}, all is saved" in capsys.readouterr().out
    state = _variables(tmp_path / "run")
    assert state["state/step/.ATTRIBUTES/VARIABLE_VALUE"] == step
    evaluated = state["state/evaluated_step/.ATTRIBUTES/VARIABLE_VALUE"]
    assert evaluated == (-1 if number == 1 else 2)
    assert main.main(command) == 0
    _assert_equal_runs(tmp_path / "run", undisturbed)


def test_evaluate_scores_the_averages(undisturbed, capsys):
    """As the run itself did, with and without test-time augmentation."""
    scored = [line for line in lines(undisturbed) if "val_mean_iou" in line]
    command = ["main.py", "--mode=evaluate", f"--workdir={undisturbed}"]
    assert main.main([*command, "--checkpoint=latest"]) == 0
    result = json.loads((undisturbed / "evaluation-val.json").read_text())
    assert result["mean_iou"] == pytest.approx(scored[-1]["val_mean_iou"])
    assert result["tta"] is False
    assert main.main([*command, "--checkpoint=latest", "--tta"]) == 0
    result = json.loads((undisturbed / "evaluation-val.json").read_text())
    assert result["tta"] is True
    assert result["images"] == 5
