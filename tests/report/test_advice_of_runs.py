"""Runs that are weak in one way each get the advice for it, a good one none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import convert
from PIL import Image

import main

pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 48, 64
COLOURS = np.array([[60, 150, 70], [90, 110, 210], [220, 90, 40]])
# What the page says where a rule has something to say.
WORDS = {
    "improving": "still improving at the end",
    "overfitted": "learnt them by heart",
    "rare": "is weak (IoU",
    "confused": "is taken for",
    "confident": "It is over-confident",
    "specks": "Its labels have specks",
}
GOOD = (
    "--epochs=30", "--lr_schedule=cosine", "--learning_rate=3e-3",
    "--evaluate_every_epochs=5",
)  # fmt: skip


def draw(rng, *, size=(14, 24)):
    """A label: ground, a wall below it, and a block somewhere."""
    label = np.zeros((HEIGHT, WIDTH), np.uint8)
    label[rng.integers(HEIGHT // 2, 3 * HEIGHT // 4) :] = 1
    height, width = rng.integers(*size, 2)
    y, x = rng.integers(1, [HEIGHT - height - 1, WIDTH - width - 1])
    label[y : y + height, x : x + width] = 2
    return label


def picture(rng, label, colours=COLOURS, noise=12):
    """The label in colours, with noise."""
    image = colours[label] + rng.normal(0, noise, (*label.shape, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def write(folder, split, number, pair):
    """Writes pairs; `pair` gives image and label for a random generator."""
    rng = np.random.default_rng(len(split))
    for kind in ("images", "annotations"):
        (folder / split / kind).mkdir(parents=True)
    for index in range(number):
        image, label = pair(rng)
        name = f"{index:03d}.png"
        Image.fromarray(image).save(folder / split / "images" / name)
        Image.fromarray(label).save(folder / split / "annotations" / name)
    convert(folder, split, folder / "records")


def plain(rng, **settings):
    label = draw(rng)
    return picture(rng, label, **settings), label


def other_way_round(rng):
    """Another country: what was ground is called wall, and vice versa."""
    image, label = plain(rng)
    return image, np.array([1, 0, 2], np.uint8)[label]


def with_small_blocks(rng):
    label = draw(rng, size=(3, 5))
    return picture(rng, label, noise=45), label


def with_two_kinds_of_wall(rng):
    """Walls and blocks of one colour, a picture having the one or the other."""
    label = draw(rng)
    label[label > 0] = rng.integers(1, 3)
    return picture(rng, label, colours=COLOURS[[0, 1, 1]]), label


def with_wrong_labels(rng):
    """Stripes of the ground are called wall."""
    image, label = plain(rng)
    label[: HEIGHT // 2 : 2] = 1
    return image, label


def with_lines(rng):
    """Lines two pixels wide."""
    label = draw(rng)
    for x in range(rng.integers(2, 8), WIDTH - 2, 8):
        label[:, x : x + 2] = 2
    return picture(rng, label), label


def with_lines_that_are_not_annotated(rng):
    label = draw(rng)
    drawn = label.copy()
    for x in range(rng.integers(2, 8), WIDTH - 2, 8):
        drawn[:, x : x + 2] = 2
    return picture(rng, drawn), label


RUNS = {
    "good": (plain, plain, GOOD),
    "improving": (
        plain,
        plain,
        ("--epochs=2", "--learning_rate=3e-4", "--evaluate_every_epochs=0"),
    ),
    "overfitted": (plain, other_way_round, GOOD),
    "rare": (with_small_blocks, with_small_blocks, GOOD),
    "confused": (with_two_kinds_of_wall, with_two_kinds_of_wall, GOOD),
    "confident": (plain, with_wrong_labels, GOOD),
    "specks": (
        with_lines,
        with_lines_that_are_not_annotated,
        (*GOOD, f"--input_height={2 * HEIGHT}", f"--input_width={2 * WIDTH}"),
    ),
}


def advice(folder: Path, train, val, flags) -> set[str]:
    """Trains, and gives the kinds of advice that the page has."""
    write(folder, "train", 24, train)
    write(folder, "val", 8, val)
    command = [
        "main.py", f"--data_dir={folder / 'records'}",
        f"--workdir={folder / 'run'}", f"--input_height={HEIGHT}",
        f"--input_width={WIDTH}", "--width_multiplier=0.25", "--batch_size=2",
        "--device=cpu", "--precision=float32", "--log_every_steps=1",
        *flags,
    ]  # fmt: skip
    assert main.main(command) == 0
    page = (folder / "run" / "report" / "index.html").read_text()
    return {kind for kind, words in WORDS.items() if words in page}


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_gets_the_advice_for_what_is_weak(kind, tmp_path):
    found = advice(tmp_path, *RUNS[kind])
    print(kind, found)
    assert kind in found if kind != "good" else not found
