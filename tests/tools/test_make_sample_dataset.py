from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools.sample_scenes import program as tool

SUFFIXES = [".jpg", ".png", ".bmp"]


def run(folder: Path, *options: str, size=(24, 40)) -> int:
    height, width = size
    argv = ["make_sample_dataset.py", f"--output_dir={folder}"]
    argv += [f"--height={height}", f"--width={width}"]
    return tool.main([*argv, *options])


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def one_error_line(capsys) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_pairs_formats_and_names(tmp_path):
    assert run(tmp_path, "--num_train=4", "--num_val=3") == 0
    for split, count in (("train", 4), ("val", 3)):
        stems = [f"{split}_{index:05d}" for index in range(count)]
        images = sorted((tmp_path / split / "images").iterdir())
        marks = sorted((tmp_path / split / "annotations").iterdir())
        assert [path.stem for path in images] == stems
        assert [path.name for path in marks] == [f"{s}.png" for s in stems]
        assert [p.suffix for p in images] == (SUFFIXES * 2)[:count]
        kinds = (["JPEG", "PNG", "BMP"] * 2)[:count]
        for path, kind in zip(images, kinds, strict=True):
            with Image.open(path) as image:
                assert image.format == kind
    names = (tmp_path / "class_names.txt").read_text()
    assert names == (
        "sky\nbuilding\nroad\nlane_marking\npavement\ntree\ncar\n"
        "pedestrian\nsign\n"
    )


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(Path("~/drawn"), "--num_train=1", "--num_val=0") == 0
    assert (tmp_path / "drawn" / "class_names.txt").exists()


@pytest.mark.parametrize("size", [(24, 40), (17, 33), (16, 16), (61, 20)])
def test_sizes_and_blue_channel(tmp_path, size):
    assert run(tmp_path, "--num_train=4", "--num_val=0", size=size) == 0
    for index in range(4):
        (path,) = (tmp_path / "train/images").glob(f"train_{index:05d}.*")
        with Image.open(path) as image:
            assert (image.height, image.width) == size
            assert image.mode == "RGB"
        path = tmp_path / f"train/annotations/train_{index:05d}.png"
        with Image.open(path) as image:
            assert image.mode == "RGB"
            annotation = np.asarray(image)
        rng = np.random.default_rng([0, 0, index])
        expected = tool.render_scene(rng, *size)[1]
        np.testing.assert_array_equal(annotation[..., 2], expected)
        assert annotation[..., 2].max() <= 9


def test_annotation_hints_are_no_labels():
    labels = np.arange(10, dtype=np.uint8).reshape(2, 5)
    picture = tool.annotation_picture(labels)
    assert picture.shape == (2, 5, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[..., 2], labels)
    assert len({tuple(p) for p in picture[..., :2].reshape(10, 2)}) == 10
    # Reading another channel than blue must not go unnoticed.
    assert picture[..., :2].reshape(10, 2)[:9].min() > 9


def test_same_seed_same_bytes_whatever_the_count(tmp_path):
    few, more = tmp_path / "few", tmp_path / "more"
    assert run(few, "--num_train=2", "--num_val=2") == 0
    assert run(more, "--num_train=5", "--num_val=3") == 0
    first, second = contents(few), contents(more)
    assert len(first) == 9
    assert len(second) == 17
    assert {name: second[name] for name in first} == first


def test_other_seed_other_scenes_and_no_scene_in_both_splits(tmp_path):
    tool.write_dataset(tmp_path / "0", (6, 6), (24, 40))
    tool.write_dataset(tmp_path / "1", (6, 6), (24, 40), seed=1)
    files = {**contents(tmp_path / "0")}
    other = contents(tmp_path / "1")
    images = [f for n, f in files.items() if "images" in n]
    images += [f for n, f in other.items() if "images" in n]
    assert len(set(images)) == 24


def test_summary_names_the_command_that_comes_next(tmp_path, capsys):
    folder = tmp_path / "my data"
    assert run(folder, "--num_train=2", "--num_val=1") == 0
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 2
    assert captured.out.startswith("3 of 3 scenes\n")
    assert f"2 train and 1 val pairs in {folder}" in captured.out
    words = shlex.split(captured.out.split("next: ")[1])
    assert words == [
        "python",
        "tools/convert_to_tfrecord.py",
        f"--images_dir={folder}/train/images",
        f"--annotations_dir={folder}/train/annotations",
        f"--output_dir={folder}/records",
        "--split=train",
        "--num_classes=9",
        f"--class_names={folder}/class_names.txt",
        "--void_labels=9",
    ]
    assert captured.err == ""


