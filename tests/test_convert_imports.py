"""The converter: what it imports, and records in a remote file system."""

from __future__ import annotations

import subprocess
import sys

import picture_files as files
import pytest
import tensorflow as tf

from segnet import conversion, pairs, records
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
    manifest = records.verify_split(root / "out", "train")
    assert convert.main(files.flags(root, "--overwrite")) == 0
    assert records.verify_split(root / "out", "train") == manifest


def test_a_file_that_changes_meanwhile_is_a_problem(root):
    name = "kept.png"
    path = root / "images" / name
    path.write_bytes(files.saved(files.picture(0), "PNG"))
    pair = pairs.Pair(path, root / "annotations" / "f00.png")
    rules = conversion.Rules(num_classes=3)
    (result,), (checksum,) = conversion._convert_lot([pair], rules)
    again = conversion._read_again(pair, result, checksum)
    assert again.image.data == path.read_bytes()
    path.write_bytes(files.saved(files.picture(1), "PNG"))
    (problem,) = conversion._read_again(pair, result, checksum)
    assert f"{path}: was changed while it was converted" in problem.message
    path.unlink()
    assert isinstance(conversion._read_again(pair, result, checksum), tuple)


def test_records_can_go_to_a_remote_file_system(root):
    """TensorFlow's file system in memory stands for a bucket."""
    folder = "ram://conversion/out"
    more = ("--num_shards=2", f"--output_dir={folder}")
    assert convert.main(files.flags(root, *more)) == 0
    assert convert.main(files.flags(root, "--num_shards=2")) == 0
    manifest = records.verify_split(folder, "train")
    assert manifest == records.read_manifest(root / "out", "train")
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
