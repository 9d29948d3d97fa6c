"""The report of a data folder finds what was planted, and nothing else."""

from __future__ import annotations

import io
import pathlib
import re

import numpy as np
import picture_files as files
import pytest
from PIL import Image

from segnet import cli
from segnet.report import data_report
from segnet.report.data_findings import KINDS, find, look_at

NAMES = ("road", "car", "tree")
HEIGHT, WIDTH = 48, 72


def picture(seed: int) -> np.ndarray:
    return files.picture(seed, HEIGHT, WIDTH)


def label(tree: bool = True) -> np.ndarray:
    """Road with a car, and a tree."""
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[10:30, 10:30] = 1
    if tree:
        found[10:30, 40:60] = 2
    return found


def planted() -> dict[str, list[tuple[str, bytes, np.ndarray]]]:
    """For each split: stem, image file, label. All but `good` are odd."""
    trains = [(f"good{i}", png(picture(i)), label()) for i in range(6)]
    empty = np.full((HEIGHT, WIDTH), 255, np.uint8)
    empty[:3, :10] = 0
    speckled = label()
    speckled[35:37, 20:22] = speckled[40, 60] = 1
    brighter = np.clip(picture(21).astype(int) + 2, 0, 255).astype(np.uint8)
    lonely = label()
    lonely[40:, 40:] = 3
    trains += [
        ("empty", png(picture(10)), empty),
        ("flat", png(picture(11)), label() * 0),
        ("speckled", png(picture(12)), speckled),
        ("lonely", png(picture(13)), lonely),
        ("twin_a", png(picture(20)), label()),
        ("twin_b", png(picture(20)), label()),
        ("like_a", png(picture(21)), label()),
        ("like_b", png(brighter), label()),
        ("both", png(picture(22)), label()),
        ("both_like", png(picture(23)), label()),
    ]
    saved = files.saved(picture(23), "JPEG", quality=90)
    vals = [(f"good{i}", png(picture(i)), label()) for i in range(30, 34)]
    vals += [
        ("again", png(picture(22)), label()),
        ("again_like", saved, label()),
    ]
    return {"train": trains, "val": vals}


def png(array: np.ndarray) -> bytes:
    return files.saved(array, "PNG")


FOUND = {
    "shared": {"both again"},
    "shared_alike": {"both_like again_like"},
    "same": {"twin_a twin_b"},
    "alike": {"like_a like_b"},
    "empty": {"empty"},
    "one_class": {"flat"},
    "specks": {"speckled"},
    "lonely": {"lonely"},
    "missing": {""},
}


def write(root: pathlib.Path, pairs) -> None:
    for folder in ("images", "annotations"):
        (root / folder).mkdir(parents=True)
    for stem, image, annotation in pairs:
        suffix = "png" if image[1:4] == b"PNG" else "jpg"
        (root / "images" / f"{stem}.{suffix}").write_bytes(image)
        (root / "annotations" / f"{stem}.png").write_bytes(png(annotation))


def convert(root: pathlib.Path, split: str, *more: str) -> int:
    return cli.convert([
        "convert_to_tfrecord.py",
        f"--images_dir={root / 'images'}",
        f"--annotations_dir={root / 'annotations'}",
        f"--output_dir={root.parent / 'out'}",
        f"--split={split}",
        "--class_names=road,car,tree,sign",
        "--num_classes=4",
        "--void_labels=255",
        "--num_workers=1",
        "--silence=all",
        *more,
    ])  # fmt: skip


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    root = tmp_path_factory.mktemp("odd data")
    for split, pairs in planted().items():
        write(root / split, pairs)
        assert convert(root / split, split) == 0
    return root / "out"


def named(records, findings) -> dict[str, set[str]]:
    """The stems that each kind of finding is about."""
    stems = {
        split: sorted(stem for stem, _, _ in pairs)
        for split, pairs in planted().items()
    }
    found: dict[str, set[str]] = {}
    for finding in findings:
        key = " ".join(stems[split][i] for split, i in finding.images)
        found.setdefault(finding.kind, set()).add(key)
    return found


def test_each_kind_is_found_and_nothing_else(records, monkeypatch):
    """Show: odd pairs of each kind that the report names."""
    seen = []

    def remember(*arguments):
        seen.extend(find(*arguments))
        return seen

    monkeypatch.setattr(data_report, "find", remember)
    html = data_report.make_page(str(records))
    assert named(records, seen) == FOUND
    assert set(FOUND) == set(KINDS)
    for kind, (heading, _) in KINDS.items():
        count = len(FOUND[kind])
        assert f'<h3 id="{kind}">{heading} ({count})</h3>' in html
    assert "sign is not in val" in html
    assert "sign is in no other image of train" in html


