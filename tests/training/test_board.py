from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from conftest import run_flags

import main
from segnet.config import Config
from segnet.data import sources
from segnet.images.overlay import colour_labels
from segnet.records.splits import read_manifest
from segnet.training import board


def _predictor(images):
    """Says that all is a wall."""
    shape = tf.concat([tf.shape(images)[:3], [3]], 0)
    return tf.one_hot(tf.ones(shape[:3], tf.int32), 3)


def test_examples_are_the_same_images_each_time(data_dir):
    config = Config(input_height=16, input_width=24, eval_batch_size=2)
    source = sources.RecordSource(
        read_manifest(str(data_dir), "val"), str(data_dir), cache=False
    )
    examples = board.Examples(_predictor, source, config, pad=True)
    pictures = examples.pictures()
    # Of five images, from the first to the last.
    assert list(pictures) == [f"examples/{i:05d}" for i in (0, 1, 2, 4)]
    for picture in pictures.values():
        assert picture.shape == (16, 72, 3) and picture.dtype == np.uint8
        wall = colour_labels(np.ones((16, 24), np.uint8))
        np.testing.assert_array_equal(picture[:, 48:], wall)
        colours = np.unique(picture[:, 24:48].reshape(-1, 3), axis=0)
        assert 2 <= len(colours) <= 4  # The annotation, not blended.
    for name, picture in examples.pictures().items():
        np.testing.assert_array_equal(picture, pictures[name])


@pytest.mark.parametrize(
    ("epochs", "between", "shown"),
    [
        (3, 1, [1, 2, 3]),
        (50, 1, [*range(3, 50, 3), 50]),
        (50, 5, list(range(5, 51, 5))),
        (7, 5, [5, 7]),
        (9, 0, [9]),
    ],
)
def test_no_more_evaluations_are_shown_than_tensorboard_keeps(
    epochs, between, shown
):
    config = Config(epochs=epochs, evaluate_every_epochs=between)
    evaluated = {*range(between or epochs, epochs + 1, between or 1), epochs}
    found = [e for e in sorted(evaluated) if board.is_shown(config, e)]
    assert found == shown


@pytest.mark.parametrize(("classes", "side"), [(3, 72), (100, 700)])
def test_a_confusion_matrix_as_a_picture(classes, side):
    picture = board.draw_confusion(np.eye(classes) * 7)
    assert picture.shape == (side, side, 3) and picture.dtype == np.uint8
    assert picture[0, 0].tolist() == [0, 0, 128]
    assert picture[0, -1].tolist() == [255, 255, 255]
    # A class that is not there.
    assert board.draw_confusion(np.zeros((2, 2))).min() == 255


def test_settings_are_plain_values():
    found = board.settings(Config(max_steps=None, class_names=("a", "b")))
    assert found["max_steps"] == "" and found["epochs"] == 125
    assert found["class_names"] == "('a', 'b')"
    assert all(isinstance(x, (bool, int, float, str)) for x in found.values())


def test_a_training_shows_pictures_settings_and_weights(data_dir, tmp_path):
    flags = run_flags(
        data_dir, tmp_path / "run", "--epochs=2", "--log_histograms"
    )
    assert main.main(flags) == 0
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    tags = {}
    for event in tf.compat.v1.train.summary_iterator(str(events)):
        for value in event.summary.value:
            tags.setdefault(value.tag, []).append(event.step)
    for name in ("confusion", "examples/00000", "examples/00004"):
        assert tags[name] == [5, 10]
    assert tags["settings"] == [0]
    assert "_hparams_/session_start_info" in tags
    assert any(tag.startswith("weights/block1_conv1") for tag in tags)
