"""Two splits of one pair of folders, and lists of names."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import unicodedata

import picture_files as files
import pytest

from segnet.convert import split_choice
from segnet.convert.pairs import Pair
from segnet.convert.split_choice import SplitChoice
from segnet.errors import DataError
from segnet.records.verify import verify_split
from tools import convert_to_tfrecord as convert


def pairs(stems) -> list[Pair]:
    return [
        Pair(pathlib.Path(f"{stem}.jpg"), pathlib.Path(f"{stem}.png"))
        for stem in stems
    ]


def divided(stems, **options) -> dict[str, list[str]]:
    choice = SplitChoice(("train", "val"), **options)
    return {
        split: [pair.image.stem for pair in chosen]
        for split, chosen in split_choice.divide(pairs(stems), choice).items()
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
    assert "falls to val with --split_seed=0; give --split_seed=" in str(
        caught.value
    )
    seed = int(re.search(r"give --split_seed=(\d+)", str(caught.value))[1])
    if seed:  # in a thousand seeds there may be none
        found = divided(STEMS[:5], fraction=0.2, seed=seed)
        assert found["train"] and found["val"]
    with pytest.raises(DataError, match="must be two groups"):
        divided(STEMS[:1], fraction=0.5)


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
    assert output.count("class ") == 2
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
        (["--split=train,train", "--val_fraction=0.2"], "nor two different"),
        (["--split=a,b,c", "--val_fraction=0.2"], "nor two different ones"),
        (["--split=train,", "--val_fraction=0.2"], "may only have letters"),
        (["--val_fraction=0.2"], "give both, as in --split=train,val"),
        (["--group_by=x"], "give both"),
        (["--split=train,val", "--val_fraction=0.2", "--group_by=("],
         "--group_by=(: is no regular expression"),
        (["--split=train,val", "--val_fraction=0.2", "--list_file=x"],
         "give each split its own list"),
    ],
)  # fmt: skip
def test_flags_that_do_not_go_together(root, capsys, more, message):
    assert convert.main(files.flags(root, *more)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (root / "out").exists()
