"""All contenders run, on something tiny; what they measure is not tested."""

from __future__ import annotations

import json
import subprocess
import sys

from conftest import ROOT

from benchmarks import run
from benchmarks.comparisons import FULL, SMOKE, Row, create_groups
from benchmarks.harness.datasets import Dataset
from benchmarks.harness.timing import Round, Series


def test_smoke_run_measures_every_row(tmp_path):
    output = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", "--smoke",
         f"--output={output}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(output.read_text())
    assert "tensorflow 2.15" in results["packages"]
    groups = {row["group"] for row in results["rows"]}
    assert groups == {"vgg_segnet", "input", "converter", "inference"}
    for row in results["rows"]:
        assert row["text"] in done.stdout
        if row["missing"]:
            assert set(row["missing"]) <= {"torch", "cv2"}
            assert not row["values"]
        else:
            assert all(value > 0.0 for value in row["values"])


def test_every_contender_has_a_row():
    for scale in (SMOKE, FULL):
        for group in create_groups(scale, Dataset("none", "a", "b", 2)):
            named = {
                name for row in group.rows for name in (row.over, row.under)
            }
            assert named - {""} == set(group.contenders)


def test_values_of_a_row():
    series = {
        "ours": Series((Round(4, 1.0), Round(4, 4.0)), peak_bytes=3 * 10**9),
        "theirs": Series((Round(2, 1.0), Round(2, 1.0))),
    }
    assert Row("", "ours", "theirs").value(series) == [2.0, 0.5]
    assert Row("", "ours", measure="rate").value(series) == [4.0, 1.0]
    assert Row("", "ours", measure="peak").value(series) == [3.0]


def test_table_has_medians_and_quartiles():
    results = {
        "machine": "a processor",
        "packages": "numpy 1",
        "data": "drawn scenes",
        "smoke": False,
        "rows": [
            {"group": "input", "text": "a", "missing": [],
             "values": [1.0, 2.0, 3.0, 5.0, 9.0]},
            {"group": "input", "text": "b", "missing": ["torch"],
             "values": []},
        ],
    }  # fmt: skip
    assert run.format_results(results).splitlines() == [
        "| group | row | measured | quartiles |",
        "| --- | --- | --- | --- |",
        "| input | a | 3.000 | 2 to 5 |",
        "| input | b | left out: needs torch |  |",
        "",
        "a processor; numpy 1; drawn scenes",
    ]
