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


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--num_classes 3", "'--num_classes 3' is not one flag, --name=value"),
        ("--tta --epochs=3", "is not one flag"),
        ("--epochs=3 --tta", "is not one flag"),
        ("--workdir=runs/a # first", "a comment needs a line of its own"),
        ("--epochs=3\t# three", "a comment needs a line of its own"),
        ('--class_names="sky,road"', "are not taken off here; leave them out"),
        ("--workdir='a b'", "are not taken off here; leave them out"),
    ],
)
def test_lines_of_flagfiles_that_mean_something_else(tmp_path, line, words):
    path = tmp_path / "a.flags"
    path.write_text(f"# of all\n--seed=1\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        expand_flagfiles(["x.py", f"--flagfile={path}"])
    assert str(caught.value).startswith(f"--flagfile={path}: line 3: ")
    assert words in str(caught.value)


def test_values_of_flagfiles_may_have_spaces_quotes_and_dashes(tmp_path):
    path = tmp_path / "a.flags"
    lines = ["--workdir=my runs/it's", "--a=-1", "--b=x#y", "--c=", "--d=a - b"]
    path.write_text("\n".join(lines))
    assert expand_flagfiles(["x.py", f"--flagfile={path}"])[1:] == lines
