"""Errors of the machine that only show while a command works."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from segnet import commands
from segnet.config import flags
from segnet.errors import RunError

ROOT = Path(__file__).resolve().parents[2]
FULL = os.strerror(errno.ENOSPC)


def _tensorflow(kind: str, message: str) -> Exception:
    return getattr(tf.errors, kind)(None, None, message)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, FULL, "/a/b"), f"/a/b: {FULL}; check disk"),
        (OSError(errno.EROFS, "Read-only"), "Read-only; check disk"),
        (_tensorflow("ResourceExhaustedError",
                     f"{{{{function_node f}}}} /a.data; {FULL} [Op:SaveV2]"),
         f"{FULL}; check disk and permissions"),
        (_tensorflow("PermissionDeniedError", "/a/b; Permission denied"),
         "Permission denied; check"),
        (_tensorflow("ResourceExhaustedError", "OOM when allocating"),
         "out of memory: lower --batch_size"),
        (MemoryError(), "out of memory"),
        (RuntimeError("can't start new thread"), "out of memory"),
    ],
)  # fmt: skip
def test_what_the_machine_lacks_is_one_line(error, words, monkeypatch):
    def fail(command, after_step):
        raise error

    monkeypatch.setattr(commands, "_train", fail)
    command = flags.parse_command(["main.py", "--workdir=run"])
    with pytest.raises(RunError) as caught:
        commands.run(command)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a defect"),
        OSError("of a library"),
        _tensorflow("InvalidArgumentError", "shapes differ"),
    ],
)
def test_a_defect_stays_what_it_is(error, monkeypatch):
    def fail(command, after_step):
        raise error

    monkeypatch.setattr(commands, "_train", fail)
    command = flags.parse_command(["main.py", "--workdir=run"])
    with pytest.raises(type(error)) as caught:
        commands.run(command)
    assert caught.value is error


@pytest.mark.parametrize(
    ("optimize", "words"),
    [
        ("", "cannot be imported (Descriptors cannot be created.); look for"),
        ("2", "needs its docstrings: leave out -OO, or unset PYTHONOPTIMIZE"),
    ],
)
def test_a_tensorflow_that_does_not_start_is_one_line(
    tmp_path, optimize, words
):
    (tmp_path / "tensorflow.py").write_text(
        "raise TypeError('Descriptors cannot be created.\\n\\n1. Regenerate')"
    )
    variables = {"PYTHONPATH": str(tmp_path), "PYTHONOPTIMIZE": optimize}
    done = subprocess.run(
        [sys.executable, "main.py", "--mode=evaluate", f"--workdir={tmp_path}"],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("segnet: TensorFlow ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
