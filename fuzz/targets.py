"""What is fuzzed: readers of files that others may have made.

A target takes bytes. Errors of `segnet.errors`, which a user is told in a
line, are results; whatever else is raised is a finding.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import io
import json
import os
import random
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from PIL import Image

from segnet import models
from segnet.annotations.label_map import load_label_map
from segnet.annotations.presets import PRESETS
from segnet.constants import IGNORE_LABEL, MAX_CLASSES
from segnet.convert.classes import resolve_names
from segnet.errors import UserError
from segnet.records import encoding
from segnet.records.framing import check_layout
from segnet.records.manifest import Manifest, Shard
from segnet.records.reading import decode_record

__all__ = ["TARGETS", "Target"]

_PATH = "records/train.json"
# Input, source of chance, what changes any bytes; gives another input.
_Change = Callable[[bytes, random.Random, Callable[[bytes], bytes]], bytes]
# What entries of JSON are replaced by.
_VALUES = (
    None, True, -1, 0, 1, 255, 256, 2**31, 2**63 - 1, 2**64, 0.5, 1e300, "",
    "..", "a/b", "\0", "\udcff", [], {}, [[]], "0" * 16,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Target:
    """A reader that is fuzzed.

    Attributes:
      run: Takes bytes; raises what is a finding.
      seeds: Good inputs to begin with.
      longest: Bytes of an input at most.
      change: Changes an input inside its format, given a source of chance
        and what changes any bytes; returns it as it is where it cannot. None
        where changes of any bytes will do.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    longest: int
    change: _Change | None = None


def _check_line(error: UserError) -> None:
    """Holds an error against what is promised of all."""
    text = str(error)
    if "\n" in text or not text.strip() or len(text) > 1000:
        raise AssertionError(f"not one short line: {text!r:.300}")


def _manifest(data: bytes) -> None:
    """The manifest: refused, or what it says survives being written."""
    text = data.decode("utf-8", "replace")
    try:
        manifest = Manifest.from_json(text, _PATH)
    except UserError as error:
        _check_line(error)
        return
    if Manifest.from_json(manifest.to_json(), _PATH) != manifest:
        raise AssertionError("not the same after it was written and read")


def _manifest_seeds() -> Sequence[bytes]:
    shards = (
        Shard("train-00000-of-00002.tfrecord", 2, 900, "ab" * 32, (0, 400)),
        Shard("train-00001-of-00002.tfrecord", 1, 500, "cd" * 32, (0,)),
    )
    whole = Manifest(
        split="train",
        num_classes=2,
        class_names=("sky", "road"),
        ignore_label=IGNORE_LABEL,
        shards=shards,
        pixel_counts=(20, 30),
        ignored_pixels=10,
        present_images=(2, 3),
        present_pixels=(40, 50),
        sizes=((4, 5, 3),),
        skipped=({"file": "a.jpg", "reason": "is empty"},),
        image_digests=("0" * 16, "1" * 16, "2" * 16),
    )
    old = dataclasses.replace(whole, skipped=(), image_digests=())
    return [each.to_json().encode() for each in (whole, old)]


def _change_json(
    data: bytes, chance: random.Random, mutate: Callable[[bytes], bytes]
) -> bytes:
    """Replaces, doubles or removes one entry."""
    try:
        content = json.loads(data)
    except ValueError:
        return data
    holders = [each for each in _holders(content) if each]
    if not holders:
        return data
    holder = chance.choice(holders)
    keys = [*holder] if isinstance(holder, dict) else [*range(len(holder))]
    key = chance.choice(keys)
    act = chance.randrange(4)
    if act == 0:
        del holder[key]
    elif act == 1 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif act == 2:
        holder[key] = copy.deepcopy(chance.choice(holders))
    else:
        holder[key] = chance.choice(_VALUES)
    return json.dumps(content).encode()


def _holders(content: Any) -> Iterator[Any]:
    """All lists and objects in what JSON holds."""
    if isinstance(content, (dict, list)):
        yield content
        inside = content.values() if isinstance(content, dict) else content
        for each in inside:
            yield from _holders(each)


def _labels(data: bytes) -> None:
    """Label maps and files of class names; the first byte chooses."""
    with tempfile.TemporaryDirectory(dir=_scratch()) as folder:
        path = os.path.join(folder, "labels.txt")
        Path(path).write_bytes(data[1:])
        try:
            if data[:1] < b"@":
                names = resolve_names(
                    1 + data[0] % 8 if data else 1, path, None
                )
            else:
                label_map = load_label_map(path)
                names = label_map.names
                ids = {*label_map.values.values(), *label_map.colours.values()}
                if not ids <= {*range(len(names)), IGNORE_LABEL}:
                    raise AssertionError(f"ids {ids} of {len(names)} classes")
        except UserError as error:
            _check_line(error)
            return
    if not 1 <= len(names) <= MAX_CLASSES or len(set(names)) < len(names):
        raise AssertionError(f"names {names}")


