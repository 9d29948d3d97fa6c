"""Tests of films: videos, GIF, TIFF with pages; frames in, films out."""

from __future__ import annotations

import builtins
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from segnet.config import Config
from segnet.errors import DataError, RunError
from segnet.evaluation import predict
from segnet.evaluation.inputs import find_inputs
from segnet.evaluation.results import Options
from segnet.images import films

NAMES = ("dark", "light")
HEIGHT, WIDTH, RATE = 48, 62, 12.5


def _network(images):
    level = tf.reduce_mean(tf.cast(images, tf.float32), -1)
    return tf.stack([127.0 - level, level - 127.0], -1)


def _frames(count, width=WIDTH):
    """The upper rows are light; there are more of them in each frame."""
    frames = np.full([count, HEIGHT, width, 3], 20, np.uint8)
    for number, frame in enumerate(frames):
        frame[: 8 * (number % 5 + 1)] = 230
    return frames


def _write_video(path, frames):
    with films.FilmWriter(str(path), RATE) as writer:
        for frame in frames:
            writer.add(frame)
    # Else it would be a result.
    path.write_bytes(path.read_bytes().replace(films.MARK, b"filmed by me  "))


def _predict(folder, output, **options):
    found = find_inputs(str(folder))
    config = Config(
        class_names=NAMES, input_height=HEIGHT, input_width=64,
        eval_batch_size=3,
    )  # fmt: skip
    return predict.predict(
        _network, found.sources, str(output), config, films=found.films,
        options=Options(**options),
    )  # fmt: skip


def _light_rows(path):
    with Image.open(path) as labels:
        return int(np.asarray(labels)[:, 30].sum())


def test_a_video_gives_labels_of_each_frame(tmp_path):
    _write_video(tmp_path / "film.mp4", _frames(8))
    Image.fromarray(_frames(1)[0]).save(tmp_path / "still.png")
    outcome = _predict(tmp_path, tmp_path / "out")
    assert outcome.problems == []
    assert (outcome.images, outcome.frames) == (1, 8)
    rows = [
        _light_rows(tmp_path / "out" / "film" / f"{number:06d}_labels.png")
        for number in range(1, 9)
    ]
    assert rows == pytest.approx([8, 16, 24, 32, 40, 8, 16, 24], abs=1)
    assert (tmp_path / "out" / "film" / "000001_overlay.png").exists()
    lines = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    names = [line.partition(",")[0] for line in lines]
    assert names == ["file", "still.png"] + [
        f"film.mp4#{number}" for number in range(1, 9)
    ]
    # Once more, and the results are no inputs.
    assert _predict(tmp_path, tmp_path).problems == []
    found = find_inputs(str(tmp_path))
    assert [x.file for x in found.films] == ["film.mp4"]


def test_a_film_as_overlay_keeps_rate_and_length(tmp_path):
    """Odd sizes are made even; the legend is beneath."""
    _write_video(tmp_path / "film.mov.mp4", _frames(25, 61)[:, :, :61])
    outcome = _predict(tmp_path, tmp_path, overlay_video=True)
    assert outcome.problems == []
    overlay = tmp_path / "film.mov_overlay.mp4"
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(overlay))
    assert frames == 25
    assert seconds == pytest.approx(25 / RATE, abs=0.01)
    names = {x.name for x in (tmp_path / "film.mov").iterdir()}
    assert names == {f"{number:06d}_labels.png" for number in range(1, 26)}
    with films.open_film(str(overlay)) as film:
        assert film.rate == pytest.approx(RATE)
        first, second = next(film.frames), next(film.frames)
    assert first.shape[0] > HEIGHT and first.shape[1] == 62
    # Light is class 1, blue over light grey; dark is red over dark grey.
    light, dark = first[4, 30].astype(int), first[40, 30].astype(int)
    assert light[2] > light[0] + 20 and dark[0] > dark[2] + 40
    assert second[12, 30].astype(int)[2] > 150
    # A result may be replaced, a film of somebody else may not.
    assert _predict(tmp_path, tmp_path, overlay_video=True).problems == []
    overlay.write_bytes(b"mine")
    (line,) = _predict(
        tmp_path / "film.mov.mp4", tmp_path, overlay_video=True
    ).problems
    assert "film.mov_overlay.mp4 is there and no result" in line
    assert overlay.read_bytes() == b"mine"


