"""Tests of polygons: their outlines, their files, and the way back."""

from __future__ import annotations

import itertools
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from segnet.annotations.importing import program
from segnet.config import Config
from segnet.evaluation import predict, tiled
from segnet.evaluation.inputs import find_inputs
from segnet.evaluation.polygons import find_polygons
from segnet.evaluation.results import Options
from segnet.evaluation.tiles import Tiling

NAMES = ("sky", "road", "car")
COLOURS = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250]], np.uint8)


def _blobs(height=61, width=90, seed=0):
    """Smooth areas of three classes, with islands, holes and narrow parts."""
    rng = np.random.default_rng(seed)
    rough = rng.normal(size=[height // 9 + 2, width // 9 + 2, 3])
    smooth = tf.image.resize(rough, [height, width], "bicubic")
    return tf.argmax(smooth, -1).numpy().astype(np.uint8)


def test_a_square_in_a_square_by_hand():
    """5x6 of class 0, in it 2x3 of class 1, which has a notch of class 2."""
    label = np.zeros([5, 6], np.uint8)
    label[1:3, 2:5] = 1
    label[2, 3] = 2
    ground, square, dot = find_polygons(label, 0)
    assert [x.label for x in (ground, square, dot)] == [0, 1, 2]
    assert [x.area for x in (ground, square, dot)] == [30, 5, 1]
    assert {*map(tuple, ground.corners)} == {(0, 0), (6, 0), (6, 5), (0, 5)}
    assert {*map(tuple, ground.pixels)} == {(0, 0), (5, 0), (5, 4), (0, 4)}
    (hole,) = ground.holes
    assert {*map(tuple, hole)} == {(2, 1), (5, 1), (5, 3), (2, 3)}
    assert square.holes == ()
    assert {*map(tuple, square.corners)} == {
        (2, 1), (5, 1), (5, 3), (4, 3), (4, 2), (3, 2), (3, 3), (2, 3),
    }  # fmt: skip
    assert {*map(tuple, dot.corners)} == {(3, 2), (4, 2), (4, 3), (3, 3)}
    assert {*map(tuple, dot.pixels)} == {(3, 2)}


def test_pixels_that_touch_at_a_corner_are_two_areas():
    label = np.array([[0, 1], [1, 0]], np.uint8)
    found = find_polygons(label, 5)
    assert [(x.label, x.area, len(x.corners)) for x in found] == [
        (found[0].label, 1.0, 4), (found[1].label, 1.0, 4),
        (found[2].label, 1.0, 4), (found[3].label, 1.0, 4),
    ]  # fmt: skip


def test_a_hole_belongs_to_what_is_around_it():
    """Rings in rings: each has the next one as its hole."""
    label = np.zeros([11, 11], np.uint8)
    for inset in range(1, 5):
        label[inset:-inset, inset:-inset] = inset % 2
    found = find_polygons(label, 0)
    assert [x.area for x in found] == [121, 81, 49, 25, 9]
    assert [len(x.holes) for x in found] == [1, 1, 1, 1, 0]
    for outer, inner in itertools.pairwise(found):
        hole = {*map(tuple, outer.holes[0])}
        assert hole == {*map(tuple, inner.corners)}


@pytest.mark.parametrize("seed", [1, 2])
def test_areas_add_up_and_fewer_corners_stay_within_the_tolerance(seed):
    label = _blobs(seed=seed)
    exact, thin = find_polygons(label, 0), find_polygons(label, 1.5)
    assert len(exact) == len(thin)
    corners = [sum(len(x.corners) for x in each) for each in (exact, thin)]
    assert corners[1] < corners[0] / 3
    for value in range(3):
        inside = sum(
            x.area - sum(_area(hole) for hole in x.holes)
            for x in exact
            if x.label == value
        )
        assert inside == np.sum(label == value)
    for before, after in zip(exact, thin, strict=True):
        kept = {*map(tuple, after.corners)}
        assert kept <= {*map(tuple, before.corners)}
        for x, y in before.corners:
            assert _distance(x, y, after.corners) <= 1.5 + 1e-9


def _area(ring):
    x, y = ring.T
    return abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def _distance(x, y, corners):
    """From a point to a closed line."""
    start, point = corners, np.array([x, y])
    along = np.roll(corners, -1, axis=0) - start
    squared = np.maximum((along**2).sum(-1), 1e-12)
    share = np.clip(((point - start) * along).sum(-1) / squared, 0, 1)
    return np.hypot(*(start + share[:, None] * along - point).T).min()


def _network(images):
    return tf.cast(images, tf.float32)


def _write(folder, kind, tolerance, tiling=None):
    """Predicts pictures whose colours tell their labels; gives the labels."""
    labels = {}
    for name, seed in (("a", 3), ("deep/é", 4)):
        labels[name] = _blobs(seed=seed)
        path = folder / "pictures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(COLOURS[labels[name]]).save(path)
    sources = find_inputs(str(folder / "pictures"), recursive=True).sources
    config = Config(class_names=NAMES, input_height=61, input_width=90)
    options = Options(polygons=kind, polygon_tolerance=tolerance)
    out = str(folder / "out")
    if tiling:
        problems = tiled.predict_tiled(
            _network, sources, out, config, tiling, options=options
        ).problems
    else:
        problems = predict.predict(
            _network, sources, out, config, options=options
        ).problems
    assert problems == []
    return labels


@pytest.mark.parametrize("tolerance", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["coco", "labelme"])
def test_the_importer_makes_the_same_labels_of_them(tmp_path, kind, tolerance):
    labels = _write(tmp_path, kind, tolerance)
    (tmp_path / "names").write_text("sky: sky\nroad: road\ncar: car\n"
                                    "void: background\n")  # fmt: skip
    status = program.main([
        "import_annotations.py", f"--format={kind}",
        f"--input={tmp_path / 'out'}", f"--output_dir={tmp_path / 'back'}",
        f"--images_dir={tmp_path / 'pictures'}", "--num_workers=1",
        f"--label_map={tmp_path / 'names'}", "--silence=left_aside",
    ])  # fmt: skip
    assert status == 0
    for name, label in labels.items():
        stem = os.path.basename(name)
        path = tmp_path / "back" / "annotations" / f"{stem}.png"
        with Image.open(path) as image:
            back = np.asarray(image)
        different = back != label
        if tolerance == 0:
            assert not different.any()
        # Nowhere but beside a border, and hardly any gaps there.
        assert not (different & ~_near_border(label, 2)).any()
        assert np.mean(back == 255) < 0.01


def _near_border(label, radius):
    """Pixels with another label within so many pixels."""
    near = np.zeros(label.shape, bool)
    padded = np.pad(label, radius, mode="edge")
    for dy in range(2 * radius + 1):
        for dx in range(2 * radius + 1):
            shifted = padded[dy:, dx:][: label.shape[0], : label.shape[1]]
            near |= shifted != label
    return near


def test_geojson_has_closed_rings_and_holes(tmp_path):
    labels = _write(tmp_path, "geojson", 0.0, Tiling(64, 16, 64))
    path = tmp_path / "out" / "deep" / "é.geojson"
    content = json.loads(path.read_text())
    with Image.open(tmp_path / "out" / "deep" / "é_labels.png") as image:
        assert np.array_equal(np.asarray(image), labels["deep/é"])
    assert content["type"] == "FeatureCollection"
    picture = content["picture"]
    assert (picture["height"], picture["width"]) == (61, 90)
    assert (path.parent / picture["file"]).samefile(
        tmp_path / "pictures" / "deep" / "é.png"
    )
    total = dict.fromkeys(NAMES, 0.0)
    for feature in content["features"]:
        rings = feature["geometry"]["coordinates"]
        assert all(ring[0] == ring[-1] for ring in rings)
        outer, *holes = (_area(np.array(ring[:-1])) for ring in rings)
        total[feature["properties"]["class"]] += outer - sum(holes)
    counts = np.bincount(labels["deep/é"].ravel(), minlength=3)
    assert list(total.values()) == counts.tolist()


def test_what_was_corrected_is_not_replaced(tmp_path):
    """LabelMe writes its files in its own way; ours are known by theirs."""
    _write(tmp_path, "labelme", 1.0)
    path = tmp_path / "out" / "a.json"
    content = json.loads(path.read_text())
    assert content["imagePath"] == "../pictures/a.png"
    assert content["imageData"] is None
    assert content["shapes"][0]["shape_type"] == "polygon"
    _write(tmp_path, "labelme", 1.0)
    path.write_text(json.dumps(content, indent=2))
    before = path.read_text()
    sources = find_inputs(str(tmp_path / "pictures")).sources
    config = Config(class_names=NAMES, input_height=61, input_width=90)
    problems = predict.predict(
        _network, sources, str(tmp_path / "out"), config,
        options=Options(polygons="labelme"),
    ).problems  # fmt: skip
    assert len(problems) == 1
    assert "is not labelled, because" in problems[0]
    assert "a.json is there" in problems[0]
    assert path.read_text() == before
