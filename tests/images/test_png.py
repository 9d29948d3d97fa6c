"""PNG files: a fast decoder, and checks as strict as TensorFlow's decoder."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import picture_files as files
import pytest
import tensorflow as tf
from PIL import Image, PngImagePlugin

from segnet.annotations import reading
from segnet.errors import DataError
from segnet.images import image_files, png

LABEL = files.labels(0, 12, 23, 31)


def _file(packed, width, height, *extra, colour=0, methods=(0, 0, 0)):
    """A file of packed rows, with further chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, colour, *methods)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", packed), (b"IEND", b"")]
    return png.SIGNATURE + b"".join(files.chunk(*chunk) for chunk in chunks)


def _grey(rows, *extra):
    """A file of rows with their filters."""
    packed = zlib.compress(b"".join(rows))
    return _file(packed, len(rows[0]) - 1, len(rows), *extra)


@pytest.mark.parametrize("kind", range(5))
def test_every_filter_is_undone(kind):
    rows = [
        bytes([kind]) + bytes(np.random.default_rng(row).integers(0, 256, 9))
        for row in range(6)
    ]
    data = _grey(rows)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(png.decode_grey(data), expected)


@pytest.mark.parametrize("optimize", [False, True])
def test_label_is_what_pillow_reads(optimize):
    data = files.saved(LABEL, "PNG", optimize=optimize)
    decoded = png.decode_grey(data)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, LABEL)


def _texts():
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", "could be a rotation")
    return info


@pytest.mark.parametrize(
    ("label", "mode", "options"),
    [
        (LABEL, "RGB", {}),
        (LABEL, "P", {}),
        (LABEL, "1", {}),
        (LABEL.astype(np.uint16), None, {}),
        (LABEL, None, {"transparency": 3}),
        (LABEL, None, {"pnginfo": _texts()}),
        (LABEL, None, {"exif": files.orientation(6)}),
    ],
    ids=["RGB", "palette", "1 bit", "16 bits", "transparent", "text", "EXIF"],
)
def test_other_files_are_left_to_pillow(label, mode, options):
    data = files.saved(label, "PNG", mode, **options)
    png.check(data)
    assert png.decode_grey(data) is None


def test_what_says_nothing_about_pixels_may_be_there():
    rows = [b"\0" + bytes([1, 2, 3])] * 2
    data = _grey(rows, (b"gAMA", struct.pack(">I", 45455)))
    assert png.decode_grey(data).tolist() == [[1, 2, 3]] * 2


_ROWS = b"".join(bytes([1, *range(row, row + 9)]) for row in range(4))
_PACKED = zlib.compress(_ROWS)
# 3x4 pixels in passes: of 1x1, none, none, 1x1, 2x1, 1x2 and 3x2.
_PASSES = zlib.compress(bytes((1 + 3) * 2 + 1 + 6 + 2 * (1 + 3) + 2 * (1 + 9)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_file(_PACKED, 3, 4, colour=2), None),
        (_file(_PACKED + b"more", 3, 4, colour=2), None),
        (_file(zlib.compress(_ROWS + bytes(99)), 3, 4, colour=2), None),
        (_file(zlib.compress(_ROWS + bytes(99))[:-6], 3, 4, colour=2),
         "pixels are missing"),
        (_file(_PASSES, 3, 4, colour=2, methods=(0, 0, 1)), None),
        (_file(_PACKED, 3, 5, colour=2), "pixels are missing"),
        (_file(_PACKED, 4, 4, colour=2), "pixels are missing"),
        (_file(_PASSES, 3, 5, colour=2, methods=(0, 0, 1)), "are missing"),
        (_file(_PACKED[:-1], 3, 4, colour=2), "pixels are missing"),
        (_file(_PACKED[:-1] + b"?", 3, 4, colour=2), "checksum"),
        (_file(b"?" + _PACKED[1:], 3, 4, colour=2), "."),
        (_file(zlib.compress(b"\5" + _ROWS[1:]), 3, 4, colour=2),
         "unknown filter"),
        (_file(_PACKED, 3, 4, colour=2, methods=(1, 0, 0)), "unknown method"),
        (_file(_PACKED, 3, 4, colour=2, methods=(0, 1, 0)), "unknown method"),
        (_file(_PACKED, 3, 4, colour=2, methods=(0, 0, 2)), "unknown method"),
        (_file(_PACKED, 3, 4, (b"ABCD", b""), colour=2),
         "unknown chunk at byte 33"),
        (_file(_PACKED[9:], 3, 4, (b"IDAT", _PACKED[:9]), colour=2), None),
        (_file(_PACKED[9:], 3, 4, (b"IDAT", _PACKED[:9]), (b"tEXt", b"a\0b"),
               colour=2), "more pixels at byte 69"),
    ],
)  # fmt: skip
def test_checks_are_as_strict_as_the_decoder_of_training(
    data, message, tmp_path
):
    path = tmp_path / "image.png"
    path.write_bytes(data)
    if message is None:
        assert image_files.read_image(path).data == data
        expected = tf.io.decode_png(data, 3).numpy()
        np.testing.assert_array_equal(image_files.load_image(path), expected)
        return
    for read in (image_files.read_image, image_files.load_image):
        with pytest.raises(DataError, match=f"damaged or .*{message}"):
            read(path)
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.io.decode_png(data, 3)


