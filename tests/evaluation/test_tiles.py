"""Tests of tiles: rows of files, their geometry, blending, whole results."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
import simplejpeg
import tensorflow as tf
from conftest import ROOT
from PIL import Image

from segnet.config import Config
from segnet.errors import DataError
from segnet.evaluation import tiled
from segnet.evaluation.inputs import Source
from segnet.evaluation.results import Options
from segnet.evaluation.tiles import Tiling
from segnet.images import image_files, png, png_rows, strips

NAMES = ("dark", "light", "spot")


def _noise(height, width, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    smooth = rng.integers(0, 256, [height // 4 + 1, width // 4 + 1, channels])
    whole = np.kron(smooth, np.ones([4, 4, 1]))[:height, :width]
    return (
        (whole + rng.integers(0, 9, whole.shape)).clip(0, 255).astype(np.uint8)
    )


def _save(path, mode, **options):
    image = Image.fromarray(_noise(37, 50))
    if mode == "P":
        image = image.quantize(40)
    elif mode == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        options["exif"] = exif
    elif mode == "RGBA":
        image.putalpha(Image.fromarray(_noise(37, 50, 1, 1)[..., 0]))
    elif mode == "LA":
        image = image.convert("LA")
    else:
        image = image.convert(mode)
    image.save(path, **options)


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.png", "RGB", {}),
        ("a.png", "L", {"optimize": True}),
        ("a.png", "P", {}),
        ("a.png", "RGBA", {}),
        ("a.png", "LA", {}),
        ("a.png", "1", {}),
        ("a.png", "turned", {}),
        ("a.jpg", "RGB", {"quality": 80}),
        ("a.jpg", "RGB", {"quality": 80, "progressive": True}),
        ("a.jpg", "L", {}),
        ("a.jpg", "CMYK", {}),
        ("a.jpg", "turned", {}),
        ("a.bmp", "RGB", {}),
    ],
)
@pytest.mark.parametrize("tall", [1, 10, 37])
def test_rows_are_those_of_the_whole_picture(
    tmp_path, monkeypatch, name, mode, options, tall
):
    monkeypatch.setattr(png_rows, "_PIECE_BYTES", 100)
    path = str(tmp_path / name)
    _save(path, "RGB" if mode == "turned" else mode, **options)
    if mode == "turned":
        _save(path, mode)
    whole = image_files.load_image(path)
    with strips.open_strips(path, 10_000) as found:
        assert (found.height, found.width) == whole.shape[:2]
        for top in range(0, found.height, max(1, tall - 2)):
            bottom = min(top + tall, found.height)
            rows = found.rows(top, bottom)
            assert np.array_equal(rows, whole[top:bottom])


def test_kinds_that_are_read_row_by_row(tmp_path, monkeypatch):
    """Not decoded whole: that would be refused here."""

    def refuse(*arguments):
        raise AssertionError

    monkeypatch.setattr(image_files, "load_image", refuse)
    for name, mode in (("a.png", "RGB"), ("b.png", "P"), ("c.jpg", "RGB")):
        _save(tmp_path / name, mode)
        with strips.open_strips(str(tmp_path / name), 10_000) as found:
            assert found.rows(3, 5).shape == (2, 50, 3)
        with (
            pytest.raises(DataError, match=f"{name}: has more than 1,849 pix"),
            strips.open_strips(str(tmp_path / name), 1849),
        ):
            pass


def test_damage_is_found_when_its_rows_come(tmp_path):
    data = io.BytesIO()
    _save(data, "RGB", format="PNG")
    contents = bytearray(data.getvalue())
    path = tmp_path / "a.png"
    contents[-30] ^= 1
    path.write_bytes(contents)
    with (
        strips.open_strips(str(path), 10_000) as found,
        pytest.raises(DataError, match=r"a\.png: is damaged or incomplete"),
    ):
        found.rows(0, 37)
    path.write_bytes(contents[:-30])
    with (
        pytest.raises(DataError, match=r"a\.png: is damaged or incomplete"),
        strips.open_strips(str(path), 10_000),
    ):
        pass


@pytest.mark.parametrize(
    ("size", "scale", "multiple", "tiling"),
    [
        (512, 1.0, 16, Tiling(512, 16, 512)),
        (500, 1.0, 16, Tiling(496, 16, 496)),
        # 26 cells of 16 pixels as seen, each of 20 pixels of the picture.
        (512, 0.8, 16, Tiling(520, 20, 416)),
        (100, 2.0, 32, Tiling(102, 17, 192)),
        # Four cells at least.
        (12, 1.0, 16, Tiling(12, 3, 64)),
    ],
)
def test_tiles_are_whole_cells(size, scale, multiple, tiling):
    assert Tiling.create(size, scale, multiple) == tiling


@pytest.mark.parametrize("length", [1, 63, 64, 65, 100, 112, 113, 1000, 1009])
def test_parts_cover_a_picture_once(length):
    """Weights of all tiles add up to 1; no part leaves its tile."""
    tiling = Tiling(64, 16, 64)
    parts = tiling.parts(length)
    weights = np.zeros([length])
    for part in parts:
        assert part.start % 16 == 0
        assert part.start <= part.first < part.end <= part.start + 64
        weight = np.ones([part.end - part.first])
        if part.rise:
            assert part.first - part.start >= 4
            weight[: part.rise] *= (np.arange(part.rise) + 0.5) / part.rise
        if part.fall:
            weight[-part.fall :] *= 1 - (np.arange(8) + 0.5) / 8
        weights[part.first : part.end] += weight
    assert np.allclose(weights, 1)
    assert parts[0].first == 0 and parts[-1].end == length
    assert len(parts) == max(1, -(-(length - 16) // 48))


def _network(images):
    """Each class by the mean of 3x3 pixels: a network that sees little."""
    level = tf.cast(images, tf.float32)
    level = tf.nn.avg_pool2d(level, 3, 1, "SAME")
    return tf.stack(
        [128 - level[..., 0], level[..., 1] - 128, level[..., 2] - 160], -1
    )


CONFIG = Config(class_names=NAMES)


def _tiled(tmp_path, image, tiling, config=CONFIG, **options):
    path = tmp_path / "a.png"
    Image.fromarray(image).save(path)
    problems = tiled.predict_tiled(
        _network, [Source(str(path), "a.png")], str(tmp_path / "out"), config,
        tiling, options=Options(max_pixels=10**6, **options),
    ).problems  # fmt: skip
    assert problems == []
    with Image.open(tmp_path / "out" / "a_labels.png") as labels:
        assert labels.mode == "L"
        return np.asarray(labels)


def test_labels_are_those_of_the_whole_picture(tmp_path):
    """Where a network sees one pixel far, seams cannot be told."""
    image = _noise(150, 205)
    whole = _network(tf.constant(image)[None])[0]
    expected = tf.argmax(whole, -1).numpy()
    config = Config(class_names=NAMES, eval_batch_size=3)
    got = _tiled(
        tmp_path, image, Tiling(64, 16, 64), config, probabilities=True
    )
    same = got == expected
    # A padded border of the picture is no border of the network's.
    assert same[1:-1, 1:-1].all()
    lines = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    name, height, width, confidence, *shares = lines[1].split(",")
    assert (name, height, width) == ("a.png", "150", "205")
    probabilities = tf.nn.softmax(whole).numpy()
    assert float(confidence) == pytest.approx(
        probabilities.max(-1).mean(), abs=1e-3
    )
    counts = np.bincount(got.ravel(), minlength=3) / got.size
    assert [float(x) for x in shares] == pytest.approx(counts, abs=1e-6)
    with np.load(tmp_path / "out" / "a_probabilities.npz") as arrays:
        assert arrays["class_names"].tolist() == list(NAMES)
        found = arrays["probabilities"]
    assert found.dtype == np.uint8
    difference = np.abs(found - 255 * probabilities)[1:-1, 1:-1]
    assert difference.max() <= 0.501


def test_a_large_overlay_is_made_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr(tiled, "_OVERLAY_PIXELS", 2000)
    seen = []

    def encode(image, label, *rest):
        seen.append((image, label))
        return b""

    monkeypatch.setattr(tiled.overlay, "encode_overlay", encode)
    image = _noise(150, 205)
    labels = _tiled(tmp_path, image, Tiling(64, 16, 64))
    ((small, small_labels),) = seen
    assert np.array_equal(small, image[::4, ::4])
    assert np.array_equal(small_labels, labels[::4, ::4])


def test_a_scale_is_applied_to_each_tile(tmp_path):
    """Halves of 80 and 81 of grey at twice the size stay where they are."""
    image = np.zeros([81, 100, 3], np.uint8)
    image[:, 40:] = 255
    labels = _tiled(tmp_path, image, Tiling(32, 8, 64))
    assert labels.shape == (81, 100)
    assert np.all(labels[:, :39] == 0) and np.all(labels[:, 41:] == 1)


def test_a_damaged_picture_leaves_nothing_and_others_are_done(tmp_path):
    image = Image.fromarray(_noise(150, 205))
    for name in "abc":
        image.save(tmp_path / f"{name}.png")
    contents = (tmp_path / "b.png").read_bytes()
    damaged = bytearray(contents)
    damaged[len(contents) // 2] ^= 255
    (tmp_path / "b.png").write_bytes(damaged)
    names = [f"{name}.png" for name in "abc"]
    problems = tiled.predict_tiled(
        _network,
        [Source(str(tmp_path / name), name) for name in names],
        str(tmp_path / "out"),
        CONFIG,
        Tiling(64, 16, 64),
        options=Options(max_pixels=10**6),
    ).problems
    assert len(problems) == 1
    assert problems[0].startswith(f"{tmp_path / 'b.png'}: is damaged")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == [
        "a_labels.png", "a_overlay.png", "c_labels.png", "c_overlay.png",
        "predictions.csv",
    ]  # fmt: skip


_LARGE = """
import sys
from segnet.runtime import device
device.prepare_environment("cpu")
import tensorflow as tf
device.setup_runtime("cpu")
from segnet.config import Config
from segnet.evaluation import tiled
from segnet.evaluation.inputs import Source
from segnet.evaluation.results import Options
from segnet.evaluation.tiles import Tiling
names = tuple(f"class {number}" for number in range(11))
def predictor(images):
    level = tf.cast(images[..., :1], tf.float32)
    return tf.sin(level * tf.range(11, dtype=tf.float32))
