"""Tests of benchmarks/kill_and_resume.py."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import kill_and_resume
from benchmarks.harness import written


def test_what_is_compared():
    same = written.are_equal
    ours = {"a": np.arange(3), "b": b"x\0"}
    assert same(ours, dict(ours))
    assert not same(ours, {**ours, "a": np.arange(4)})
    assert not same(ours, {**ours, "b": b"x"})
    assert not same({"a": np.arange(3)}, ours)
    assert same({"a": np.arange(3)}, ours, partly=True)
    assert not same({"a": np.arange(2)}, ours, partly=True)
    assert not same({**ours, "c": b""}, ours, partly=True)


@pytest.mark.slow
def test_each_program_survives_its_kills(capsys):
    assert kill_and_resume.main(["--runs=1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for program in ("train", "convert", "evaluate", "predict"):
        assert any(
            line.startswith(f"{program}: 1 of 1 runs equal; ") for line in lines
        )
