"""LabelMe's files: what they show is what the labels hold, pixel for pixel."""

from __future__ import annotations

import base64
import pathlib

import import_files as files
import numpy as np
import picture_files
import pytest
from PIL import Image

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "labels"
EXAMPLES = SHARED / "labelme"


def shape(label, kind, *points, **more):
    return {"label": label, "shape_type": kind, "points": points, **more}


def write(folder, stem, shapes, **more):
    """A picture and its JSON."""
    files.picture(folder / f"{stem}.png")
    value = {
        "imagePath": f"{stem}.png",
        "imageHeight": files.HEIGHT,
        "imageWidth": files.WIDTH,
        "shapes": shapes,
        **more,
    }
    return files.write_json(folder / f"{stem}.json", value)


def fail(capsys, folder, *more) -> list[str]:
    output = folder.parent / "out"
    assert files.run("labelme", folder, output, *more) == 1
    assert not output.exists()
    return capsys.readouterr().err.splitlines()


def test_later_shapes_lie_on_earlier_ones(tmp_path):
    mask = picture_files.saved(
        np.array([[0, 255], [255, 255]], np.uint8), "PNG"
    )
    write(
        tmp_path / "in",
        "a",
        [
            shape("car", "rectangle", [6, 5], [1, 2]),
            shape("bus", None, [4, 4], [8, 4], [8, 7], [4, 7]),
            shape("__ignore__", "point", [10, 1]),
            shape(
                "car",
                "mask",
                [0, 6],
                [1, 7],
                mask=base64.b64encode(mask).decode(),
            ),
        ],
    )
    output = tmp_path / "out"
    more = ("--point_size=1",)
    assert files.run("labelme", tmp_path / "in", output, *more) == 0
    assert files.names(output) == ["background", "bus", "car"]
    expected = files.drawn(
        "..........v.",
        ".........vvv",
        ".222222...v.",
        ".222222.....",
        ".22211111...",
        ".22211111...",
        ".2..11111...",
        "22..11111...",
    )
    np.testing.assert_array_equal(files.label(output, "a"), expected)
    copied = (output / "images" / "a.png").read_bytes()
    assert copied == (tmp_path / "in" / "a.png").read_bytes()


def test_lines_have_a_width_and_circles_a_point(tmp_path):
    write(
        tmp_path / "in",
        "a",
        [
            shape("wire", "linestrip", [0, 1], [11, 1]),
            shape("disc", "circle", [5, 5], [7, 5]),
        ],
    )
    output = tmp_path / "out"
    assert files.run("labelme", tmp_path / "in", output, "--line_width=3") == 0
    expected = files.drawn(
        "222222222222",
        "222222222222",
        "222222222222",
        "....111.....",
        "...11111....",
        "...11111....",
        "...11111....",
        "....111.....",
    )
    np.testing.assert_array_equal(files.label(output, "a"), expected)


def test_a_label_map_keeps_merges_drops_and_voids(tmp_path):
    write(
        tmp_path / "in",
        "a",
        [
            shape("自動車", "rectangle", [0, 0], [1, 1]),
            shape("bus, red", "rectangle", [3, 0], [4, 1]),
            shape("sticker", "rectangle", [0, 0], [11, 7]),
            shape("rain", "rectangle", [6, 0], [7, 1]),
        ],
    )
    label_map = tmp_path / "map.txt"
    label_map.write_text(
        '# mine\nbackground\nvehicle: 自動車, "bus, red"\n'
        "void: rain\ndrop: sticker\n",
        encoding="utf-8",
    )
    output = tmp_path / "out"
    more = (f"--label_map={label_map}",)
    assert files.run("labelme", tmp_path / "in", output, *more) == 0
    assert files.names(output) == ["background", "vehicle"]
    rows = ["11.11.vv....", "11.11.vv....", *["............"] * 6]
    np.testing.assert_array_equal(files.label(output, "a"), files.drawn(*rows))


@pytest.mark.parametrize("size", [(8, 12), (12, 8)])
def test_the_size_tells_whether_exif_data_was_heeded(tmp_path, size):
    folder = tmp_path / "in"
    write(
        folder,
        "a",
        [shape("car", "rectangle", [0, 0], [2, 0])],
        imageHeight=size[0],
        imageWidth=size[1],
        imagePath="a.jpg",
    )
    (folder / "a.png").unlink()
    # Stored 8 high and 12 wide, to be turned clockwise.
    files.picture(folder / "a.jpg", exif=picture_files.orientation(6))
    assert files.run("labelme", folder, tmp_path / "out") == 0
    expected = np.zeros((12, 8), np.uint8)
    if size == (12, 8):
        expected[0, :3] = 1
    else:
        expected[:3, 7] = 1
    np.testing.assert_array_equal(files.label(tmp_path / "out", "a"), expected)