def test_the_page_needs_nothing_else(records):
    html = data_report.make_page(str(records))
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    assert "http://" not in html and "https://" not in html
    assert all('alt="' in tag for tag in re.findall("<img[^>]*>", html))
    assert "16 of 16 images" in html and "6 of 6 images" in html
    assert "--augment=basic" in html


def test_good_data_has_no_finding(tmp_path, capsys):
    pairs = planted()
    for split in pairs:
        good = [pair for pair in pairs[split] if pair[0].startswith("good")]
        write(tmp_path / split, good)
        assert convert(tmp_path / split, split, "--report") == 0
    page = tmp_path / "out" / "report" / "index.html"
    assert f"report: {page}" in capsys.readouterr().out
    assert "No rule has anything to say" in page.read_text()


def test_the_mode_report_without_a_workdir(records, capsys):
    argv = ["main.py", "--mode=report", f"--data_dir={records}"]
    sized = ("--input_height=32", "--input_width=48", "--augment=strong")
    assert cli.main([*argv, *sized, "--train_crop=16x32"]) == 0
    page = records / "report" / "index.html"
    assert f"report: {page}" in capsys.readouterr().out
    html = page.read_text()
    assert "--augment=strong" in html and 'width="32" height="16"' in html
    for flag in ("--image_path=a.png", "--compare_to=a"):
        assert cli.main([*argv, flag]) == 2
        assert "needs a trained network" in capsys.readouterr().err


def test_what_cannot_be_reported(tmp_path, capsys):
    argv = ["main.py", "--mode=report", f"--data_dir={tmp_path}"]
    assert cli.main(argv) == 1
    line = f"segnet: {tmp_path}: has no split; give the folder that "
    assert line in capsys.readouterr().err
    assert cli.main(argv[:2]) == 2
    assert "--workdir is missing" in capsys.readouterr().err
    (tmp_path / "x").mkdir()
    assert convert(tmp_path / "x", "train", "--report", "--verify_only") == 2
    assert "--verify_only writes nothing" in capsys.readouterr().err


def test_folds_are_reported_once(records, tmp_path):
    """Their training splits have the shards of the other folds."""
    write(tmp_path / "in", planted()["train"])
    assert convert(tmp_path / "in", "", "--num_folds=2") == 0
    html = data_report.make_page(str(tmp_path / "out"))
    assert "fold0_val" in html and "fold0_train" not in html


def test_train_and_trainval_are_meant_to_share():
    looks = {
        x: [look_at(picture(1), label(), 3)] for x in ("train", "trainval")
    }
    digests = {"train": ["a"], "trainval": ["a"]}
    assert find(looks, digests, NAMES) == []
    assert [x.kind for x in find(
        {"train": looks["train"], "val": looks["trainval"]},
        {"train": ["a"], "val": ["a"]}, NAMES)] == ["shared"]  # fmt: skip


def test_many_pictures_are_shown_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(data_report, "_MOST_PICTURES", 3)
    monkeypatch.setattr(data_report, "_MOST_FINDINGS", 1)
    pairs = [(f"p{i}", png(picture(i // 2)), label()) for i in range(8)]
    write(tmp_path / "in", pairs)
    assert convert(tmp_path / "in", "train") == 0
    html = data_report.make_page(str(tmp_path / "out"))
    assert "3 of 8 images" in html
    assert "(4)</h3>" in html and "The first 1 of 4 are shown" in html


def test_specks_are_areas_that_fit_into_5x5_pixels():
    found = np.zeros((30, 40), np.uint8)
    found[2:7, 2:7] = 1  # 5x5
    found[12:14, 2:9] = 1  # 7 long: no speck
    found[20, 20] = 2
    found[0, 39] = 1  # at the border of the image
    assert look_at(np.zeros((30, 40, 3), np.uint8), found, 3).specks == 3
    found[found > 0] = 255
    assert look_at(np.zeros((30, 40, 3), np.uint8), found, 3).specks == 0


def test_plain_pictures_are_not_all_alike():
    """Of a picture without structure all bits are 0."""
    looks = [
        look_at(np.full((HEIGHT, WIDTH, 3), value, np.uint8), label(), 3)
        for value in (10, 200)
    ]
    assert find({"train": looks}, {"train": ["a", "b"]}, NAMES) == []


def test_a_picture_that_was_saved_smaller_is_found():
    small = Image.open(io.BytesIO(files.saved(picture(1), "JPEG")))
    looks = [
        look_at(picture(1), label(), 3),
        look_at(np.asarray(small.resize((50, 33))), label(), 3),
        look_at(picture(2), label(), 3),
    ]
    found = find({"train": looks}, {"train": list("abc")}, NAMES)
    assert [x.images for x in found] == [(("train", 0), ("train", 1))]
