"""Tests of benchmarks/slow_link.py: what it prints of what it measured."""

from __future__ import annotations

from benchmarks import slow_link


def test_results_stand_beside_the_formula():
    measured = {
        "apart": 1.0, "bytes": 50e6, "delay_ms": 1.0,
        "copy none": 0.05, "reduce none": 0.4972, "step none": 1.452,
        "copy bf16": 0.1, "reduce bf16": 0.302, "step bf16": 1.1718,
        "sent none": 50.2e6, "sent bf16": 25e6,
    }  # fmt: skip
    printed = slow_link.format_results(measured, gigabits=1.0)
    # 50 MB at 1 Gbit/s are 0.4 s, and there are two messages of 1 ms.
    assert [line.split() for line in printed.splitlines()[2:6]] == [
        ["reduce", "none", "0.497", "0.050", "0.452", "1.100"],
        ["step", "none", "1.452", "0.050", "1.452", "1.000"],
        ["reduce", "bf16", "0.302", "0.100", "0.302", "1.000"],
        ["step", "bf16", "1.172", "0.100", "1.302", "0.900"],
    ]
    assert "none: 50.20 MB, measured / formula 1.004" in printed
    assert "bf16: 25.00 MB, measured / formula 1.000" in printed
