"""Folders with a mask for each picture: Pascal VOC, CVAT's, Cityscapes."""

from __future__ import annotations

import import_files as files
import numpy as np
import pytest
from PIL import Image

VOC_PALETTE = [x for i in range(256) for x in (i, 255 - i, 7 * i % 256)]


def palette(path, label):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(label)
    image.putpalette(VOC_PALETTE)
    image.save(path)


def voc(folder, stems=("a", "b")) -> np.ndarray:
    label = np.zeros((8, 12), np.uint8)
    label[2:5, 3:9] = 15
    label[2, 3:9] = 255
    for stem in stems:
        files.picture(folder / "JPEGImages" / f"{stem}.jpg")
        palette(folder / "SegmentationClass" / f"{stem}.png", label)
    files.picture(folder / "JPEGImages" / "c.jpg")
    lists = folder / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b\n")
    return label


def test_voc_is_read_as_torchvision_reads_it(tmp_path, capsys):
    label = voc(tmp_path / "VOC2012")
    output = tmp_path / "out"
    assert files.run("voc", tmp_path, output) == 0
    printed = capsys.readouterr()
    assert "c.jpg: left out, of which the labels say nothing" in printed.err
    assert "--split=train,val --list_file=" in printed.out
    assert len(files.names(output)) == 21
    assert (output / "val.txt").read_text() == "b\n"
    # torchvision hands the palette file to numpy as it is.
    target = Image.open(tmp_path / "VOC2012" / "SegmentationClass" / "a.png")
    np.testing.assert_array_equal(np.asarray(target), label)
    np.testing.assert_array_equal(files.label(output, "a"), np.array(target))


def test_a_label_map_merges_what_voc_names(tmp_path):
    label = voc(tmp_path / "in")
    label_map = tmp_path / "map.txt"
    label_map.write_text("background\nbeing: person, cat\n")
    more = (f"--label_map={label_map}",)
    assert files.run("voc", tmp_path / "in", tmp_path / "out", *more) == 0
    expected = np.where(label == 15, 1, label)
    np.testing.assert_array_equal(files.label(tmp_path / "out", "a"), expected)


def test_the_names_of_labelmes_script_are_taken(tmp_path):
    folder = tmp_path / "in"
    label = voc(folder)
    label[label == 15] = 1
    for stem in "ab":
        palette(folder / "SegmentationClass" / f"{stem}.png", label)
    (folder / "class_names.txt").write_text("_background_\ndog\n")
    assert files.run("voc", folder, tmp_path / "out") == 0
    assert files.names(tmp_path / "out") == ["_background_", "dog"]
    np.testing.assert_array_equal(files.label(tmp_path / "out", "a"), label)


def test_cvats_colours_are_those_of_its_list(tmp_path):
    files.picture(tmp_path / "in" / "JPEGImages" / "a.png")
    pixels = np.zeros((8, 12, 3), np.uint8)
    pixels[1, 2:4] = (51, 221, 255)
    pixels[5] = (250, 50, 83)
    masks = tmp_path / "in" / "SegmentationClass"
    masks.mkdir()
    Image.fromarray(pixels).save(masks / "a.png")
    (tmp_path / "in" / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\n"
        "dog:250,50,83::\n自転車:51,221,255::\n",
        encoding="utf-8",
    )
    output = tmp_path / "out"
    assert files.run("voc", tmp_path / "in", output) == 0
    assert files.names(output) == ["background", "dog", "自転車"]
    rows = ["............"] * 8
    rows[1], rows[5] = "..22........", "111111111111"
    np.testing.assert_array_equal(files.label(output, "a"), files.drawn(*rows))


def test_what_does_not_fit_together_is_said_at_once(tmp_path, capsys):
    folder = tmp_path / "in"
    label = voc(folder, "abd")
    (folder / "JPEGImages" / "d.jpg").unlink()
    palette(folder / "SegmentationClass" / "a.png", label + 30)
    palette(folder / "SegmentationClass" / "b.png", label[:7])
    (folder / "ImageSets" / "Segmentation" / "val.txt").write_text("x\n")
    assert files.run("voc", folder, tmp_path / "out") == 1
    found = capsys.readouterr().err
    assert "d.png: no picture d.* is in" in found
    assert "val.txt: 'x' has no mask in SegmentationClass" in found
    assert "a.png: the value 29 at pixel (x=3, y=2) is of no known" in found
    assert "b.png: is for a picture of 12x7" in found
    assert "4 errors (above)" in found


@pytest.mark.parametrize("merged", [False, True])
def test_cityscapes_has_19_classes_or_those_of_a_map(tmp_path, merged):
    label = np.zeros((8, 12), np.uint8)
    label[2:] = 7  # road
    label[4:, 5:] = 26  # car
    label[4:, 9:] = 29  # caravan, which is not scored
    for split, stem in (("train", "ulm_1"), ("val", "bonn_2")):
        place = f"{split}/{stem[:-2]}/{stem}"
        files.picture(tmp_path / f"leftImg8bit/{place}_leftImg8bit.png")
        path = tmp_path / f"gtFine/{place}_gtFine_labelIds.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(label).save(path)
    (tmp_path / "map.txt").write_text(
        "ground: road, sidewalk\nvehicle: car, caravan\nvoid: unlabeled\n"
    )
    output = tmp_path / "out"
    more = (f"--label_map={tmp_path / 'map.txt'}",) if merged else ()
    assert files.run("cityscapes", tmp_path, output, *more) == 0
    table = {0: 255, 7: 0, 26: 13, 29: 255}
    if merged:
        table |= {26: 1, 29: 1}
    expected = np.vectorize(table.get)(label)
    np.testing.assert_array_equal(files.label(output, "ulm_1"), expected)
    assert (output / "images" / "bonn_2.png").exists()
    assert (output / "val.txt").read_text() == "bonn_2\n"
    assert len(files.names(output)) == (2 if merged else 19)
