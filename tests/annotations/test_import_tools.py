"""CVAT's XML, YOLO's texts and Label Studio's JSON, drawn by hand."""

from __future__ import annotations

import import_files as files
import numpy as np
import pytest
from pycocotools import mask as coco_mask

LABELS = (
    "<meta><job><labels><label><name>dog</name></label>"
    "<label><name>cat</name></label></labels></job></meta>"
)


def write_cvat(folder, inside: str, labels=LABELS, head="", name="a.png"):
    files.picture(folder / "images" / "a.png")
    text = (
        f'<?xml version="1.0" encoding="utf-8"?>{head}<annotations>'
        f'<version>1.1</version>{labels}<image id="0" name="{name}" '
        f'width="12" height="8" subset="Train">{inside}</image></annotations>'
    )
    (folder / "annotations.xml").write_text(text, encoding="utf-8")


def test_cvat_draws_by_z_order(tmp_path):
    write_cvat(
        tmp_path,
        '<box label="cat" xtl="1" ytl="1" xbr="4" ybr="3" z_order="1"/>'
        '<polygon label="dog" points="0,0;6,0;6,2;0,2" z_order="0"/>'
        '<mask label="dog" rle="1, 2, 1, 4" left="9" top="5" width="4" '
        'height="2" z_order="0"/>'
        '<polyline label="cat" points="0,6;5,6"/><tag label="night"/>',
    )
    output = tmp_path / "out"
    assert files.run("cvat", tmp_path, output, "--line_width=1") == 0
    assert files.names(output) == ["background", "dog", "cat"]
    expected = files.drawn(
        "111111......",
        "122211......",
        ".222........",
        "............",
        "............",
        "..........11",
        "222222...111",
        "............",
    )
    np.testing.assert_array_equal(files.label(output, "a"), expected)
    assert (output / "train.txt").read_text() == "a\n"


def test_cvats_polygons_are_filled_by_cocos_code(tmp_path):
    flat = [1.3, 0.4, 10.9, 2.2, 7.5, 7.7, 0.2, 5.1]
    points = ";".join(
        f"{x},{y}" for x, y in zip(flat[::2], flat[1::2], strict=True)
    )
    write_cvat(tmp_path, f'<polygon label="dog" points="{points}"/>')
    assert files.run("cvat", tmp_path, tmp_path / "out") == 0
    expected = coco_mask.decode(coco_mask.frPyObjects([flat], 8, 12))[:, :, 0]
    np.testing.assert_array_equal(files.label(tmp_path / "out", "a"), expected)


@pytest.mark.parametrize(
    ("inside", "part"),
    [
        ('<polygon label="dog" points="0,0;1,1"/>', "'points' has 4 numbers"),
        ('<polygon points="0,0;1,1;2,0"/>', "polygon[0]: has no 'label'"),
        ('<box label="dog" xtl="nan" ytl="0" xbr="1" ybr="1"/>', "'nan', no"),
        ('<cuboid label="dog"/>', "a cuboid has no area"),
        (
            '<mask label="dog" rle="3" left="0" top="0" width="9" height="9"/>',
            "its counts add up to 3, not 81 pixels",
        ),
        ("<a>" * 40 + "</a>" * 40, "nested too deeply"),
        ("<a>", "is no XML"),
    ],
)
def test_what_is_wrong_in_cvats_file_is_named(tmp_path, capsys, inside, part):
    write_cvat(tmp_path, inside)
    assert files.run("cvat", tmp_path, tmp_path / "out") == 1
    assert part in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_entities_are_refused(tmp_path, capsys):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    write_cvat(tmp_path, "&b;", head=bomb)
    assert files.run("cvat", tmp_path, tmp_path / "out") == 1
    assert "has a document type (DOCTYPE)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "names",
    [
        "names: ['dog', 'big cat']\nnc: 2\n",
        "nc: 2\nnames:\n  0: dog\n  1: big cat  # not small\n",
        'names:\n- "dog"\n- big cat\ntrain: x\n',
    ],
)
def test_yolo_has_parts_of_width_and_height(tmp_path, names):
    folder = tmp_path / "in"
    for split in ("train", "valid"):
        files.picture(folder / split / "images" / f"{split}1.jpg")
        labels = folder / split / "labels"
        labels.mkdir()
        (labels / f"{split}1.txt").write_text(
            "1 0.25 0.25 0.5 0.25 0.5 0.5 0.25 0.5\n0 0 0.875 1 0.875 1 1 0 1\n"
        )
    (folder / "data.yaml").write_text(names)
    output = tmp_path / "out"
    assert files.run("yolo", folder, output) == 0
    assert files.names(output) == ["background", "dog", "big cat"]
    rows = ["............"] * 8
    rows[2] = rows[3] = rows[4] = "...2222....."
    rows[7] = "111111111111"
    np.testing.assert_array_equal(
        files.label(output, "train1"), files.drawn(*rows)
    )
    assert (output / "val.txt").read_text() == "valid1\n"


