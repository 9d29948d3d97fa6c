from __future__ import annotations

import json
import pathlib

import numpy as np
import picture_files as files
import pytest

from segnet.records.verify import verify_split
from tools import convert_to_tfrecord as convert


@pytest.fixture
def root(tmp_path):
    return files.write_folders(tmp_path, 4)


def fail(capsys, argv, status=1) -> list[str]:
    """The lines on standard error of a run that ends with `status`."""
    assert convert.main(argv) == status
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("convert_to_tfrecord: ")
    return lines


RGB = files.picture(1)
LABEL = files.labels(1)
JPEG = files.saved(RGB, "JPEG")
PNG = files.saved(RGB, "PNG")
OUT_OF_RANGE = LABEL.copy() % 3
OUT_OF_RANGE[7, 5] = 9
OUT_OF_RANGE[8, 0] = 255

# What happens to the pair f01, and what the line about it must hold.
BAD_PAIRS = {
    "empty image": ({"images/f01.jpg": b""}, "is empty (0 bytes)"),
    "text": (
        {"images/f01.jpg": b"hello"},
        "is not a JPEG, PNG, BMP, TIFF or WebP image",
    ),
    "truncated jpg": ({"images/f01.jpg": JPEG[:-300]}, "damaged or incomplete"),
    "truncated png": (
        {"images/f01.jpg": None, "images/f01.png": PNG[:-30]},
        "damaged or incomplete",
    ),
    "no annotation": (
        {"annotations/f01.png": None},
        "f01.jpg: image without an annotation f01.png in",
    ),
    "no image": ({"images/f01.jpg": None}, "annotation without an image"),
    "same stem": ({"images/f01.png": PNG}, "has the same stem as f01.jpg"),
    "same stem, case": ({"images/f01.JPG": JPEG}, "has the same stem as"),
    "annotated twice": (
        {"annotations/f01.bmp": files.saved(LABEL, "BMP")},
        "has the same stem as f01.bmp",
    ),
    "two and none": (
        {"images/f01.png": PNG, "annotations/f01.png": None},
        "f01.*: image without an annotation",
    ),
    "sizes": (
        {"annotations/f01.png": files.saved(LABEL[:-1], "PNG")},
        "f01.png: is 40x23 (width x height) but f01.jpg is 40x24",
    ),
    "turned": (
        {"annotations/f01.png": files.saved(np.rot90(LABEL), "PNG")},
        "turn one of them",
    ),
    "label": (
        {"annotations/f01.png": files.blue_png(OUT_OF_RANGE)},
        "f01.png: label 9 at pixel (x=5, y=7) is not below --num_classes=3 "
        "(also 255)",
    ),
    "palette": (
        {"annotations/f01.png": files.saved(LABEL, "PNG", "P")},
        "give --annotation_mode=index",
    ),
    "16-bit": (
        {"annotations/f01.png": files.png16(LABEL.astype(np.uint16))},
        "is a 16-bit annotation",
    ),
    "jpg annotation": (
        {"annotations/f01.png": None, "annotations/f01.jpg": JPEG},
        "f01.jpg: is a JPEG, whose compression changes labels",
    ),
    "jpg named png": ({"annotations/f01.png": JPEG}, "f01.png: is a JPEG"),
}


def spoil(root, changes) -> None:
    for name, data in changes.items():
        if data is None:
            (root / name).unlink()
        else:
            (root / name).write_bytes(data)


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_bad_pair_is_one_line_with_file_and_remedy(root, capsys, case):
    changes, message = BAD_PAIRS[case]
    spoil(root, changes)
    lines = fail(capsys, files.flags(root))
    about = [line for line in lines if message in line]
    assert len(about) == 1
    assert about[0].startswith("error: ")
    assert "nothing was written" in lines[-1]
    assert not (root / "out").exists()


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_bad_pair_is_skipped_and_listed_if_asked_for(root, capsys, case):
    changes, message = BAD_PAIRS[case]
    spoil(root, changes)
    assert convert.main(files.flags(root, "--skip_invalid")) == 0
    captured = capsys.readouterr()
    assert f"{message}" in captured.err
    assert "skipped: " in captured.err
    assert "left out: " in captured.out
    manifest = verify_split(root / "out", "train")
    assert manifest.num_records == 3
    assert [shard.records for shard in manifest.shards] == [1, 1, 1]
    for entry in manifest.skipped:
        assert entry["file"].split("/")[-1].startswith("f01.")
        assert str(root) not in entry["file"]


def test_all_errors_are_found_before_it_stops(root, capsys):
    spoil(
        root,
        {
            "images/f00.jpg": b"",
            "annotations/f00.png": b"",
            "images/f01.jpg": None,
            "annotations/f03.png": files.blue_png(OUT_OF_RANGE),
        },
    )
    for more in ((), ("--num_workers=2",), ("--verify_only",)):
        lines = fail(capsys, files.flags(root, *more))
        assert len(lines) == 5
        assert "4 errors (above)" in lines[-1]
        for name in ("images/f00.jpg", "annotations/f00.png", "f01", "f03"):
            assert sum(name in line for line in lines[:-1]) == 1


def test_no_good_pair_is_an_error_even_if_skipping(root, capsys):
    for path in (root / "images").iterdir():
        path.write_bytes(b"")
    lines = fail(capsys, files.flags(root, "--skip_invalid"))
    assert "no good pair in" in lines[-1]
    assert not (root / "out").exists()


@pytest.mark.parametrize("name", ["images", "annotations"])
def test_missing_and_empty_folders(root, capsys, name):
    folder = root / name
    for path in folder.iterdir():
        path.unlink()
    (folder / "a.gif").touch()
    (line,) = fail(capsys, files.flags(root))
    assert f"{folder}: has no {name[:-1]} (" in line
    (folder / "a.gif").unlink()
    folder.rmdir()
    (line,) = fail(capsys, files.flags(root))
    assert f"{folder}: no such folder" in line


def test_skipped_files_are_in_the_manifest(root):
    spoil(root, {"images/f02.jpg": b""})
    assert convert.main(files.flags(root, "--skip_invalid")) == 0
    path = pathlib.Path(root / "out" / "train.json")
    assert json.loads(path.read_text())["skipped"] == [
        {"file": "images/f02.jpg", "reason": "is empty (0 bytes); get it again"}
    ]


def test_pictures_of_too_many_pixels_are_refused(root, capsys):
    argv = files.flags(root, "--max_pixels=959")
    lines = fail(capsys, argv)
    assert len(lines) == 9  # 4 images, 4 annotations
    for line in lines[:-1]:
        assert "has more than 959 pixels; cut it into tiles" in line
        assert "--max_pixels" in line
    assert convert.main(files.flags(root, "--max_pixels=960")) == 0


@pytest.mark.parametrize("value", ["0", "-1", "178956971", "many", "1e9"])
def test_a_number_of_pixels_that_cannot_be_is_a_bad_flag(root, capsys, value):
    argv = files.flags(root, f"--max_pixels={value}")
    assert "max_pixels" in fail(capsys, argv, 2)[0]
