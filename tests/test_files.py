"""Tests of segnet/files.py."""

from __future__ import annotations

import pytest
import tensorflow as tf

from segnet import files
from segnet.errors import RunError


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("disk is full", "disk is full"),
        ("a/b.txt; No space left on device", "No space left on device"),
        ("{{function_node f_x}} corrupted record at 12",
         "corrupted record at 12"),
        ("bad crc\n\t [[{{node Read}}]] [Op:Next]", "bad crc"),
    ],
)  # fmt: skip
def test_reason_is_what_people_can_read(message, expected):
    assert (
        files.reason(tf.errors.DataLossError(None, None, message)) == expected
    )


def test_a_text_is_whole_or_absent(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(str(path), "one")
    files.write_text(str(path), "two")
    assert path.read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with pytest.raises(RunError, match="cannot be written"):
        files.write_text(str(path / "below" / "b.txt"), "three")
