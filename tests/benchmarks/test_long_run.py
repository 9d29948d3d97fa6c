"""The long run, made short."""

from __future__ import annotations

import pytest

from benchmarks import long_run


@pytest.mark.slow
def test_it_tells_what_has_grown(capsys, tmp_path):
    """So short a run is all warm-up, and memory may grow."""
    arguments = ["--steps=20", "--evaluations=2", f"--output={tmp_path}"]
    assert long_run.main(arguments) in (0, 1)
    out = capsys.readouterr().out
    assert "steps: 20, an evaluation after every 10" in out
    assert "open files: " in out
    assert "metrics*.jsonl: 1 file(s)" in out


def test_the_step_after_an_evaluation_is_not_timed():
    """It would have the evaluation's seconds in it."""
    at = (0.0, 1.0, 2.5, 9.5, 10.0)
    samples = [long_run._Sample(seconds, 0, 0, 0) for seconds in at]
    found = long_run._step_seconds(samples, 3)
    assert found == [0.0, 1.0, 1.5, 1.5, 0.5]
