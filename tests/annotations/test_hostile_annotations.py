"""Annotations that decoders read as other labels than somebody wrote."""

from __future__ import annotations

import io
import struct

import numpy as np
import picture_files as files
import pytest
from PIL import Image

from segnet.annotations import reading
from segnet.errors import DataError
from segnet.images import image_files

GREY = bytes(value for level in range(256) for value in (*[level] * 3, 0))
COLOURS = bytes(
    value for level in range(256) for value in (level, 9, 255 - level, 0)
)
PIXELS = bytes([0x12, 0x34, 0, 0, 0x56, 0x78, 0, 0])
MASKS = {
    "5-6-5": struct.pack("<III", 0xF800, 0x7E0, 0x1F),
    "5-5-5": struct.pack("<III", 0x7C00, 0x3E0, 0x1F),
}


def bmp(
    bits, pixels, palette=b"", *, size=(4, 2), packing=0, masks=b""
) -> bytes:
    start = 54 + len(masks) + len(palette)
    header = struct.pack(
        "<IiiHHIIiiII", 40, *size, 1, bits, packing, len(pixels), 0, 0,
        len(palette) // 4, 0,
    )  # fmt: skip
    head = struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    return b"BM" + head + header + masks + palette + pixels


def animated() -> bytes:
    buffer = io.BytesIO()
    first, *more = (Image.fromarray(files.labels(seed)) for seed in range(3))
    first.save(buffer, "PNG", save_all=True, append_images=more)
    return buffer.getvalue()


SIXTEEN = np.array([[10, 31, 0, 1], [2, 3, 4, 5]], "<u2").tobytes()
REFUSED = {
    "5-5-5": (bmp(16, SIXTEEN), "16-bit BMP"),
    "5-5-5, with masks": (
        bmp(16, SIXTEEN, packing=3, masks=MASKS["5-5-5"]), "16-bit BMP"),
    "5-6-5": (bmp(16, SIXTEEN, packing=3, masks=MASKS["5-6-5"]), "16-bit BMP"),
    "4 bits, grey": (bmp(4, PIXELS, GREY[:64]), "4-bit BMP with a grey"),
    "8 bits, black and white": (
        bmp(8, bytes([0, 1, 1, 0] * 2), GREY[:4] + GREY[-4:]), "8-bit BMP wi"),
    "runs of 8 bits": (
        bmp(8, bytes([4, 1, 0, 0, 4, 2, 0, 1]), COLOURS, packing=1), "run-len"),
    "runs of 4 bits": (
        bmp(4, bytes([4, 0x12, 0, 0, 4, 0x12, 0, 1]), COLOURS[:64], packing=2),
        "run-length"),
    "two bits": (bmp(2, PIXELS, GREY[:16]), "damaged or incomplete"),
    "16-bit PNG": (files.png16(np.full((2, 4), 1, np.uint16)), "16-bit"),
    "16-bit colour PNG": (
        files.png16(np.full((2, 4, 3), 1, np.uint16)), "16-bit"),
    "several pictures": (animated(), "PNG of 3 pictures"),
    "CMYK": (files.saved(files.picture(), "JPEG", "CMYK"), "is a JPEG"),
    "YCbCr": (files.saved(files.picture(), "JPEG"), "is a JPEG"),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["blue", "index"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_exactly_is_refused(tmp_path, name, mode):
    data, message = REFUSED[name]
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        reading.load_annotation(path, mode)
    assert str(caught.value).startswith(f"{path}: is ")
    assert "\n" not in str(caught.value)


READ = {
    "4 bits": (bmp(4, PIXELS, COLOURS[:64]), "index",
               [[5, 6, 7, 8], [1, 2, 3, 4]]),
    "1 bit": (bmp(1, bytes([0xA0, 0, 0, 0, 0x50, 0, 0, 0]), COLOURS[:8]),
              "index", [[0, 1, 0, 1], [1, 0, 1, 0]]),
    "8 bits, grey": (bmp(8, bytes(range(8)), GREY), "blue",
                     [[4, 5, 6, 7], [0, 1, 2, 3]]),
    "8 bits, colours": (bmp(8, bytes(range(8)), COLOURS), "index",
                        [[4, 5, 6, 7], [0, 1, 2, 3]]),
    "24 bits": (bmp(24, bytes([9, 0, 0, 1, 0, 0, 0, 0]), size=(2, 1)), "blue",
                [[9, 1]]),
    "32 bits": (bmp(32, bytes([9, 0, 0, 7, 1, 0, 0, 7]), size=(2, 1)), "blue",
                [[9, 1]]),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_other_bmps_are_read_exactly(tmp_path, name):
    data, mode, expected = READ[name]
    path = tmp_path / "a.bmp"
    path.write_bytes(data)
    label = reading.load_annotation(path, mode).label
    np.testing.assert_array_equal(label, expected)


@pytest.mark.parametrize("transparency", [0, bytes([0, 128, 255])])
def test_transparent_entries_of_a_palette_are_classes(tmp_path, transparency):
    image = Image.fromarray(files.labels(2), "P")
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    image.save(tmp_path / "a.png", transparency=transparency)
    label = reading.load_annotation(tmp_path / "a.png", "index").label
    np.testing.assert_array_equal(label, files.labels(2))


@pytest.mark.parametrize("name", ["4 bits, grey", "8 bits, black and white"])
def test_an_image_that_is_misread_is_refused(tmp_path, name):
    data, message = REFUSED[name]
    path = tmp_path / "a.bmp"
    path.write_bytes(data)
    for read in (image_files.load_image, image_files.read_image):
        with pytest.raises(DataError, match=message):
            read(path)
