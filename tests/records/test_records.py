from __future__ import annotations

import io

import numpy as np
import picture_files as files
import pytest
import tensorflow as tf
from PIL import Image

from segnet.errors import RunError
from segnet.files import write_errors
from segnet.images import image_files
from segnet.records import encoding
from segnet.records.encoding import encode_record
from segnet.records.manifest import Manifest, Shard
from segnet.records.reading import decode_record, parse_record, read_record

RGB, LABEL = files.picture(1), files.labels(1)


def record(**changes) -> bytes:
    values = {
        "image": files.saved(RGB, "PNG"),
        "image_format": "png",
        "label": image_files.encode_label(LABEL),
        "height": 24,
        "width": 40,
        "filename": b"a.png",
        "source_id": b"a",
    }
    return encode_record(**{**values, **changes})


def test_record_round_trip_is_exact():
    serialized = record()
    fields = parse_record(tf.constant(serialized))
    values = {key: field.numpy() for key, field in fields.items()}
    assert values == {
        "image/encoded": files.saved(RGB, "PNG"),
        "image/format": b"png",
        "image/filename": b"a.png",
        "image/source_id": b"a",
        "image/height": 24,
        "image/width": 40,
        "image/channels": 3,
        "image/segmentation/class/encoded": image_files.encode_label(LABEL),
        "image/segmentation/class/format": b"png",
    }
    image, label = decode_record(tf.constant(serialized))
    assert (image.dtype, label.dtype) == (tf.uint8, tf.uint8)
    np.testing.assert_array_equal(image, RGB)
    np.testing.assert_array_equal(label, LABEL)


def test_equal_input_gives_equal_bytes_with_sorted_keys():
    serialized = record()
    assert serialized == record()
    keys = sorted(tf.train.Example.FromString(serialized).features.feature)
    places = [serialized.index(b"\x0a" + bytes([len(k)]) + k.encode())
              for k in keys]  # fmt: skip
    assert places == sorted(places)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(24, 40), (31, 17)])
