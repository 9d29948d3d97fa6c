"""Tests of benchmarks/scaling.py: the formula of docs/scaling.md, by hand."""

from __future__ import annotations

import pytest

from benchmarks import scaling


def test_a_ring_of_eight():
    # 14 messages of an eighth of 10 GB at 1 GB/s, and of 20 microseconds each.
    seconds = scaling.ring_seconds(10e9, workers=8, gigabits=8.0)
    assert seconds == pytest.approx(14 / 8 * 10 + 14 * 20e-6)


def test_results_compare_two_workers_with_one_and_with_the_formula():
    measured = {
        "one": 1.0, "apart": 0.9, "two": 1.25, "reduce": 0.1, "bytes": 40e6
    }  # fmt: skip
    printed = scaling.format_results(measured, batch=2)
    assert "one process, 2 threads, batch 4: 1.000 s" in printed
    assert "throughput, two workers / one: 0.800" in printed
    assert "predicted 1.000 s, measured / predicted 1.250" in printed
    # 1.75 * 40 MB at 10 Gbit/s are 56 ms, beside 900 ms.
    assert "      8        0.941" in printed
