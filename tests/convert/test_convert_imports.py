"""The converter: what it imports, and records in a remote file system."""

from __future__ import annotations

import subprocess
import sys

import picture_files as files
import pytest
import tensorflow as tf

from segnet.convert import workers
from segnet.records.splits import read_manifest
from segnet.records.verify import verify_split
from tools import convert_to_tfrecord as convert


@pytest.fixture
def root(tmp_path):
    return files.write_folders(tmp_path, 5)


def test_conversion_imports_no_tensorflow(root):
    code = (
        "import sys; from tools import convert_to_tfrecord as tool; "
        "status = tool.main(sys.argv); "
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code, *files.flags(root, "--num_workers=2")[1:]],
        cwd=files.ROOT,
        check=True,
    )
    # Forked workers there, none here.
    manifest = verify_split(root / "out", "train")
    assert convert.main(files.flags(root, "--overwrite")) == 0
    assert verify_split(root / "out", "train") == manifest


@pytest.mark.parametrize(
    ("num_pairs", "num_shards", "num_workers", "expected"),
    [
        (5, 2, 1, [2, 3]),
        (5, 2, 2, [2, 3]),
        # Half shards keep four processes busy; one has one pair more.
        (5, 2, 4, [1, 1, 1, 2]),
        # No part is empty.
        (5, 2, 9, [1, 1, 1, 1, 1]),
        (3, 3, 64, [1, 1, 1]),
    ],
)
def test_parts_are_shards_or_even_pieces_of_them(
    num_pairs, num_shards, num_workers, expected
):
    pairs = list(range(num_pairs))
    split = workers.split_parts(pairs, num_shards, num_workers)
    assert [len(part) for part in split] == expected
    assert [pair for part in split for pair in part] == pairs


def test_records_can_go_to_a_remote_file_system(root):
    """TensorFlow's file system in memory stands for a bucket."""
    folder = "ram://conversion/out"
    more = ("--num_shards=2", f"--output_dir={folder}")
    assert convert.main(files.flags(root, *more)) == 0
    assert convert.main(files.flags(root, "--num_shards=2")) == 0
    manifest = verify_split(folder, "train")
    assert manifest == read_manifest(root / "out", "train")
    assert sorted(tf.io.gfile.listdir(folder)) == sorted(
        path.name for path in (root / "out").iterdir()
    )
    assert convert.main(files.flags(root, *more)) == 1
    assert convert.main(files.flags(root, *more, "--overwrite")) == 0
    tf.io.gfile.rmtree(folder)


def test_help_is_readable_and_imports_no_tensorflow(capsys):
    assert convert.main(["tool", "--help"]) == 0
    output = capsys.readouterr().out
    assert "--void_labels=..." in output
    assert "python tools/convert_to_tfrecord.py --images_dir" in output
    assert max(map(len, output.splitlines())) <= 80
    code = (
        "import sys; from tools import convert_to_tfrecord as tool; "
        "tool.main(['tool', '-h']); sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=files.ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
