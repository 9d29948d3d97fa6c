"""Tests of segnet/evaluation/predict.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from segnet.config import Config
from segnet.errors import ConfigError, DataError, RunError
from segnet.evaluation import predict
from segnet.evaluation.inputs import Inputs, find_inputs
from segnet.images import image_files

NAMES = ("dark", "light")
ROOT = Path(__file__).resolve().parents[2]


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
    paths = find_inputs(str(tmp_path)).paths
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
    paths = find_inputs(str(tmp_path)).paths
    _predict(paths, tmp_path / "out", batch_size)
    assert len(list((tmp_path / "out").iterdir())) == 6


def test_a_damaged_picture_is_named_and_the_others_are_done(tmp_path):
    for number in range(40):
        _picture(tmp_path / f"{number:02d}.png", 20, 24)
    (tmp_path / "07.png").write_bytes(b"not a picture")
    problems = _predict(find_inputs(str(tmp_path)).paths, tmp_path / "out", 8)
    assert len(problems) == 1 and "07.png" in problems[0]
    assert len(list((tmp_path / "out").glob("*_labels.png"))) == 39


def test_a_single_file(tmp_path):
    _picture(tmp_path / "a.png", 20, 24)
    found = find_inputs(str(tmp_path / "a.png"))
    assert found == Inputs([str(tmp_path / "a.png")], [], [])


def test_inputs_that_cannot_be_used(tmp_path):
    with pytest.raises(ConfigError, match="--image_path"):
        find_inputs("")
    with pytest.raises(ConfigError, match="does not exist"):
        find_inputs(str(tmp_path / "no"))
    with pytest.raises(ConfigError, match="is no file and no folder"):
        find_inputs("/dev/zero")
    with pytest.raises(DataError, match="no image"):
        find_inputs(str(tmp_path))
    _picture(tmp_path / "a.png", 20, 24)
    _picture(tmp_path / "a.bmp", 20, 24)
    with pytest.raises(DataError, match="same stem"):
        find_inputs(str(tmp_path))


def test_an_output_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    _picture(tmp_path / "a.png", 20, 24)

    def full(path, contents):
        raise RunError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr(predict, "write_bytes", full)
    with pytest.raises(RunError, match="a_labels.png: cannot be written"):
        _predict([tmp_path / "a.png"], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def _contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def test_files_that_predict_did_not_write_stay_as_they_are(tmp_path):
    """The user's own annotation, a folder, a link; the others are done."""
    for name in "abcd":
        _picture(tmp_path / f"{name}.png", 20, 24)
    _picture(tmp_path / "a_labels.png", 10, 10)
    (tmp_path / "b_overlay.png").mkdir()
    (tmp_path / "elsewhere.txt").write_text("mine")
    (tmp_path / "c_labels.png").symlink_to(tmp_path / "elsewhere.txt")
    before = _contents(tmp_path)
    paths = [tmp_path / f"{name}.png" for name in "abcd"]
    problems = _predict(paths, tmp_path)
    assert [
        line.split(": is not labelled, because ")[0] for line in problems
    ] == [str(path) for path in paths[:3]]
    assert "a_labels.png is there and no result" in problems[0]
    after = _contents(tmp_path)
    assert after.keys() - before.keys() == {"d_labels.png", "d_overlay.png"}
    assert after.items() >= before.items()
    assert (tmp_path / "c_labels.png").is_symlink()


def test_a_name_too_long_for_a_result_keeps_no_other_waiting(tmp_path):
    """A name has 255 bytes at most; the overlay's is 12 longer."""
    paths = [tmp_path / f"{'m' * size}.png" for size in (243, 244, 251)]
    for path in paths:
        _picture(path, 20, 24)
    problems = _predict(paths, tmp_path / "out")
    assert len(problems) == 2
    assert f"{'m' * 244}_overlay.png: is too long a name" in problems[0]
    assert f"{'m' * 251}_labels.png: is too long a name" in problems[1]
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_results_are_replaced_and_are_no_pictures_the_next_time(tmp_path):
    _picture(tmp_path / "a.png", 20, 24)
    assert _predict(find_inputs(str(tmp_path)).paths, tmp_path) == []
    first = _contents(tmp_path)
    assert set(first) == {"a.png", "a_labels.png", "a_overlay.png"}
    found = find_inputs(str(tmp_path))
    assert found == Inputs([str(tmp_path / "a.png")], [], [])
    _picture(tmp_path / "a.png", 40, 24)
    assert _predict(found.paths, tmp_path) == []
    second = _contents(tmp_path)
    assert second.keys() == first.keys()
    assert second["a_labels.png"] != first["a_labels.png"]
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="no image to label"):
        find_inputs(str(tmp_path))


