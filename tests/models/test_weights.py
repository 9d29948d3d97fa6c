"""Weights of other projects, and files that cannot be loaded."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import tensorflow as tf

from segnet import models
from segnet.constants import ARCHITECTURES
from segnet.errors import ConfigError, DataError

_TINY = 1 / 32
_WIDTHS = (64, 128, 256, 512)
_REPEATS = (2, 2, 3, 3)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (2, 32, 64, 3), np.uint8)


def _randomize(model):
    """Weights of the usual size, and biases and averages that matter."""
    rng = np.random.default_rng(11)
    for layer in model.layers:
        values = []
        for weight in layer.weights:
            shape = tuple(weight.shape)
            if len(shape) == 4:
                scale = np.sqrt(2 / np.prod(shape[:3]))
                values.append(rng.normal(0, scale, shape))
            else:
                values.append(rng.uniform(0.5, 1.5, shape))
        layer.set_weights(values)


def _other_vgg_segnet(width, num_classes, *, transposed):
    """The layers that image-segmentation-keras builds, in its order.

    `transposed`: with the fixed transposed convolutions of Habana's example.
    """
    keras = tf.keras.layers
    inputs = values = tf.keras.Input((32, 64, 3))
    for block, (repeats, filters) in enumerate(
        zip(_REPEATS, _WIDTHS, strict=True), 1
    ):
        for index in range(1, repeats + 1):
            values = keras.Conv2D(
                round(filters * width),
                3,
                padding="same",
                activation="relu",
                name=f"block{block}_conv{index}",
            )(values)
        values = keras.MaxPooling2D(name=f"block{block}_pool")(values)
    upsamplings = []
    for filters in (512, 256, 128, 64):
        if filters < 512:
            upsampling = keras.UpSampling2D()
            if transposed:
                upsampling = keras.Conv2DTranspose(values.shape[-1], 2, 2)
                upsampling.trainable = False
            values = upsampling(values)
            upsamplings.append(upsampling)
        values = keras.ZeroPadding2D(1)(values)
        values = keras.Conv2D(round(filters * width), 3)(values)
        values = keras.BatchNormalization()(values)
    logits = keras.Conv2D(num_classes, 3, padding="same")(values)
    outputs = keras.Softmax()(keras.Reshape((-1, num_classes))(logits))
    model = tf.keras.Model(inputs, outputs)
    _randomize(model)
    for layer in upsamplings if transposed else []:
        kernel, bias = layer.get_weights()
        identity = np.broadcast_to(np.eye(kernel.shape[2]), kernel.shape)
        layer.set_weights([identity, np.zeros_like(bias)])
    return model, tf.keras.Model(inputs, logits)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kind", ["weights", "model", "checkpoint"])
@pytest.mark.filterwarnings(
    # Of the old format, which is what this is about.
    "ignore:You are saving your model as an HDF5 file:UserWarning"
)
def test_weights_of_the_other_vgg_segnets_give_their_outputs(
    tmp_path, images, transposed, kind
):
    saved, to_logits = _other_vgg_segnet(_TINY, 3, transposed=transposed)
    path = str(tmp_path / ("other.0" if kind == "checkpoint" else "other.h5"))
    if kind == "model":
        saved.save(path)
    else:
        saved.save_weights(path)
    model = models.create_model("vgg_segnet", 3, width_multiplier=_TINY)
    models.load_keras_weights(model, path)
    # They read pictures as BGR, subtract the means, and turn to RGB.
    prepared = images - np.array([123.68, 116.779, 103.939], np.float32)
    half = to_logits(prepared)
    theirs = tf.image.resize(half, (32, 64)).numpy()
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(model(images), theirs, rtol=0, atol=1e-5 * scale)
    # Their labels are those of the half size; so are ours, in every pixel.
    ours = tf.keras.Model(model.inputs, model.get_layer("logits").output)
    np.testing.assert_array_equal(
        np.argmax(ours(images), -1), np.argmax(half, -1)
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_takes_its_own_file_as_it_is(architecture, tmp_path, images):
    path = str(tmp_path / "own.h5")
    saved, model = (
        models.create_model(architecture, 3, width_multiplier=_TINY)
        for _ in range(2)
    )
    saved.save_weights(path)
    models.load_keras_weights(model, path)
    np.testing.assert_array_equal(model(images), saved(images))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_takes_its_own_checkpoint_as_it_is(
    architecture, tmp_path, images
):
    path = str(tmp_path / "own")
    saved, model = (
        models.create_model(architecture, 3, width_multiplier=_TINY)
        for _ in range(2)
    )
    saved.save_weights(path)
    models.load_keras_weights(model, path)
    np.testing.assert_array_equal(model(images), saved(images))


@pytest.fixture
def tiny():
    return models.create_model("vgg_segnet", 3, width_multiplier=_TINY)


def _refuses(load, model, path, error, *parts):
    """Checks the error, that it is one line, and that nothing was loaded."""
    before = model.get_weights()
    with pytest.raises(error) as caught:
        load(model, str(path))
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(path), *parts):
        assert part in message
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


_LOADERS = pytest.mark.parametrize(
    ("load", "flag"),
    [
        (models.load_vgg16_weights, "--encoder_weights="),
        (models.load_keras_weights, "--init_from="),
    ],
)


@_LOADERS
def test_missing_file(load, flag, tiny, tmp_path):
    path = tmp_path / "none.h5"
    _refuses(load, tiny, path, ConfigError, flag, "does not exist")


@_LOADERS
def test_folder_instead_of_a_file(load, flag, tiny, tmp_path):
    _refuses(load, tiny, tmp_path, ConfigError, flag, "no regular file")


@_LOADERS
@pytest.mark.parametrize("content", [b"", b"<html>Quota exceeded</html>"])
def test_not_hdf5(load, flag, tiny, tmp_path, content):
    path = tmp_path / "page.h5"
    path.write_bytes(content)
    _refuses(load, tiny, path, DataError, "not an HDF5 file")


@_LOADERS
def test_truncated_file(load, flag, tiny, tmp_path):
    path = tmp_path / "part.h5"
    tiny.save_weights(str(path))
    path.write_bytes(path.read_bytes()[:-2000])
    _refuses(load, tiny, path, DataError, "damaged")


@_LOADERS
def test_hdf5_without_keras_layers(load, flag, tiny, tmp_path):
    path = tmp_path / "new_format.weights.h5"
    tiny.save_weights(str(path))
    _refuses(load, tiny, path, DataError, "not Keras weights", ".weights.h5")


def test_vgg16_file_without_a_layer_names_it(tiny, tmp_path):
    path = tmp_path / "other.h5"
    tiny.save_weights(str(path))
    with h5py.File(path, "r+") as file:
        names = list(file.attrs["layer_names"])
        names.remove("block2_conv1")
        file.attrs["layer_names"] = names
    _refuses(
        models.load_vgg16_weights, tiny, path, DataError,
        "not VGG16's weights", "no layer block2_conv1",
    )  # fmt: skip


def test_vgg16_file_of_other_shapes_names_the_first(tiny, tmp_path):
    path = tmp_path / "wider.h5"
    wider = models.create_model("vgg_segnet", 3, width_multiplier=1 / 16)
    wider.save_weights(str(path))
    _refuses(
        models.load_vgg16_weights, tiny, path, DataError,
        "layer block1_conv1 has shapes 3x3x3x4, 4 instead of 3x3x3x2, 2",
    )  # fmt: skip


def test_file_of_another_number_of_layers(tiny, tmp_path):
    path = tmp_path / "batch_norm.h5"
    models.create_model(
        "vgg_segnet", 3, width_multiplier=_TINY, batch_norm_in_encoder=True
    ).save_weights(str(path))
    _refuses(
        models.load_keras_weights, tiny, path, DataError,
        "29 layers with weights (as --architecture=vgg_segnet "
        "--batch_norm_in_encoder), the network 19 (as "
        "--architecture=vgg_segnet); check",
    )  # fmt: skip


def test_file_of_another_architecture(tiny, tmp_path):
    path = tmp_path / "other.h5"
    models.create_model("segnet", 3, width_multiplier=_TINY).save_weights(
        str(path)
    )
    _refuses(
        models.load_keras_weights, tiny, path, DataError,
        "51 layers with weights (as --architecture=segnet), the network 19",
    )  # fmt: skip


def test_file_of_another_width(tiny, tmp_path):
    path = tmp_path / "wider.h5"
    models.create_model("vgg_segnet", 3, width_multiplier=1 / 16).save_weights(
        str(path)
    )
    _refuses(
        models.load_keras_weights, tiny, path, DataError,
        "check --width_multiplier (channels in layer 1: 2, the file has 4)",
    )  # fmt: skip


def test_file_of_another_number_of_classes(tiny, tmp_path):
    path = tmp_path / "five.h5"
    other, _ = _other_vgg_segnet(_TINY, 5, transposed=True)
    other.save_weights(str(path))
    _refuses(
        models.load_keras_weights, tiny, path, DataError,
        "for logits, has shapes 3x3x2x5, 5 instead of 3x3x2x3, 3; check the "
        "number of classes (3, the file has 5)",
    )  # fmt: skip


def test_transposed_convolutions_that_were_trained_are_refused(tiny, tmp_path):
    path = tmp_path / "trained.h5"
    other, _ = _other_vgg_segnet(_TINY, 3, transposed=True)
    upsampling = next(
        layer
        for layer in other.layers
        if isinstance(layer, tf.keras.layers.Conv2DTranspose)
    )
    kernel, bias = upsampling.get_weights()
    upsampling.set_weights([kernel, bias + 1])
    other.save_weights(str(path))
    _refuses(
        models.load_keras_weights, tiny, path, DataError,
        "20 layers with weights",
    )  # fmt: skip
