"""Keras's checkpoints that do not fit, or are damaged."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet import models
from segnet.errors import DataError


@pytest.fixture(scope="module")
def network():
    return models.create_model("vgg_segnet", 3, width_multiplier=1 / 32)


@pytest.fixture
def path(network, tmp_path):
    path = tmp_path / "vgg.4"
    network.save_weights(str(path))
    return path


def _refused(network, path, *words):
    """The checkpoint is refused in one line, and nothing of it is loaded."""
    before = network.get_weights()
    with pytest.raises(DataError) as caught:
        models.load_keras_weights(network, str(path))
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(path), *words):
        assert word in message
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_is_one(network, path, tmp_path):
    assert models.is_keras_checkpoint(str(path))
    assert not models.is_keras_checkpoint(str(tmp_path / "none"))
    # A run's has the network one level down.
    tf.train.Checkpoint(model=network).write(str(tmp_path / "ckpt-1"))
    assert not models.is_keras_checkpoint(str(tmp_path / "ckpt-1"))
    (tmp_path / "noise.index").write_bytes(b"noise" * 99)
    assert not models.is_keras_checkpoint(str(tmp_path / "noise"))


def test_a_folder_whose_name_is_a_pattern(network, tmp_path):
    (tmp_path / "run[1]").mkdir()
    network.save_weights(str(tmp_path / "vgg.0"))
    for file in tmp_path.glob("vgg.0.*"):
        file.rename(tmp_path / "run[1]" / file.name)
    path = str(tmp_path / "run[1]" / "vgg.0")
    other = models.create_model("vgg_segnet", 3, width_multiplier=1 / 32)
    models.load_keras_weights(other, path)
    for old, new in zip(
        network.get_weights(), other.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(old, new)


def test_another_number_of_classes(path):
    other = models.create_model("vgg_segnet", 5, width_multiplier=1 / 32)
    _refused(other, path, "number of classes (5, the file has 3)")


def test_batch_norm_in_the_encoder_is_named(path):
    other = models.create_model(
        "vgg_segnet", 3, width_multiplier=1 / 32, batch_norm_in_encoder=True
    )
    _refused(other, path, "it has 19 layers", "--batch_norm_in_encoder")


def test_a_short_data_file(network, path):
    data = path.with_name(f"{path.name}.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:1000])
    _refused(network, path, "copy its files again")


def test_weights_that_are_not_finite(network, path):
    spoiled = models.create_model("vgg_segnet", 3, width_multiplier=1 / 32)
    layer = spoiled.get_layer("block2_conv1")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, np.full_like(bias, np.nan)])
    spoiled.save_weights(str(path))
    _refused(network, path, "layer block2_conv1", "not finite")


def test_weights_that_are_no_floating_point_numbers(network, tmp_path):
    path = tmp_path / "whole"
    layer = tf.Module()
    layer.kernel = tf.Variable(tf.zeros([3, 3, 3, 2], tf.int32))
    root = tf.train.Checkpoint()
    setattr(root, "layer_with_weights-0", layer)
    root.write(str(path))
    _refused(network, path, "layer_with_weights-0", "no floating-point numbers")


def test_a_network_within_the_network_is_no_layer(network, tmp_path):
    path = tmp_path / "nested"
    inputs = tf.keras.Input((32, 32, 3))
    tf.keras.Model(inputs, network(inputs)).save_weights(str(path))
    _refused(network, path, "layer_with_weights-0 has no kernel")
