"""Tests of benchmarks/scaling.py: the formula of docs/scaling.md, by hand."""

from __future__ import annotations

import json

import pytest

from benchmarks import scaling
from benchmarks.harness import scaling_report

MEASURED = {
    "batch": 2,
    "seconds": {
        "one": 1.0, "apart 2": 0.9, "together 2": 1.25, "reduce 2": 0.1,
        "apart 4": 1.8, "together 4": 2.2, "reduce 4": 0.2,
    },
    "samples": {
        "one": [1.0], "apart 2": [0.9] * 20, "together 2": [1.25] * 20,
        "reduce 2": [0.1], "apart 4": [1.8] * 40, "together 4": [2.2] * 40,
        "reduce 4": [0.2],
    },
    "bytes": 40e6, "start": 20.0, "save": 0.5, "saved bytes": 120e6,
}  # fmt: skip


def test_a_ring_of_eight():
    # 14 messages of an eighth of 10 GB at 1 GB/s, and of 20 microseconds each.
    seconds = scaling_report.ring_seconds(10e9, workers=8, gigabits=8.0)
    assert seconds == pytest.approx(14 / 8 * 10 + 14 * 20e-6)


def rows(printed):
    return [line.split() for line in printed.splitlines()]


def test_results_compare_workers_with_one_and_with_formula_and_simulation():
    printed = scaling_report.format_results(MEASURED)
    assert "one process, 2 threads, batch 4: 1.000 s" in printed
    assert "throughput, two workers / one: 0.800" in printed
    # 0.9 + 0.1 and 1.8 + 0.2; steps that do not vary are the formula's.
    assert ["2", "0.900", "0.100", "1.250", "1.250", "1.250"] in rows(printed)
    assert ["4", "1.800", "0.200", "2.200", "1.100", "1.100"] in rows(printed)
    assert "a step varies by 0.0%" in printed
    # 1.75 * 40 MB at 10 Gbit/s are 56 ms, beside 900 ms; the others 0.98 ...
    assert "  8  0.94 / 0.94  0.98 / 0.98  0.99 / 0.99  1.00" in printed
    # ... and a worker that is 1.5 times as slow takes the others with it.
    assert ["8", "0.99", "0.90", "0.66", "0.50"] in rows(printed)


def test_a_failure_an_hour_costs_less_where_the_others_go_on():
    for _, kept, elastic in scaling_report.failure_rows(MEASURED, 600.0):
        # 650 s until it trains again, beside 30 s, half a commit and 20 s.
        assert 0.78 < kept < 0.86 < 0.9 < elastic < 1.0


def test_a_failure_costs_a_checkpoint_and_a_restart_of_workers_at_hand():
    for _, kept, elastic in scaling_report.failure_rows(MEASURED, 0.0):
        # Each an hour: 50 s, and half an interval of 60 s and what its
        # checkpoints take; 50 s, half a commit of 90 s and those.
        assert kept == pytest.approx(1 - 110 / 3600, abs=0.004)
        assert elastic == pytest.approx(1 - (95 + 30) / 3600, abs=0.006)


def test_what_was_measured_is_used_again(tmp_path, capsys):
    kept = tmp_path / "measured.json"
    kept.write_text(json.dumps(MEASURED))
    scaling.main([f"--measured={kept}"])
    printed = capsys.readouterr().out
    assert printed == scaling_report.format_results(MEASURED) + "\n"
