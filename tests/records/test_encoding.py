"""Records as bytes, against TensorFlow's own writers."""

from __future__ import annotations

import pytest
import tensorflow as tf

from segnet.records import encoding

VALUES = {
    "image": bytes(range(256)) * 70,
    "image_format": "jpeg",
    "label": b"label",
    "height": 127,
    "width": 16_384,
    "filename": "ä.jpg".encode(),
    "source_id": b"",
}
FEATURES = {
    "image/encoded": VALUES["image"],
    "image/format": b"jpeg",
    "image/filename": VALUES["filename"],
    "image/source_id": b"",
    "image/height": 127,
    "image/width": 16_384,
    "image/channels": 3,
    "image/segmentation/class/encoded": b"label",
    "image/segmentation/class/format": b"png",
}


def by_tensorflow() -> bytes:
    example = tf.train.Example()
    for key, value in FEATURES.items():
        feature = example.features.feature[key]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        else:
            feature.int64_list.value.append(value)
    return example.SerializeToString(deterministic=True)


def test_an_encoded_record_is_what_tensorflow_serializes():
    assert encoding.encode_record(**VALUES) == by_tensorflow()


def test_other_formats_are_refused():
    with pytest.raises(ValueError, match="image_format is 'bmp'"):
        encoding.encode_record(**{**VALUES, "image_format": "bmp"})


def test_frames_are_those_of_tensorflow(tmp_path):
    path = str(tmp_path / "x.tfrecord")
    contents = [b"", b"x", bytes(range(256)) * 300]
    with tf.io.TFRecordWriter(path) as writer:
        for data in contents:
            writer.write(data)
    frames = [encoding.frame(data) for data in contents]
    assert (tmp_path / "x.tfrecord").read_bytes() == b"".join(frames)
