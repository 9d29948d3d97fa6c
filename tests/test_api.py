"""Tests of `import segnet`: its functions, one after the other."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from conftest import CLASS_NAMES, ROOT
from PIL import Image

import main
import segnet

NOTHING = np.zeros([31, 47, 3], np.uint8)


def _config(data_dir, workdir, **options):
    small = {"input_height": 32, "input_width": 48, "width_multiplier": 0.1}
    fixed = {"batch_size": 2, "epochs": 1, "device": "cpu", **small}
    paths = {"data_dir": data_dir, "workdir": workdir}
    return segnet.Config(**{**paths, **fixed, **options})


def test_importing_it_loads_nothing():
    code = (
        "import sys, segnet\n"
        "heavy = {'tensorflow', 'numpy', 'absl'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "segnet.Config, segnet.convert, segnet.train, segnet.errors.DataError\n"
        "assert 'tensorflow' not in sys.modules\n"
        "from segnet import *\n"
        "from segnet.convert import program\n"
        "assert callable(segnet.convert) and callable(convert)\n"
        "assert set(segnet.__all__) <= set(dir(segnet))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        segnet.trian  # noqa: B018


@pytest.mark.slow
def test_a_notebook_in_one_process(folders, tmp_path, capsys):
    """Converts, trains, scores, loads; then all again, set otherwise."""
    manifests = segnet.convert(
        images_dir=folders / "train" / "images",
        annotations_dir=str(folders / "train" / "annotations"),
        output_dir=tmp_path / "records",
        split="train,val",
        val_fraction=0.3,
        num_classes=3,
        class_names=CLASS_NAMES,
        void_labels=[3],
        num_workers=1,
    )
    assert {*manifests} == {"train", "val"}
    assert sum(each.num_records for each in manifests.values()) == 10
    config = _config(tmp_path / "records", tmp_path / "a", precision="bfloat16")
    before = random.getstate(), np.random.get_state()[1].tolist()
    first = segnet.train(config)
    assert first.step == 4
    assert first.best_metric == "val_mean_iou"
    scores = segnet.evaluate(tmp_path / "a")
    assert scores["mean_iou"] == pytest.approx(first.best_score, abs=1e-6)
    assert not (tmp_path / "a" / "evaluation-val.json").exists()
    model = segnet.load(tmp_path / "a")
    seen = model.probabilities(NOTHING)

    # With the package `segnet.convert` imported, and TensorFlow's threads.
    segnet.convert(
        images_dir=folders / "val" / "images",
        annotations_dir=folders / "val" / "annotations",
        output_dir=tmp_path / "records",
        split="test",
        num_classes=3,
        class_names=CLASS_NAMES,
        void_labels=(3,),
        num_workers=1,
    )
    other = dataclasses.replace(
        config, workdir=tmp_path / "b", precision="float32", seed=7
    )
    assert segnet.train(other).step == 4
    # What is left at its default comes from the workdir.
    longer = segnet.Config(workdir=str(tmp_path / "b"), epochs=2)
    assert segnet.train(longer).step == 8
    assert segnet.evaluate(tmp_path / "b", split="test")["images"] == 5
    # The first network is what it was.
    assert np.array_equal(model.probabilities(NOTHING), seen)
    assert tf.keras.mixed_precision.global_policy().name == "float32"
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    captured = capsys.readouterr()
    assert "train: 8 images" in captured.out
    assert captured.err == ""


def test_a_script_without_a_guard_is_not_run_by_the_workers(folders, tmp_path):
    """Processes that are not forked begin by importing the main program."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, types\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "import segnet\n"
        "print('once')\n"
        "sys.modules['tensorflow'] = types.ModuleType('tensorflow')\n"
        f"segnet.convert(images_dir={str(folders / 'val' / 'images')!r},\n"
        f"  annotations_dir={str(folders / 'val' / 'annotations')!r},\n"
        "  output_dir='records', split='val', num_classes=3, void_labels=[3],\n"
        "  num_workers=2)\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("once") == 1
    assert "val: 5 images" in done.stdout