def test_a_damaged_video_is_labelled_as_far_as_it_goes(tmp_path):
    path = tmp_path / "film.mp4"
    noise = np.random.default_rng(0).integers(0, 256, [40, HEIGHT, WIDTH, 3])
    _write_video(path, noise.astype(np.uint8))
    data = bytearray(path.read_bytes())
    middle = len(data) * 3 // 4
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    outcome = _predict(tmp_path, tmp_path / "out")
    assert 0 < outcome.frames <= 40
    (line,) = outcome.problems
    assert line.startswith(f"{path}: frames are damaged or missing; what could")
    path.write_bytes(b"no film")
    outcome = _predict(tmp_path, tmp_path / "out")
    assert outcome.problems == [f"{path}: is no film that ffmpeg reads"]


def test_frames_of_a_gif_and_pages_of_a_tiff(tmp_path):
    images = [Image.fromarray(frame) for frame in _frames(3)]
    more = {"save_all": True, "append_images": images[1:]}
    images[0].save(tmp_path / "a.gif", duration=40, **more)
    images[0].save(tmp_path / "b.tiff", **more)
    images[0].save(tmp_path / "c.gif")
    outcome = _predict(tmp_path, tmp_path / "out")
    assert outcome.problems == []
    assert outcome.frames == 7
    for name in ("a", "b"):
        rows = [
            _light_rows(tmp_path / "out" / name / f"{number:06d}_labels.png")
            for number in (1, 2, 3)
        ]
        assert rows == pytest.approx([8, 16, 24], abs=1)
    assert _light_rows(tmp_path / "out" / "c_labels.png") == 8
    with films.open_film(str(tmp_path / "a.gif")) as film:
        assert (film.count, film.rate) == (3, 25.0)


def test_16_bits_keep_the_upper_8_and_32_are_refused(tmp_path):
    values = np.full([20, 30], 0x8123, np.uint16)
    Image.fromarray(values).save(
        tmp_path / "a.tif", save_all=True,
        append_images=[Image.fromarray(values.astype(np.int32))],
    )  # fmt: skip
    with films.open_film(str(tmp_path / "a.tif")) as film:
        first, second = film.frames
    assert first.shape == (20, 30, 3) and np.all(first == 0x81)
    assert isinstance(second, DataError)
    assert "frame 2 is damaged (values of 32 bits)" in str(second)


def test_films_that_cannot_be_used(tmp_path, monkeypatch):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.gif")
    (tmp_path / "b.gif").write_bytes(b"GIF89a")
    (tmp_path / "c.tif").write_bytes(b"text")
    outcome = _predict(tmp_path, tmp_path / "out", max_pixels=599)
    c, a, b = outcome.problems
    assert "a.gif: has frames of more than 599 pixels" in a
    assert "b.gif: " in b and "c.tif: is not a JPEG" in c
    (line,) = _predict(tmp_path / "a.gif", tmp_path, polygons="coco").problems
    assert "polygons are made of pictures alone" in line
    (tmp_path / "d.mp4").touch()
    monkeypatch.delitem(sys.modules, "imageio_ffmpeg")
    load = builtins.__import__

    def refuse(name, *rest):
        if name == "imageio_ffmpeg":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    (line,) = _predict(tmp_path / "d.mp4", tmp_path).problems
    assert "d.mp4: films need the package imageio-ffmpeg: pip install" in line


def test_a_film_that_cannot_be_written_leaves_nothing(tmp_path):

    def write(path, error):
        with films.FilmWriter(str(path), RATE) as writer:
            for frame in _frames(50):
                writer.add(frame)
            if error is not None:
                raise error

    with pytest.raises(RunError, match=r"a\.mp4: the film cannot be written"):
        write(tmp_path / "none" / "a.mp4", None)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.mp4", KeyboardInterrupt())
    assert list(tmp_path.iterdir()) == []


def test_what_a_phone_has_turned_is_upright(tmp_path):
    _write_video(tmp_path / "a.mp4", _frames(2))
    turned = tmp_path / "turned.mp4"
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-display_rotation",
         "90", "-i", tmp_path / "a.mp4", "-c", "copy", turned],
        check=True,
    )  # fmt: skip
    with films.open_film(str(turned)) as film:
        assert next(film.frames).shape == (WIDTH, HEIGHT, 3)
