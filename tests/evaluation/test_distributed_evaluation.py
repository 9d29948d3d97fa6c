"""Two real workers score what one process does, to the last digit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import run_flags
from horovod_launcher import launch, needs_horovod

import main

pytestmark = [pytest.mark.dist, needs_horovod]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dropped(data_dir, tmp_path_factory):
    """A run with dropout."""
    workdir = tmp_path_factory.mktemp("dropped") / "run"
    flags = run_flags(data_dir, workdir, "--epochs=2", "--dropout=0.3")
    assert main.main(flags) == 0
    return workdir


@pytest.mark.slow
@pytest.mark.parametrize("extra", [(), ("--mc_samples=3",)])
def test_scores_table_and_intervals_are_those_of_one(extra, dropped, tmp_path):
    # One image a pass: sums of another batch are rounded otherwise.
    flags = ["evaluate", f"--workdir={dropped}", "--eval_batch_size=1", *extra]
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert main.main(["main.py", *flags, f"--output_dir={alone}"]) == 0
    result = launch(2, ROOT / "main.py", [*flags, f"--output_dir={together}"])
    assert result.returncode == 0, result.stderr
    scores = []
    for folder in (alone, together):
        found = json.loads((folder / "evaluation-val.json").read_text())
        del found["boundary_f1_seconds"]
        scores.append(found)
    assert scores[0]["intervals"]["mean_iou"] is not None
    assert scores[0]["images"] == 5
    assert scores[0] == scores[1]
    table = "evaluation-val.csv"
    assert (alone / table).read_bytes() == (together / table).read_bytes()