def test_scores_and_labels_are_those_of_the_program(trained, folders, tmp_path):
    picture = folders / "val" / "images" / "002.png"
    command = ["main.py", f"--workdir={trained}", f"--output_dir={tmp_path}"]
    assert main.main([*command, "--mode=evaluate"]) == 0
    image = [f"--image_path={picture}", "--mode=predict"]
    assert main.main([*command, *image]) == 0
    written = json.loads((tmp_path / "evaluation-val.json").read_text())
    del written["boundary_f1_seconds"]
    scores = segnet.evaluate(trained)
    del scores["boundary_f1_seconds"]
    assert scores == written
    best = segnet.load(trained / "checkpoints" / "best")
    model = segnet.load(best.checkpoint)
    assert model.class_names == CLASS_NAMES
    assert repr(model).startswith("<segnet.Model vgg_segnet, 3 classes, ")
    with Image.open(tmp_path / "002_labels.png") as labels:
        expected = np.asarray(labels)
    labels = model.predict(picture)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, expected)
    with Image.open(picture) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    for each in (model, segnet.load(trained, tta=True)):
        probabilities = each.probabilities(pixels)
        assert probabilities.dtype == np.float32
        assert probabilities.shape == (*labels.shape, 3)
        assert np.allclose(probabilities.sum(-1), 1, atol=1e-5)
        found = probabilities.argmax(-1)
        assert np.array_equal(found, each.predict(pixels))
    assert np.array_equal(model.probabilities(pixels).argmax(-1), labels)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: segnet.train({}), "config is dict; give segnet.Config"),
        (lambda: segnet.train(segnet.Config()), "workdir is missing: the"),
        (
            lambda: segnet.train(segnet.Config(workdir="x", batch_size=2.5)),
            "flag batch_size=2.5: invalid literal for int() with base 10: '2",
        ),
        (
            lambda: segnet.recipe("own", los="dice"),
            "Unknown command line flag 'los'. Did you mean: loss ?",
        ),
        (
            lambda: segnet.recipe("mine"),
            "flagfile=configs/mine.flags: cannot be read (No such file or "
            "directory); check the path and permissions; recipes that are "
            "there: configs/camvid.flags, ",
        ),
        (lambda: segnet.evaluate("x"), "workdir=x has no config.json; train"),
        (lambda: segnet.load("a/checkpoints/ckpt-1"), "has no config.json"),
        (
            lambda: segnet.convert(images_dir="a", annotations_dir="b",
                                   output_dir="c"),
            "num_classes, split must be given",
        ),
    ],
)  # fmt: skip
def test_bad_arguments_are_one_line(call, words):
    with pytest.raises(segnet.errors.ConfigError) as caught:
        call()
    message = str(caught.value)
    assert words in message
    assert "--" not in message and "\n" not in message


@pytest.mark.parametrize(
    "image", [NOTHING.astype(np.float32), NOTHING[..., 0], NOTHING[:0], None]
)
def test_what_is_no_image_is_refused(trained, image):
    with pytest.raises(segnet.errors.DataError, match="give uint8 RGB"):
        segnet.load(trained).predict(image)


def test_a_recipe_with_options_of_ones_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = segnet.recipe("own", workdir=tmp_path / "run", epochs=3)
    assert config.loss == "cross_entropy_dice"
    assert config.epochs == 3
    assert config.workdir == str(tmp_path / "run")
    name = "configs/own.flags"
    line = f"--flagfile={name}: the recipe {ROOT}/{name}\n"
    assert capsys.readouterr().out == line
    (tmp_path / "my.flags").write_text("--epochs=2\n")
    assert segnet.recipe(tmp_path / "my.flags").epochs == 2


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)],
)
def test_a_training_that_is_interrupted(number, error, data_dir, tmp_path):
    workdir = tmp_path / "run"

    def send():
        for _ in range(6000):
            if (workdir / "metrics.jsonl").exists():
                os.kill(os.getpid(), number)
                return
            time.sleep(0.01)

    threading.Thread(target=send).start()
    config = _config(data_dir, workdir, epochs=500, log_every_steps=1)
    with pytest.raises(error):
        segnet.train(config)
    assert any((workdir / "checkpoints").glob("ckpt-*.index"))
