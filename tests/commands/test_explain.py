"""Errors of the machine that only show while a command works."""

from __future__ import annotations

import errno
import os

import pytest
import tensorflow as tf

from segnet import commands
from segnet.config import flags
from segnet.errors import RunError

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
