"""Tests of TFLite and ONNX files."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

import main
import segnet
from segnet import models
from segnet.errors import RunError
from segnet.export import checking, writers

pytestmark = pytest.mark.export

FILES = {
    "tflite": ["model.tflite", "model_float16.tflite", "model_int8.tflite"],
    "onnx": ["model.onnx", "model_int8.onnx"],
}


@pytest.fixture
def workdir(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def picture(height, width):
    rng = np.random.default_rng(height)
    return rng.integers(0, 256, [height, width, 3], np.uint8)


@pytest.fixture(scope="module")
def files(trained, tmp_path_factory):
    """A folder of all files of the tiny run; whatever int8 costs it."""
    pytest.importorskip("tf2onnx", reason="make test-export installs it")
    workdir = shutil.copytree(trained, tmp_path_factory.mktemp("files") / "run")
    argv = ["main.py", "export", f"--workdir={workdir}", "--export_force"]
    assert main.main([*argv, "--export_format=tflite,onnx"]) == 0
    return workdir / "export"


def test_what_is_written(files):
    content = json.loads((files / "export.json").read_text())
    expected = [*FILES["tflite"], *FILES["onnx"]]
    assert list(content["formats"]) == expected
    assert sorted(os.listdir(files)) == sorted(["export.json", *expected])
    for name, row in content["formats"].items():
        assert row["kept"] and row["images"] == 5
        assert row["bytes"] == (files / name).stat().st_size
        if row["precision"] != "int8":
            assert row["agreement"] >= 0.999
    sizes = [content["formats"][name]["bytes"] for name in expected]
    assert sizes[0] > sizes[1] > sizes[2]


def test_tflite_gives_the_labels_of_the_network(files, trained):
    interpreter = tf.lite.Interpreter(str(files / "model.tflite"))
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (result,) = interpreter.get_output_details()
    assert source["dtype"] == result["dtype"] == np.uint8
    interpreter.set_tensor(source["index"], picture(32, 48)[None])
    interpreter.invoke()
    found = interpreter.get_tensor(result["index"])[0]
    expected = segnet.load(trained, precision="float32").predict(
        picture(32, 48)
    )
    assert np.mean(found == expected) >= 0.999
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(files / "model.tflite"))
    entry = next(each for each in model.metadata if each.name == b"segnet")
    text = bytes(model.buffers[entry.buffer].data)
    assert json.loads(text)["class_names"] == ["ground", "wall", "disc"]


def test_onnx_takes_any_number_of_pictures(files, trained):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(files / "model.onnx"))
    images = np.stack([picture(32, 48), picture(33, 48)[:32]])
    (found,) = session.run(["labels"], {"images": images})
    assert found.dtype == np.uint8 and found.shape == (2, 32, 48)
    network = segnet.load(trained, precision="float32")
    for image, labels in zip(images, found, strict=True):
        assert np.mean(labels == network.predict(image)) >= 0.999
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["class_names"]) == ["ground", "wall", "disc"]


@pytest.mark.parametrize("architecture", ["segnet", "vgg_segnet"])
def test_other_operations_with_the_same_result(architecture):
    settings = {"width_multiplier": 0.1, "batch_norm": None}
    network = models.create_model(architecture, 3, **settings)
    portable = models.create_model(architecture, 3, **settings, portable=True)
    portable.set_weights(network.get_weights())
    images = tf.constant(picture(32, 64)[None])
    np.testing.assert_array_equal(network(images), portable(images))
    graph = tf.function(portable).get_concrete_function(images).graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert "MaxPoolGrad" not in kinds


def test_int8_may_change_labels_but_not_the_score():
    def found(agreement, theirs, ours=0.8):
        return checking.Checked(5, agreement, theirs, ours, 1.0)

    assert not checking.shortfall(found(0.9, 0.791), "int8")
    assert "mean IoU of 0.7890" in checking.shortfall(found(1, 0.789), "int8")
    assert not checking.shortfall(found(0.9, None, None), "int8")
    assert not checking.shortfall(found(0.999, 0.1), "float16")
    lacks = checking.shortfall(found(0.9989, 0.8), "float32")
    assert "to 99.8900% of the pixels" in lacks


def test_one_file_that_fails_does_not_take_the_others(
    workdir, monkeypatch, capsys
):
    def fail(content, path):
        raise RunError("model.tflite: the converter failed")

    first, second, _ = writers.FORMATS["tflite"]
    broken = writers.Variant(first.file, "float32", False, fail)
    monkeypatch.setitem(writers.FORMATS, "tflite", (broken, second))
    argv = ["main.py", "export", f"--workdir={workdir}"]
    assert main.main([*argv, "--export_format=tflite"]) == 1
    assert capsys.readouterr().err == (
        "segnet: model.tflite: the converter failed\n"
    )
    content = json.loads((workdir / "export" / "export.json").read_text())
    assert list(content["formats"]) == ["model_float16.tflite"]


def test_a_package_that_is_missing(workdir, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    argv = ["main.py", "export", f"--workdir={workdir}"]
    assert main.main([*argv, "--export_format=onnx"]) == 1
    line = capsys.readouterr().err
    assert "--export_format=onnx needs onnx: pip install" in line
    assert not (workdir / "export").exists()