def test_next_command_divides_scenes_that_are_all_for_training(
    tmp_path, capsys
):
    assert run(tmp_path, "--num_train=2", "--num_val=0") == 0
    words = shlex.split(capsys.readouterr().out.split("next: ")[1])
    assert "--split=train,val" in words
    assert "--val_fraction=0.3" in words


def test_terminal_gets_a_progress_bar(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run(tmp_path, "--num_train=2", "--num_val=0") == 0
    captured = capsys.readouterr()
    assert "2/2" in captured.err
    assert "100%" in captured.err


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--num_train=0", ["num_train", "0"]),
        ("--num_val=-1", ["num_val", "-1"]),
        ("--height=15", ["height", "15"]),
        ("--width=wide", ["width", "wide"]),
        ("--seed=-1", ["seed", "-1"]),
        ("--colour=red", ["colour"]),
        ("--output_dir=", ["--output_dir"]),
        ("stray", ["stray"]),
    ],
)
def test_bad_flags_are_one_line_and_exit_2(tmp_path, capsys, option, words):
    folder = tmp_path / "new"
    assert run(folder, option) == 2
    line = one_error_line(capsys)
    assert all(word in line for word in words)
    assert not folder.exists()


def test_help_lists_the_flags(capsys):
    assert tool.main(["make_sample_dataset.py", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--num_train" in text
    assert "--[no]overwrite" in text


def test_folder_in_use_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    assert run(tmp_path, "--num_train=1", "--num_val=0") == 1
    assert "--overwrite" in one_error_line(capsys)
    assert contents(tmp_path) == {"mine.txt": b"keep"}


def test_overwrite_replaces_scenes_and_nothing_else(tmp_path):
    assert run(tmp_path, "--num_train=4", "--num_val=2") == 0
    (tmp_path / "records").mkdir()
    (tmp_path / "records/train.json").write_text("{}")
    options = ("--num_train=2", "--num_val=1", "--seed=3")
    assert run(tmp_path, *options, "--overwrite") == 0
    fresh = tmp_path.parent / f"{tmp_path.name}_fresh"
    assert run(fresh, *options) == 0
    found = contents(tmp_path)
    assert found.pop("records/train.json") == b"{}"
    assert found == contents(fresh)


def test_overwrite_refuses_files_of_another_origin(tmp_path, capsys):
    folder = tmp_path / "train/images"
    folder.mkdir(parents=True)
    (folder / "holiday.jpg").write_bytes(b"x")
    (folder / "train_00000.jpg").write_bytes(b"y")
    options = ("--num_train=1", "--num_val=0", "--overwrite")
    assert run(tmp_path, *options) == 1
    assert "holiday.jpg" in one_error_line(capsys)
    assert len(contents(tmp_path)) == 2


def test_output_that_is_a_file(tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("")
    assert run(path, "--overwrite") == 1
    assert f"Not a directory: '{path}'" in one_error_line(capsys)
    assert run(path / "below") == 1
    assert "cannot write" in one_error_line(capsys)


def test_failed_write_leaves_no_class_names(tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert run(tmp_path, "--num_train=1", "--num_val=0") == 1
    assert "No space left" in one_error_line(capsys)
    assert not (tmp_path / "class_names.txt").exists()


def test_interrupt_is_one_line_and_exit_130(tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tool, "_write_scene", interrupted)
    assert run(tmp_path, "--num_train=1", "--num_val=0") == 130
    assert "incomplete" in capsys.readouterr().err


def test_simple_scenes_are_the_same_with_fewer_classes(tmp_path, capsys):
    plain, simple = tmp_path / "plain", tmp_path / "simple"
    counts = ("--num_train=3", "--num_val=1")
    assert run(plain, *counts) == 0
    assert run(simple, *counts, "--simple") == 0
    assert "--num_classes=3" in capsys.readouterr().out.splitlines()[-1]
    names = (simple / "class_names.txt").read_text().split()
    assert names == ["sky", "ground", "upright"]
    # sky; building; road, marking, pavement; tree, car, pedestrian, sign; void
    expected = np.array([0, 2, 1, 1, 1, 2, 2, 2, 2, 3])
    for path in (plain / "train" / "annotations").iterdir():
        with Image.open(path) as image:
            labels = np.asarray(image)[..., 2]
        with Image.open(simple / "train" / "annotations" / path.name) as image:
            merged = np.asarray(image)
        np.testing.assert_array_equal(merged[..., 2], expected[labels])
        # A colour for each class, so that no two share a blue value.
        assert len(np.unique(merged.reshape(-1, 3), axis=0)) <= 4
    for path in (plain / "train" / "images").iterdir():
        other = simple / "train" / "images" / path.name
        assert other.read_bytes() == path.read_bytes()
