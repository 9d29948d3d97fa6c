"""Pictures that take memory or time, or of which most is missing."""

from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import picture_files as files
import pytest
from PIL import Image

from segnet.errors import DataError
from segnet.images import image_files, jpeg
from segnet.images.decoding import is_lfs_pointer, open_image

SMOOTH = np.asarray(Image.fromarray(files.picture(3)).resize((160, 96)))


def refused(path, *arguments) -> str:
    with pytest.raises(DataError) as caught:
        open_image(path, *arguments)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def png_claiming(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + files.chunk(b"IHDR", header)
        + files.chunk(b"IDAT", zlib.compress(b""))
        + files.chunk(b"IEND", b"")
    )


def bmp_claiming(width: int, height: int) -> bytes:
    data = bytearray(files.saved(files.picture(), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("write", [png_claiming, bmp_claiming])
@pytest.mark.parametrize("size", [(10_001, 10_000), (60_000, 60_000)])
def test_a_header_that_claims_much_is_refused(tmp_path, write, size):
    path = tmp_path / "a.img"
    path.write_bytes(write(*size))
    assert "has more than 100,000,000 pixels; " in refused(path)
    assert "raise --max_pixels" in refused(path)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "JPEG"])
def test_the_limit_can_be_set(tmp_path, kind):
    path = tmp_path / "a.img"
    path.write_bytes(files.saved(SMOOTH, kind))
    assert open_image(path, 160 * 96)[0].size == (160, 96)
    assert "more than 15,359 pixels" in refused(path, 160 * 96 - 1)


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(files.saved(SMOOTH, "PNG"))
    os.truncate(path, 2**40)  # Takes no space.
    assert "more than 100,000,000 pixels" in refused(path)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    path = tmp_path / "a.png"
    os.mkfifo(path)
    assert "cannot be read" in refused(path)
    assert not is_lfs_pointer(path)


def with_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan stands there many times."""
    data = files.saved(SMOOTH, "JPEG", progressive=True)
    last = data.rfind(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def test_a_jpeg_of_many_scans_is_refused(tmp_path):
    path = tmp_path / "a.jpg"
    whole = files.saved(SMOOTH, "JPEG", progressive=True)
    assert jpeg.count_scans(whole) == 10
    assert jpeg.count_scans(files.saved(SMOOTH, "JPEG")) == 1
    path.write_bytes(with_scans(91))
    assert open_image(path)[0].size == (160, 96)
    path.write_bytes(with_scans(92))
    assert "is a JPEG with more than 100 scans" in refused(path)
    path.write_bytes(with_scans(6000))
    for read in (image_files.read_image, image_files.load_image):
        with pytest.raises(DataError, match="more than 100 scans"):
            read(path)


def test_what_follows_a_picture_is_no_scan(tmp_path):
    """Films of phones, and their thumbnails, have such bytes in them."""
    whole = files.saved(SMOOTH, "JPEG", progressive=True)
    exif = b"\xff\xe1" + struct.pack(">H", 2 + 400) + b"\xff\xda" * 200
    for data in (whole + b"\xff\xda\0\x08" * 500, whole[:2] + exif + whole[2:]):
        assert jpeg.count_scans(data) == 10
        assert not jpeg.lacks_scans(data)


def cut(data: bytes, share: float) -> bytes:
    """A JPEG of which a part of the pixels' bytes is left, and an end."""
    start = data.find(b"\xff\xda")
    return data[: start + int((len(data) - start) * share)] + b"\xff\xd9"


NOISE = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("resize", [None, (48, 80)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.75])
def test_a_jpeg_of_which_more_than_a_tenth_is_missing(
    tmp_path, mode, resize, share
):
    path = tmp_path / "a.jpg"
    path.write_bytes(cut(files.saved(NOISE, "JPEG", mode), share))
    with pytest.raises(DataError, match=r"the lower \d\d% of its pixels are m"):
        image_files.read_image(path, resize)
    with pytest.raises(DataError, match=r"the lower \d\d% of its pixels are m"):
        image_files.load_image(path)


def test_a_jpeg_of_which_less_is_missing_is_told_of(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(cut(files.saved(NOISE, "JPEG"), 0.97))
    assert image_files.read_image(path).mended
    image_files.load_image(path)


def test_a_grey_picture_is_whole(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(files.saved(np.full((40, 64, 3), 128, np.uint8), "JPEG"))
    assert not image_files.read_image(path).mended
    assert (image_files.load_image(path) == 128).all()


def test_a_jpeg_without_some_of_its_scans_is_told_of(tmp_path):
    path = tmp_path / "a.jpg"
    for options in ({}, {"subsampling": 0}, {"quality": 30}):
        whole = files.saved(SMOOTH, "JPEG", progressive=True, **options)
        path.write_bytes(whole)
        assert not image_files.read_image(path).mended
        starts = [at for at in range(len(whole))
                  if whole[at : at + 2] == b"\xff\xda"]  # fmt: skip
        for start in starts[1:]:
            path.write_bytes(whole[:start] + b"\xff\xd9")
            Image.open(io.BytesIO(path.read_bytes())).load()  # not a word
            assert image_files.read_image(path).mended
            assert image_files.read_image(path, (48, 80)).mended
