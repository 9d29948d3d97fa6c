from __future__ import annotations

import io
import struct
import subprocess
import sys

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
RGB = files.picture(1)
ALPHA = np.dstack([RGB, np.arange(960, dtype=np.uint8).reshape(24, 40)])
PALETTE = Image.fromarray(RGB).quantize(7)
GREY_16 = files.picture(2)[..., 0].astype(np.uint16) * 257 - 3
RGB_16 = files.picture(3).astype(np.uint16) * 251 + 5


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (files.saved(GREY, "PNG"), np.stack([GREY] * 3, -1)),
        (files.saved(GREY, "PNG", "LA"), np.stack([GREY] * 3, -1)),
        (files.saved(RGB, "PNG"), RGB),
        (files.saved(RGB, "BMP"), RGB),
        (files.saved(ALPHA, "PNG"), RGB),
        (
            files.saved(np.asarray(PALETTE), "PNG"),
            np.stack([np.asarray(PALETTE)] * 3, -1),
        ),
        (files.png16(GREY_16), np.stack([GREY_16 // 256] * 3, -1)),
        (files.png16(RGB_16), RGB_16 // 256),
        (files.with_chunk(files.saved(RGB, "PNG"), b"tRNS", bytes(6)), RGB),
    ],
    ids=str.split("grey grey+alpha rgb bmp rgba grey2 grey16 rgb16 trns"),
)
def test_every_colour_mode_becomes_rgb(write, data, expected):
    path = write(data)
    loaded = image_files.load_image(path)
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, expected)
    encoded = image_files.read_image(path)
    np.testing.assert_array_equal(decoded(encoded.data), expected)
    assert (encoded.height, encoded.width) == (24, 40)


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("options", [{}, {"transparency": bytes([0, 99])}])
def test_palette_image_takes_the_colours(write, options):
    buffer = io.BytesIO()
    PALETTE.save(buffer, "PNG", **options)
    path = write(buffer.getvalue())
    table = np.array(PALETTE.getpalette(), np.uint8).reshape(-1, 3)
    expected = table[np.asarray(PALETTE)]
    np.testing.assert_array_equal(image_files.load_image(path), expected)


def test_cmyk_is_converted(write):
    path = write(files.saved(RGB, "JPEG", "CMYK", quality=100), "a.jpg")
    loaded = image_files.load_image(path)
    assert np.abs(loaded.astype(int) - RGB).max() <= 12
    encoded = image_files.read_image(path)
    assert encoded.format == "png"
    np.testing.assert_array_equal(decoded(encoded.data), loaded)


# What undoes each EXIF orientation, from the standard's own words: where the
# stored row 0 and column 0 lie in the picture as it is to be seen.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


@pytest.mark.parametrize("value", UPRIGHT)
def test_exif_rotation_is_applied_to_images_and_annotations(write, value):
    exif = files.orientation(value)
    jpeg = files.saved(RGB, "JPEG", exif=exif)
    expected = UPRIGHT[value](decoded(jpeg))
    path = write(jpeg, "a.jpg")
    np.testing.assert_array_equal(image_files.load_image(path), expected)
    encoded = image_files.read_image(path)
    np.testing.assert_array_equal(decoded(encoded.data), expected)
    assert (encoded.height, encoded.width) == expected.shape[:2]
    assert (encoded.data == jpeg) == (value == 1)
    label = files.labels()
    path = write(files.saved(label, "PNG", exif=exif))
    np.testing.assert_array_equal(
        reading.load_annotation(path).label, UPRIGHT[value](label)
    )


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (files.saved(RGB, "JPEG"), "a.jpg"),
        (files.saved(RGB, "JPEG", progressive=True), "a.JPEG"),
        (files.saved(RGB, "JPEG", exif=files.orientation(9)), "a.jpg"),
        (files.saved(RGB, "PNG"), "a.png"),
    ],
    ids=["jpeg", "progressive", "orientation9", "png"],
)
def test_plain_files_pass_through_untouched(write, data, name):
    encoded = image_files.read_image(write(data, name))
    assert encoded.data == data
    assert encoded.format == ("png" if name == "a.png" else "jpeg")
    same_size = image_files.read_image(write(data, name), resize=(24, 40))
    assert same_size.data == data


def test_first_picture_of_a_two_picture_jpeg_passes_through(write):
    buffer = io.BytesIO()
    second = Image.fromarray(files.picture(9))
    Image.fromarray(RGB).save(
        buffer, "MPO", save_all=True, append_images=[second]
    )
    path = write(buffer.getvalue(), "a.jpg")
    assert Image.open(buffer).format == "MPO"
    encoded = image_files.read_image(path)
    assert (encoded.format, encoded.data) == ("jpeg", buffer.getvalue())


def test_resize_is_bilinear_with_antialiasing(write):
    # Two halves, black and white, at half size: away from the border flat,
    # and each column is what a triangle filter of width 4 gives.
    array = np.zeros((4, 12, 3), np.uint8)
    array[:, 6:] = 255
    encoded = image_files.read_image(write(files.saved(array, "PNG")), (2, 6))
    assert (encoded.height, encoded.width) == (2, 6)
    assert (encoded.source_height, encoded.source_width) == (4, 12)
    row = decoded(encoded.data)[0, :, 0]
    # Weights 1 3 3 1 of 8 around each centre: 1/8 of white leaks across.
    np.testing.assert_array_equal(row, [0, 0, 32, 223, 255, 255])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.97])
