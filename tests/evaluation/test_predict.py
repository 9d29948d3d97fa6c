"""Tests of segnet/evaluation/predict.py."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from segnet.config import Config
from segnet.errors import ConfigError, DataError, RunError
from segnet.evaluation import predict

NAMES = ("dark", "light")


def _eval_step(images):
    level = tf.reduce_mean(tf.cast(images, tf.float32), -1)
    return tf.stack([127.0 - level, level - 127.0], -1)


def _picture(path, height, width):
    """Dark above, light below."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[height // 2 :] = 250
    Image.fromarray(pixels).save(path)


def _predict(paths, output, batch_size=2):
    config = Config(
        class_names=NAMES,
        input_height=16,
        input_width=32,
        eval_batch_size=batch_size,
    )
    return predict.predict(
        _eval_step, [str(path) for path in paths], str(output), config
    )


def test_labels_have_the_own_size_of_each_picture(tmp_path):
    sizes = {"a.png": (40, 64), "b.bmp": (33, 17), "c.jpg": (16, 90)}
    for name, size in sizes.items():
        _picture(tmp_path / name, *size)
    paths = predict.find_inputs(str(tmp_path))
    assert len(paths) == 3
    assert _predict(paths, tmp_path / "out") == []
    for name, (height, width) in sizes.items():
        with Image.open(tmp_path / "out" / f"{name[0]}_labels.png") as labels:
            assert labels.mode == "L"
            assert labels.size == (width, height)
            pixels = np.asarray(labels)
        assert np.all(pixels[: height // 2 - 2] == 0)
        assert np.all(pixels[height // 2 + 2 :] == 1)
        with Image.open(tmp_path / "out" / f"{name[0]}_overlay.png") as overlay:
            assert overlay.mode == "RGB"
            assert overlay.height > height


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4])
def test_every_batch_size_labels_every_picture(tmp_path, batch_size):
    for number in range(3):
        _picture(tmp_path / f"{number}.png", 20, 24)
    paths = predict.find_inputs(str(tmp_path))
    _predict(paths, tmp_path / "out", batch_size)
    assert len(list((tmp_path / "out").iterdir())) == 6


def test_a_damaged_picture_is_named_and_the_others_are_done(tmp_path):
    for number in range(40):
        _picture(tmp_path / f"{number:02d}.png", 20, 24)
    (tmp_path / "07.png").write_bytes(b"not a picture")
    problems = _predict(predict.find_inputs(str(tmp_path)), tmp_path / "out", 8)
    assert len(problems) == 1 and "07.png" in problems[0]
    assert len(list((tmp_path / "out").glob("*_labels.png"))) == 39


def test_a_single_file(tmp_path):
    _picture(tmp_path / "a.png", 20, 24)
    assert predict.find_inputs(str(tmp_path / "a.png")) == [
        str(tmp_path / "a.png")
    ]


def test_inputs_that_cannot_be_used(tmp_path):
    with pytest.raises(ConfigError, match="--image_path"):
        predict.find_inputs("")
    with pytest.raises(ConfigError, match="does not exist"):
        predict.find_inputs(str(tmp_path / "no"))
    with pytest.raises(DataError, match="no image"):
        predict.find_inputs(str(tmp_path))
    _picture(tmp_path / "a.png", 20, 24)
    _picture(tmp_path / "a.bmp", 20, 24)
    with pytest.raises(DataError, match="same stem"):
        predict.find_inputs(str(tmp_path))


def test_an_output_that_cannot_be_written_is_one_line(tmp_path):
    _picture(tmp_path / "a.png", 20, 24)
    (tmp_path / "out" / "a_labels.png").mkdir(parents=True)
    with pytest.raises(RunError, match="cannot be written"):
        _predict([tmp_path / "a.png"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [
        "a_labels.png"
    ]
