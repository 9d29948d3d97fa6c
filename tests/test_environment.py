"""What is looked at before TensorFlow is imported."""

from __future__ import annotations

import os
import tempfile

import pytest

from segnet.environment import check_temporary_folder
from segnet.errors import RunError


def test_a_temporary_folder_that_takes_files_is_left_as_it_was(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    check_temporary_folder()
    assert not os.listdir(tmp_path)


def test_a_temporary_folder_that_is_gone_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with pytest.raises(RunError, match="No such file") as caught:
        check_temporary_folder()
    assert str(caught.value).startswith(f"{folder}: temporary files")
    assert "TMPDIR" in str(caught.value)


def test_no_temporary_folder_at_all_is_one_line(monkeypatch):
    def fail():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    with pytest.raises(RunError, match="no folder of the usual ones"):
        check_temporary_folder()
