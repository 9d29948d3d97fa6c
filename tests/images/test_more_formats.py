"""TIFF and WebP, and pictures of more than 8 bits, against other readers."""

from __future__ import annotations

import io
import struct

import numpy as np
import picture_files as files
import pytest
import tensorflow as tf
import tifffile
from PIL import Image

from segnet.annotations.reading import load_annotation
from segnet.errors import DataError
from segnet.images import films, image_files

RGB = files.picture(1)
LABEL = files.labels(2)
# What a sensor of 12 bits gives, in files of 16.
GREY_12 = np.arange(960, dtype=np.uint16).reshape(24, 40) * 4 + 131
RGB_12 = np.stack([GREY_12, GREY_12[::-1], 4095 - GREY_12], -1)
GREY_16 = GREY_12 * 16 + 7


def tiff(array: np.ndarray, **options) -> bytes:
    """Written by another program than Pillow."""
    buffer = io.BytesIO()
    if array.ndim == 3:
        options = {"photometric": "rgb", **options}
    if options.get("planarconfig") == "separate":
        array = np.moveaxis(array, -1, 0)
    tifffile.imwrite(buffer, array, metadata=None, **options)
    return buffer.getvalue()


def read(tmp_path, name: str, data: bytes, bit_depth: int = 0) -> np.ndarray:
    """The pixels of a file; those of its record are the same."""
    path = tmp_path / name
    path.write_bytes(data)
    pixels = image_files.load_image(path, bit_depth=bit_depth)
    record = image_files.read_image(path, bit_depth=bit_depth)
    assert record.format == "png"
    assert (record.height, record.width) == pixels.shape[:2]
    stored = tf.io.decode_png(record.data, 3).numpy()
    np.testing.assert_array_equal(stored, pixels)
    return pixels


def refused(tmp_path, name: str, data: bytes, bit_depth: int = 0) -> str:
    """The line with which both readers refuse a file."""
    path = tmp_path / name
    path.write_bytes(data)
    lines = []
    for function in (image_files.load_image, image_files.read_image):
        with pytest.raises(DataError) as caught:
            function(path, bit_depth=bit_depth)
        lines.append(str(caught.value))
    assert lines[0] == lines[1] and "\n" not in lines[0]
    assert lines[0].startswith(f"{path}: ")
    return lines[0]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (tiff(RGB), RGB),
        (tiff(RGB, compression="zlib", predictor=True), RGB),
        (tiff(RGB, planarconfig="separate"), RGB),
        (tiff(RGB, tile=(16, 32)), RGB),
        (tiff(RGB, byteorder=">", rowsperstrip=5), RGB),
        (files.saved(RGB, "TIFF", compression="tiff_lzw"), RGB),
        (files.saved(RGB, "TIFF", compression="packbits"), RGB),
        (tiff(RGB[..., 0]), RGB[..., [0, 0, 0]]),
        (tiff(255 - RGB[..., 0], photometric="miniswhite"),
         RGB[..., [0, 0, 0]]),
        (files.saved(np.dstack([RGB, RGB[..., 0]]), "TIFF"), RGB),
    ],
    ids=str.split(
        "raw deflate planes tiles big-endian lzw packbits grey white-is-0 rgba"
    ),
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.tif", "A.TIFF"])
def test_a_tiff_is_read_exactly(tmp_path, name, data, expected):
    np.testing.assert_array_equal(read(tmp_path, name, data), expected)


def test_a_webp_is_read_as_by_pillow(tmp_path):
    data = files.saved(RGB, "WEBP", lossless=True)
    np.testing.assert_array_equal(read(tmp_path, "a.webp", data), RGB)
    lossy = files.saved(RGB, "WEBP", quality=40)
    expected = np.asarray(Image.open(io.BytesIO(lossy)).convert("RGB"))
    np.testing.assert_array_equal(read(tmp_path, "b.webp", lossy), expected)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
     ("WEBP", {"lossless": True})],
)  # fmt: skip
def test_exif_turns_them(tmp_path, kind, options):
    data = files.saved(RGB, kind, exif=files.orientation(6), **options)
    turned = np.rot90(RGB, -1)
    pixels = read(tmp_path, f"a.{kind.lower()}", data)
    np.testing.assert_array_equal(pixels, turned)
    record = image_files.read_image(tmp_path / f"a.{kind.lower()}")
    assert record.rotation == "sideways"
    assert (record.source_height, record.source_width) == (40, 24)


