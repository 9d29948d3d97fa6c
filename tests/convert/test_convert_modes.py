"""The converter: label maps, and colours that the blue channel loses."""

from __future__ import annotations

import numpy as np
import picture_files as files
import pytest
from PIL import Image

from segnet.records.verify import verify_split
from tools import convert_to_tfrecord as convert

COLOURS = np.array([(9, 0, 0), (0, 70, 0), (9, 70, 0)], np.uint8)


@pytest.fixture
def root(tmp_path):
    return files.write_folders(tmp_path, 3)


def annotate(root, paint) -> None:
    """Writes annotations: `paint` of labels 0 to 2, uint8."""
    for index in range(3):
        data = files.saved(paint(files.labels(index)), "PNG")
        (root / "annotations" / f"f{index:02d}.png").write_bytes(data)


def flags(root, *more: str) -> list[str]:
    """The arguments without --num_classes."""
    argv = files.flags(root, *more)
    return [flag for flag in argv if flag != "--num_classes=3"]


def counts() -> list[int]:
    """Pixels of each label in all three annotations."""
    label = np.stack([files.labels(index) for index in range(3)])
    return np.bincount(label.ravel(), minlength=3).tolist()


@pytest.fixture
def colour_map(tmp_path) -> str:
    path = tmp_path / "map.txt"
    text = "\ufeffroad: #090000\r\nvoid: #094600\r\nsky: #004600\r\n"
    path.write_text(text, newline="")
    return f"--label_map={path}"


def test_colours_become_classes(root, colour_map):
    annotate(root, lambda label: COLOURS[label])
    more = (colour_map, "--annotation_mode=color")
    assert convert.main(flags(root, *more)) == 0
    manifest = verify_split(root / "out", "train")
    road, sky, void = counts()
    assert manifest.class_names == ("road", "sky")
    assert manifest.pixel_counts == (road, sky)
    assert manifest.ignored_pixels == void


def test_void_labels_and_class_names_go_with_a_label_map(root, colour_map):
    annotate(root, lambda label: COLOURS[label])
    more = (colour_map, "--annotation_mode=color", "--void_labels=1")
    assert convert.main(flags(root, *more, "--class_names=a,b")) == 0
    manifest = verify_split(root / "out", "train")
    road, sky, void = counts()
    assert manifest.class_names == ("a", "b")
    assert manifest.pixel_counts == (road, 0)
    assert manifest.ignored_pixels == void + sky


def test_values_become_classes(root, tmp_path):
    annotate(root, lambda label: np.array([30, 7, 200], np.uint8)[label])
    (tmp_path / "map.txt").write_text("sky: 7\nroad: 30\n")
    more = (f"--label_map={tmp_path / 'map.txt'}", "--void_labels=200")
    assert convert.main(flags(root, *more)) == 0
    manifest = verify_split(root / "out", "train")
    road, sky, void = counts()
    assert manifest.class_names == ("sky", "road")
    assert manifest.pixel_counts == (sky, road)
    assert manifest.ignored_pixels == void


def test_binary_masks(root):
    annotate(root, lambda label: (label > 0) * np.uint8(255))
    assert convert.main(flags(root, "--label_map=binary")) == 0
    manifest = verify_split(root / "out", "train")
    assert manifest.class_names == ("background", "object")
    zero = counts()[0]
    assert manifest.pixel_counts == (zero, 3 * 24 * 40 - zero)


