from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
import time

import numpy as np
import pytest
from conftest import ROOT

from segnet.convert import summary
from segnet.errors import DataError
from segnet.evaluation import metrics
from segnet.progress import (
    Progress,
    command_line,
    hidden_output,
    project_path,
    say,
    warn,
)
from segnet.records.statistics import Statistics


def _progress(total=5, **kwargs):
    return Progress(total, unit="step", label="train", **kwargs)


def _set_clock(monkeypatch, seconds):
    monkeypatch.setattr("segnet.progress.time.monotonic", lambda: next(seconds))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("\u2028\u2067\ufeff\xad", r"\u2028\u2067\ufeff\xad"),
        ("Straße 日本 👩\u200d🚀", "Straße 日本 👩\u200d🚀"),
    ],
    ids=ascii,
)
def test_names_are_shown_escaped_wherever_they_are(capsys, name, shown):
    say(f"written to {name}")
    warn("dark", f"{name}: is dark", ())
    counts = Statistics(1)
    table = summary.class_table([name], {"train": counts})
    scores = {"pixels": 4, "per_class": {name: {"pixels": 4}}}
    lines = metrics.format_table(scores).split("\n")
    confusion = metrics.format_confusion(np.eye(1), [name]).split("\n")
    out, err = capsys.readouterr()
    assert out == f"written to {shown}\n"
    assert err.startswith(f"warning: {shown}: is dark")
    assert table.split("\n")[1].startswith(shown)
    assert lines[1].startswith(shown)
    assert confusion[1].endswith(shown)
    assert confusion[2].startswith(shown)
    assert str(DataError(name)) == shown


def test_log_lines_are_plain_without_a_terminal(capsys):
    with _progress(done=1, lines=False) as progress:
        progress.advance()
        progress.log("step 2/5 loss 0.5", "loss 0.5")
    assert capsys.readouterr().out == "step 2/5 loss 0.5\n"


@pytest.mark.parametrize(
    ("total", "done", "shown"),
    [
        (25, 0, [3, 5, 8, 10, 13, 15, 18, 20, 23, 25]),
        (3, 1, [2, 3]),
        (0, 0, []),
    ],
)
def test_a_line_at_each_tenth_without_a_terminal(
    total, done, shown, capsys, monkeypatch
):
    _set_clock(monkeypatch, itertools.count())
    with _progress(total, done=done) as progress:
        for _ in range(total - done):
            progress.advance()
    assert capsys.readouterr().out.splitlines() == [
        f"{count} of {total} steps" for count in shown
    ]


def test_quick_work_is_one_line(capsys, monkeypatch):
    _set_clock(monkeypatch, itertools.repeat(7))
    with _progress(12) as shown:
        for _ in range(12):
            shown.advance()
    assert capsys.readouterr().out == "12 of 12 steps\n"


def test_many_units_at_once_are_one_line(capsys, monkeypatch):
    _set_clock(monkeypatch, itertools.count())
    with _progress(100) as progress:
        progress.advance(55)
        progress.advance(45)
    assert capsys.readouterr().out == "55 of 100 steps\n100 of 100 steps\n"


def test_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with _progress(done=1) as progress:
        progress.advance(2)
        progress.log("step 3/5 loss 0.5", "loss 0.5, 2 images/s")
        say("above it")
    captured = capsys.readouterr()
    assert captured.out == "above it\n"
    assert "3/5" in captured.err and "loss 0.5" in captured.err


def test_a_clock_that_is_set_back_does_not_matter(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    clock = itertools.count(5000, -100)
    monkeypatch.setattr("tqdm.std.time", lambda: next(clock))
    with _progress(100) as progress:
        for _ in range(3):
            time.sleep(0.15)
            progress.advance()
    shown = capsys.readouterr().err
    assert "3/100" in shown
    assert re.search(r"\[00:00<\d\d:\d\d, ", shown)
    assert not re.search(r"-\d|nan|inf", shown)


def test_a_disabled_progress_is_silent(capsys):
    with _progress(enabled=False) as progress:
        progress.advance(5)
        progress.log("line", "postfix")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_a_warning_is_one_line_that_can_be_silenced(capsys):
    warn("one_class", "all pixels are sky", {"rising_loss"})
    warn("rising_loss", "the loss rose from 1 to 2", {"rising_loss"})
    captured = capsys.readouterr()
    assert captured.err == "warning: all pixels are sky (--silence=one_class)\n"
    assert captured.out == ""


def test_names_cannot_make_a_line_two_or_command_a_terminal(capsys):
    name = "a\nb\x1b[2J\x9b\u00e9"
    shown = r"a\nb\x1b[2J\x9b" + "\u00e9"
    warn("left_aside", name, frozenset())
    line = f"warning: {shown} (--silence=left_aside)\n"
    assert capsys.readouterr().err == line
    assert str(DataError(f"{name}: is empty")) == f"{shown}: is empty"


def test_a_command_can_be_pasted_whatever_its_words_are():
    words = ["--a=x y", "--b=it's", "--c=\u00e9", "--d=a\nb\x1b'\\1",
             os.fsdecode(b"--e=caf\xe91"), "--f="]  # fmt: skip
    command = command_line("main.py", *words)
    assert command.isprintable()
    assert command.startswith("python main.py '--a=x y' ")
    arguments = command.removeprefix("python main.py ")
    shown = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {arguments}"],
        check=True,
        capture_output=True,
    ).stdout
    assert shown.split(b"\0")[:-1] == [os.fsencode(word) for word in words]


def test_a_command_can_be_pasted_in_another_folder(tmp_path, monkeypatch):
    assert project_path("configs/own.flags") == "configs/own.flags"
    monkeypatch.chdir(tmp_path)
    found = project_path("configs/own.flags")
    assert os.path.isabs(found)
    assert os.path.samefile(found, ROOT / "configs" / "own.flags")
    assert command_line("main.py") == f"python {ROOT / 'main.py'}"
    # Installed without the project's folder, it can only be named.
    assert project_path("nowhere.py") == "nowhere.py"


def test_output_past_python_is_hidden_for_a_while(capfd):
    print("before")
    with contextlib.suppress(ZeroDivisionError), hidden_output():
        os.write(1, b"in between")
        os.write(2, b"in between")
        _ = 1 / 0
    os.write(1, b"after")
    assert capfd.readouterr() == ("before\nafter", "")
