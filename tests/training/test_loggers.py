from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import run_flags

import main
from segnet.config import Config
from segnet.errors import ConfigError
from segnet.training import loggers

ROOT = Path(__file__).resolve().parents[2]


class _FakeRun:
    def __init__(self, calls):
        self.calls = calls

    def log(self, values, step):
        self.calls.append((step, values))

    def finish(self):
        self.calls.append("finished")


@pytest.fixture
def wandb(monkeypatch):
    """Stands in for the package; gives what it was told."""
    calls = []

    def init(**settings):
        calls.append(settings)
        return _FakeRun(calls)

    package = SimpleNamespace(
        init=init, Settings=dict, Image=lambda x: ("image", x.shape)
    )
    package.__spec__ = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "wandb", package)
    return calls


def test_a_training_tells_what_tensorboard_gets(wandb, data_dir, tmp_path):
    workdir = tmp_path / "run"
    flags = run_flags(data_dir, workdir, "--epochs=1", "--log_to=wandb")
    assert main.main(flags) == 0
    begun, *told, ended = wandb
    assert begun["name"] == "run" and begun["resume"] == "allow"
    assert begun["config"]["epochs"] == 1
    assert ended == "finished"
    scalars = [values for _, values in told if "loss" in values]
    assert scalars[0]["loss"] > 0
    scored = next(values for _, values in told if "val_mean_iou" in values)
    assert "val_iou/wall" in scored
    pictures = next(values for _, values in told if "confusion" in values)
    assert pictures["examples/00000"] == ("image", (32, 144, 3))
    steps = [step for step, _ in told]
    assert steps == sorted(steps)


def test_resumed_it_is_the_same_run(wandb, data_dir, tmp_path):
    workdir = tmp_path / "run"
    flags = run_flags(data_dir, workdir, "--log_to=wandb")
    assert main.main([*flags, "--epochs=1"]) == 0
    assert main.main([*flags, "--epochs=2"]) == 0
    ids = [call["id"] for call in wandb if "id" in call]
    assert len(ids) == 2 and ids[0] == ids[1]


def test_a_failing_logger_does_not_end_the_run(
    wandb, data_dir, tmp_path, monkeypatch, capsys
):
    def broken(self, values, step):
        raise OSError("no route\nto host")

    monkeypatch.setattr(_FakeRun, "log", broken)
    flags = run_flags(data_dir, tmp_path / "run", "--epochs=1")
    assert main.main([*flags, "--log_to=wandb"]) == 0
    said = [x for x in capsys.readouterr().out.splitlines() if "log_to" in x]
    assert said == [
        "--log_to=wandb: no route to host; the run goes on without it"
    ]


def test_one_that_cannot_begin_is_refused(wandb, monkeypatch):
    def init(**settings):
        raise ValueError("no API key")

    sys.modules["wandb"].init = init
    with pytest.raises(ConfigError, match="--log_to=wandb: no API key;"):
        loggers.create_logger(Config(workdir="run", log_to="wandb"))


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_told_before_any_work(
    name, data_dir, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(loggers.importlib.util, "find_spec", lambda name: None)
    flags = run_flags(data_dir, tmp_path / "run", f"--log_to={name}")
    assert main.main(flags) == 2
    assert f"requirements/{name}.lock" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def _train(data_dir, workdir, name):
    """In a process of its own: these packages begin threads and processes."""
    return subprocess.run(
        [sys.executable, ROOT / "main.py",
         *run_flags(data_dir, workdir, "--epochs=1", f"--log_to={name}")[1:]],
        env={**os.environ, "WANDB_MODE": "offline", "GIT_PYTHON_REFRESH": "0"},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.mark.loggers
def test_wandb_itself_offline(data_dir, tmp_path):
    result = _train(data_dir, tmp_path / "run", "wandb")
    assert result.returncode == 0, result.stderr
    (run,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    assert list(run.glob("run-*.wandb"))
    images = list((run / "files" / "media" / "images").rglob("*.png"))
    assert len(images) == 5
    assert "goes on without it" not in result.stdout


@pytest.mark.loggers
def test_mlflow_itself_in_files(data_dir, tmp_path):
    for epochs in (1, 2):  # The second goes on with the run.
        flags = [f"--epochs={epochs}"]
        result = subprocess.run(
            [sys.executable, ROOT / "main.py",
             *run_flags(data_dir, tmp_path / "run", *flags,
                        "--log_to=mlflow")[1:]],
            env={**os.environ, "GIT_PYTHON_REFRESH": "0"},
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert "goes on without it" not in result.stdout
    (losses,) = (tmp_path / "run" / "mlruns").rglob("metrics/loss")
    steps = [int(line.split()[2]) for line in losses.read_text().splitlines()]
    # The second line of the first run is that of its end.
    assert steps == [2, 4, 5, 6, 8, 10]
    assert list((tmp_path / "run" / "mlruns").rglob("params/learning_rate"))
    assert list((tmp_path / "run" / "mlruns").rglob("*.png"))


def test_names_that_mlflow_takes():
    assert loggers._plain("val_iou/a:b(c)") == "val_iou/a_b_c_"


def test_numbers_of_a_picture_stay(wandb):
    logger = loggers.create_logger(Config(workdir="run", log_to="wandb"))
    logger.show(3, {"a": np.zeros((4, 6, 3), np.uint8)})
    assert wandb[-1] == (3, {"a": ("image", (4, 6, 3))})
    assert json.dumps(wandb[0]["config"])
