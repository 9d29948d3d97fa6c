"""The networks: shapes, dtypes, layers, and the flags that change them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet import models
from segnet.constants import ARCHITECTURES
from segnet.errors import ConfigError
from segnet.models import layers
from segnet.models.convolution import CpuConv2D

_TINY = 1 / 32


@pytest.fixture
def images():
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (2, 32, 64, 3), np.uint8)


@pytest.fixture(params=["bfloat16", "float16"])
def compute_dtype(request):
    tf.keras.mixed_precision.set_global_policy(f"mixed_{request.param}")
    yield request.param
    tf.keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_have_the_size_of_the_input(architecture, images):
    model = models.create_model(architecture, 5, width_multiplier=_TINY)
    assert model.input.dtype == tf.uint8
    for height, width in ((32, 64), (64, 32)):
        logits = model(np.resize(images, (1, height, width, 3)))
        assert logits.shape == (1, height, width, 5)
        assert logits.dtype == tf.float32


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_fixed_input_size_makes_all_shapes_static(architecture):
    model = models.create_model(
        architecture,
        5,
        input_shape=(32, 64),
        width_multiplier=_TINY,
    )
    assert model.output_shape == (None, 32, 64, 5)
    outputs = tf.nest.flatten([layer.output for layer in model.layers])
    assert all(None not in output.shape[1:] for output in outputs)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_precision_policy_changes_the_layers_only(
    architecture, images, compute_dtype
):
    model = models.create_model(architecture, 3, width_multiplier=_TINY)
    assert {weight.dtype for weight in model.weights} == {tf.float32}
    assert model.get_layer("block3_conv1").compute_dtype == compute_dtype
    with tf.GradientTape() as tape:
        logits = model(images, training=True)
        loss = tf.reduce_mean(tf.square(logits))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert logits.dtype == tf.float32
    assert {gradient.dtype for gradient in gradients} == {tf.float32}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kernel_learns(architecture, images):
    model = models.create_model(
        architecture, 3, width_multiplier=1 / 8, batch_norm_in_encoder=True
    )
    with tf.GradientTape() as tape:
        logits = model(images, training=True)
        loss = tf.reduce_mean(tf.square(logits - 1))
    variables = model.trainable_variables
    for variable, gradient in zip(
        variables, tape.gradient(loss, variables), strict=True
    ):
        if variable.name.endswith("kernel:0"):
            assert np.abs(gradient).max() > 0, variable.name


def test_batch_norm_in_the_encoder_comes_before_the_relu(images):
    model = models.create_model(
        "vgg_segnet", 3, width_multiplier=_TINY, batch_norm_in_encoder=True
    )
    tail = [layer.name for layer in model.layers[2:6]]
    assert tail == [
        "block1_conv1",
        "block1_conv1_bn",
        "block1_conv1_relu",
        "block1_conv2",
    ]
    convolution = model.get_layer("block1_conv1")
    assert convolution.activation is tf.keras.activations.linear
    assert convolution.use_bias
    encoder = [
        layer.name
        for layer in model.layers
        if layer.name.startswith("block") and layer.name.endswith("_bn")
    ]
    assert len(encoder) == 10


def test_the_encoder_has_no_batch_norm_unless_asked():
    model = models.create_model("vgg_segnet", 3, width_multiplier=_TINY)
    names = [layer.name for layer in model.layers]
    assert [name for name in names if name.endswith("_bn")] == [
        f"decoder_conv{index}_bn" for index in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize(
    ("architecture", "names"),
    [
        (
            "vgg_segnet",
            "block3_dropout block4_dropout decoder_dropout1 decoder_dropout2",
        ),
        (
            "segnet",
            "block3_dropout block4_dropout block5_dropout decoder5_dropout "
            "decoder4_dropout decoder3_dropout",
        ),
    ],
)
def test_dropout_follows_the_deep_layers(architecture, names, images):
    model = models.create_model(
        architecture,
        3,
        width_multiplier=_TINY,
        dropout=0.5,
        position=tf.Variable(0),
    )
    drops = [
        layer
        for layer in model.layers
        if isinstance(layer, layers.PositionedDropout)
    ]
    assert [layer.name for layer in drops] == names.split()
    assert {layer.rate for layer in drops} == {0.5}
    np.testing.assert_array_equal(model(images), model(images))
    plain = models.create_model(architecture, 3, width_multiplier=_TINY)
    assert [w.name for w in model.weights] == [w.name for w in plain.weights]


def test_dropout_without_a_position_is_refused():
    with pytest.raises(ValueError, match="position"):
        models.create_model("segnet", 3, width_multiplier=_TINY, dropout=0.5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_batch_norm_momentum_is_passed_on(architecture):
    model = models.create_model(
        architecture, 3, width_multiplier=_TINY, batch_norm_momentum=0.9
    )
    momenta = {
        layer.momentum for layer in model.layers if layer.name.endswith("_bn")
    }
    assert momenta == {0.9}


def test_segnet_unpools_to_the_maxima_of_the_encoder(images):
    model = models.create_model("segnet", 3, width_multiplier=1 / 8)
    parts = tf.keras.Model(
        model.input,
        [
            model.get_layer("block1_conv2_relu").output,
            model.get_layer("decoder1_unpool").output,
        ],
    )
    before, unpooled = (part.numpy() for part in parts(images))
    windows = (2, 16, 2, 32, 2, 8)
    is_maximum = before.reshape(windows) == before.reshape(windows).max(
        axis=(2, 4), keepdims=True
    )
    assert np.any(unpooled)
    assert not np.any(unpooled.reshape(windows)[~is_maximum])


def test_the_step_is_traced_for_static_shapes(images):
    model = models.create_model("vgg_segnet", 3, width_multiplier=_TINY)
    shapes = []

    @tf.function
    def run(batch):
        logits = model(batch)
        shapes.append(logits.shape)
        return logits

    run(images)
    assert shapes == [(2, 32, 64, 3)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_step_has_no_operation_that_a_gaudi_lacks(architecture):
    model = models.create_model(architecture, 3, width_multiplier=_TINY)

    @tf.function
    def step(batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(batch, training=True))
        return tape.gradient(loss, model.trainable_variables)

    graph = step.get_concrete_function(
        tf.TensorSpec((2, 32, 64, 3), tf.uint8)
    ).graph.as_graph_def()
    functions = [function.node_def for function in graph.library.function]
    kinds = {node.op for nodes in [graph.node, *functions] for node in nodes}
    assert {"Conv2DBackpropInput", "MaxPoolGrad"} <= kinds
    assert not {kind for kind in kinds if kind.startswith("MaxPool")} - {
        "MaxPool",
        "MaxPoolGrad",
    }


@pytest.mark.parametrize(("architecture", "multiple"), ARCHITECTURES.items())
def test_no_smaller_multiple_would_do(architecture, multiple):
    poolings = [
        layer
        for layer in models.create_model(
            architecture, 3, width_multiplier=_TINY
        ).layers
        if layer.name.endswith("_pool")
    ]
    assert 2 ** len(poolings) == multiple


@pytest.mark.parametrize(
    ("architecture", "num_classes", "size", "message"),
    [
        ("unet", 3, (32, 32), "unet.*vgg_segnet, segnet"),
        ("vgg_segnet", 3, (32, 40), "32x40.*multiples of 16"),
        ("segnet", 3, (48, None), "48xNone.*multiples of 32"),
        ("segnet", 0, (32, 32), "0 classes"),
    ],
)
def test_what_cannot_be_built_is_refused(
    architecture, num_classes, size, message
):
    with pytest.raises(ConfigError, match=message):
        models.create_model(architecture, num_classes, input_shape=size)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_filtered_gradient_is_for_those_who_ask(architecture):
    usual, filtered = (
        models.create_model(
            architecture, 3, width_multiplier=_TINY, filtered_gradient=asked
        )
        for asked in (False, True)
    )
    by_default = models.create_model(architecture, 3, width_multiplier=_TINY)
    for model, expected in ((usual, 0), (by_default, 0), (filtered, 10)):
        kinds = [type(layer) for layer in model.layers]
        assert min(10, kinds.count(CpuConv2D)) == expected
    # Checkpoints fit: the same weights under the same names.
    assert [(w.name, w.shape) for w in filtered.weights] == [
        (w.name, w.shape) for w in usual.weights
    ]
