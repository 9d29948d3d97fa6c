from __future__ import annotations

import pytest

from segnet.errors import ConfigError
from segnet.flagfiles import expand_flagfiles


def test_flags_of_files_stand_where_the_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    outer, inner = tmp_path / "outer.flags", tmp_path / "inner.flags"
    outer.write_text("# one\n--a=1\n\n  --b = 2 \n--flagfile=~/inner.flags\n")
    inner.write_text("// two\n--c\n")
    line = ["x.py", "--a=0", f"--flagfile={outer}", "--d", "-flagfile"]
    assert expand_flagfiles([*line, str(inner), "--", "--flagfile=no"]) == [
        "x.py", "--a=0", "--a=1", "--b = 2", "--c", "--d", "--c", "--",
        "--flagfile=no",
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_flagfile_from_windows(tmp_path, encoding):
    path = tmp_path / "é.flags"
    path.write_bytes("--workdir=läufe\r\n\r\n--epochs=3\r\n".encode(encoding))
    flags = ["--workdir=läufe", "--epochs=3"]
    assert expand_flagfiles(["x.py", f"--flagfile={path}"]) == ["x.py", *flags]


def test_flagfiles_that_cannot_be_used(tmp_path):
    path = tmp_path / "a.flags"
    path.write_text(f"--flagfile={path}\n")
    for argument, words in (
        (f"--flagfile={path}", "leads back to itself"),
        (f"--flagfile={tmp_path}", "cannot be read"),
        ("--flagfile", "needs the name"),
        ("--flagfile=", "needs the name"),
    ):
        with pytest.raises(ConfigError, match=words):
            expand_flagfiles(["x.py", argument])
    path.write_bytes("--workdir=läufe".encode("latin-1"))
    with pytest.raises(ConfigError, match="a.flags: is not text in UTF-8"):
        expand_flagfiles(["x.py", f"--flagfile={path}"])
