"""The converter: what it imports, and records in a remote file system."""

from __future__ import annotations

import subprocess
import sys

import picture_files as files
import pytest
import tensorflow as tf

from segnet import records
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
        [sys.executable, "-c", code, *files.flags(root)[1:]],
        cwd=files.ROOT,
        check=True,
    )
    assert records.verify_split(root / "out", "train").num_records == 5


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