def test_what_is_wrong_in_yolos_files_is_named(tmp_path, capsys):
    files.picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text(
        "0 0.5 0.5 1 1\n7 0 0 1 0 1 1\n0 0 0 1 x 1 1\n0 0 0 9 9 1 1\n"
    )
    (tmp_path / "labels" / "b.txt").write_text("0 0 0 1 0 1 1\n")
    (tmp_path / "classes.txt").write_text("dog\n")
    assert files.run("yolo", tmp_path, tmp_path / "out") == 1
    found = capsys.readouterr().err
    for part in (
        "a.txt: line 1: is a box, which does not tell pixels",
        "a.txt: line 2: the class is 7, but there are names for 0 to 0",
        "a.txt: line 3: 'class x y ...' has 'x', no number",
        "a.txt: line 4: its points are in pixels",
        "b.txt: there is no picture b.* in",
    ):
        assert part in found


def brush(mask: np.ndarray) -> list[int]:
    """Packs a mask as Label Studio does: here each row's values as they are."""
    values = np.zeros((*mask.shape, 4), np.int64)
    values[:, :, 3] = mask * 255
    flat = values.reshape(-1)
    bits = f"{len(flat):032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}"
    for start in range(0, len(flat), 8):
        part = flat[start : start + 8]
        if len(set(part)) == 1:
            bits += f"100{len(part) - 1:03b}{part[0]:08b}"
        else:
            bits += f"001{len(part) - 1:04b}"
            bits += "".join(f"{value:08b}" for value in part)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def result(kind, label, **value):
    return {
        "type": kind,
        "original_width": 12,
        "original_height": 8,
        "value": {**value, kind: [label]},
    }


def write_studio(folder, results, image="/data/upload/1/0a1b2c3d-a%20b.png"):
    files.picture(folder / "a b.png")
    task = {
        "id": 1,
        "data": {"image": image},
        "annotations": [
            {"was_cancelled": True, "result": []},
            {"result": results},
        ],
    }
    return files.write_json(folder / "export.json", [task])


def test_label_studios_brush_and_per_cents(tmp_path):
    mask = np.zeros((8, 12), bool)
    mask[1:3, 2:5] = True
    mask[2, 3] = False
    write_studio(
        tmp_path,
        [
            result("polygonlabels", "cat", points=[[50, 0], [100, 0],
                                                   [100, 50], [50, 50]]),
            result("brushlabels", "dog", format="rle", rle=brush(mask)),
            result("rectanglelabels", "dog", x=0, y=75, width=25, height=25,
                   rotation=0),
            result("ellipselabels", "cat", x=50, y=75, radiusX=12.5,
                   radiusY=25),
            {"type": "choices", "value": {"choices": ["good"]}},
        ],
    )  # fmt: skip
    output = tmp_path / "out"
    assert files.run("label_studio", tmp_path / "export.json", output) == 0
    assert files.names(output) == ["background", "cat", "dog"]
    expected = files.drawn(
        "......111111",
        "..222.111111",
        "..2.2.111111",
        "......111111",
        ".....11.....",
        ".....11.....",
        "222..11.....",
        "222..11.....",
    )
    np.testing.assert_array_equal(files.label(output, "a b"), expected)


def test_what_is_wrong_in_label_studios_file_is_named(tmp_path, capsys):
    good = brush(np.ones((8, 12), bool))
    write_studio(
        tmp_path,
        [
            result("brushlabels", "dog", rle=good[:9]),
            result("brushlabels", "dog", rle=[0, 0, 0, 1, *good[4:]]),
            result("brushlabels", "dog", rle=[300]),
            result("polygonlabels", "dog", points=[[0, 0], [1, 1]]),
            {**result("polygonlabels", "x"), "original_width": 10**12},
        ],
    )
    assert files.run("label_studio", tmp_path, tmp_path / "out") == 1
    found = capsys.readouterr().err
    for part in (
        "annotations[1]: result[0]: its rle ends early",
        "result[1]: its rle has 1 values, not 4 for each of 12x8",
        "result[2]: 'rle' is not a list of bytes",
        "result[3]: 'points' has 2 points, not 3 or more",
        "result[4]: 'original_width' is 1000000000000, not from",
    ):
        assert part in found