@pytest.mark.parametrize(
    ("name", "data", "values"),
    [
        ("a.png", files.png16(GREY_12), GREY_12),
        ("a.png", files.png16(RGB_12), RGB_12),
        ("a.tif", tiff(GREY_12), GREY_12),
        ("a.tif", tiff(GREY_12, byteorder=">"), GREY_12),
        ("a.tif", tiff(RGB_12), RGB_12),
        ("a.tif", tiff(RGB_12, byteorder=">", compression="zlib"), RGB_12),
        ("a.tif", tiff(RGB_12, planarconfig="separate"), RGB_12),
    ],
    ids=["grey-png", "rgb-png", "grey", "grey-big", "rgb", "deflate", "planes"],
)
def test_of_deep_values_the_upper_8_bits_are_kept(tmp_path, name, data, values):
    for depth, shift in ((0, 8), (16, 8), (14, 6), (12, 4)):
        expected = np.broadcast_to(
            np.atleast_3d(values >> shift), (24, 40, 3)
        ).astype(np.uint8)
        pixels = read(tmp_path, name, data, depth)
        np.testing.assert_array_equal(pixels, expected)
    line = refused(tmp_path, name, data, 10)
    assert f"has the value {values.max()}, which takes 12 bits" in line
    assert "give --bit_depth=12" in line


def test_deep_files_that_are_turned_or_have_alpha(tmp_path):
    alpha = np.dstack([RGB_12, GREY_12])
    expected = (RGB_12 >> 4).astype(np.uint8)
    data = tiff(alpha, extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read(tmp_path, "a.tif", data, 12), expected)
    turned = tiff(RGB_12, extratags=[(274, 3, 1, 8, True)])
    np.testing.assert_array_equal(
        read(tmp_path, "b.tif", turned, 12), np.rot90(expected)
    )
    exif = files.orientation(8).tobytes()[6:]
    turned = files.with_chunk(files.png16(RGB_12), b"eXIf", exif)
    np.testing.assert_array_equal(
        read(tmp_path, "b.png", turned, 12), np.rot90(expected)
    )


def test_white_may_be_0_in_deep_files(tmp_path):
    data = tiff(65535 - GREY_16, photometric="miniswhite")
    expected = np.repeat((GREY_16 >> 8)[..., None], 3, 2)
    np.testing.assert_array_equal(read(tmp_path, "a.tif", data), expected)


def test_an_8_bit_file_needs_no_depth(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, "a.tif", tiff(RGB), 12), RGB)


def test_packed_colours_of_16_bits_need_a_package(tmp_path, monkeypatch):
    """The pinned packages do not unpack LZW; the upper bytes Pillow has."""

    def refuse(page):
        raise ValueError("LZW requires the 'imagecodecs' package")

    data = tiff(RGB_12)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", refuse)
    line = refused(tmp_path, "a.tif", data, 12)
    assert "packed with NONE; save it unpacked or with Deflate" in line
    np.testing.assert_array_equal(
        read(tmp_path, "a.tif", data), (RGB_12 >> 8).astype(np.uint8)
    )


@pytest.mark.parametrize(
    "array",
    [GREY_12.astype(np.float32), GREY_12.astype(np.uint32),
     GREY_12.astype(np.int16)],
    ids=["float", "32 bits", "signed"],
)  # fmt: skip
def test_values_that_are_no_colours_are_refused(tmp_path, array):
    assert "values that are no colours" in refused(
        tmp_path, "a.tif", tiff(array)
    )


def test_five_bands_are_refused(tmp_path):
    data = tiff(np.zeros([24, 40, 5], np.uint8), photometric="minisblack",
                planarconfig="contig")  # fmt: skip
    assert "of a kind that is read" in refused(tmp_path, "a.tif", data)


