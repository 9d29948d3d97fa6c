"""Names and folders that do not suit: the likely cause, in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import unicodedata

import numpy as np
import picture_files as files
import pytest

from segnet.convert import names
from segnet.records.verify import verify_split
from tools import convert_to_tfrecord as convert


@pytest.fixture
def root(tmp_path):
    return files.write_folders(tmp_path, 4)


def rename(folder, change) -> None:
    for path in sorted(folder.iterdir()):
        path.rename(folder / change(path.name))


def refused(root, capsys, *more: str) -> str:
    """The one line of a conversion that is refused."""
    assert convert.main(files.flags(root, *more)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert not (root / "out").exists()
    return line


@pytest.mark.parametrize(
    ("images", "annotations", "expected"),
    [
        (["a1", "b1", "c2"], ["a1_L", "b1_L", "c2_L"], ("", ("_L",), False)),
        (["a1", "b1"], ["mask_a1", "mask_b1"], ("", ("mask_",), True)),
        (["img_7", "img_8"], ["mask-7", "mask-8"], ("img_", ("mask-",), True)),
        (["img_7", "img_8"], ["mask_7", "mask_8"], ("img_", ("mask_",), True)),
        (
            ["u_left", "v_left"],
            ["u_label", "v_label", "u_lines", "v_lines"],
            ("_left", ("_label", "_lines"), False),
        ),
        (["a", "b", "c"], ["a.jpg", "b.jpg", "x"], ("", (".jpg",), False)),
        (["cat1"], ["car1"], None),
        (["x"], ["x_L"], ("", ("_L",), False)),
        (["cat", "dog", "eel"], ["one", "two", "six"], None),
    ],
)
def test_what_names_differ_by(images, annotations, expected):
    found = names.find_affixes(images, annotations)
    if expected is None:
        assert found is None
    else:
        assert (found.image, found.annotations, found.at_start) == expected


def test_many_names_need_little_time_and_agree():
    stems = [f"frame_{index:05d}" for index in range(30000)]
    found = names.find_affixes(stems, [f"{stem}_mask" for stem in stems])
    assert (found.annotations, found.count) == (("_mask",), 30000)


def test_the_command_that_is_named_mends_the_names(root, capsys):
    rename(root / "annotations", lambda name: f"{name[:-4]}_L.png")
    line = refused(root, capsys)
    assert "'x' beside 'x_L'" in line
    command = line.partition(" with: ")[2]
    subprocess.run(["sh", "-c", command], cwd=root / "annotations", check=True)
    assert convert.main(files.flags(root)) == 0


def test_the_command_for_a_beginning_mends_the_names(root, capsys):
    rename(root / "images", lambda name: f"im {name}")
    assert "rename annotations like images" in refused(root, capsys)
    rename(root / "images", lambda name: f"im_{name[3:]}")
    command = refused(root, capsys).partition(" with: ")[2]
    subprocess.run(["sh", "-c", command], cwd=root / "images", check=True)
    assert convert.main(files.flags(root)) == 0


def test_annotations_of_a_second_kind_are_one_error(root, capsys):
    for path in sorted((root / "annotations").iterdir()):
        shutil.copy(path, path.with_name(f"{path.stem}_inst.png"))
    assert convert.main(files.flags(root)) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "'x' beside 'x_inst'" in lines[0]
    assert "mv" not in lines[0]  # which would replace files
    assert convert.main(files.flags(root, "--skip_invalid")) == 0
    manifest = verify_split(root / "out", "train")
    assert manifest.num_records == 4
    assert len(manifest.skipped) == 1


def test_names_without_anything_in_common(root, capsys):
    for index in range(4):
        (root / "images" / f"f{index:02d}.jpg").rename(
            root / "images" / f"{'wxyz'[index] * 3}.jpg"
        )
    line = refused(root, capsys)
    assert "('f00' there, 'www' here)" in line
    assert "nothing in common" in line


def test_names_in_capitals(root, capsys):
    rename(root / "images", str.upper)
    assert "differ in capital letters" in refused(root, capsys)


def test_folders_that_are_one_or_exchanged(root, capsys):
    images, annotations = root / "images", root / "annotations"
    line = refused(root, capsys, f"--annotations_dir={images}/../images")
    assert f"{images}: is both --images_dir and --annotations_dir" in line
    for path in list(annotations.iterdir()):
        path.rename(images / f"{path.stem}_mask.png")
    line = refused(root, capsys, f"--annotations_dir={images}")
    assert "there is 'x' beside 'x_mask'" in line
    for path in images.glob("*_mask.png"):
        path.rename(annotations / path.name.replace("_mask", ""))
    exchanged = (f"--images_dir={annotations}", f"--annotations_dir={images}")
    for index in range(4):  # whose red and green follow blue
        label = files.saved(files.labels(index), "PNG")
        (annotations / f"f{index:02d}.png").write_bytes(label)
    line = refused(root, capsys, *exchanged)
    assert "exchange --images_dir and --annotations_dir" in line


def test_annotations_that_are_all_jpeg(root, capsys):
    for path in sorted((root / "annotations").iterdir()):
        path.with_suffix(".jpg").write_bytes(
            files.saved(files.labels(), "JPEG")
        )
        path.unlink()
    assert "all 4 annotations are JPEG files" in refused(root, capsys)


def test_what_is_left_aside_is_said_by_kind(root, capsys):
    for kind in ("images", "annotations"):
        folder = root / kind / "night" / "deep"
        folder.mkdir(parents=True)
        (folder / f"q.{'jpg' if kind == 'images' else 'png'}").touch()
        (root / kind / ".git").mkdir()
    (root / "images" / "gone.jpg").symlink_to(root / "nowhere")
    (root / "images" / "loop.png").symlink_to("loop.png")
    (root / "annotations" / "a.xml").touch()
    assert convert.main(files.flags(root)) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"warning: {root}/images: left aside 2 files (gone.jpg, loop.png), "
        "links to nowhere (--silence=left_aside)",
        f"warning: {root}/annotations: left aside the file a.xml, of other "
        "kinds (--silence=left_aside)",
        f"warning: {root}/images: left aside the folder night with 1 pair "
        f"inside, for folders inside {root}/images and {root}/annotations are "
        "not searched; move the files up, or convert each folder as a split "
        "(--silence=left_aside)",
    ]


def test_a_folder_on_one_side_is_said(root, capsys):
    (root / "images" / "raw").mkdir()
    assert convert.main(files.flags(root)) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "left aside the folder raw with 0 pictures inside" in line


def test_pairs_that_are_all_in_folders_inside(root, capsys):
    inner = root / "images" / "seq"
    inner.mkdir()
    for path in list((root / "images").glob("*.jpg")):
        path.rename(inner / path.name)
    line = refused(root, capsys)
    assert f"{root}/images: has no image (" in line
    assert f"but 4 in {inner};" in line


def test_git_lfs_pointers_are_named(root, capsys):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    for name in ("images/f02.jpg", "annotations/f01.png"):
        (root / name).write_text(pointer)
    assert convert.main(files.flags(root)) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    for line in lines[:2]:
        assert "is a git-LFS pointer" in line
        assert "git lfs pull" in line


@pytest.mark.parametrize("kind", ["images", "annotations"])
def test_a_folder_of_git_lfs_pointers_is_one_line(root, capsys, kind):
    for path in (root / kind).iterdir():
        path.write_text("version https://git-lfs.github.com/spec/v1\noid x\n")
    line = refused(root, capsys)
    assert f"{root / kind}: its files, such as f00." in line
    assert "git lfs pull" in line


def test_a_folder_of_links_to_nowhere_is_one_line(root, capsys):
    for path in sorted((root / "images").iterdir()):
        path.unlink()
        path.symlink_to(root / "moved" / path.name)
    line = refused(root, capsys)
    assert "has no image (" in line
    assert "links to nowhere: 4 files (f00.jpg, f01.jpg, f02.jpg" in line


ODD_NAMES = [
    "a[1]?*",
    "back\\slash",
    " two  words ",
    "quo'te\"$(x)",
    "--flag",
    os.fsdecode(b"caf\xe9"),
    unicodedata.normalize("NFC", "Zürich"),
]


def test_names_are_names(tmp_path, capsys):
    """Composed letters pair with those that have accents of their own."""
    root = tmp_path / "~ [a]? *\\é"
    files.write_folders(root, len(ODD_NAMES))
    for index, name in enumerate(ODD_NAMES):
        (root / "images" / f"f{index:02d}.jpg").rename(
            root / "images" / f"{name}.jpg"
        )
        (root / "annotations" / f"f{index:02d}.png").rename(
            root / "annotations" / f"{unicodedata.normalize('NFD', name)}.png"
        )
    for workers in (1, 2):
        more = ("--overwrite", f"--num_workers={workers}")
        assert convert.main(files.flags(root, *more)) == 0
    assert capsys.readouterr().err == ""
    assert verify_split(root / "out", "train").num_records == len(ODD_NAMES)


def test_bad_files_with_odd_names_are_told_of_and_listed(tmp_path):
    root = files.write_folders(tmp_path, 2)
    name = os.fsdecode(b"caf\xe9")
    (root / "images" / f"{name}.jpg").write_bytes(b"")
    label = files.saved(np.zeros((3, 5), np.uint8), "PNG")
    (root / "annotations" / f"{name}.png").write_bytes(label)
    assert convert.main(files.flags(root, "--skip_invalid")) == 0
    (entry,) = verify_split(root / "out", "train").skipped
    assert entry["file"] == f"images/{name}.jpg"


def test_a_name_with_a_line_feed_is_one_line(root, capsys):
    path = root / "annotations" / "f01\nx.png"
    os.rename(root / "annotations" / "f01.png", path)
    os.rename(root / "images" / "f01.jpg", root / "images" / "f01\nx.jpg")
    path.write_bytes(b"")
    assert convert.main(files.flags(root, "--skip_invalid")) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"skipped: {path.parent}/f01\\nx.png: is empty")
    (entry,) = verify_split(root / "out", "train").skipped
    assert entry["file"] == "annotations/f01\nx.png"
    assert entry["reason"].startswith("is empty")


def test_home_folder_and_relative_paths(root, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.chdir(root / "images")
    (root / "names.txt").write_text("a\nb\nc\n")
    argv = [
        "tool", "--images_dir=.", "--annotations_dir=~/annotations",
        "--output_dir=~/o u t", "--split=train", "--num_classes=3",
        "--class_names=~/names.txt",
    ]  # fmt: skip
    assert convert.main(argv) == 0
    assert verify_split(root / "o u t", "train").class_names == ("a", "b", "c")
    val = [*argv[:-3], "--split=val", *argv[-2:], "--silence=shared_images"]
    assert convert.main(val) == 0
    assert f"'--data_dir={root}/o u t'" in capsys.readouterr().out