def test_pictures_without_objects_are_left_out_unless_asked(tmp_path, capsys):
    folder = tmp_path / "in"
    write(folder, "a", [shape("car", "rectangle", [0, 0], [2, 0])])
    write(folder, "b", [])
    files.picture(folder / "c.png")
    assert files.run("labelme", folder, tmp_path / "out") == 0
    first, second = capsys.readouterr().err.splitlines()
    assert "b.png: left out, without any object" in first
    assert "c.png: left out, of which the labels say nothing" in second
    more = ("--empty_is_background", "--overwrite", "--images=link")
    assert files.run("labelme", folder, tmp_path / "out", *more) == 0
    assert not files.label(tmp_path / "out", "b").any()
    assert (tmp_path / "out" / "images" / "b.png").is_symlink()


def test_all_errors_are_said_at_once(tmp_path, capsys):
    folder = tmp_path / "in"
    good = shape("car", "rectangle", [0, 0], [2, 0])
    write(folder, "a", [shape("car", "polygon", [0, 0], [2, 0]), good])
    write(folder, "b", [shape("car", "polygon", [0, 0], [2, 1e9], [0, 1])])
    write(folder, "c", [shape("car", "cuboid", [0, 0])])
    write(folder, "d", [good], imagePath="../../etc/passwd.png")
    write(folder, "e", [shape("car", "mask", [0, 0], [1, 1], mask="abc")])
    write(folder, "f", [{"label": 3}], imageHeight=9)
    (folder / "g.json").write_text("[" * 100_000)
    (folder / "h.json").write_text('{"imagePath": "a.png"}')
    lines = fail(capsys, folder)
    parts = [
        "a.json: shapes[0]: 'points' has 2 points, not 3 or more",
        "b.json: shapes[0]: 'points' is 1e+09, not from -100000 to 100000",
        "c.json: shapes[0]: 'shape_type' is 'cuboid'",
        "d.json: there is no picture '../../etc/passwd.png' in",
        "e.json: shapes[0]: 'mask' is no PNG in base64",
        "f.json: shapes[0]: 'label' is not a text",
        "g.json: is no usable JSON: it is nested too deeply",
        "h.json: the file: has no 'shapes'",
        "8 errors (above), nothing was written",
    ]
    assert len(lines) == len(parts)
    for line, part in zip(lines, parts, strict=True):
        assert part in line


def test_a_picture_of_another_size_is_an_error(tmp_path, capsys):
    good = shape("car", "rectangle", [0, 0], [2, 0])
    write(tmp_path / "in", "a", [good], imageHeight=9)
    line, _ = fail(capsys, tmp_path / "in")
    assert "is for a picture of 12x9 (width x height)" in line


def test_an_import_is_replaced_only_if_asked_and_nothing_else(tmp_path, capsys):
    folder, output = tmp_path / "in", tmp_path / "out"
    write(folder, "a", [shape("car", "rectangle", [0, 0], [2, 0])])
    assert files.run("labelme", folder, output) == 0
    capsys.readouterr()
    assert files.run("labelme", folder, output) == 1
    assert "has an import already; give --overwrite" in capsys.readouterr().err
    assert files.run("labelme", folder, output, "--overwrite") == 0
    (output / "mine.txt").write_text("x")
    assert files.run("labelme", folder, output, "--overwrite") == 1
    assert "mine.txt, which no import wrote" in capsys.readouterr().err
    assert files.run("labelme", folder, folder) == 1
    assert (folder / "a.json").exists()


def test_workers_write_the_same_and_the_command_can_be_pasted(tmp_path, capsys):
    folder, output = tmp_path / "in", tmp_path / "out's"
    for number in range(40):
        write(
            folder / f"f{number % 2}",
            f"p{number // 2}",
            [shape("car", "rectangle", [0, 0], [number % 12, 0])],
        )
    assert files.run("labelme", folder, output, "--num_workers=2") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert f"""--class_names={tmp_path}/out'"'"'s/class_names.txt'""" in last
    assert len(list((output / "images").iterdir())) == 40
    assert files.label(output, "f1_p2")[0].sum() == 6


@pytest.mark.skipif(not EXAMPLES.exists(), reason="no examples of LabelMe")
def test_labels_are_those_that_labelme_has_made(tmp_path):
    folder = EXAMPLES / "data_annotated"
    more = (f"--label_map={EXAMPLES / 'labels.txt'}",)
    assert files.run("labelme", folder, tmp_path / "out", *more) == 0
    assert (
        files.names(tmp_path / "out")
        == (EXAMPLES / "class_names.txt")
        .read_text()
        .split("\n")[: len(files.names(tmp_path / "out"))]
    )
    different = []
    for file in sorted((EXAMPLES / "SegmentationClass").iterdir()):
        expected = np.asarray(Image.open(file))
        got = files.label(tmp_path / "out", file.stem)
        different += np.argwhere(expected != got).tolist()
    # Of 544,000 pixels one, at the end of a nearly level edge: Pillow has
    # filled polygons a little otherwise since those were made.
    assert len(different) <= 1
