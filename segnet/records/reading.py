"""The record: how one image with its labels is read.

A record is a `tf.train.Example` with the keys that DeepLab, deeplab2 and the
TensorFlow Model Garden share, so their readers take it unchanged; `encoding`
writes it.
"""

from __future__ import annotations

import functools
from collections.abc import Collection

import tensorflow as tf

from segnet.constants import MAX_CLASSES, MAX_RECORD_PIXELS, num_cores
from segnet.records import encoding

__all__ = [
    "decode_record",
    "num_parallel_calls",
    "parse_record",
    "pipeline_options",
    "read_record",
]

# What a PNG begins with, up to the size in its header, and what follows that
# in one of 8-bit grey values (PNG specification, sections 5.2 and 11.2.2).
_PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_GREY = b"\x08\0"
# What an image or label is that has another size.
_IMAGE, _LABEL = "image is not", "label is no 8-bit grey PNG"
# Makes one number of height and width.
_SHIFT = 2**31
# Sizes that are compared one by one; more are looked up in a sorted list.
_FEW = 100
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
    serialized: tf.Tensor,
    smallest: tuple[int, int] | None = None,
    *,
    sizes: Collection[tuple[int, int]] | None = None,
    num_classes: int = MAX_CLASSES,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes a record to what Pillow reads of it (graph or eager).

    Nothing is decoded before the headers of image and label have the recorded
    size, and that is one of `sizes`: an image of some kilobytes can claim to
    need all memory.

    Args:
      serialized: Scalar string.
      smallest: Height and width, pixels, that are enough of the image: a JPEG
        is then decoded at 1/2, 1/4 or 1/8 of its size, in a fraction of the
        time, as long as it is not smaller than this. None: as it is.
      sizes: Heights and widths that there are. None: any up to
        `MAX_RECORD_PIXELS`.
      num_classes: Labels are below it, or 255.

    Returns:
      uint8 RGB image `[height, width, 3]`, or of both divided by 2, 4 or 8 and
      rounded up, and uint8 label `[height, width]`, 255 where ignored. What
      does not decode, or not as said above, raises
      `tf.errors.InvalidArgumentError`.
    """
    fields = parse_record(serialized)
    size = tf.stack([fields[encoding.HEIGHT], fields[encoding.WIDTH]])
    with tf.control_dependencies([_check_known(size, sizes)]):
        size = tf.identity(size)
    image = _decode_image(
        fields[encoding.IMAGE], fields[encoding.FORMAT], size, smallest
    )
    label = _decode_label(fields[encoding.LABEL], size, num_classes)
    return tf.ensure_shape(image, [None, None, 3]), label


def _decode_image(
    encoded: tf.Tensor,
    file_format: tf.Tensor,
    size: tf.Tensor,
    smallest: tuple[int, int] | None,
) -> tf.Tensor:
    """The image, uint8 `[height, width, 3]`; see `decode_record`."""

    def decode_jpeg() -> tf.Tensor:
        found = tf.io.extract_jpeg_shape(encoded)[:2]
        with tf.control_dependencies([_check_header(_IMAGE, found, size)]):
            data = tf.identity(encoded)
        if smallest is None:
            return _decode_jpeg(data, 1)
        fits = [tf.reduce_all(size // ratio >= smallest) for ratio in _RATIOS]
        step = tf.reduce_sum(tf.cast(fits[1:], tf.int32))
        return tf.switch_case(
            step, [functools.partial(_decode_jpeg, data, r) for r in _RATIOS]
        )

    def decode_png() -> tf.Tensor:
        found = _png_size(encoded)
        with tf.control_dependencies([_check_header(_IMAGE, found, size)]):
            return tf.io.decode_png(tf.identity(encoded), channels=3)

    return tf.cond(tf.equal(file_format, b"jpeg"), decode_jpeg, decode_png)


def _decode_label(
    encoded: tf.Tensor, size: tf.Tensor, num_classes: int
) -> tf.Tensor:
    """The label, uint8 `[height, width]`; see `decode_record`."""
    found = _grey_png_size(encoded)
    with tf.control_dependencies([_check_header(_LABEL, found, size)]):
        label = tf.io.decode_png(tf.identity(encoded), channels=1)
    if num_classes < MAX_CLASSES:
        # 255 becomes 0: one pass over the pixels.
        highest = tf.reduce_max(label + tf.constant(1, tf.uint8))
        right = _require(
            highest <= num_classes, f"a label is not below {num_classes}"
        )
        with tf.control_dependencies([right]):
            label = tf.identity(label)
    return tf.squeeze(label, axis=2)


def _check_known(
    size: tf.Tensor, sizes: Collection[tuple[int, int]] | None
) -> tf.Operation:
    """Fails unless a size, int64 `[2]`, is one of some."""
    if sizes is None:
        known = tf.logical_and(
            tf.reduce_all(size > 0),
            # Not the product of both, which may be too large for any number.
            size[0] <= MAX_RECORD_PIXELS // tf.maximum(size[1], 1),
        )
    elif len(sizes) <= _FEW:
        known = tf.reduce_any(
            tf.reduce_all(tf.equal(tf.constant([*sizes], tf.int64), size), 1)
        )
    else:
        keys = sorted(height * _SHIFT + width for height, width in sizes)
        ordered = tf.constant(keys, tf.int64)
        key = size[0] * _SHIFT + size[1]
        place = tf.searchsorted(ordered, key[tf.newaxis])[0]
        found = tf.gather(ordered, tf.minimum(place, len(keys) - 1))
        in_range = tf.reduce_all((size > 0) & (size < _SHIFT))
        known = tf.logical_and(in_range, tf.equal(found, key))
    return _require(known, "the recorded size is none of the manifest")


def _check_header(what: str, found: tf.Tensor, size: tf.Tensor) -> tf.Operation:
    """Fails unless what a header says is the recorded size."""
    right = tf.reduce_all(tf.equal(tf.cast(found, tf.int64), size))
    return _require(right, f"{what} of the recorded size")


def _require(condition: tf.Tensor, message: str) -> tf.Operation:
    """Fails with a message unless a condition, bool `[]`, holds.

    `tf.debugging.Assert` would put a function of its own around it, the call
    of which takes longer than what is checked here.
    """
    return tf.raw_ops.Assert(
        condition=condition, data=[tf.constant(message)], summarize=1
    )


def _png_size(encoded: tf.Tensor) -> tf.Tensor:
    """Height and width in the header of a PNG, int64; zeros if it is none."""
    return _size_behind(encoded, _PNG_HEAD, b"")


def _grey_png_size(encoded: tf.Tensor) -> tf.Tensor:
    """The same; zeros, too, if its values are not of 8 bits and grey."""
    return _size_behind(encoded, _PNG_HEAD, _GREY)


def _size_behind(encoded: tf.Tensor, before: bytes, after: bytes) -> tf.Tensor:
    """Height and width, int64 `[2]`, between other bytes; zeros without."""
    length = len(before) + 8 + len(after)
    # Of an empty file, too, without an error that has some of it as its text.
    head = tf.strings.substr(encoded, 0, length) + bytes(length)
    right = tf.equal(tf.strings.substr(head, 0, len(before)), before)
    if after:
        end = tf.strings.substr(head, len(before) + 8, len(after))
        right &= tf.equal(end, after)
    sides = tf.io.decode_raw(
        tf.strings.substr(head, len(before), 8), tf.int32, little_endian=False
    )
    return tf.cast(sides[::-1], tf.int64) * tf.cast(right, tf.int64)


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
