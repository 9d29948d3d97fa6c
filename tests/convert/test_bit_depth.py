"""Pictures of 12 bits: how they are stored, and that prediction knows it."""

from __future__ import annotations

import numpy as np
import picture_files as files
import pytest
import tensorflow as tf
import tifffile

from segnet.convert import program
from segnet.convert.flags import parse_flags
from segnet.errors import ConfigError

VALUES = np.arange(24 * 40 * 3, dtype=np.uint16).reshape(24, 40, 3)


@pytest.fixture
def folder(tmp_path):
    for name in ("images", "annotations"):
        (tmp_path / name).mkdir()
    tifffile.imwrite(tmp_path / "images/a.tif", VALUES, photometric="rgb")
    label = files.saved(np.zeros((24, 40), np.uint8), "PNG")
    (tmp_path / "annotations/a.png").write_bytes(label)
    return tmp_path


def _convert(folder, *flags):
    settings = parse_flags([
        "convert_to_tfrecord.py", f"--images_dir={folder / 'images'}",
        f"--annotations_dir={folder / 'annotations'}", "--split=train",
        f"--output_dir={folder / 'records'}", "--num_classes=2", *flags,
    ])  # fmt: skip
    return program.convert(settings)


def test_the_depth_is_used_said_and_remembered(folder, capsys):
    (manifest,) = _convert(folder, "--bit_depth=12")
    assert manifest.bit_depth == 12
    assert (
        f"note: {folder}/images/a.tif: has values of more than 8 bits; the "
        "upper 8 of the lower 12 bits are kept (--bit_depth)"
    ) in capsys.readouterr().out
    shard = str(folder / "records" / manifest.shards[0].file)
    (record,) = tf.data.TFRecordDataset(shard)
    example = tf.train.Example.FromString(record.numpy())
    (stored,) = example.features.feature["image/encoded"].bytes_list.value
    np.testing.assert_array_equal(tf.io.decode_png(stored), VALUES >> 4)


def test_more_bits_than_were_said_are_an_error(folder, capsys):
    with pytest.raises(ValueError, match="1 error"):
        _convert(folder, "--bit_depth=11")
    # 2879 is the last value.
    assert "has the value 2879, which takes 12 bits" in capsys.readouterr().err


def test_other_depths_are_refused(folder):
    with pytest.raises(ConfigError, match="--bit_depth=8: give the bits"):
        _convert(folder, "--bit_depth=8")
