"""The networks with Keras's VGG16 weights against Keras's network.

Random weights serve; the real ones are not needed.
"""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet import models

# VGG16 has 14,714,688 weights, 4,224 of them biases; its first four blocks
# have 7,635,264.
_PARAMETERS = {
    # The decoder: 3x3 kernels with biases, then batch norm, then the classes.
    "vgg_segnet": 7_635_264
    + 9 * (512 * 512 + 512 * 256 + 256 * 128 + 128 * 64)
    + (1 + 4) * (512 + 256 + 128 + 64)
    + (9 * 64 + 1) * 12,
    # The kernels occur twice but for the first, whose mirror image is the one
    # to the classes; the decoder has 3,712 other channels.
    "segnet": 2 * (14_714_688 - 4_224)
    - 9 * 3 * 64
    + (1 + 4) * (4_224 + 3_712)
    + (9 * 64 + 1) * 12,
}


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (2, 32, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def vgg16():
    model = tf.keras.applications.VGG16(
        weights=None, include_top=False, input_shape=(None, None, 3)
    )
    rng = np.random.default_rng(11)
    for weight in model.weights:
        # Biases large enough to matter.
        scale = (
            np.sqrt(2 / np.prod(weight.shape[:-1])) if weight.shape[1:] else 1
        )
        weight.assign(rng.normal(0, scale, weight.shape))
    return model


@pytest.fixture(scope="module")
def vgg16_file(vgg16, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("vgg16") / "notop.h5")
    vgg16.save_weights(path)
    return path


@pytest.fixture(scope="module")
def vgg_segnet(vgg16_file):
    model = models.create_model("vgg_segnet", 12)
    models.load_vgg16_weights(model, vgg16_file)
    return model


@pytest.fixture(scope="module")
def segnet(vgg16_file):
    model = models.create_model("segnet", 12)
    models.load_vgg16_weights(model, vgg16_file)
    return model


def test_number_of_parameters(vgg_segnet, segnet):
    assert vgg_segnet.count_params() == _PARAMETERS["vgg_segnet"]
    assert segnet.count_params() == _PARAMETERS["segnet"]


def _vgg16_outputs(vgg16, names, images):
    """Outputs of layers of Keras's network with Keras's preparation."""
    prepared = tf.keras.applications.vgg16.preprocess_input(
        images.astype(np.float32)
    )
    outputs = [vgg16.get_layer(name).output for name in names]
    return tf.keras.Model(vgg16.input, outputs)(prepared)


def test_block_outputs_of_vgg_segnet_equal_those_of_keras(
    vgg16, vgg_segnet, images
):
    names = [f"block{block}_pool" for block in (1, 2, 3, 4)]
    # Ours has the last ReLU of a block behind its pooling.
    parts = [
        vgg_segnet.get_layer(name.replace("pool", "relu")).output
        for name in names
    ]
    ours = tf.keras.Model(vgg_segnet.input, parts)(images)
    for mine, theirs in zip(
        ours, _vgg16_outputs(vgg16, names, images), strict=True
    ):
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5 * scale)


def test_first_block_of_segnet_before_batch_norm_equals_keras(
    vgg16, segnet, images
):
    parts = tf.keras.Model(
        segnet.input, segnet.get_layer("block1_conv1").output
    )
    theirs = _vgg16_outputs(vgg16, ["block1_conv1"], images)
    np.testing.assert_allclose(
        tf.nn.relu(parts(images)), theirs, rtol=1e-5, atol=1e-3
    )
    for name in ("block1_conv1_bn", "block5_conv3_bn"):
        gamma, beta, mean, variance = segnet.get_layer(name).get_weights()
        assert np.all(gamma == 1)
        assert np.all(variance == 1)
        assert not beta.any()
        assert not mean.any()
    for block in range(1, 6):
        name = f"block{block}_conv2"
        for mine, theirs in zip(
            segnet.get_layer(name).get_weights(),
            vgg16.get_layer(name).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(mine, theirs)