def _damaged_files():
    """Chunks that are doubled, moved, left out or longer; bits; ends."""
    first, rest = zlib.compress(_ROWS)[:9], zlib.compress(_ROWS)[9:]
    header = struct.pack(">IIBBBBB", 3, 4, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"gAMA", struct.pack(">I", 45455)),
              (b"IDAT", first), (b"IDAT", rest), (b"IEND", b"")]  # fmt: skip
    for number, (name, body) in enumerate(chunks):
        others = chunks[:number] + chunks[number + 1 :]
        yield others
        yield [*chunks[:number], (name, body + b"x"), *chunks[number + 1 :]]
        for place in range(len(chunks)):
            yield [*chunks[:place], (name, body), *chunks[place:]]
            yield [*others[:place], (name, body), *others[place:]]


def test_what_is_kept_as_it_is_can_be_decoded_in_training(tmp_path):
    whole = _file(_PACKED, 3, 4, colour=2)
    damaged = [whole[:end] for end in range(9, len(whole))]
    for bit in range(8 * 8, 8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    damaged += [
        png.SIGNATURE + b"".join(files.chunk(*chunk) for chunk in chunks)
        for chunks in _damaged_files()
    ]
    path = tmp_path / "image.png"
    kept = 0
    for data in damaged:
        path.write_bytes(data)
        try:
            image = image_files.read_image(path)
        except DataError:
            continue
        kept += 1
        assert tf.io.decode_png(image.data, 3).shape == (4, 3, 3)
    assert 0 < kept < len(damaged) / 2


@pytest.mark.parametrize("colour", [0, 4], ids=["grey", "with alpha"])
def test_label_with_missing_pixels_is_refused(colour, tmp_path):
    # Pillow takes them for 0.
    path = tmp_path / "label.png"
    path.write_bytes(_file(zlib.compress(bytes(3 * 7)), 3, 8, colour=colour))
    with pytest.raises(DataError, match="damaged or incomplete"):
        reading.load_annotation(path)


@pytest.mark.parametrize("band_bytes", [1, 401, 5000, 100_000])
def test_a_picture_is_packed_in_parts(monkeypatch, band_bytes):
    rows = np.random.default_rng(0).integers(0, 256, (999, 400), np.uint8)
    assert png.encode(rows, 400, png.GREY).count(b"IDAT") == 1
    monkeypatch.setattr(png, "_BAND_BYTES", band_bytes)
    data = png.encode(rows, 400, png.GREY)
    assert data.count(b"IDAT") > 1
    png.check(data)
    png.check_pixels(data)
    np.testing.assert_array_equal(png.decode_grey(data), rows)


def test_a_file_names_the_program_that_wrote_it():
    rows = np.zeros((2, 3), np.uint8)
    data = png.encode(rows, 3, png.GREY, "segnet")
    with Image.open(io.BytesIO(data)) as image:
        assert image.text == {"Software": "segnet"}
        np.testing.assert_array_equal(np.asarray(image), rows)
    png.check(data)
    assert png.written_by("segnet", data[:100])
    assert not png.written_by("segnet", data[:40])
    assert not png.written_by("seg", data)
    assert not png.written_by("segnet", png.encode(rows, 3, png.GREY))
    assert not png.written_by("segnet", b"x" + data)


def test_metadata_is_known_from_the_names_of_chunks():
    plain = files.saved(LABEL, "PNG")
    assert not png.has_metadata(plain)
    turned = files.saved(LABEL, "PNG", exif=files.orientation(6))
    assert png.has_metadata(turned)
    for name in (b"tEXt", b"zTXt", b"iTXt"):
        assert png.has_metadata(files.with_chunk(plain, name, b"a\0b"))


@pytest.mark.parametrize("filters", range(5))
def test_pixels_that_are_dark_are_not_said_to_be_bright(filters):
    """For each filter of the format, by its own words."""
    rng = np.random.default_rng(filters)
    for limit, high in ((31, 32), (31, 60), (9, 10)):
        pixels = rng.integers(0, high, (40, 50, 3), np.uint8)
        rows = _filtered(pixels, filters)
        dark = np.mean(pixels > limit) <= 0.001
        header = files.saved(pixels, "PNG")[:33]
        assert png.may_be_below(header, rows, limit) or not dark
        if high == 60:
            assert not png.may_be_below(header, rows, limit)


def _filtered(pixels: np.ndarray, number: int) -> np.ndarray:
    """Rows with a filter byte each, from the PNG specification, section 9."""
    height, width = pixels.shape[:2]
    above, left, corner = (np.zeros((height, width, 3), int) for _ in range(3))
    above[1:], left[:, 1:] = pixels[:-1], pixels[:, :-1]
    corner[1:, 1:] = pixels[:-1, :-1]
    distances = np.abs(
        [above - corner, left - corner, left + above - 2 * corner]
    )
    paeth = np.where(
        (distances[0] <= distances[1]) & (distances[0] <= distances[2]),
        left,
        np.where(distances[1] <= distances[2], above, corner),
    )
    predicted = [0, left, above, (left + above) // 2, paeth][number]
    rows = (pixels - predicted).astype(np.uint8).reshape(height, -1)
    first = np.full((height, 1), number, np.uint8)
    return np.hstack([first, rows]).ravel()
