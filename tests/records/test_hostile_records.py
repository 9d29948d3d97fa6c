"""Records that somebody made, with a manifest that suits them."""

from __future__ import annotations

import hashlib
import importlib
import json
import resource
import shutil
import zlib
from pathlib import Path

import numpy as np
import picture_files as files
import pytest
import tensorflow as tf
from PIL import Image

from segnet.data.datasets import create_eval_dataset
from segnet.data.sources import RecordSource
from segnet.errors import DataError
from segnet.images import image_files
from segnet.records import encoding
from segnet.records.reading import decode_record
from segnet.records.splits import read_manifest
from segnet.records.verify import verify_split

convert = importlib.import_module("tools.convert_to_tfrecord")
SHARD = "train-00000-of-00001.tfrecord"


@pytest.fixture(scope="module")
def converted(tmp_path_factory) -> Path:
    root = files.write_folders(tmp_path_factory.mktemp("records"), 3)
    assert convert.main(files.flags(root, "--num_shards=1")) == 0
    return root / "out"


@pytest.fixture
def folder(converted, tmp_path) -> Path:
    return shutil.copytree(converted, tmp_path / "out")


def png(width: int, height: int, bits: int, colour: int, rows=b"") -> bytes:
    """A PNG whose header claims anything."""
    header = np.array([width, height], ">u4").tobytes()
    header += bytes((bits, colour, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + files.chunk(b"IHDR", header)
        + files.chunk(b"IDAT", zlib.compress(rows))
        + files.chunk(b"IEND", b"")
    )


def replace(folder: Path, number: int, **changes) -> None:
    """Gives a record other features; the manifest says what is there now."""
    path = folder / SHARD
    records = [r.numpy() for r in tf.data.TFRecordDataset(str(path))]
    example = tf.train.Example.FromString(records[number])
    for name, value in changes.items():
        feature = example.features.feature[getattr(encoding, name.upper())]
        if isinstance(value, bytes):
            feature.bytes_list.value[:] = [value]
        else:
            feature.int64_list.value[:] = [value]
    records[number] = example.SerializeToString()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    content = json.loads((folder / "train.json").read_text())
    offsets = np.cumsum([0, *(len(record) + 16 for record in records)])
    content["shards"][0].update(
        offsets=offsets[:-1].tolist(),
        bytes=int(offsets[-1]),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    (folder / "train.json").write_text(json.dumps(content))


def grey(label: np.ndarray) -> bytes:
    return image_files.encode_label(label.astype(np.uint8))


def with_value(value: int) -> np.ndarray:
    label = files.labels(1).copy()
    label[3, 5] = value
    return label


def palette_label() -> bytes:
    image = Image.fromarray(files.labels(1), "P")
    image.putpalette([9, 9, 9, 8, 8, 8, 7, 7, 7])
    return files.saved(np.asarray(image), "PNG", "P")


NO_LABEL = "(label is no 8-bit grey PNG of the recorded size)"
JPEG = files.saved(files.picture(1, 48, 80), "JPEG")
CASES = {
    "label 200": ({"label": grey(with_value(200))}, "has label 200, which is"),
    "label 3": ({"label": grey(with_value(3))}, "has label 3, which is not"),
    "many labels": (
        {"label": grey(np.arange(960).reshape(24, 40) % 255)},
        "has labels 3, 4, 5, 6, 7 and 247 more, which are not below 3",
    ),
    "a huge PNG": ({"image": png(12000, 12000, 8, 2), "format": b"png"},
                   "(image is not of the recorded size)"),
    "a huge grey PNG": ({"label": png(12000, 12000, 8, 0)},
                        "(label is no 8-bit grey PNG of the recorded size)"),
    "a huge PNG, and says so": (
        {"image": png(12000, 12000, 8, 2), "format": b"png",
         "label": png(12000, 12000, 8, 0), "height": 12000, "width": 12000},
        "(the recorded size is none of the manifest)",
    ),
    "a size beyond 32 bits": ({"height": 2**32 + 24}, "none of"),
    "a negative size": ({"height": -24, "width": -40}, "none of"),
    "no size": ({"height": 0, "width": 0}, "none of"),
    "a product beyond 64 bits": ({"height": 2**62, "width": 2**62}, "none of"),
    "a PNG that calls itself JPEG": (
        {"image": png(12000, 12000, 8, 2)}, "damaged"),
    "a JPEG that calls itself PNG": ({"format": b"png"}, "image is not of"),
    "a GIF": ({"image": b"GIF89a" + bytes(99), "format": b"png"}, "damaged"),
    "a larger JPEG": ({"image": JPEG}, "(image is not of the recorded size)"),
    "a smaller label": ({"label": grey(np.zeros((12, 40)))}, NO_LABEL),
    "turned label": ({"label": grey(np.zeros((40, 24)))}, NO_LABEL),
    "a palette": ({"label": palette_label()}, NO_LABEL),
    "a colour label": (
        {"label": files.saved(files.picture(1), "PNG")}, NO_LABEL),
    "16 bits": ({"label": files.png16(np.zeros((24, 40), np.uint16))},
                NO_LABEL),
    "an unknown format": ({"format": b"\xff\xfe"}, "image is not of"),
    "a name of other bytes": ({"filename": b"\xff", "label": grey(
        with_value(9))}, "has label 9, which"),
    "an empty label": ({"label": b""}, "damaged"),
    "half a header": ({"label": grey(np.zeros((24, 40)))[:20]}, "damaged"),
    "no pixels": ({"label": png(40, 24, 8, 0)}, "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_record_is_named_by_verify_and_in_training(folder, name):
    changes, message = CASES[name]
    replace(folder, 1, **changes)
    offset = json.loads((folder / "train.json").read_text())["shards"][0][
        "offsets"
    ][1]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError) as verified:
        verify_split(folder, "train")
    line = str(verified.value)
    assert line.startswith(f"{folder / SHARD}: record 1 at byte {offset} ")
    assert message in line
    assert "\n" not in line
    source = RecordSource(
        read_manifest(folder, "train"), str(folder), cache=False
    )
    dataset = create_eval_dataset(
        source, height=32, width=48, shard_index=0, shard_count=1
    )
    with pytest.raises(DataError) as read:
        list(source.read(dataset))
    assert str(read.value) == line
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 200_000  # kB; 12000 x 12000 pixels take 430 MB


def test_bytes_that_are_no_record_are_damage(folder):
    path = folder / SHARD
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"\x89\xff" * 300)
    content = json.loads((folder / "train.json").read_text())
    content["shards"][0].update(offsets=[0], records=1, bytes=616)
    content.update(num_records=1, image_digests=[])
    content["image_sizes"] = [{"height": 24, "width": 40, "images": 1}]
    content["ignored_pixels"] = 960
    for entry in content["classes"]:
        entry.update(pixels=0, images=0, pixels_in_images=0)
    (folder / "train.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"record 0 at byte 0 is damaged"):
        verify_split(folder, "train")
    with pytest.raises(DataError, match=r"record 0 at byte 0 is damaged"):
        RecordSource(read_manifest(folder, "train"), str(folder), cache=False)


@pytest.mark.parametrize("cache", [False, True])
def test_sizes_that_the_records_have_not_are_found(folder, cache):
    content = json.loads((folder / "train.json").read_text())
    # As many pixels, in another shape.
    content["image_sizes"] = [{"height": 48, "width": 20, "images": 3}]
    (folder / "train.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"record 0 .*none of the manifest"):
        verify_split(folder, "train")

    def read() -> None:
        manifest = read_manifest(folder, "train")
        source = RecordSource(manifest, str(folder), cache=cache)
        list(source.read(tf.data.Dataset.range(3).map(source)))

    with pytest.raises(DataError, match=r"record 0 .*none of the manifest"):
        read()


def test_numbers_of_sizes_that_are_false_fill_no_buffer(tmp_path):
    """All sizes are there, but not so often, and the pixels are as many."""
    root = files.write_folders(tmp_path, 0)
    for number, (height, width) in enumerate([(16, 16), (32, 32), (32, 32)]):
        image = files.saved(files.picture(number, height, width), "PNG")
        (root / "images" / f"{number}.png").write_bytes(image)
        label = files.blue_png(files.labels(number, 3, height, width))
        (root / "annotations" / f"{number}.png").write_bytes(label)
    assert convert.main(files.flags(root)) == 0
    path = root / "out" / "train.json"
    content = json.loads(path.read_text())
    content["image_sizes"] = [
        {"height": 16, "width": 16, "images": 2},
        {"height": 32, "width": 32, "images": 1},
    ]
    lost = 32 * 32 - 16 * 16
    for entry in content["classes"]:
        taken = min(lost, entry["pixels"] - 1)
        entry["pixels"] -= taken
        lost -= taken
        entry["pixels_in_images"] = 16 * 16 * 2 + 32 * 32
    path.write_text(json.dumps(content))
    manifest = read_manifest(root / "out", "train")
    with pytest.raises(DataError, match=r"train.json: 'pixel_counts' is not"):
        RecordSource(manifest, str(root / "out"), cache=True)


def test_labels_up_to_the_last_class_and_void_pass():
    label = with_value(2)
    label[0, :2] = 255
    serialized = encoding.encode_record(
        image=files.saved(files.picture(1), "PNG"), image_format="png",
        label=grey(label), height=24, width=40, filename=b"a", source_id=b"a",
    )  # fmt: skip
    sizes = [(40, 24), (24, 40), (7, 7)]
    _, found = decode_record(
        tf.constant(serialized), sizes=sizes, num_classes=3
    )
    np.testing.assert_array_equal(found, label)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not below 2"):
        decode_record(tf.constant(serialized), num_classes=2)
    # Few sizes are compared, many are looked up.
    for many in (2, 500):
        others = [(24, 41), (23, 40), *((50, n + 1) for n in range(many - 2))]
        decode_record(tf.constant(serialized), sizes=[*others, (24, 40)])
        with pytest.raises(tf.errors.InvalidArgumentError, match="manifest"):
            decode_record(tf.constant(serialized), sizes=others)
