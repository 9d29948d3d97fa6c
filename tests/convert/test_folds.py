"""Conversion into folds, of which each is held out once."""

from __future__ import annotations

import pathlib

import picture_files as files
import pytest

from segnet.records import reading, splits
from segnet.records.verify import verify_split
from tools import convert_to_tfrecord as convert

FOLDS = 3


def fold_flags(root: pathlib.Path, *more: str, folds: int = FOLDS) -> list[str]:
    flags = files.flags(root, f"--num_folds={folds}", "--split_seed=2", *more)
    flags.remove("--split=train")
    return flags


@pytest.fixture
def root(tmp_path):
    return files.write_folders(tmp_path, 9)


def contents(root: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "out").iterdir()}


def stems(root: pathlib.Path, split: str) -> list[str]:
    """What a reader finds in a split."""
    manifest = splits.read_manifest(root / "out", split)
    paths = manifest.paths(root / "out")
    found = []
    for path, shard in zip(paths, manifest.shards, strict=True):
        ends = [*shard.offsets[1:], shard.bytes]
        data = pathlib.Path(path).read_bytes()
        for start, end in zip(shard.offsets, ends, strict=True):
            record = reading.parse_record(data[start + 12 : end - 4])
            found.append(record["image/source_id"].numpy().decode())
    return found


def test_each_training_split_is_all_but_its_fold(root, capsys):
    assert convert.main(fold_flags(root)) == 0
    names = [f"f{index:02d}" for index in range(9)]
    held_out = [stems(root, f"fold{fold}_val") for fold in range(FOLDS)]
    assert sorted(name for fold in held_out for name in fold) == names
    for fold in range(FOLDS):
        rest = sorted(set(names) - set(held_out[fold]))
        assert sorted(stems(root, f"fold{fold}_train")) == rest
        # All shards are read, and all figures of the manifest counted anew.
        manifest = verify_split(root / "out", f"fold{fold}_train")
        assert manifest.num_records == len(rest)
    # Each record is on the disk once.
    shards = [name for name in contents(root) if name.endswith(".tfrecord")]
    assert all("_val-" in name for name in shards)
    output = capsys.readouterr()
    assert output.err == ""
    assert "class     pixels   images   pixels   images" in output.out
    assert "next: for k in 0 1 2; do python" in output.out
    assert (
        "--train_split=fold${k}_train --eval_split=fold${k}_val" in output.out
    )


def test_folds_are_replaced_as_a_whole(root, capsys):
    assert convert.main(fold_flags(root)) == 0
    before = contents(root)
    assert convert.main(fold_flags(root)) == 1
    assert "give --overwrite" in capsys.readouterr().err
    assert convert.main(fold_flags(root, "--overwrite")) == 0
    assert contents(root) == before
    # Bad data loses nothing.
    good = (root / "images" / "f05.jpg").read_bytes()
    (root / "images" / "f05.jpg").write_bytes(good[:50])
    assert convert.main(fold_flags(root, "--overwrite", folds=2)) == 1
    assert contents(root) == before
    (root / "images" / "f05.jpg").write_bytes(good)
    # Of a division into more folds nothing is left.
    capsys.readouterr()
    assert convert.main(fold_flags(root, folds=2)) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert convert.main(fold_flags(root, "--overwrite", folds=2)) == 0
    assert not [name for name in contents(root) if name.startswith("fold2")]
    for split in ("fold0_train", "fold1_train"):
        verify_split(root / "out", split)


def test_other_splits_may_stand_beside_folds(root, capsys):
    (root / "rest.txt").write_text("f00\nf01\nf02\nf03\nf04\nf05\nf06\n")
    (root / "test.txt").write_text("f07\nf08\n")
    rest = f"--list_file={root / 'rest.txt'}"
    assert convert.main(fold_flags(root, rest)) == 0
    test = ("--split=test", f"--list_file={root / 'test.txt'}")
    assert convert.main(files.flags(root, *test)) == 0
    assert capsys.readouterr().err == ""
    assert verify_split(root / "out", "test").num_records == 2
    assert convert.main(fold_flags(root, rest, "--verify_only")) == 0
    output = capsys.readouterr().out
    assert output.count("records are good") == FOLDS
    assert output.count("records of other folds") == FOLDS


def test_a_picture_in_two_folds_is_told_once_for_each(root, capsys):
    for kind, suffix in (("images", "jpg"), ("annotations", "png")):
        folder = root / kind
        (folder / f"f09.{suffix}").write_bytes(
            (folder / f"f00.{suffix}").read_bytes()
        )
    assert convert.main(fold_flags(root)) == 0
    lines = capsys.readouterr().err.splitlines()
    folds = [stems(root, f"fold{fold}_val") for fold in range(FOLDS)]
    first, second = (
        next(fold for fold in range(FOLDS) if name in folds[fold])
        for name in ("f00", "f09")
    )
    assert first != second
    assert len(lines) == 2
    for fold, line in zip(sorted((first, second)), lines, strict=True):
        assert f"split fold{fold}_val: 1 of" in line
        assert f"is in split fold{fold}_train too" in line


def test_too_few_files_for_the_folds_are_told(root, capsys):
    assert convert.main(fold_flags(root, folds=10)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "gets no image of 9, in 9 groups" in line
    assert "there must be 10 groups at least" in line
    assert not (root / "out").exists()
