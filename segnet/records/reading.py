"""The record: how one image with its labels is read.

A record is a `tf.train.Example` with the keys that DeepLab, deeplab2 and the
TensorFlow Model Garden share, so their readers take it unchanged; `encoding`
writes it.
"""

from __future__ import annotations

import functools

import tensorflow as tf

from segnet.constants import num_cores
from segnet.records import encoding

__all__ = [
    "decode_record",
    "num_parallel_calls",
    "parse_record",
    "pipeline_options",
    "read_record",
]

# By which the JPEG format lets images be decoded smaller.
_RATIOS = (1, 2, 4, 8)
_BYTES_KEYS = (
    encoding.IMAGE,
    encoding.FORMAT,
    encoding.FILENAME,
    encoding.SOURCE_ID,
    encoding.LABEL,
    encoding.LABEL_FORMAT,
)
_INT_KEYS = (encoding.HEIGHT, encoding.WIDTH, encoding.CHANNELS)
# One record is 50 to 500 kB: a larger buffer would read its neighbours too.
_READ_BUFFER_BYTES = 64 * 1024


def parse_record(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Splits a record into its scalar tensors, by key (graph or eager).

    No key has a default: one that is missing fails here, by name, with
    `tf.errors.InvalidArgumentError`.

    Args:
      serialized: Scalar string.
    """
    features = {
        key: tf.io.FixedLenFeature([], tf.string) for key in _BYTES_KEYS
    }
    features.update(
        {key: tf.io.FixedLenFeature([], tf.int64) for key in _INT_KEYS}
    )
    return tf.io.parse_single_example(serialized, features)


def decode_record(
    serialized: tf.Tensor, smallest: tuple[int, int] | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes a record to what Pillow reads of it (graph or eager).

    Args:
      serialized: Scalar string.
      smallest: Height and width, pixels, that are enough of the image: a JPEG
        is then decoded at 1/2, 1/4 or 1/8 of its size, in a fraction of the
        time, as long as it is not smaller than this. None: as it is.

    Returns:
      uint8 RGB image `[height, width, 3]`, or of both divided by 2, 4 or 8 and
      rounded up, and uint8 label `[height, width]`, 255 where ignored. What
      does not decode, or not to the recorded size, raises
      `tf.errors.InvalidArgumentError`.
    """
    fields = parse_record(serialized)
    encoded = fields[encoding.IMAGE]
    size = tf.stack([fields[encoding.HEIGHT], fields[encoding.WIDTH]])
    step = tf.constant(0)
    if smallest is not None:
        fits = [tf.reduce_all(size // ratio >= smallest) for ratio in _RATIOS]
        step = tf.reduce_sum(tf.cast(fits[1:], tf.int32))
    jpeg = tf.equal(fields[encoding.FORMAT], b"jpeg")
    step = tf.where(jpeg, step, 0)
    image = tf.cond(
        jpeg,
        lambda: tf.switch_case(
            step, [functools.partial(_decode_jpeg, encoded, r) for r in _RATIOS]
        ),
        lambda: tf.io.decode_png(encoded, channels=3),
    )
    label = tf.io.decode_png(fields[encoding.LABEL], channels=1)
    ratio = tf.cast(tf.gather(_RATIOS, step), tf.int64)
    expected = (-(-size // ratio), size)
    with tf.control_dependencies(
        [
            tf.debugging.assert_equal(
                tf.shape(tensor, tf.int64)[:2],
                right,
                message=f"{name} is not of the recorded size",
            )
            for name, tensor, right in zip(
                ("image", "label"), (image, label), expected, strict=True
            )
        ]
    ):
        image = tf.ensure_shape(image, [None, None, 3])
        return image, tf.squeeze(label, axis=2)


def _decode_jpeg(encoded: tf.Tensor, ratio: int) -> tf.Tensor:
    """Decodes at 1/ratio of the size: of each block fewer frequencies."""
    # The fast transform, TensorFlow's default, is off by up to a few values
    # from what other programs read.
    return tf.io.decode_jpeg(
        encoded, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE"
    )


def read_record(path: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """Reads the one record that begins at a byte, its checksum included.

    Works inside `tf.data.Dataset.map`, in parallel calls: with the offsets of
    the manifest any order of records can be read without a shuffle buffer. It
    costs about 0.1 ms more than reading in sequence.

    Args:
      path: Scalar string, a TFRecord file.
      offset: Scalar int64, in bytes.

    Returns:
      The serialized record, a scalar string. A wrong checksum raises
      `tf.errors.DataLossError`, an offset behind the end
      `tf.errors.InvalidArgumentError`.
    """
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=tf.reshape(path, [1]),
        compression_type="",
        buffer_size=_READ_BUFFER_BYTES,
        byte_offsets=tf.reshape(tf.cast(offset, tf.int64), [1]),
    )
    dataset = tf.data.experimental.from_variant(
        variant, tf.TensorSpec([], tf.string)
    )
    return dataset.take(1).get_single_element()


def num_parallel_calls() -> int:
    """Calls of a map that run at the same time: one for each thread."""
    threads = tf.config.threading.get_inter_op_parallelism_threads()
    return threads or num_cores()


def pipeline_options() -> tf.data.Options:
    """Options of all datasets."""
    options = tf.data.Options()
    # Numbers are fixed: tuning brings nothing that they do not, and its thread
    # can take seconds to end.
    options.autotune.enabled = False
    # Workers take their share by index.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return options