def test_truncated_file_is_refused(write, kind, part):
    data = files.saved(RGB, kind)
    path = write(data[: int(len(data) * part)])
    for read in (image_files.load_image, image_files.read_image):
        with pytest.raises(DataError, match="damaged or incomplete") as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"no image at all", "is not a JPEG, PNG, BMP, TIFF or WebP image"),
        (b"GIF89a" + bytes(40), "is not a JPEG, PNG, BMP, TIFF or WebP image"),
        (files.saved(RGB, "PNG")[:-12], "ends early"),
        (files.saved(RGB, "PNG")[:-16] + b"no!!" + files.chunk(b"IEND", b""),
         "wrong checksum at byte 33"),
    ],
    ids=["empty", "text", "gif", "no-end", "checksum"],
)  # fmt: skip
def test_what_is_no_image_is_refused_in_one_line(write, data, message):
    path = write(data)
    for read in (
        image_files.load_image,
        image_files.read_image,
        reading.load_annotation,
    ):
        with pytest.raises(DataError, match=message) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_missing_file_and_too_many_pixels(write, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        image_files.load_image(tmp_path / "none.png")
    path = write(files.saved(RGB, "PNG"))
    with pytest.raises(DataError, match="more than 959 pixels; .*max_pixels"):
        image_files.load_image(path, 959)
    assert image_files.load_image(path, 960).shape == (24, 40, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 20 - 1)
    with pytest.raises(DataError, match="has more than 100,000,000 pixels"):
        image_files.load_image(path)
    assert image_files.count_pixels(path) == 0


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_of_which_pillow_warns_is_read(write, monkeypatch):
    path = write(files.saved(RGB, "PNG"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 40 - 1)
    np.testing.assert_array_equal(image_files.load_image(path), RGB)
    assert image_files.count_pixels(path) == 24 * 40
    assert image_files.count_pixels(path.with_name("none.png")) == 0


def test_a_large_image_is_copied_in_parts(write, monkeypatch):
    path = write(files.saved(RGB, "PNG"))
    monkeypatch.setattr(image_files, "_BAND_PIXELS", 5 * 40 + 1)
    np.testing.assert_array_equal(image_files.load_image(path), RGB)


def sampled_jpeg(factors) -> bytes:
    """A grey JPEG, 48x40, with horizontal and vertical factors of channels."""

    def segment(marker: int, body: bytes) -> bytes:
        return struct.pack(">BBH", 255, marker, len(body) + 2) + body

    code = bytes([1] + [0] * 15 + [0])  # one bit for "0 more"
    channels = [bytes((n, h << 4 | v, 0)) for n, (h, v) in enumerate(factors)]
    count = bytes([len(factors)])
    wide, high = (max(sizes) for sizes in zip(*factors, strict=True))
    units = -(-48 // (8 * wide)) * -(-40 // (8 * high))
    blocks = units * sum(h * v for h, v in factors)
    return b"".join((
        b"\xff\xd8",
        segment(0xDB, b"\0" + bytes([16] * 64)),
        segment(0xC0, struct.pack(">BHH", 8, 40, 48) + count
                + b"".join(channels)),
        segment(0xC4, b"\0" + code + b"\x10" + code),
        segment(0xDA, count + b"".join(bytes((n, 0))
                for n in range(len(factors))) + b"\0\x3f\0"),
        bytes(-(-blocks // 4)),
        b"\xff\xd9",
    ))  # fmt: skip


@pytest.mark.parametrize("resize", [None, (20, 24)])
@pytest.mark.parametrize("luma", [(2, 2), (3, 1), (4, 2)])
def test_rare_sampling_is_no_damage(write, luma, resize):
    path = write(sampled_jpeg([luma, (1, 1), (1, 1)]), "x.jpg")
    assert not image_files.read_image(path, resize).mended
    assert (image_files.load_image(path) == 128).all()


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_checking_finds_what_decoding_finds(write, options):
    """`read_image` does not reconstruct all of a JPEG it passes through."""
    data = files.saved(RGB, "JPEG", quality=90, **options)
    rng = np.random.default_rng(0)
    variants = [data[:end] for end in range(len(data) - 60, len(data))]
    for _ in range(200):
        flipped = bytearray(data)
        flipped[rng.integers(len(data))] ^= 1 << rng.integers(8)
        variants.append(bytes(flipped))
    verdicts = [
        [is_good(read, write(variant, "a.jpg")) for variant in variants]
        for read in (image_files.read_image, image_files.load_image)
    ]
    assert verdicts[0] == verdicts[1]
    assert 20 < sum(verdicts[0]) < len(variants)


def is_good(read, path) -> bool:
    try:
        read(path)
    except DataError:
        return False
    return True


def test_folder_is_listed_by_name_with_suffixes_of_any_case(tmp_path):
    for name in ("b.JPG", "a.png", ".hidden.png", "Thumbs.db", "c.gif"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    names = [path.name for path in image_files.list_images(tmp_path)]
    assert names == ["a.png", "b.JPG"]
    with pytest.raises(DataError, match="no such folder"):
        image_files.list_images(tmp_path / "none")


def test_worker_modules_do_not_import_tensorflow():
    code = (
        "import sys, segnet.convert.conversion, segnet.convert.flags; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=None,
                   cwd=files.ROOT)  # fmt: skip
