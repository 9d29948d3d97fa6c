"""Weights files that were made to do harm, or that hold no weights."""

from __future__ import annotations

import os
import resource

import h5py
import numpy as np
import pytest

from segnet import models
from segnet.errors import ConfigError, DataError

LAYER, KERNEL = "block1_conv2", "block1_conv2/block1_conv2/kernel:0"
BIAS = "block1_conv2/block1_conv2/bias:0"


@pytest.fixture(scope="module")
def network():
    return models.create_model("vgg_segnet", 3, width_multiplier=1 / 32)


@pytest.fixture
def path(network, tmp_path):
    """A good file, which `change` then spoils."""
    path = tmp_path / "weights.h5"
    network.save_weights(str(path))
    return path


def change(path, name, make):
    """Puts what `make(file, name, shape)` creates in place of a dataset."""
    with h5py.File(path, "r+") as file:
        shape = file[name].shape
        del file[name]
        make(file, name, shape)


def refused(network, path, *words, error=DataError):
    """Both loaders refuse the file in one line, and load nothing of it."""
    before = network.get_weights()
    for load in (models.load_vgg16_weights, models.load_keras_weights):
        with pytest.raises(error) as caught:
            load(network, str(path))
        message = str(caught.value)
        assert "\n" not in message
        for word in (str(path), *words):
            assert word in message
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_good_file_is_loaded(network, path):
    models.load_vgg16_weights(network, str(path))
    models.load_keras_weights(network, str(path))


@pytest.mark.parametrize("name", [KERNEL, BIAS])
def test_external_storage(network, path, tmp_path, name):
    """Bytes of another file must not become weights."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"not for a checkpoint" * 20)
    change(
        path,
        name,
        lambda file, name, shape: file.create_dataset(
            name, shape, "f4", external=[(str(secret), 0, 400)]
        ),
    )
    refused(network, path, "outside the file", LAYER)


def test_virtual_dataset(network, path, tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["values"] = np.ones([2], np.float32)

    def virtual(file, name, shape):
        layout = h5py.VirtualLayout(shape, "f4")
        layout[:] = h5py.VirtualSource(str(other), "values", shape)
        file.create_virtual_dataset(name, layout)

    change(path, BIAS, virtual)
    refused(network, path, "outside the file", LAYER)


@pytest.mark.parametrize("name", [BIAS, LAYER + "/" + LAYER, LAYER])
@pytest.mark.parametrize("soft", [False, True])
def test_links(network, path, tmp_path, name, soft):
    """On the way to a layer's weights, too."""
    copy = tmp_path / "copy.h5"
    copy.write_bytes(path.read_bytes())
    with h5py.File(path, "r+") as file:
        file.move(name, "moved")
        link = h5py.SoftLink("/moved")
        file[name] = link if soft else h5py.ExternalLink(str(copy), name)
    refused(network, path, "a link")


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.array([b"ab", b"cd"]), id="bytes"),
        pytest.param(np.array([1, 2], np.int32), id="integers"),
        pytest.param(np.array([1, 2], np.complex64), id="complex"),
        pytest.param(
            np.array([(1, 2), (3, 4)], [("a", "f4"), ("b", "f4")]),
            id="compound",
        ),
        pytest.param(np.array([True, False]), id="booleans"),
    ],
)
def test_other_types_than_numbers(network, path, values):
    change(path, BIAS, lambda file, name, shape: file.create_dataset(
        name, data=values
    ))  # fmt: skip
    refused(network, path, "no floating-point numbers", LAYER)


def test_strings_of_any_length(network, path):
    change(path, BIAS, lambda file, name, shape: file.create_dataset(
        name, data=["ab", "cd"], dtype=h5py.string_dtype()
    ))  # fmt: skip
    refused(network, path, "no floating-point numbers", LAYER)


def test_a_group_in_place_of_a_dataset(network, path):
    change(path, BIAS, lambda file, name, shape: file.create_group(name))
    refused(network, path, "no floating-point numbers", LAYER)


@pytest.mark.parametrize(
    "shape", [(1 << 30,), (1 << 20, 1 << 20), (2, 2, 1 << 16, 1 << 16)]
)
def test_shapes_are_compared_before_anything_is_read(network, path, shape):
    """A small file may claim any size; unwritten values are zeros."""
    change(path, BIAS, lambda file, name, old: file.create_dataset(
        name, shape, "f4", chunks=(1,) * (len(shape) - 1) + (1 << 10,)
    ))  # fmt: skip
    assert path.stat().st_size < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(network, path, "shape")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 300_000  # kB


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(network, path, value):
    with h5py.File(path, "r+") as file:
        file[KERNEL][1, 2, 0, 1] = value
    refused(network, path, LAYER, "not finite")


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(np.array([1, 2]), id="numbers"),
        pytest.param(np.array([b"block1_\xff"]), id="no text"),
        pytest.param(np.float64(3), id="one number"),
        pytest.param([b"../../weights"], id="way out"),
        pytest.param([b""], id="empty"),
        pytest.param([b"none"], id="not there"),
    ],
)
def test_names_of_layers_that_are_no_names(network, path, names):
    with h5py.File(path, "r+") as file:
        file.attrs["layer_names"] = names
    refused(network, path)


def test_a_layer_without_its_list_of_weights(network, path):
    with h5py.File(path, "r+") as file:
        del file[LAYER].attrs["weight_names"]
    refused(network, path, "damaged")


def test_a_dataset_in_place_of_the_root_group(network, path):
    with h5py.File(path, "r+") as file:
        file["model_weights"] = np.zeros([3], np.float32)
    refused(network, path, "not Keras weights")


def test_a_pipe_is_no_file(network, tmp_path):
    path = tmp_path / "pipe.h5"
    os.mkfifo(path)
    refused(network, path, "no regular file", error=ConfigError)