def paged(*subfile: int) -> bytes:
    """A TIFF of some pages of these kinds."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for kind in subfile:
            writer.write(
                RGB, photometric="rgb", subfiletype=kind, metadata=None
            )
    return buffer.getvalue()


def test_of_several_pages_none_is_taken(tmp_path):
    line = refused(tmp_path, "a.tif", paged(0, 0))
    assert "is a TIFF of several pictures" in line
    animated = files.saved(
        RGB, "WEBP", save_all=True, append_images=[Image.fromarray(255 - RGB)]
    )
    line = refused(tmp_path, "a.webp", animated)
    assert "is a WEBP of several pictures" in line
    for name in ("a.tif", "a.webp"):
        assert films.is_paged(str(tmp_path / name))
        with films.open_film(str(tmp_path / name)) as film:
            assert [frame.shape for frame in film.frames] == [(24, 40, 3)] * 2


def test_smaller_copies_are_no_pages(tmp_path):
    """As map programs write them."""
    data = paged(0, 1, 1)
    np.testing.assert_array_equal(read(tmp_path, "a.tif", data), RGB)
    assert not films.is_paged(str(tmp_path / "a.tif"))


# Of Pillow, which `decoding` silences where there is no pytest.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate"])
def test_a_tiff_that_is_cut_is_refused(tmp_path, compression):
    data = files.saved(RGB, "TIFF", compression=compression)
    # Pillow writes the directory last if pixels are packed.
    for cut in (data[:-300], data[:60], data[:9]):
        line = refused(tmp_path, "a.tif", cut)
        assert "damaged or incomplete" in line or "of a kind" in line


def test_strips_that_are_missing_are_refused(tmp_path):
    data = tiff(RGB, rowsperstrip=12)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tags = file.pages.first.tags
        counts = [(tags[name].offset, tags[name].count)
                  for name in ("StripOffsets", "StripByteCounts")]  # fmt: skip
    changed = bytearray(data)
    for offset, count in counts:
        assert count == 2
        # A value of 4 bytes stands in the entry itself.
        changed[offset + 2 : offset + 12] = struct.pack(
            "<HII", 4, 1, 24 * 40 if count else 0
        )
    line = refused(tmp_path, "a.tif", bytes(changed))
    assert "strips are missing" in line


def test_tiles_far_larger_than_the_picture_are_refused(tmp_path):
    data = tiff(RGB, tile=(16, 16))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tags = file.pages.first.tags
        places = [tags[x].offset for x in ("TileWidth", "TileLength")]
    changed = bytearray(data)
    for offset in places:
        changed[offset + 2 : offset + 12] = struct.pack("<HII", 4, 1, 32768)
    assert "tiles of 32768x32768" in refused(tmp_path, "a.tif", bytes(changed))


def test_a_webp_that_is_cut_is_refused(tmp_path):
    for options in ({"lossless": True}, {"quality": 80}):
        data = files.saved(RGB, "WEBP", **options)
        for cut in (data[:-40], data[:40], data[:12]):
            line = refused(tmp_path, "a.webp", cut)
            assert "damaged or incomplete" in line or "of a kind" in line


@pytest.mark.parametrize("name", ["a.tif", "a.tiff"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate"])
def test_annotations_may_be_tiff(tmp_path, name, compression):
    path = tmp_path / name
    path.write_bytes(files.saved(LABEL, "TIFF", compression=compression))
    np.testing.assert_array_equal(load_annotation(path).label, LABEL)
    blue = np.dstack([LABEL + 9, 90 - LABEL, LABEL])
    path.write_bytes(files.saved(blue, "TIFF", compression=compression))
    np.testing.assert_array_equal(load_annotation(path).label, LABEL)
    palette = Image.fromarray(LABEL)
    palette.putpalette([0, 0, 0, 9, 9, 9, 200, 0, 0])
    palette.save(path, compression=compression)
    np.testing.assert_array_equal(load_annotation(path, "index").label, LABEL)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (tiff(LABEL.astype(np.uint16)), "is a 16-bit annotation"),
        (files.saved(RGB, "TIFF", compression="jpeg"),
         "TIFF packed like a JPEG, whose compression changes labels"),
        (tiff(LABEL, photometric="miniswhite"), "in which white is 0"),
        (files.saved(RGB, "TIFF", "CMYK"), "colours other than RGB"),
        (files.saved(RGB, "WEBP"), "is a WebP, whose compression changes"),
        (paged(0, 0), "of several pictures"),
        (tiff(LABEL.astype(np.float32)), "values that are no colours"),
    ],
    ids=["16 bits", "jpeg", "white", "cmyk", "webp", "pages", "float"],
)  # fmt: skip
def test_annotations_that_are_not_sure_are_refused(tmp_path, data, message):
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        load_annotation(path)
