"""The lengths that records claim, before TensorFlow believes them."""

from __future__ import annotations

import struct

import pytest
import tensorflow as tf

from segnet.errors import DataError
from segnet.records import encoding
from segnet.records.framing import check_lengths
from segnet.records.manifest import Shard

RECORDS = (b"first", b"", b"the third one")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "shard.tfrecord"
    path.write_bytes(b"".join(map(encoding.frame, RECORDS)))
    return path


def shard(path, **changes):
    # A frame takes 16 bytes: 5 + 16, 0 + 16, 13 + 16.
    values = {
        "file": path.name,
        "records": 3,
        "bytes": 66,
        "sha256": "0" * 64,
        "offsets": (0, 21, 37),
    }
    return Shard(**{**values, **changes})


def test_true_lengths_pass(path):
    found = [each.numpy() for each in tf.data.TFRecordDataset(str(path))]
    assert found == list(RECORDS)
    check_lengths(str(path), shard(path))


@pytest.mark.parametrize("length", [0, 12, 14, 1 << 31, 1 << 60, (1 << 64) - 1])
def test_a_length_with_a_right_checksum(path, length):
    content = bytearray(path.read_bytes())
    packed = struct.pack("<Q", length)
    content[37:49] = packed + encoding._checksum(packed)
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        check_lengths(str(path), shard(path))
    assert "record 2 at byte 37 is damaged: not the 13 bytes" in str(
        caught.value
    )
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [{"offsets": (0, 21, 38)}, {"bytes": 65}, {"offsets": (0, 21, 60)}],
)
def test_a_manifest_with_other_offsets(path, changes):
    with pytest.raises(DataError, match="is damaged: not the"):
        check_lengths(str(path), shard(path, **changes))


def test_a_file_that_ends_early(path):
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="record 2 at byte 37"):
        check_lengths(str(path), shard(path))