def _labels_seeds() -> Sequence[bytes]:
    cvat = "# label:color_rgb:parts:actions\ncar:0,0,142::\nvoid:0,0,0::\n"
    camvid = "64 128 64\tAnimal\n192 0 128\t\tArchway\n"
    ours = "sky: 0, 1 #00008e\nroad: 7\nignore: 255\n"
    maps = (cvat, camvid, ours, *PRESETS.values())
    names = ("sky\nroad\n", "sky, road, car", "\ufeffsky\r\nroad\r\n")
    return [
        *(b"M" + text.encode() for text in maps),
        b"M" + ours.encode("utf-16"),
        *(b"\x01" + text.encode() for text in names),
    ]


@functools.cache
def _decode() -> Callable[[tf.Tensor], Any]:
    return tf.function(
        decode_record, input_signature=[tf.TensorSpec([], tf.string)]
    )


def _record(data: bytes) -> None:
    """A record: refused by TensorFlow's errors for it, or right in all."""
    try:
        check_layout(
            lambda place, count: data[place : place + count], 0, len(data)
        )
    except ValueError:
        return
    try:
        image, label = _decode()(tf.constant(data))
    # The other one in place of the first whose message quotes the record.
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):
        return
    if image.shape[:2] != label.shape or image.dtype != tf.uint8:
        raise AssertionError(f"image {image.shape}, label {label.shape}")


def _change_record(
    data: bytes, chance: random.Random, mutate: Callable[[bytes], bytes]
) -> bytes:
    """Changes one feature; of a picture the checksums are put right."""
    example = tf.train.Example()
    # TensorFlow's parser is not measured, and so good inputs are not kept.
    with contextlib.suppress(DecodeError):
        example.ParseFromString(data)
    if not example.features.feature:
        example.ParseFromString(chance.choice(_record_seeds()))
    features = example.features.feature
    feature = features[chance.choice(sorted(features))]
    if feature.int64_list.value:
        feature.int64_list.value[0] = chance.choice(
            (-1, 0, 1, 7, 9, 65536, 2**31, 2**62)
        )
    elif feature.bytes_list.value:
        value = mutate(feature.bytes_list.value[0])
        feature.bytes_list.value[0] = _with_checksums(value)
    return example.SerializeToString()


def _with_checksums(png: bytes) -> bytes:
    """A PNG whose checksums fit its chunks; other bytes as they are."""
    fixed, start = bytearray(png), 8
    while png.startswith(b"\x89PNG") and start + 12 <= len(png):
        end = start + 8 + int.from_bytes(png[start : start + 4], "big")
        if end + 4 > len(png):
            break
        check = zlib.crc32(png[start + 4 : end])
        fixed[end : end + 4] = check.to_bytes(4, "big")
        start = end + 4
    return bytes(fixed)


@functools.cache
def _record_seeds() -> Sequence[bytes]:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (8, 12, 3), np.uint8))
    label = Image.fromarray(rng.integers(0, 3, (8, 12), np.uint8))
    return [
        encoding.encode_record(
            image=_saved(picture, kind),
            image_format=kind,
            label=_saved(label, "png"),
            height=8,
            width=12,
            filename=b"a." + kind.encode(),
            source_id=b"a",
        )
        for kind in ("jpeg", "png")
    ]


def _saved(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@functools.cache
def _network() -> tf.keras.Model:
    return models.create_model("vgg_segnet", 3, width_multiplier=1 / 64)


def _weights(data: bytes) -> None:
    """The importers of weights: refused, or finite weights."""
    path = os.path.join(_scratch(), f"segnet-fuzz-{os.getpid()}.h5")
    Path(path).write_bytes(data)
    for load in (models.load_keras_weights, models.load_vgg16_weights):
        try:
            load(_network(), path)
        except UserError as error:
            _check_line(error)
            continue
        finite = (np.isfinite(each).all() for each in _network().get_weights())
        if not all(finite):
            raise AssertionError("weights that are not finite")


def _weights_seeds() -> Sequence[bytes]:
    """Two networks, in the oldest format of HDF5 and in the newest."""
    layers = {layer.name: layer for layer in _network().layers if layer.weights}
    one = {"block1_conv1": layers["block1_conv1"]}
    return [
        _hdf5(chosen, libver)
        for chosen in (one, layers)
        for libver in ("earliest", "latest")
    ]


def _hdf5(layers: dict[str, tf.keras.layers.Layer], libver: str) -> bytes:
    """Weights as Keras saves them."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=libver) as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for name, layer in layers.items():
            group = file.create_group(name)
            names = [weight.name.encode() for weight in layer.weights]
            group.attrs["weight_names"] = names
            for key, value in zip(names, layer.get_weights(), strict=True):
                group[key] = value
    return buffer.getvalue()


def _scratch() -> str:
    """Where files cost least."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()


TARGETS = {
    "record": Target(_record, _record_seeds, 4096, _change_record),
    "manifest": Target(_manifest, _manifest_seeds, 4096, _change_json),
    "labels": Target(_labels, _labels_seeds, 4096),
    "weights": Target(_weights, _weights_seeds, 1 << 17),
}
