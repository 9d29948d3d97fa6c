"""Prediction at the sizes that people have: many files, a film of seconds."""

from __future__ import annotations

import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import pytest
from conftest import ROOT
from picture_files import picture, saved
from PIL import Image

pytestmark = pytest.mark.slow

KINDS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
RATE, SECONDS = 25, 10
RAW = ("-f", "rawvideo", "-pix_fmt", "rgb24")


def predict(trained, *arguments):
    return subprocess.run(
        [
            sys.executable, str(ROOT / "main.py"), "--mode=predict",
            f"--workdir={trained}", *arguments,
        ],
        capture_output=True, text=True,
    )  # fmt: skip


def broken(number: int, whole: bytes) -> bytes:
    """A file that cannot be read: cut, empty, or something else."""
    return (whole[: len(whole) // 2], b"", b"no picture\n")[number % 3]


def test_two_hundred_files_of_which_ten_are_broken(trained, tmp_path):
    folder = tmp_path / "pictures"
    bad = []
    for number in range(200):
        kind = KINDS[number % len(KINDS)]
        path = folder / f"{number % 4}" / f"{number:03d}.{kind.lower()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (20 + number % 30, 60 - number % 20)
        options = {"lossless": True} if kind == "WEBP" else {}
        contents = saved(picture(number, *size), kind, **options)
        if number % 20 == 7:
            contents = broken(number // 20, contents)
            bad.append(str(path))
        path.write_bytes(contents)
    done = predict(
        trained, f"--image_path={folder}", "--recursive",
        f"--output_dir={tmp_path / 'out'}",
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if str(folder) in line]
    assert len(told) == len(bad) == 10
    assert all(any(path in line for line in told) for path in bad), done.stderr
    results = sorted((tmp_path / "out").rglob("*_labels.png"))
    assert len(results) == 190
    for path in results:
        number = int(path.name[:3])
        with Image.open(path) as image:
            assert image.size == (60 - number % 20, 20 + number % 30)


def frames():
    """A light square goes across a dark field."""
    for number in range(RATE * SECONDS):
        frame = np.full([48, 64, 3], 40, np.uint8)
        left = number * 48 // (RATE * SECONDS)
        frame[16:32, left : left + 16] = 220
        yield frame


def ffmpeg(*arguments, pixels=b""):
    """Runs it; returns what it writes, uint8."""
    program = imageio_ffmpeg.get_ffmpeg_exe()
    done = subprocess.run(
        [program, "-loglevel", "error", *arguments],
        input=pixels, capture_output=True, check=True,
    )  # fmt: skip
    return np.frombuffer(done.stdout, np.uint8)


def test_a_film_of_ten_seconds(trained, tmp_path):
    film = tmp_path / "film.mp4"
    ffmpeg(
        *RAW, "-s", "64x48", "-r", str(RATE), "-i", "-", film,
        pixels=b"".join(frame.tobytes() for frame in frames()),
    )  # fmt: skip
    done = predict(
        trained, f"--image_path={film}", "--overlay_video",
        f"--output_dir={tmp_path / 'out'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    overlay = str(tmp_path / "out" / "film_overlay.mp4")
    assert imageio_ffmpeg.count_frames_and_secs(overlay) == (
        RATE * SECONDS, SECONDS,
    )  # fmt: skip
    labels = tmp_path / "out" / "film"
    assert len(list(labels.glob("*_labels.png"))) == RATE * SECONDS
    # Where the square is in the picture it is in the film of overlays.
    shown = ffmpeg("-i", overlay, *RAW, "-")
    for number, frame in enumerate(shown.reshape(RATE * SECONDS, -1, 64, 3)):
        light = frame[20:28].astype(int).sum(-1).mean(0)
        left = number * 48 // (RATE * SECONDS)
        assert light[left + 2 : left + 14].min() > 1.3 * np.median(light)
