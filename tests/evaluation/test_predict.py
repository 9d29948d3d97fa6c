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
from segnet.evaluation import inference, predict
from segnet.evaluation.inputs import Inputs, Source, find_inputs
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


def _sources(paths):
    return [Source(str(path), os.path.basename(path)) for path in paths]


def _predict(sources, output, batch_size=2, **options):
    config = Config(
        class_names=NAMES,
        input_height=16,
        input_width=32,
        eval_batch_size=batch_size,
    )
    return predict.predict(
        _eval_step,
        sources,
        str(output),
        config,
        options=predict.Options(**options),
    ).problems


def test_labels_have_the_own_size_of_each_picture(tmp_path):
    sizes = {"a.png": (40, 64), "b.bmp": (33, 17), "c.jpg": (16, 90)}
    for name, size in sizes.items():
        _picture(tmp_path / name, *size)
    sources = find_inputs(str(tmp_path)).sources
    assert len(sources) == 3
    assert _predict(sources, tmp_path / "out") == []
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
    sources = find_inputs(str(tmp_path)).sources
    _predict(sources, tmp_path / "out", batch_size)
    assert len(list((tmp_path / "out").iterdir())) == 7


def test_a_damaged_picture_is_named_and_the_others_are_done(tmp_path):
    for number in range(40):
        _picture(tmp_path / f"{number:02d}.png", 20, 24)
    (tmp_path / "07.png").write_bytes(b"not a picture")
    sources = find_inputs(str(tmp_path)).sources
    problems = _predict(sources, tmp_path / "out", 8)
    assert len(problems) == 1 and "07.png" in problems[0]
    assert len(list((tmp_path / "out").glob("*_labels.png"))) == 39


def test_a_single_file(tmp_path):
    _picture(tmp_path / "a.png", 20, 24)
    found = find_inputs(str(tmp_path / "a.png"))
    assert found == Inputs(_sources([tmp_path / "a.png"]))


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
        _predict(_sources([tmp_path / "a.png"]), tmp_path / "out")
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
    problems = _predict(_sources(paths), tmp_path)
    assert [
        line.split(": is not labelled, because ")[0] for line in problems
    ] == [str(path) for path in paths[:3]]
    assert "a_labels.png is there and no result" in problems[0]
    after = _contents(tmp_path)
    assert after.keys() - before.keys() == {
        "d_labels.png",
        "d_overlay.png",
        "predictions.csv",
    }
    assert after.items() >= before.items()
    assert (tmp_path / "c_labels.png").is_symlink()


def test_a_name_too_long_for_a_result_keeps_no_other_waiting(tmp_path):
    """A name has 255 bytes at most; the overlay's is 12 longer."""
    paths = [tmp_path / f"{'m' * size}.png" for size in (243, 244, 251)]
    for path in paths:
        _picture(path, 20, 24)
    problems = _predict(_sources(paths), tmp_path / "out")
    assert len(problems) == 2
    assert f"{'m' * 244}_overlay.png: is too long a name" in problems[0]
    assert f"{'m' * 251}_labels.png: is too long a name" in problems[1]
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_results_are_replaced_and_are_no_pictures_the_next_time(tmp_path):
    _picture(tmp_path / "a.png", 20, 24)
    found = find_inputs(str(tmp_path))
    everything = {"probabilities": True}
    assert _predict(found.sources, tmp_path, **everything) == []
    first = _contents(tmp_path)
    assert set(first) == {
        "a.png", "a_labels.png", "a_overlay.png", "a_probabilities.npz",
        "predictions.csv",
    }  # fmt: skip
    again = find_inputs(str(tmp_path))
    assert again == found == Inputs(_sources([tmp_path / "a.png"]))
    _picture(tmp_path / "a.png", 40, 24)
    assert _predict(found.sources, tmp_path, **everything) == []
    second = _contents(tmp_path)
    assert second.keys() == first.keys()
    assert second["a_labels.png"] != first["a_labels.png"]
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="no image to label"):
        find_inputs(str(tmp_path))