def test_jpeg_decodes_to_what_pillow_reads(subsampling, progressive, size):
    data = files.saved(
        files.picture(4, *size),
        "JPEG",
        subsampling=subsampling,
        progressive=progressive,
    )
    label = image_files.encode_label(files.labels(0, 3, *size))
    serialized = record(
        image=data,
        image_format="jpeg",
        label=label,
        height=size[0],
        width=size[1],
    )
    image, _ = decode_record(tf.constant(serialized))
    np.testing.assert_array_equal(image, Image.open(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("size", "smallest", "ratio"),
    [((64, 96), (16, 24), 4), ((64, 96), (16, 25), 2), ((63, 97), (16, 24), 2),
     ((67, 101), (8, 12), 8), ((64, 96), (65, 8), 1)],
)  # fmt: skip
def test_a_large_jpeg_is_decoded_smaller(size, smallest, ratio):
    # Pillow asks the same of the JPEG library.
    smooth = Image.fromarray(files.picture(4, 5, 7)).resize(size[::-1])
    data = files.saved(np.asarray(smooth), "JPEG", quality=95)
    serialized = record(
        image=data,
        image_format="jpeg",
        label=image_files.encode_label(files.labels(0, 3, *size)),
        height=size[0],
        width=size[1],
    )
    image, label = decode_record(tf.constant(serialized), smallest)
    expected = Image.open(io.BytesIO(data))
    expected.draft("RGB", (size[1] // ratio, size[0] // ratio))
    np.testing.assert_array_equal(image, expected)
    assert label.shape == size


def test_a_png_is_decoded_as_it_is():
    image, _ = decode_record(tf.constant(record()), (4, 4))
    np.testing.assert_array_equal(image, RGB)


@pytest.mark.parametrize(
    ("name", "body"),
    [(b"gAMA", (100000).to_bytes(4, "big")), (b"sRGB", b"\0")],
)
def test_colour_hints_of_a_png_change_nothing(tmp_path, name, body):
    path = tmp_path / "a.png"
    path.write_bytes(files.with_chunk(files.saved(RGB, "PNG"), name, body))
    data = image_files.read_image(path).data
    assert name in data
    image, _ = decode_record(tf.constant(record(image=data)))
    np.testing.assert_array_equal(image, image_files.load_image(path))


def test_two_picture_jpeg_decodes_to_its_first(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(RGB).save(
        path, "MPO", save_all=True, append_images=[Image.fromarray(255 - RGB)]
    )
    serialized = record(image=path.read_bytes(), image_format="jpeg")
    image, _ = decode_record(tf.constant(serialized))
    np.testing.assert_array_equal(image, image_files.load_image(path))


@pytest.mark.parametrize(
    "key",
    [getattr(encoding, name) for name in (
        "IMAGE", "FORMAT", "FILENAME", "HEIGHT", "WIDTH", "CHANNELS",
        "SOURCE_ID", "LABEL", "LABEL_FORMAT")],
)  # fmt: skip
def test_missing_key_fails_by_name(key):
    example = tf.train.Example.FromString(record())
    del example.features.feature[key]
    serialized = tf.constant(example.SerializeToString())
    with pytest.raises(tf.errors.InvalidArgumentError, match=key):
        parse_record(serialized)


@pytest.mark.parametrize(
    "changes",
    [
        {"height": 23},
        {"label": image_files.encode_label(LABEL[:, 1:])},
        {"image": files.saved(RGB[1:], "PNG")},
        {"image": b"no image"},
    ],
    ids=str,
)
def test_record_at_odds_with_itself_does_not_decode(changes):
    serialized = tf.constant(record(**changes))
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_record(serialized)


def test_unknown_format_is_refused():
    with pytest.raises(ValueError, match="'bmp'"):
        record(image_format="bmp")


@pytest.fixture
def shard(tmp_path):
    """A file of 20 records of very different lengths, and their offsets."""
    path, contents = str(tmp_path / "a.tfrecord"), []
    with tf.io.TFRecordWriter(path) as writer:
        for index in range(20):
            contents.append(bytes([index]) * (10 ** (index % 6)))
            writer.write(contents[-1])
    lengths = [len(content) + 16 for content in contents]
    return path, contents, np.cumsum([0, *lengths[:-1]])


def test_records_are_read_by_offset_in_any_order(shard):
    path, contents, offsets = shard
    order = np.random.default_rng(0).permutation(20)
    dataset = tf.data.Dataset.from_tensor_slices(offsets[order]).map(
        lambda offset: read_record(tf.constant(path), offset),
        num_parallel_calls=2,
        deterministic=True,
    )
    assert list(dataset.as_numpy_iterator()) == [contents[i] for i in order]


def test_reading_by_offset_checks_the_checksum(shard, tmp_path):
    path, contents, offsets = shard
    data = bytearray((tmp_path / "a.tfrecord").read_bytes())
    data[offsets[3] + 12 + 5] ^= 1
    (tmp_path / "a.tfrecord").write_bytes(data)
    read = read_record
    assert read(tf.constant(path), offsets[2]).numpy() == contents[2]
    with pytest.raises(tf.errors.DataLossError):
        read(tf.constant(path), offsets[3])
    with pytest.raises(tf.errors.DataLossError):
        read(tf.constant(path), offsets[4] + 1)
    with pytest.raises(tf.errors.InvalidArgumentError):
        read(tf.constant(path), len(data))


def test_write_errors_become_one_line():
    with (
        pytest.raises(RunError, match=r"^out: cannot be written \(.*full\)"),
        write_errors("out"),
    ):
        raise tf.errors.ResourceExhaustedError(
            None, None, "file; disk full\nmore lines"
        )


def make_manifest() -> Manifest:
    return Manifest(
        split="train",
        num_classes=2,
        class_names=("road", "Straße"),
        ignore_label=255,
        shards=(Shard("train-0.tfrecord", 2, 90, "ab", (0, 40)),),
        pixel_counts=(7, 3),
        ignored_pixels=2,
        present_images=(2, 1),
        present_pixels=(10, 6),
        sizes=((2, 3, 2),),
        skipped=({"file": "images/x.jpg", "reason": "is empty"},),
    )


def test_manifest_round_trip():
    manifest = make_manifest()
    text = manifest.to_json()
    assert Manifest.from_json(text, "x") == manifest
    assert manifest.num_records == 2
    assert manifest.paths("/d") == ["/d/train-0.tfrecord"]
