"""Pictures and annotations of all kinds, many of them damaged.

The converter ends in records of exactly what Pillow reads, or in one line a
file; prediction labels what Pillow reads and names the rest.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import random
import shutil
import struct
import subprocess
import sys
import warnings

import numpy as np
import picture_files as files
import pytest
import tensorflow as tf
from hostile_inputs import counted, few, mutated, run_program, seeds
from hypothesis import given
from PIL import Image, ImageOps

from segnet.config import Config
from segnet.evaluation import predict
from segnet.evaluation.inputs import Source
from segnet.records import encoding

convert = importlib.import_module("tools.convert_to_tfrecord")

HEIGHT, WIDTH = 12, 20
KINDS = (
    ("PNG", "RGB"), ("PNG", "L"), ("PNG", "P"), ("PNG", "RGBA"), ("PNG", "LA"),
    ("PNG", "1"), ("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"),
    ("BMP", "RGB"), ("BMP", "L"), ("BMP", "P"), ("BMP", "1"),
    ("TIFF", "RGB"), ("TIFF", "L"), ("TIFF", "P"), ("TIFF", "RGBA"),
    ("TIFF", "CMYK"), ("WEBP", "RGB"), ("WEBP", "RGBA"),
)  # fmt: skip
GREY = (("PNG", "L"), ("PNG", "P"), ("PNG", "RGB"), ("BMP", "L"),
        ("TIFF", "L"), ("TIFF", "RGB"))  # fmt: skip
SUFFIXES = (".jpg", ".png", ".bmp", ".tif", ".webp")
PACKED = ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg")
# Of the pictures: left whole, of another size, under another name.
WHOLE, RESIZED, RENAMED = 0.25, 0.05, 0.05


def some_picture(chance: random.Random, kinds, *, labels: bool) -> bytes:
    """A picture file, damaged or not."""
    kind, mode = chance.choice(kinds)
    height, width = HEIGHT, WIDTH
    if chance.random() < RESIZED:
        height, width = chance.randint(1, 40), chance.randint(1, 40)
    seed = chance.randrange(1000)
    if labels:
        array = files.labels(seed, 3, height, width)
        if mode == "RGB":
            array = np.stack([array, array, array], -1)
    else:
        array = files.picture(seed, height, width)
    options = {}
    if kind == "JPEG":
        options = {
            "quality": chance.choice((30, 95)),
            "progressive": chance.random() < 0.3,
            "exif": files.orientation(chance.choice((1, 1, 1, 3, 6))),
        }
    elif kind == "TIFF":
        options = {
            # JPEG, as LZW does with fewer values, is for grey and RGB.
            "compression": chance.choice(PACKED[: 5 - (mode not in "RGB")]),
            "exif": files.orientation(chance.choice((1, 1, 1, 3, 6))),
        }
    elif kind == "WEBP":
        options = {
            "lossless": chance.random() < 0.5,
            "exif": files.orientation(chance.choice((1, 1, 1, 3, 6))),
        }
    image = Image.fromarray(array)
    if mode != image.mode:
        image = image.convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    data = buffer.getvalue()
    if chance.random() < WHOLE:
        return data
    data = mutated(data, chance.randrange(2**32), 3)
    if kind == "PNG" and chance.random() < 0.5:
        data = with_checksums(data)
    return data


def with_checksums(png: bytes) -> bytes:
    """A PNG whose checksums hide that it was changed."""
    start, chunks = 8, [png[:8]]
    while start + 12 <= len(png):
        (length,) = struct.unpack(">I", png[start : start + 4])
        if start + length + 12 > len(png):
            break
        body = png[start + 8 : start + 8 + length]
        chunks.append(files.chunk(png[start + 4 : start + 8], body))
        start += length + 12
    return b"".join([*chunks, png[start:]])


def read_by_pillow(data: bytes) -> Image.Image | None:
    """What another program makes of a file; None where it refuses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(Exception):
            image = Image.open(io.BytesIO(data))
            image.load()
            with contextlib.suppress(Exception):  # damaged metadata
                image = ImageOps.exif_transpose(image)
            return image
    return None


def records(folder, manifest) -> list[bytes]:
    """The records of a split, read by the manifest's offsets alone."""
    found = []
    for shard in manifest["shards"]:
        data = (folder / shard["file"]).read_bytes()
        for start in shard["offsets"]:
            (length,) = struct.unpack("<Q", data[start : start + 8])
            found.append(data[start + 12 : start + 12 + length])
    return found


