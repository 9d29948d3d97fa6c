"""All contenders run, on something tiny; what they measure is not tested."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import ROOT

from benchmarks import run
from benchmarks.comparisons import FULL, SMOKE, Row, create_groups
from benchmarks.harness.datasets import Dataset


@pytest.mark.slow
def test_smoke_run_measures_every_row(tmp_path):
    output = tmp_path / "results.md"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", "--smoke",
         f"--output={output}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = output.read_text()
    assert done.stdout.startswith(text)
    lines = text.splitlines()
    assert lines[0] == "| group | row | measured | quartiles |"
    assert "tensorflow 2.15" in lines[-1]
    assert lines[-1].endswith("; drawn scenes")
    table = [line.strip("| ").split(" | ") for line in lines[2:-2]]
    groups = create_groups(SMOKE, Dataset("none", "a", "b", 2))
    expected = [(each.name, row.text) for each in groups for row in each.rows]
    assert [(group, row) for group, row, *_ in table] == expected
    for _, _, measured, *_ in table:
        # How much means nothing here.
        assert measured == "left out" or float(measured) >= 0.0


def test_every_contender_has_a_row():
    for scale in (SMOKE, FULL):
        for group in create_groups(scale, Dataset("none", "a", "b", 2)):
            named = {
                name for row in group.rows for name in (row.over, row.under)
            }
            assert named - {""} == set(group.contenders)


def test_values_of_a_row():
    rates = {"ours": [4.0, 1.0], "theirs": [2.0, 2.0]}
    assert Row("", "ours", "theirs").values(rates) == [2.0, 0.5]
    assert Row("", "ours").values(rates) == [4.0, 1.0]


def test_cells_are_median_and_quartiles():
    rates = {"ours": [1.0, 2.0, 3.0, 5.0, 9.0], "once": [2.0]}
    assert run.cells(Row("a", "ours"), rates) == ["a", "3.000", "2 to 5"]
    assert run.cells(Row("b", "once"), rates) == ["b", "2.000", ""]
    missing = Row("c", "once", "PyTorch")
    assert run.cells(missing, rates) == ["c", "left out", ""]
