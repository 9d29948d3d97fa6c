"""Two splits of one pair of folders, and lists of names."""

from __future__ import annotations

import hashlib
import itertools
import os
import pathlib
import re
import unicodedata

import picture_files as files
import pytest

from segnet.convert import split_choice
from segnet.convert.pairs import Folders, Pair
from segnet.convert.split_choice import SplitChoice
from segnet.errors import DataError
from segnet.records.verify import verify_split
from tools import convert_to_tfrecord as convert


def divided(stems, splits=("train", "val"), **options) -> dict[str, list[str]]:
    pairs = tuple(
        Pair(pathlib.Path(f"{stem}.jpg"), pathlib.Path(f"{stem}.png"))
        for stem in stems
    )
    if "fraction" in options:
        options["fractions"] = (options.pop("fraction"),)
    choice = SplitChoice(splits, **options)
    found = split_choice.divide(Folders(pairs, (), ()), choice)
    return {
        split: [pair.image.stem for pair in chosen]
        for split, chosen in found.items()
    }


STEMS = [f"s{index:03d}" for index in range(400)]


def test_a_split_is_a_function_of_name_and_seed():
    found = divided(STEMS, fraction=0.25, seed=7)
    expected = [
        stem
        for stem in STEMS
        if int(hashlib.sha256(f"7:{stem}".encode()).hexdigest()[:16], 16)
        < 2**64 // 4
    ]
    assert found["val"] == expected
    assert sorted(found["train"] + found["val"]) == STEMS
    assert 70 <= len(expected) <= 130  # 100 expected, deviation 8.7
    # Files that are added move no other.
    fewer = divided(STEMS[::3], fraction=0.25, seed=7)
    assert set(fewer["val"]) == set(expected) & set(STEMS[::3])
    assert divided(STEMS, fraction=0.25, seed=8)["val"] != expected


@pytest.mark.parametrize("pattern", ["^film[0-9]+", "^(film[0-9]+)_"])
def test_files_of_a_group_stay_together(pattern):
    stems = [f"film{film}_{scene}" for film in range(20) for scene in range(5)]
    found = divided(stems, fraction=0.5, group_by=re.compile(pattern))
    films = {split: {stem.split("_")[0] for stem in found[split]}
             for split in found}  # fmt: skip
    assert films["train"].isdisjoint(films["val"])
    assert len(films["train"] | films["val"]) == 20
    with pytest.raises(DataError, match="finds nothing in 's000'"):
        divided(STEMS, fraction=0.5, group_by=re.compile(pattern))


def test_an_empty_split_is_refused_with_a_seed_that_suits():
    with pytest.raises(DataError) as caught:
        divided(STEMS[:5], fraction=0.001)
    assert "split val: gets no image of 5, in 5 groups, with " in str(
        caught.value
    )
    seed = int(re.search(r"give --split_seed=(\d+)", str(caught.value))[1])
    found = divided(STEMS[:5], fraction=0.001, seed=seed)
    assert len(found["train"]) == 4 and len(found["val"]) == 1
    with pytest.raises(DataError, match="must be 2 groups"):
        divided(STEMS[:1], fraction=0.5)
    with pytest.raises(DataError, match="no seed below 1000 suits"):
        divided(STEMS[:5], fraction=1e-9)


def test_a_third_split_moves_no_file_of_the_second():
    two = divided(STEMS, fraction=0.25, seed=7)
    three = divided(
        STEMS, ("train", "val", "test"), fractions=(0.25, 0.1), seed=7
    )
    assert three["val"] == two["val"]
    assert 20 <= len(three["test"]) <= 60  # 40 expected, deviation 6
    assert sorted(three["train"] + three["test"]) == two["train"]


def test_folds_have_each_file_once_and_are_of_one_size():
    names = [f"fold{number}_val" for number in range(5)]
    found = divided(STEMS, tuple(names), fractions=(0.2,) * 4)
    assert sorted(itertools.chain(*found.values())) == STEMS
    # 80 expected, deviation 8.
    assert all(55 <= len(stems) <= 105 for stems in found.values())