def test_what_else_is_in_the_folder_is_told(tmp_path):
    _picture(tmp_path / "a.png", 20, 24)
    (tmp_path / "b.jpg").symlink_to(tmp_path / "moved.jpg")
    (tmp_path / "c.txt").touch()
    (tmp_path / ".hidden").touch()
    (tmp_path / "more").mkdir()
    found = find_inputs(str(tmp_path))
    assert found.sources == _sources([tmp_path / "a.png"])
    assert found.left_aside == ["c.txt", "more"]
    (line,) = found.problems
    assert line.startswith(f"{tmp_path / 'b.jpg'}: is a link to nothing")


def test_a_name_that_is_not_utf_8_is_labelled(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    name = os.fsdecode(b"\xe9t\xe9.png")
    _picture(tmp_path / "plain.png", 20, 24)
    os.rename(tmp_path / "plain.png", os.path.join(os.fsdecode(folder), name))
    sources = find_inputs(os.fsdecode(folder)).sources
    assert _predict(sources, os.fsdecode(folder) + "/out") == []
    assert sorted(os.listdir(folder + b"/out")) == [
        b"predictions.csv", b"\xe9t\xe9_labels.png", b"\xe9t\xe9_overlay.png",
    ]  # fmt: skip
    with open(folder + b"/out/predictions.csv", "rb") as table:
        assert table.read().splitlines()[1].startswith(b"\xe9t\xe9.png,20,24,")


def test_large_pictures_give_the_same_results_one_at_a_time(
    tmp_path, monkeypatch
):
    """They are read twice, within a budget; one may vanish in between."""
    for number in range(4):
        _picture(tmp_path / f"{number}.png", 40 + number, 24)
    sources = find_inputs(str(tmp_path)).sources
    paths = [source.path for source in sources]
    assert _predict(sources, tmp_path / "kept") == []
    monkeypatch.setattr(predict, "_KEPT_PIXELS", 41 * 24)
    monkeypatch.setattr(predict, "_MAX_PIXELS", 10)
    reads = []

    def load(path, *limits, load=image_files.load_image):
        reads.append(path)
        if reads.count(path) == 2 and path == paths[3]:
            raise DataError(f"{path}: cannot be read")
        return load(path, *limits)

    monkeypatch.setattr(image_files, "load_image", load)
    problems = _predict(sources, tmp_path / "read")
    assert problems == [f"{paths[3]}: cannot be read"]
    assert sorted(reads) == sorted([*paths, *paths[2:]])
    kept, read = _contents(tmp_path / "kept"), _contents(tmp_path / "read")
    del read["predictions.csv"]
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
from segnet.evaluation.inputs import Source
names = tuple(f"class {number}" for number in range(30))
config = Config(class_names=names, input_height=96, input_width=160)
def predictor(images):
    level = tf.cast(images[..., :1], tf.float32)
    return tf.sin(level * tf.range(30, dtype=tf.float32))
sources = [Source(path, path[-5:]) for path in sys.argv[1:]]
out = sys.argv[1] + "_out"
assert predict.predict(predictor, sources, out, config).problems == []
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
    assert len(list((tmp_path / "0.jpg_out").iterdir())) == 9
    assert usage.ru_maxrss < 1_600_000  # kB; one alone needs 1,100,000


def test_a_picture_of_too_many_pixels_is_named_and_not_decoded(tmp_path):
    _picture(tmp_path / "a.png", 20, 24)
    _picture(tmp_path / "b.png", 20, 25)
    sources = _sources([tmp_path / "a.png", tmp_path / "b.png"])
    problems = _predict(sources, tmp_path / "out", max_pixels=480)
    assert len(problems) == 1
    assert "b.png: has more than 480 pixels" in problems[0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a_labels.png",
        "a_overlay.png",
        "predictions.csv",
    ]


def test_folders_in_folders_get_results_in_folders_of_their_names(tmp_path):
    pictures = tmp_path / "pictures"
    for name in ("b/x.png", "a/x.png", "a/deep/x.png", ".hidden/x.png"):
        (pictures / name).parent.mkdir(parents=True, exist_ok=True)
        _picture(pictures / name, 20, 24)
    (pictures / "b" / "notes.txt").touch()
    (pictures / "link").symlink_to(pictures / "a")
    (pictures / "b" / "gone.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(DataError, match="or --recursive for the folders in it"):
        find_inputs(str(pictures))
    found = find_inputs(str(pictures), recursive=True)
    files = [source.file for source in found.sources]
    assert files == ["a/x.png", "a/deep/x.png", "b/x.png"]
    assert found.left_aside == ["link", "b/notes.txt"]
    assert len(found.problems) == 1
    assert _predict(found.sources, pictures) == []
    for name in ("a/x", "a/deep/x", "b/x"):
        assert (pictures / f"{name}_labels.png").exists()
    # Its own results are no pictures, and nothing to tell of.
    again = find_inputs(str(pictures), recursive=True)
    assert again == found


@pytest.mark.parametrize(
    ("pattern", "recursive", "files", "left_aside"),
    [
        ("*/x*.png", False, ["a/x1.png", "a/x2.png", "b/x1.png"], []),
        ("a/x[2-9].*", False, ["x2.png"], ["x3.txt"]),
        ("**/x1.png", False, ["a/deep/x1.png", "a/x1.png", "b/x1.png"], []),
        ("[b]", True, ["b/x1.png"], []),
        ("[b]", False, None, None),
    ],
)
def test_patterns(tmp_path, pattern, recursive, files, left_aside):
    for name in ("a/x1.png", "a/x2.png", "a/x3.txt", "a/deep/x1.png",
                 "b/x1.png"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        _picture(tmp_path / "picture.png", 20, 24)
        os.rename(tmp_path / "picture.png", tmp_path / name)
    path = str(tmp_path / pattern)
    if files is None:
        with pytest.raises(DataError, match="no image to label here"):
            find_inputs(path, recursive=recursive)
        return
    found = find_inputs(path, recursive=recursive)
    assert sorted(source.file for source in found.sources) == files
    assert found.left_aside == left_aside
    with pytest.raises(ConfigError, match="nothing has such a name"):
        find_inputs(str(tmp_path / "*.jpg"))
    # A name with brackets is a name, where there is such a file.
    _picture(tmp_path / "y[1].png", 20, 24)
    assert find_inputs(str(tmp_path / "y[1].png")).sources[0].file == "y[1].png"


def test_the_table_has_shares_and_confidence(tmp_path):
    """Logits differ by 254 above and 246 below: sure of all; a third differs.

    An even grey of 128 has logits of -1 and 1: e / (e + 1/e) = 0.880797.
    """
    _picture(tmp_path / "a,b.png", 16, 32)
    Image.new("RGB", (32, 16), (128, 128, 128)).save(tmp_path / "grey.png")
    _predict(find_inputs(str(tmp_path)).sources, tmp_path / "out")
    lines = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    assert lines == [
        "file,height,width,confidence,dark,light",
        '"a,b.png",16,32,1.000000,0.500000,0.500000',
        "grey.png,16,32,0.880797,0.000000,1.000000",
    ]


def test_a_table_of_somebody_else_stays(tmp_path):
    _picture(tmp_path / "a.png", 16, 32)
    (tmp_path / "predictions.csv").write_text("file,mine\n")
    (line,) = _predict(find_inputs(str(tmp_path)).sources, tmp_path)
    assert line.startswith(f"{tmp_path}/predictions.csv: is not written, ")
    assert (tmp_path / "predictions.csv").read_text() == "file,mine\n"
    assert (tmp_path / "a_labels.png").exists()


@pytest.mark.parametrize("are_logits", [True, False])
def test_probabilities_are_bytes_for_each_class(
    tmp_path, are_logits, monkeypatch
):
    """Of the grey above 0.1192 and 0.8808, so 30 and 225; also in bands."""
    Image.new("RGB", (32, 40), (128, 128, 128)).save(tmp_path / "grey.png")

    def predictor(images):
        logits = _eval_step(images)
        return logits if are_logits else tf.nn.softmax(logits)

    config = Config(class_names=NAMES, input_height=16, input_width=32)
    found = []
    for values in (2**24, 2 * 32 * 3):
        monkeypatch.setattr(inference, "_BAND_VALUES", values)
        output = tmp_path / str(values)
        problems = predict.predict(
            predictor,
            find_inputs(str(tmp_path)).sources,
            str(output),
            config,
            options=predict.Options(probabilities=True),
            are_logits=are_logits,
        ).problems
        assert problems == []
        with np.load(output / "grey_probabilities.npz") as arrays:
            assert arrays["class_names"].tolist() == list(NAMES)
            found.append(arrays["probabilities"])
    for probabilities in found:
        assert probabilities.dtype == np.uint8
        assert probabilities.shape == (40, 32, 2)
        assert np.all(probabilities == [30, 225])
