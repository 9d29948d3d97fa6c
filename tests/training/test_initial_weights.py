"""Tests of --init_from with weights that do not fit."""

from __future__ import annotations

import dataclasses

import pytest
import tensorflow as tf

from segnet import models
from segnet.config import Config, config_file
from segnet.errors import ConfigError, DataError
from segnet.training import initial_weights, saved_weights, start

_NAMES = ("sky", "road", "car")


@pytest.fixture
def source(tmp_path):
    """A workdir with a config, and where its best checkpoint would be."""
    config = Config(
        width_multiplier=0.5, class_names=_NAMES, batch_norm_in_encoder=True
    )
    config_file.save_config(str(tmp_path / "old"), config)
    return tmp_path / "old"


@pytest.mark.parametrize("path", ["", "checkpoints/best/ckpt-3"])
@pytest.mark.parametrize(
    ("changes", "classes", "words"),
    [
        ({"width_multiplier": 0.25}, 3, "--width_multiplier=0.25 (it has 0.5)"),
        ({"architecture": "segnet"}, 3, "--architecture=segnet (it has vgg_"),
        ({}, 2, "number of classes=2 (it has 3)"),
        (
            {"batch_norm_in_encoder": False},
            3,
            "--batch_norm_in_encoder=false (it has true)",
        ),
    ],
)
def test_what_differs_is_named_with_both_values(
    source, path, changes, classes, words
):
    usual = Config(width_multiplier=0.5, init_from=str(source / path))
    config = dataclasses.replace(usual, **changes)
    with pytest.raises(ConfigError) as caught:
        start.resolve(config, _NAMES[:classes])
    assert words in str(caught.value)
    assert str(caught.value).count("(it has") == 1
    # What does not matter may differ.
    config = dataclasses.replace(usual, dropout=0.3, loss="dice", epochs=2)
    resolved = start.resolve(config, ("a", "b", "c"))
    assert resolved.batch_norm_in_encoder
    # A run that goes on has its own weights, wherever they once came from.
    config = dataclasses.replace(usual, **changes, class_names=_NAMES)
    assert start.resolve(config, _NAMES).class_names == _NAMES


def test_a_checkpoint_alone_tells_what_differs(tmp_path):
    def create(architecture="vgg_segnet", classes=3, **options):
        return models.create_model(
            architecture,
            classes,
            **{"width_multiplier": 0.1, "batch_norm_in_encoder": True}
            | options,
        )

    path = tf.train.Checkpoint(model=create()).write(str(tmp_path / "ckpt-1"))
    assert initial_weights.source_config(path) is None
    for network, words in (
        (
            create(width_multiplier=0.2),
            ["--width_multiplier (13 channels in layer 1, it has 6)"],
        ),
        (create(classes=5), ["number of classes (5 classes, it has 3)"]),
        (
            create(batch_norm_in_encoder=False, classes=2),
            [
                "--batch_norm_in_encoder=False (it has True)",
                "number of classes (2 classes, it has 3)",
            ],
        ),
        (create("segnet"), ["another --architecture"]),
    ):
        with pytest.raises(DataError) as caught:
            saved_weights.restore_weights(network, path)
        text = str(caught.value)
        for word in words:
            assert word in text
        assert text.count("it has") <= len(words) and "\n" not in text
    saved_weights.restore_weights(create(dropout=0.0), path)


@pytest.mark.parametrize("inside", ["", "checkpoints", "checkpoints/best"])
def test_a_folder_without_checkpoints_names_the_flag(tmp_path, inside):
    """Such as the folder of the checkpoints themselves."""
    folder = tmp_path / inside
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.raises(ConfigError) as caught:
        initial_weights.load_weights(str(folder), None)
    message = str(caught.value)
    assert message.startswith(f"--init_from={folder} has no checkpoints/ with")
    assert "WORKDIR/checkpoints/ckpt-STEP" in message and "\n" not in message