def test_where_a_name_goes_does_not_depend_on_how_accents_are_written():
    stems = [f"\u00e9t\u00e9{index}" for index in range(40)]
    apart = [unicodedata.normalize("NFD", stem) for stem in stems]
    options = {"fraction": 0.5, "group_by": re.compile("^\u00e9t\u00e9.*")}
    for more in ({"fraction": 0.5}, options):
        found = divided(apart, **more)["val"]
        composed = [unicodedata.normalize("NFC", stem) for stem in found]
        assert composed == divided(stems, **more)["val"]


def test_a_bracket_that_finds_nothing_is_an_error():
    pattern = re.compile("^(night_)?")
    with pytest.raises(DataError, match=r"b\.jpg: --group_by=.* finds nothing"):
        divided(["night_a", "b"], fraction=0.5, group_by=pattern)


@pytest.fixture
def root(tmp_path):
    return files.write_folders(tmp_path, 8)


def test_both_splits_are_written_or_none(root, capsys):
    two = ("--split=train,val", "--val_fraction=0.4", "--split_seed=3")
    assert convert.main(files.flags(root, *two)) == 0
    both = [verify_split(root / "out", split) for split in ("train", "val")]
    assert sum(manifest.num_records for manifest in both) == 8
    assert not set(both[0].image_digests) & set(both[1].image_digests)
    output = capsys.readouterr().out
    assert re.search(r"^ +train +val\nclass +pixels +images +pixels +images\n",
                     output, re.MULTILINE)  # fmt: skip
    assert "next: python main.py" in output
    before = {p.name: p.read_bytes() for p in (root / "out").iterdir()}
    more = ("--num_workers=2", "--overwrite")
    assert convert.main(files.flags(root, *two, *more)) == 0
    after = {p.name: p.read_bytes() for p in (root / "out").iterdir()}
    assert after == before
    (root / "images" / "f07.jpg").write_bytes(b"")
    assert convert.main(files.flags(root, *two, "--overwrite")) == 1
    after = {p.name: p.read_bytes() for p in (root / "out").iterdir()}
    assert after == before
    capsys.readouterr()
    assert convert.main(files.flags(root, *two, "--verify_only")) == 1
    (root / "images" / "f07.jpg").unlink()
    (root / "annotations" / "f07.png").unlink()
    assert convert.main(files.flags(root, *two, "--verify_only")) == 1
    assert "convert again with --overwrite" in capsys.readouterr().err


def test_a_list_names_the_files_of_a_split(root, capsys):
    (root / "images" / "unlabelled.jpg").touch()
    path = root / "train.txt"
    path.write_text(
        "f03\nf01.jpg\n\n/data/images/f05.png /data/masks/f05.png\n",
        encoding="utf-16",
    )
    assert convert.main(files.flags(root, f"--list_file={path}")) == 0
    assert verify_split(root / "out", "train").num_records == 3
    assert capsys.readouterr().err == ""
    path.write_text("f03\nf99\nf98\n")
    more = (f"--list_file={path}", "--overwrite")
    assert convert.main(files.flags(root, *more)) == 1
    line = capsys.readouterr().err.splitlines()[0]
    assert f"{path}: has 2 names without a file in" in line
    assert "such as f99" in line
    for text, message in (("f99\n", "no name of it"), ("\n", "is empty")):
        path.write_text(text)
        assert convert.main(files.flags(root, *more)) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


