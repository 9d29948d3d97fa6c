from __future__ import annotations

import io

import numpy as np
import picture_files as files
import pytest
from PIL import Image

from segnet.annotations import reading
from segnet.errors import DataError
from segnet.images import image_files


@pytest.fixture
def write(tmp_path):
    def write_file(data: bytes, name: str = "a.png"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write_file


GREY = files.picture()[..., 0]
GREY_16 = files.picture(2)[..., 0].astype(np.uint16) * 257 - 3
RGB_16 = files.picture(3).astype(np.uint16) * 251 + 5
LABEL = files.labels(5)


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("name", ["a.png", "a.bmp"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_label_is_the_blue_channel(write, mode, name):
    array = {
        "RGB": np.dstack([LABEL + 9, LABEL * 2, LABEL]),
        "RGBA": np.dstack([LABEL + 9, LABEL * 2, LABEL, 255 - LABEL]),
        "L": LABEL,
    }[mode]
    path = write(files.saved(array, name[2:].upper()), name)
    loaded = reading.load_annotation(path).label
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, LABEL)


def test_grey_with_alpha_is_grey(write):
    path = write(files.saved(LABEL, "PNG", "LA"))
    np.testing.assert_array_equal(reading.load_annotation(path).label, LABEL)


@pytest.mark.parametrize("channels", [1, 3])
def test_labels_in_the_transparency_are_refused(write, channels):
    pixels = np.dstack([np.full_like(LABEL, 7)] * channels + [LABEL])
    path = write(files.saved(pixels, "PNG", "LA" if channels == 1 else None))
    with pytest.raises(DataError, match=r"only its transparency \(alpha\)"):
        reading.load_annotation(path)


def test_index_mode_reads_palette_and_grey(write):
    image = Image.fromarray(LABEL).convert("P")
    image.putpalette(bytes(range(200, 0, -1)) * 3)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", bits=2)
    path = write(buffer.getvalue())
    np.testing.assert_array_equal(
        reading.load_annotation(path, "index").label, LABEL
    )
    with pytest.raises(DataError, match="--annotation_mode=index"):
        reading.load_annotation(path)
    grey = write(files.saved(LABEL, "PNG"), "b.png")
    np.testing.assert_array_equal(
        reading.load_annotation(grey, "index").label, LABEL
    )
    with pytest.raises(DataError, match="--annotation_mode=blue"):
        reading.load_annotation(write(files.blue_png(LABEL)), "index")
    with pytest.raises(ValueError, match="'red'"):
        reading.load_annotation(path, "red")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (files.png16(GREY_16), "16-bit annotation"),
        (files.png16(RGB_16), "16-bit annotation"),
        (files.saved(GREY, "PNG", "1"), "1-bit annotation"),
        (files.saved(GREY, "BMP", "1"), "1-bit annotation"),
        (files.saved(GREY, "JPEG"), "is a JPEG"),
        (files.blue_png(LABEL)[:-20], "ends early"),
    ],
    ids=["grey16", "rgb16", "bit", "bitmap", "jpeg", "truncated"],
)
def test_annotation_whose_values_are_not_sure_is_refused(write, data, message):
    with pytest.raises(DataError, match=message):
        reading.load_annotation(write(data))


@pytest.mark.parametrize("shape", [(1, 1), (24, 40), (33, 7)])
def test_label_png_is_8_bit_grey_and_lossless(shape):
    label = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    data = image_files.encode_label(label)
    image = Image.open(io.BytesIO(data))
    assert image.mode == "L"
    assert data[24:26] == bytes([8, 0])  # bit depth, colour type
    np.testing.assert_array_equal(np.asarray(image), label)
    colour = np.dstack([label, 255 - label, label // 2])
    data = image_files.encode_image_png(colour)
    np.testing.assert_array_equal(decoded(data), colour)


def test_only_uint8_of_the_right_rank_is_encoded():
    with pytest.raises(ValueError, match="int64"):
        image_files.encode_label(np.zeros((2, 3), np.int64))
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        image_files.encode_image_png(np.zeros((2, 3), np.uint8))