path = sys.argv[1]
outcome = tiled.predict_tiled(
    predictor, [Source(path, "large")], path + "_out",
    Config(class_names=names), Tiling(512, 16, 512),
    options=Options(max_pixels=10**9),
)
assert outcome.problems == [], outcome.problems
with open("/proc/self/status") as status:
    print(next(x.split()[1] for x in status if x.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_a_picture_of_400_megapixels_needs_less_than_2_gb(tmp_path, kind):
    """Of a PNG some rows are there, of a JPEG its compressed contents, too."""
    side, rows = 20_000, 500
    path = tmp_path / "large"
    band = np.tile(_noise(rows, 500), (1, side // 500, 1))
    if kind == "png":
        bands = (band.reshape(rows, -1) for _ in range(side // rows))
        path.write_bytes(png.encode_bands(bands, side, side, png.RGB))
    else:
        whole = np.tile(band, (side // rows, 1, 1))
        path.write_bytes(simplejpeg.encode_jpeg(whole, 90))
        del whole
    done = subprocess.run(
        [sys.executable, "-c", _LARGE, path], cwd=ROOT, check=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    limit = 1_200_000 if kind == "png" else 1_600_000
    assert int(done.stdout) < limit  # kB; 450,000 are TensorFlow's
    labels = (tmp_path / "large_out" / "large_labels.png").read_bytes()
    assert labels[16:24] == side.to_bytes(4, "big") * 2