def test_colours_in_blue_mode_are_an_error_for_each_file(root, capsys):
    annotate(root, lambda label: COLOURS[label])
    assert convert.main(files.flags(root)) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    for index, line in enumerate(lines[:3]):
        assert f"annotations/f{index:02d}.png: the colours (" in line
    assert not (root / "out").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_colours_that_only_differ_between_files_are_an_error(
    root, capsys, workers
):
    """Each file alone could be labels in the blue channel."""
    for index in range(3):
        colour = COLOURS[[0, 1, index % 2]] + np.uint8([[0, 0, 1]])
        label = np.minimum(files.labels(index), 1) * np.uint8(2)
        pixels = np.where(label[..., None] == 0, np.uint8(0), colour[label])
        data = files.saved(pixels, "PNG")
        (root / "annotations" / f"f{index:02d}.png").write_bytes(data)
    more = (f"--num_workers={workers}", "--skip_invalid")
    assert convert.main(files.flags(root, *more)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "f01.png: has the colour (0, 70, 1)" in line
    assert "f00.png the colour (9, 0, 1)" in line
    assert not (root / "out").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_palettes_that_differ_between_files_are_warned_of(
    root, capsys, workers
):
    """Programs sort a palette by how often a colour occurs in the picture."""
    for index in range(3):
        picture = Image.fromarray(files.labels(index) * 2).convert("P")
        picture = Image.frombytes("P", picture.size, picture.tobytes())
        # The index that files do not use may have any colour.
        palette = [9, 0, 0, index, 0, 0, 0, 70, 0, 0, 0, 0, 9, 70, 0]
        if index == 2:
            palette[6:9], palette[12:] = palette[12:], palette[6:9]
        picture.putpalette(palette)
        picture.save(root / "annotations" / f"f{index:02d}.png")
    more = ("--num_classes=5", "--annotation_mode=index", "--void_labels=1,3",
            f"--num_workers={workers}", "--silence=unused_classes")  # fmt: skip
    assert convert.main(files.flags(root, *more)) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "f02.png: has the colour (9, 70, 0)" in line
    assert "f00.png the colour (0, 70, 0) at the palette index 2" in line
    # Grey files among them, and equal palettes, are as they should be.
    data = files.saved(files.labels(2) * 2, "PNG")
    (root / "annotations" / "f02.png").write_bytes(data)
    assert convert.main(files.flags(root, *more, "--overwrite")) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--annotation_mode=color", "--num_classes=5"], "needs --label_map"),
        (["--label_map=vok"], "neither a file nor one of binary, camvid"),
        (["--label_map=MAP"], "--label_map=MAP: has colours but no values"),
        (["--label_map=VALUES", "--annotation_mode=color"],
         "has values but no colours"),
        (["--label_map=binary", "--num_classes=5"],
         "--num_classes=5: --label_map=binary has 2 classes"),
        (["--label_map=binary", "--class_names=a,b,c"],
         "has 3 names, --label_map has 2 classes"),
        (["--label_map=NONSENSE"], "line 1: 'what?' is not 'name: values"),
        ([], "--num_classes must be given"),
    ],
)  # fmt: skip
def test_flags_that_do_not_go_together(
    root, capsys, monkeypatch, tmp_path, more, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MAP").write_text("a: #000000\nb: #ffffff\n")
    (tmp_path / "VALUES").write_text("a: 1\nb: 2\n")
    (tmp_path / "NONSENSE").write_text("what?\n")
    assert convert.main(flags(root, *more)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (root / "out").exists()


def test_verify_only_takes_a_label_map_and_prints_the_classes(root, capsys):
    annotate(root, lambda label: (label > 0) * np.uint8(255))
    more = ("--label_map=binary", "--verify_only", "--output_dir=")
    assert convert.main(flags(root, *more, "--split=")) == 0
    output = capsys.readouterr().out
    share = counts()[0] / (3 * 24 * 40)
    assert f"background {share:8.2%}        3\n" in output
    assert output.endswith("3 pairs are good\n")
    assert convert.main(flags(root, "--label_map=binary")) == 0
    table = capsys.readouterr().out.partition("class ")[2].partition("train:")
    argv = ["tool", "--verify_only", "--split=train"]
    assert convert.main([*argv, f"--output_dir={root / 'out'}"]) == 0
    assert table[0] in capsys.readouterr().out
