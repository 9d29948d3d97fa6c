"""Labels that are made wrong are listed by the report: the demo's recipe."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import main
from segnet.evaluation.polygons import find_polygons
from tools import convert_to_tfrecord, make_sample_dataset

ROOT = Path(__file__).resolve().parents[2]
_PLANTED, _AMONG, _NEEDED = 20, 30, 16
# Of a region that is given another class, pixels: from a sign to a car.
_SMALLEST, _LARGEST = 250, 4000


def _plant(folder, names, rng):
    """Gives one region in each of some annotations another class.

    Returns:
      (stem, name of the class that it was given, box) of each.
    """
    planted = []
    for index in rng.choice(300, _PLANTED, replace=False):
        path = sorted(folder.iterdir())[index]
        label = np.array(Image.open(path))
        label = label if label.ndim == 2 else label[..., 2]
        regions = [
            region
            for region in find_polygons(label, 0.0)
            if region.label < len(names)
            and _SMALLEST <= region.area <= _LARGEST
        ]
        region = regions[rng.integers(len(regions))]
        left, top = region.corners.min(0).astype(int)
        right, bottom = region.corners.max(0).astype(int)
        part = label[top:bottom, left:right]
        others = [x for x in range(len(names)) if x != region.label]
        given = int(rng.choice(others))
        part[part == region.label] = given
        Image.fromarray(label).save(path)
        planted.append((path.stem, names[given], (left, top, right, bottom)))
    return planted


def _listed(page):
    """(stem, class that is annotated, x, y) in the order of the page."""
    part = page[page.index('id="suspects"') :]
    cards = re.findall(
        r'data-name="([^"]*)" data-text="annotated ([^,]*), seen [^"]*?'
        r"at x (\d+), y (\d+), in (?:&#39;|')(\w+)",
        part,
    )
    return [
        (Path(html.unescape(name)).stem, given, int(x), int(y))
        for name, given, x, y, split in cards
        if split == "train"
    ]


@pytest.mark.slow
def test_wrong_labels_of_the_demo_are_listed(tmp_path):
    data, records = tmp_path / "data", tmp_path / "records"
    argv = ["make_sample_dataset.py", f"--output_dir={data}"]
    assert make_sample_dataset.main([*argv, "--num_train=300"]) == 0
    names = (data / "class_names.txt").read_text().split()
    planted = _plant(
        data / "train" / "annotations", names, np.random.default_rng(0)
    )
    for split in ("train", "val"):
        argv = [
            "convert_to_tfrecord.py", f"--split={split}",
            f"--images_dir={data / split / 'images'}",
            f"--annotations_dir={data / split / 'annotations'}",
            f"--output_dir={records}", f"--num_classes={len(names)}",
            f"--class_names={data / 'class_names.txt'}",
            f"--void_labels={len(names)}",
        ]  # fmt: skip
        assert convert_to_tfrecord.main(argv) == 0
    run = tmp_path / "run"
    argv = [
        "main.py", f"--flagfile={ROOT / 'configs' / 'demo.flags'}",
        f"--data_dir={records}", f"--workdir={run}",
    ]  # fmt: skip
    assert main.main(argv) == 0
    listed = _listed((run / "report" / "index.html").read_text())[:_AMONG]
    found = [
        each
        for each, given, (left, top, right, bottom) in planted
        if any(
            each == stem
            and given == annotated
            # Its box begins a little before the region.
            and left - 8 <= x < right
            and top - 8 <= y < bottom
            for stem, annotated, x, y in listed
        )
    ]
    assert len(listed) > 20
    assert len(found) >= _NEEDED
