"""Tiles by way of main.py: what a trained network makes of a large picture."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf
from conftest import draw_pair
from PIL import Image

import main
from segnet.commands.trained import load_trained
from segnet.config import flags
from segnet.evaluation import inference

HEIGHT, WIDTH = 336, 480


def _command(trained, folder, *extra):
    return [
        "main.py", "--mode=predict", f"--workdir={trained}",
        f"--image_path={folder / 'scene.png'}", f"--output_dir={folder}",
        "--tile_size=256", *extra,
    ]  # fmt: skip


def _draw(folder):
    image, _ = draw_pair(np.random.default_rng(3), HEIGHT, WIDTH)
    Image.fromarray(image).save(folder / "scene.png")
    return image


def test_tiles_give_the_labels_of_the_whole_picture(trained, tmp_path):
    """Of a network that sees it at its own size, as the training images."""
    image = _draw(tmp_path)
    command = _command(trained, tmp_path)
    assert main.main(command) == 0
    with Image.open(tmp_path / "scene_labels.png") as labels:
        got = np.asarray(labels)

    def whole(config):
        return dataclasses.replace(
            config, input_height=HEIGHT, input_width=WIDTH
        )

    network = load_trained(flags.parse_command(command), whole).predictor
    logits = network(tf.constant(image)[None])[0]
    expected = inference.labels_at(logits, HEIGHT, WIDTH)
    assert len(np.unique(expected)) > 1
    assert np.mean(got != expected) < 0.001
    # The first tile alone, away from where it ends.
    assert np.array_equal(got[:120, :120], expected[:120, :120])


def test_what_is_said_of_tiles(trained, tmp_path, capsys):
    _draw(tmp_path)
    command = _command(trained, tmp_path, "--tile_scale=0.5", "--format=coco")
    assert main.main(command) == 0
    assert (tmp_path / "predictions_coco.json").exists()
    out = capsys.readouterr().out
    assert (
        "tiles of 256x256 pixels, which the network sees at 128x128 "
        "(--tile_scale=0.5)\n"
    ) in out
    assert "6 of 6 tiles" in out
    for extra, words in (
        (["--tile_size=63"], "--tile_size=63 is too small for vgg_segnet"),
        (["--max_pixels=1000"], "has more than 1,000 pixels; cut it"),
    ):
        assert main.main(_command(trained, tmp_path, *extra)) in (1, 2)
        assert words in capsys.readouterr().err


def test_flags_of_tiles_without_tiles(tmp_path, capsys):
    command = ["main.py", "predict", "--workdir=x", "--image_path=y"]
    for extra in ("--tile_scale=2", "--max_pixels=200000000"):
        assert main.main([*command, extra]) == 2
        error = capsys.readouterr().err
        assert extra.partition("=")[0] in error and "--tile_size" in error