def test_what_else_is_in_the_folder_is_told(tmp_path):
    _picture(tmp_path / "a.png", 20, 24)
    (tmp_path / "b.jpg").symlink_to(tmp_path / "moved.jpg")
    (tmp_path / "c.tif").touch()
    (tmp_path / ".hidden").touch()
    (tmp_path / "more").mkdir()
    found = find_inputs(str(tmp_path))
    assert found.paths == [str(tmp_path / "a.png")]
    assert found.left_aside == ["c.tif", "more"]
    (line,) = found.problems
    assert line.startswith(f"{tmp_path / 'b.jpg'}: is a link to nothing")


def test_a_name_that_is_not_utf_8_is_labelled(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    name = os.fsdecode(b"\xe9t\xe9.png")
    _picture(tmp_path / "plain.png", 20, 24)
    os.rename(tmp_path / "plain.png", os.path.join(os.fsdecode(folder), name))
    paths = find_inputs(os.fsdecode(folder)).paths
    assert _predict(paths, os.fsdecode(folder) + "/out") == []
    assert sorted(os.listdir(folder + b"/out")) == [
        b"\xe9t\xe9_labels.png", b"\xe9t\xe9_overlay.png",
    ]  # fmt: skip


def test_large_pictures_give_the_same_results_one_at_a_time(
    tmp_path, monkeypatch
):
    """They are read twice, within a budget; one may vanish in between."""
    for number in range(4):
        _picture(tmp_path / f"{number}.png", 40 + number, 24)
    paths = find_inputs(str(tmp_path)).paths
    assert _predict(paths, tmp_path / "kept") == []
    monkeypatch.setattr(predict, "_KEPT_PIXELS", 41 * 24)
    monkeypatch.setattr(predict, "_MAX_PIXELS", 10)
    reads = []

    def load(path, *limits, load=image_files.load_image):
        reads.append(path)
        if reads.count(path) == 2 and path == paths[3]:
            raise DataError(f"{path}: cannot be read")
        return load(path, *limits)

    monkeypatch.setattr(image_files, "load_image", load)
    assert _predict(paths, tmp_path / "read") == [f"{paths[3]}: cannot be read"]
    assert sorted(reads) == sorted([*paths, *paths[2:]])
    kept, read = _contents(tmp_path / "kept"), _contents(tmp_path / "read")
    assert len(read) == 6
    assert kept.items() >= read.items()


_LARGE = """
import sys
from segnet.runtime import device
device.prepare_environment("cpu")
import tensorflow as tf
device.setup_runtime("cpu")
from segnet.config import Config
from segnet.evaluation import predict
names = tuple(f"class {number}" for number in range(30))
config = Config(class_names=names, input_height=96, input_width=160)
def predictor(images):
    level = tf.cast(images[..., :1], tf.float32)
    return tf.sin(level * tf.range(30, dtype=tf.float32))
paths = sys.argv[1:]
assert predict.predict(predictor, paths, sys.argv[1] + "_out", config) == []
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_large_pictures(tmp_path):
    """Of some kilobytes that claim 81 megapixels; 0.45 GB are TensorFlow's."""
    flat = Image.new("RGB", (9000, 9000), (90, 120, 150))
    paths = [tmp_path / f"{number}.jpg" for number in range(4)]
    for path in paths:
        flat.save(path, quality=20)
    process = subprocess.Popen([sys.executable, "-c", _LARGE, *paths], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert len(list((tmp_path / "0.jpg_out").iterdir())) == 8
    assert usage.ru_maxrss < 1_600_000  # kB; one alone needs 1,100,000


def test_a_picture_of_too_many_pixels_is_named_and_not_decoded(tmp_path):
    _picture(tmp_path / "a.png", 20, 24)
    _picture(tmp_path / "b.png", 20, 25)
    config = Config(class_names=NAMES, input_height=16, input_width=32)
    problems = predict.predict(
        _eval_step,
        [str(tmp_path / name) for name in ("a.png", "b.png")],
        str(tmp_path / "out"),
        config,
        max_pixels=480,
    )
    assert len(problems) == 1
    assert "b.png: has more than 480 pixels" in problems[0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a_labels.png",
        "a_overlay.png",
    ]
