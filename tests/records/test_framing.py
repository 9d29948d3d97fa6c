"""The lengths that records claim, before TensorFlow believes them."""

from __future__ import annotations

import struct

import pytest
import tensorflow as tf

from segnet.errors import DataError
from segnet.records import encoding
from segnet.records.framing import check_layout, check_lengths
from segnet.records.manifest import Shard


def example(text: bytes) -> bytes:
    """A record with one feature; 13 bytes more than the text."""
    values = tf.train.BytesList(value=[text])
    feature = {"k": tf.train.Feature(bytes_list=values)}
    features = tf.train.Features(feature=feature)
    return tf.train.Example(features=features).SerializeToString()


RECORDS = (example(b"first"), b"", example(b"the third one"))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "shard.tfrecord"
    path.write_bytes(b"".join(map(encoding.frame, RECORDS)))
    return path


def shard(path, **changes):
    # A frame takes 16 bytes: 18 + 16, 0 + 16, 26 + 16.
    values = {
        "file": path.name,
        "records": 3,
        "bytes": 92,
        "sha256": "0" * 64,
        "offsets": (0, 34, 50),
    }
    return Shard(**{**values, **changes})


def test_true_lengths_pass(path):
    found = [each.numpy() for each in tf.data.TFRecordDataset(str(path))]
    assert found == list(RECORDS)
    check_lengths(str(path), shard(path))


@pytest.mark.parametrize("length", [0, 25, 27, 1 << 31, 1 << 60, (1 << 64) - 1])
def test_a_length_with_a_right_checksum(path, length):
    content = bytearray(path.read_bytes())
    packed = struct.pack("<Q", length)
    content[50:62] = packed + encoding._checksum(packed)
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        check_lengths(str(path), shard(path))
    assert "record 2 at byte 50 is damaged: not the 26 bytes" in str(
        caught.value
    )
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [{"offsets": (0, 34, 51)}, {"bytes": 91}, {"offsets": (0, 34, 80)}],
)
def test_a_manifest_with_other_offsets(path, changes):
    with pytest.raises(DataError, match="is damaged: not the"):
        check_lengths(str(path), shard(path, **changes))


def test_a_file_that_ends_early(path):
    path.write_bytes(path.read_bytes()[:53])
    with pytest.raises(DataError, match="record 2 at byte 50"):
        check_lengths(str(path), shard(path))


def layout(record: bytes) -> None:
    check_layout(
        lambda place, count: record[place : place + count], 0, len(record)
    )


def test_features_of_each_kind_and_of_any_size():
    numbers = tf.train.Feature(int64_list=tf.train.Int64List(value=[3, -1]))
    # The text is longer than what is read at a time.
    texts = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x" * 3000]))
    features = tf.train.Features(
        feature={"a": numbers, "b": texts, "c": numbers}
    )
    layout(tf.train.Example(features=features).SerializeToString())


@pytest.mark.parametrize("place", [1, 3, 5, 8, 10, 12])
def test_a_part_that_reaches_beyond_its_end(place):
    """The lengths of an example are at these places."""
    record = bytearray(example(b"first"))
    assert record[place] < 20
    record[place] += 90
    with pytest.raises(ValueError, match="beyond its end"):
        layout(bytes(record))


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (b"\x08\x01", "another kind: 8"),  # A number as the features.
        (b"\x1a\x00", "another kind: 26"),  # A third field.
        (b"\x0a", "does not end"),
        (b"\x0a\x80", "does not end"),
        (b"\x0a" + b"\xff" * 11, "does not end"),
        # A list of numbers whose last one has no last byte.
        (b"\x0a\x09\x0a\x07\x12\x05\x1a\x03\x0a\x01\x80", "does not end"),
        # A list of floats, which no record has.
        (b"\x0a\x06\x0a\x04\x12\x02\x12\x00", "another kind: 18"),
    ],
)
def test_what_is_no_example(record, words):
    with pytest.raises(ValueError, match=words):
        layout(record)
