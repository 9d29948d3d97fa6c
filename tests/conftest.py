"""Shared fixtures: a tiny data set, converted once."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import MutableMapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnet.environment import prepare_tensorflow

ROOT = Path(__file__).resolve().parents[1]
CLASS_NAMES = ("ground", "wall", "disc")
# Where programs, libraries, files and certificates are, and what measures the
# coverage of the programs that the tests start.
_KEPT = re.compile(
    r"(LD_LIBRARY_|PYTHON)?PATH|HOME|USER|LOGNAME|TMPDIR|CI|VENV|VIRTUAL_ENV"
    r"|SSL_.*|(COV|PYTEST)_.*|COVERAGE_.*"
)


def clean_environment(environment: MutableMapping[str, str]) -> None:
    """Leaves what the tests may depend on; the shell may export anything.

    Settings of Python, TensorFlow, Horovod, locale or terminal would change
    what the tests see, in this process and in those that they start.
    """
    for name in list(environment):
        if not _KEPT.fullmatch(name):
            del environment[name]
    prepare_tensorflow(environment)


# Before TensorFlow is imported, which reads some of it.
clean_environment(os.environ)

# Shells start background jobs with SIGINT ignored, and so would be the programs
# that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Notes how many inputs a test has generated."""
    inputs = sys.modules.get("hostile_inputs")
    before = inputs.total if inputs else 0
    try:
        return (yield)
    finally:
        inputs = sys.modules.get("hostile_inputs")
        if inputs and inputs.total > before:
            item.user_properties.append(("inputs", inputs.total - before))


@pytest.fixture(autouse=True)
def _precision_of_this_test_alone():
    """A run sets the precision of its process: not for the tests after it."""
    yield
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        tensorflow.keras.mixed_precision.set_global_policy("float32")


def pytest_terminal_summary(terminalreporter):
    """Says how many inputs were generated."""
    reports = [
        report
        for found in terminalreporter.stats.values()
        for report in found
        if getattr(report, "when", "") == "call"
    ]
    total = sum(dict(each.user_properties).get("inputs", 0) for each in reports)
    if total:
        terminalreporter.write_line(f"{total:,} hostile inputs were generated")


def draw_pair(rng: np.random.Generator, height: int, width: int):
    """An image that a network learns in a few steps, and its label."""
    label = np.zeros((height, width), np.uint8)
    label[: rng.integers(height // 4, height // 2)] = 1
    rows, columns = np.mgrid[:height, :width]
    radius = rng.integers(height // 6, height // 4)
    y, x = rng.integers(radius, [height - radius, width - radius])
    label[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = 2
    colours = np.array([[60, 150, 70], [90, 110, 210], [220, 90, 40]])
    noise = rng.normal(0, 15, (height, width, 3))
    image = np.clip(colours[label] + noise, 0, 255).astype(np.uint8)
    label[:, 0] = 3  # Void.
    return image, label


def write_folders(folder: Path, split: str, sizes, seed: int) -> None:
    """Writes images and annotations of a split."""
    rng = np.random.default_rng(seed)
    for name in ("images", "annotations"):
        (folder / split / name).mkdir(parents=True, exist_ok=True)
    for number, (height, width) in enumerate(sizes):
        image, label = draw_pair(rng, height, width)
        suffix = ("png", "bmp")[number % 2]
        Image.fromarray(image).save(
            folder / split / "images" / f"{number:03d}.{suffix}"
        )
        Image.fromarray(label).save(
            folder / split / "annotations" / f"{number:03d}.png"
        )


def convert(folder: Path, split: str, output: Path) -> None:
    """Converts a split as a user would."""
    from tools import convert_to_tfrecord

    status = convert_to_tfrecord.main(
        [
            "convert_to_tfrecord.py",
            f"--images_dir={folder / split / 'images'}",
            f"--annotations_dir={folder / split / 'annotations'}",
            f"--output_dir={output}",
            f"--split={split}",
            "--num_classes=3",
            f"--class_names={','.join(CLASS_NAMES)}",
            "--void_labels=3",
            "--num_shards=2",
            "--num_workers=1",
        ]
    )
    assert status == 0


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> Path:
    """10 training and 5 evaluation pairs, of several sizes."""
    folder = tmp_path_factory.mktemp("folders")
    write_folders(folder, "train", [(32, 48)] * 8 + [(40, 72), (48, 40)], 0)
    write_folders(
        folder, "val", [(32, 48), (40, 56), (33, 47)] + [(32, 48)] * 2, 1
    )
    return folder


@pytest.fixture(scope="session")
def data_dir(folders, tmp_path_factory) -> Path:
    """The same, as shards."""
    output = tmp_path_factory.mktemp("records")
    for split in ("train", "val"):
        convert(folders, split, output)
    return output


def run_flags(data_dir, workdir, *extra: str) -> list[str]:
    """Command line of a training run on the tiny data set."""
    return [
        "main.py",
        f"--data_dir={data_dir}",
        f"--workdir={workdir}",
        "--input_height=32",
        "--input_width=48",
        # All layers with few channels: quick to build, to trace and to save.
        "--width_multiplier=0.1",
        "--batch_size=2",
        "--device=cpu",
        "--precision=float32",
        "--log_every_steps=2",
        "--noreport",
        *extra,
    ]


def lines(workdir) -> list[dict]:
    """The lines of metrics.jsonl."""
    text = (Path(workdir) / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="session")
def trained(data_dir, tmp_path_factory):
    """A workdir after two epochs of five steps."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    import main

    status = main.main(
        run_flags(
            data_dir,
            workdir,
            "--epochs=2",
            "--augment=basic",
            "--class_weights=median_frequency",
            "--lr_schedule=cosine",
            "--cache=memory",
        )
    )
    assert status == 0
    return workdir


@pytest.fixture(scope="session")
def programs(folders, data_dir, trained):
    """The programs on the tiny data set, to be started."""
    from fault_programs import Programs

    return Programs(folders, data_dir, trained)