def check_records(out, image: bytes, annotation: bytes) -> None:
    """Compares the record with what Pillow makes of its files."""
    manifest = json.loads((out / "train.json").read_text())
    (record,) = records(out, manifest)
    features = tf.train.Example.FromString(record).features.feature
    stored = features[encoding.IMAGE].bytes_list.value[0]
    size = [
        features[key].int64_list.value[0]
        for key in (encoding.HEIGHT, encoding.WIDTH)
    ]
    got = read_by_pillow(stored)
    # TensorFlow reads it, too, and the same.
    decoded = tf.io.decode_image(stored, 3, expand_animations=False).numpy()
    assert list(decoded.shape[:2]) == size
    expected = read_by_pillow(image)
    assert got is not None and expected is not None
    if expected.mode in ("RGB", "L", "P", "RGBA", "LA", "1"):
        pixels = np.asarray(expected.convert("RGB"))
        np.testing.assert_array_equal(np.asarray(got.convert("RGB")), pixels)
    label = read_by_pillow(features[encoding.LABEL].bytes_list.value[0])
    wanted = read_by_pillow(annotation)
    assert label is not None and label.mode == "L" and wanted is not None
    if wanted.mode in ("RGB", "L", "P"):
        blue = np.asarray(wanted.convert("RGB"))[..., 2]
        np.testing.assert_array_equal(np.asarray(label), blue)


@few(60)
@given(seeds)
def test_the_converter(tmp_path_factory, seed):
    """Right records, or one line for each bad file and nothing written."""
    counted()
    chance = random.Random(seed)
    root = tmp_path_factory.getbasetemp() / "converter"
    shutil.rmtree(root, ignore_errors=True)
    for name in ("images", "annotations"):
        (root / name).mkdir(parents=True)
    image = some_picture(chance, KINDS, labels=False)
    annotation = some_picture(chance, GREY, labels=True)
    suffix = chance.choice(SUFFIXES)
    (root / "images" / f"a{suffix}").write_bytes(image)
    (root / "annotations" / "a.png").write_bytes(annotation)
    outcome = run_program(
        "convert_to_tfrecord",
        convert.main,
        files.flags(root, "--num_classes=255", "--num_shards=1"),
    )
    outcome.check("convert_to_tfrecord", (0, 1))
    if outcome.status:
        assert len(outcome.err.splitlines()) <= 3, outcome.err
        assert not list((root / "out").glob("*"))
        return
    check_records(root / "out", image, annotation)


@pytest.fixture(scope="module")
def config():
    return Config(
        class_names=("a", "b", "c"),
        input_height=16,
        input_width=32,
        eval_batch_size=4,
    )


def _logits(images: tf.Tensor) -> tf.Tensor:
    return tf.sin(tf.cast(images, tf.float32))


@few(3)
@given(seeds)
def test_prediction(tmp_path_factory, config, seed):
    """Each of ten pictures has its labels, or a line."""
    chance = random.Random(seed)
    root = tmp_path_factory.getbasetemp() / "prediction"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    pictures = {}
    for number in range(10):
        counted()
        suffix = chance.choice(SUFFIXES)
        path = root / f"p{number}{suffix}"
        pictures[path] = some_picture(chance, KINDS, labels=False)
        path.write_bytes(pictures[path])
    out = root / "out"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problems = predict.predict(
            _logits,
            [Source(str(path), path.name) for path in pictures],
            str(out),
            config,
        ).problems
    assert all("\n" not in problem for problem in problems)
    for path, data in pictures.items():
        labels = out / f"{path.stem}_labels.png"
        refused = [problem for problem in problems if str(path) in problem]
        assert len(refused) == 1 - labels.exists(), (path, problems)
        if not refused:
            image = read_by_pillow(data)
            assert image is not None
            with Image.open(labels) as found:
                assert found.size == image.size and found.mode == "L"


def test_damaged_metadata_prints_no_warning(tmp_path):
    """Pillow's, which the program would show with a line of its code."""
    root = files.write_folders(tmp_path, 1)
    image = files.saved(
        files.picture(), "JPEG", exif=files.orientation(3), quality=95
    )
    start = image.index(b"Exif\0\0") + 10
    image = image[:start] + b"\xff\xff\xff\x7f" + image[start + 4 :]
    (root / "images" / "f00.jpg").write_bytes(image)
    command = files.flags(root)
    command[0] = str(files.ROOT / "tools" / "convert_to_tfrecord.py")
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
