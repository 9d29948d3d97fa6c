"""Tests of --mode=export: the file, its check, what is kept."""

from __future__ import annotations

import io
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import CLASS_NAMES
from PIL import Image

import main
import segnet
from segnet.config import Config
from segnet.errors import ConfigError, RunError
from segnet.evaluation.inference import Predictor
from segnet.evaluation.model import Model
from segnet.export import checking, exporting, serving
from segnet.runtime.device import setup_runtime

pytestmark = pytest.mark.export


@pytest.fixture
def workdir(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def _picture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, [height, width, 3], np.uint8)


def test_the_file_gives_the_labels_of_the_network(workdir, folders, capsys):
    assert main.main(["main.py", "export", f"--workdir={workdir}"]) == 0
    out = capsys.readouterr().out
    assert "saved_model    100.000%" in out
    assert out.splitlines()[-1].startswith("written to ")
    content = json.loads((workdir / "export" / "export.json").read_text())
    assert content["class_names"] == list(CLASS_NAMES)
    assert content["palette"][0] == "#e65046"
    assert (content["input_height"], content["input_width"]) == (32, 48)
    found = content["formats"]["saved_model"]
    assert found["agreement"] == 1
    assert found["mean_iou"] == found["network_mean_iou"] > 0
    assert found["milliseconds"] > 0 and found["images"] == 5
    extra = workdir / "export" / "saved_model" / "assets.extra" / "segnet.json"
    assert json.loads(extra.read_text())["palette"] == content["palette"]
    assert os.listdir(workdir / "export") != []

    path = str(workdir / "export" / "saved_model")
    model = tf.saved_model.load(path)
    network = segnet.load(workdir, precision="float32")
    for size in ((36, 48), (37, 49), (97, 131)):
        images = np.stack([_picture(*size), _picture(*size, 1)])
        both = model.signatures["probabilities"](images=tf.constant(images))
        labels = model.signatures["serving_default"](images=images)["labels"]
        assert labels.dtype == tf.uint8
        assert np.array_equal(labels, both["labels"])
        for image, label, probabilities in zip(
            images, labels, both["probabilities"], strict=True
        ):
            assert np.array_equal(label, network.predict(image))
            expected = network.probabilities(image)
            assert np.allclose(probabilities, expected, atol=1e-5)
    for kind in ("PNG", "JPEG"):
        data = io.BytesIO()
        Image.fromarray(_picture(40, 50)).save(data, kind)
        with Image.open(data) as image:
            pixels = np.asarray(image)
        encoded = tf.constant([data.getvalue()])
        labels = model.signatures["encoded_images"](encoded_image=encoded)
        assert np.array_equal(labels["labels"][0], network.predict(pixels))


def _export(data_dir, workdir, **options):
    config = Config(
        data_dir=str(data_dir), workdir=str(workdir), architecture="segnet",
        input_height=32, input_width=64, width_multiplier=0.1,
        class_names=CLASS_NAMES,
    )  # fmt: skip
    runtime = setup_runtime("cpu", "float32")
    predictor = Predictor(config, runtime)
    return exporting.export(
        predictor, config, "nowhere", ["saved_model"], **options
    )


def test_what_does_not_agree_is_not_kept(data_dir, tmp_path, monkeypatch):
    """Of the other network; a file that was there stays."""
    workdir = tmp_path / "run"
    assert (
        _export(data_dir, workdir)["formats"]["saved_model"]["agreement"] == 1
    )
    before = sorted(os.listdir(workdir / "export"))
    assert before == ["export.json", "saved_model"]

    def check(path, model, images, size):
        return checking.Checked(len(images), 0.9985, 0.5, 0.6, 1.0)

    monkeypatch.setattr(checking, "check", check)
    (workdir / "export" / "saved_model" / "mine").touch()
    with pytest.raises(RunError, match=r"to 99\.8500% of the pixels, less"):
        _export(data_dir, workdir)
    assert sorted(os.listdir(workdir / "export")) == before
    assert (workdir / "export" / "saved_model" / "mine").exists()
    assert _export(data_dir, workdir, force=True)
    assert not (workdir / "export" / "saved_model" / "mine").exists()


class _Network:
    """Says that everything is of class 0."""

    class_names = CLASS_NAMES

    def predict(self, image):
        return np.zeros(image.shape[:2], np.uint8)


def test_agreement_by_hand(monkeypatch):
    """2 of 12 pixels differ; 11 are scored, of which one is of class 1."""

    def run(path, folder):
        labels = np.zeros([3, 4], np.uint8)
        labels[0, :2] = 1
        np.save(os.path.join(folder, "000000.labels.npy"), labels)
        return [5.0]

    monkeypatch.setattr(checking, "_run", run)
    truth = np.zeros([3, 4], np.uint8)
    truth[0, 0], truth[2, 3] = 1, 255
    found = checking.check("x", _Network(), [(_picture(3, 4), truth)])
    assert (found.images, found.milliseconds) == (1, 5.0)
    assert found.agreement == pytest.approx(10 / 12)
    # Class 0: 9 of 10; class 1: 1 of 2. The network: 10 of 11, and 0 of 1.
    assert found.mean_iou == pytest.approx((9 / 10 + 1 / 2) / 2)
    assert found.network_mean_iou == pytest.approx((10 / 11 + 0) / 2)


def test_a_file_that_does_not_run_is_told_of(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(RunError, match="does not run in a process of its own"):
        checking.check(
            str(tmp_path / "model"), _Network(),
            [(_picture(3, 4), np.zeros([3, 4], np.uint8))],
        )  # fmt: skip


def test_a_remote_workdir_is_refused(data_dir):
    with pytest.raises(ConfigError, match="to a local folder"):
        _export(data_dir, "memory://run")


def test_formats_and_api(workdir, monkeypatch, capsys):
    command = ["main.py", "export", f"--workdir={workdir}"]
    assert main.main([*command, "--export_format=saved_model,pt"]) == 2
    error = capsys.readouterr().err
    assert "'pt' is not known; use saved_model" in error
    monkeypatch.setattr(
        checking, "check",
        lambda path, model, images, size: checking.Checked(5, 1.0, 1, 1, 1),
    )  # fmt: skip
    content = segnet.export(workdir, ["saved_model"], split="train")
    assert content["split"] == "train"
    # With the package of that name imported, it stays the function.
    assert callable(segnet.export)
    assert isinstance(segnet.load(workdir), Model)
    assert serving.Serving