def test_lists_divide_the_files_of_several_splits(root, capsys):
    (root / "train.txt").write_text("f00\nf02\nf04\n")
    (root / "a,b.txt").write_text("f01\nf02\n")
    paths = f"{root / 'train.txt'},{root / 'a,b.txt'}"
    two = ("--split=train,val", f"--list_file={paths}")
    # A comma parts two paths, so there are three of them.
    assert convert.main(files.flags(root, *two)) == 2
    (root / "val.txt").write_bytes((root / "a,b.txt").read_bytes())
    paths = f"{root / 'train.txt'},{root / 'val.txt'}"
    two = ("--split=train,val", f"--list_file={paths}")
    assert convert.main(files.flags(root, *two)) == 0
    both = [verify_split(root / "out", split) for split in ("train", "val")]
    assert [manifest.num_records for manifest in both] == [3, 2]
    # f02 is in both lists: that is done, and said.
    assert set(both[0].image_digests) & set(both[1].image_digests)
    assert "f02.jpg, is in split train too" in capsys.readouterr().err
    # One list is divided; here its path has a comma.
    (root / "a,b.txt").write_text("".join(f"f0{k}\n" for k in range(6)))
    one = ("--split=train,val", f"--list_file={root / 'a,b.txt'}",
           "--val_fraction=0.5", "--overwrite")  # fmt: skip
    assert convert.main(files.flags(root, *one)) == 0
    both = [verify_split(root / "out", split) for split in ("train", "val")]
    assert sum(manifest.num_records for manifest in both) == 6


def test_a_list_may_come_from_another_system(root):
    accent = "\u00e9"
    for kind, suffix in (("images", "jpg"), ("annotations", "png")):
        folder = root / kind
        for index, name in enumerate((b"caf\xe9", accent.encode(), b"a\\b")):
            target = os.path.join(folder, os.fsdecode(name) + f".{suffix}")
            os.rename(folder / f"f{index:02d}.{suffix}", target)
    names = [r"data\images\f03.jpg", unicodedata.normalize("NFD", accent)]
    lines = [*(name.encode() for name in names), b"caf\xe9", rb"x/a\b.png"]
    (root / "list.txt").write_bytes(b"\r\n".join(lines))
    more = (f"--list_file={root / 'list.txt'}",)
    assert convert.main(files.flags(root, *more)) == 0
    assert verify_split(root / "out", "train").num_records == 4


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--split=train,val"], "needs --val_fraction"),
        (["--split=train,val", "--val_fraction=1"], "needs --val_fraction"),
        (["--split=train,train", "--val_fraction=0.2"], "one split twice"),
        (["--split=a,b,c", "--val_fraction=0.2"],
         "needs --val_fraction, the part that b gets and --test_fraction, the "
         "part that c gets"),
        (["--split=a,b,c", "--val_fraction=0.6", "--test_fraction=0.4"],
         "together below 1"),
        (["--split=a,b", "--val_fraction=0.6", "--test_fraction=0.4"],
         "--test_fraction=0.4: is the part of a third split"),
        (["--split=a,b,c,d", "--val_fraction=0.2"], "need a list each"),
        (["--split=train,", "--val_fraction=0.2"], "may only have letters"),
        (["--val_fraction=0.2"], "give two, as in --split=train,val"),
        (["--group_by=x"], "give two"),
        (["--split=train,val", "--val_fraction=0.2", "--group_by=("],
         "--group_by=(: is no regular expression"),
        (["--split=train,val", "--val_fraction=0.2", "--list_file=x,y"],
         "leave --val_fraction and --test_fraction out"),
        (["--split=train,val", "--list_file=x,y,z"], "has 3 files for 2"),
        (["--split=train,val", "--list_file=x"], "needs --val_fraction"),
        (["--num_folds=3"], "--split=train: does not go with --num_folds"),
        (["--split=", "--num_folds=3", "--val_fraction=0.1"],
         "--val_fraction=0.1: does not go with --num_folds"),
        (["--split=", "--num_folds=1"], "num_folds=1"),
    ],
)  # fmt: skip
def test_flags_that_do_not_go_together(root, capsys, more, message):
    assert convert.main(files.flags(root, *more)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (root / "out").exists()
