"""The picture of docs/scaling.md: what the simulation of many workers says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.harness import scaling_report
from benchmarks.harness.simulation import kept_share

__all__ = ["draw"]

# Told apart by people who do not see all colours, too; and by their shapes.
_STYLES = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"))
_WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_FAILURES = 4000


def draw(measured: Mapping[str, Any], path: Path) -> None:
    """Draws it.

    Args:
      measured: See `scaling_report.format_results`.
      path: Of an SVG file, which has the same bytes each time.
    """
    options = {"svg.hashsalt": "segnet", "font.size": 9}
    with matplotlib.rc_context(options):
        figure = Figure(figsize=(9, 6.4), layout="constrained")
        (links, slow), (intervals, elastic) = figure.subplots(2, 2)
        _draw_links(links, measured)
        _draw_slow(slow, measured)
        _draw_intervals(intervals, measured)
        _draw_elastic(elastic, measured)
        for axes in figure.axes:
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8, frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _draw_links(axes: Axes, measured: Mapping[str, Any]) -> None:
    apart = float(np.mean(measured["samples"]["apart 2"]))
    for gigabits, (colour, marker) in zip((10, 100), _STYLES[:2], strict=True):
        formula = [
            apart
            / (apart + scaling_report.ring_seconds(
                measured["bytes"], workers, gigabits
            ))
            for workers in _WORKERS
        ]  # fmt: skip
        simulated = [
            scaling_report.efficiency(measured, workers, gigabits)
            for workers in _WORKERS
        ]
        name = f"{gigabits} Gbit/s"
        axes.plot(
            _WORKERS, formula, "--", color=colour, label=f"{name}, formula"
        )
        axes.plot(
            _WORKERS, simulated, color=colour, marker=marker, label=name,
            markersize=4,
        )  # fmt: skip
    _label_workers(axes, "Waiting for each other: efficiency by link")


def _draw_slow(axes: Axes, measured: Mapping[str, Any]) -> None:
    for slowdown, (colour, marker) in zip((1.1, 1.5, 2), _STYLES, strict=True):
        shares = [
            scaling_report.efficiency(measured, workers, 100, slowdown=slowdown)
            for workers in _WORKERS
        ]
        axes.plot(
            _WORKERS, shares, color=colour, marker=marker, markersize=4,
            label=f"one worker takes {slowdown:g} times as long",
        )  # fmt: skip
    _label_workers(axes, "A straggler: efficiency at 100 Gbit/s")


def _label_workers(axes: Axes, title: str) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(_WORKERS, [str(each) for each in _WORKERS])
    axes.set_ylim(0, 1.05)
    axes.set_xlabel("workers")
    axes.set_title(title, fontsize=10, loc="left")


def _draw_intervals(axes: Axes, measured: Mapping[str, Any]) -> None:
    costs = scaling_report.costs(measured, replace=0.0)
    seconds = np.geomspace(5, 2 * scaling_report.HOUR_SECS, 40)
    for hours, (colour, marker) in zip((1, 10, 100), _STYLES, strict=True):
        between = hours * scaling_report.HOUR_SECS

        def kept(interval: float, between: float = between) -> float:
            return kept_share(
                costs, workers=8, between_failures=between, interval=interval,
                elastic=False, rng=np.random.default_rng(0),
                failures=_FAILURES,
            )  # fmt: skip

        axes.plot(
            seconds / 60, [kept(float(each)) for each in seconds], color=colour,
            label=f"a failure in {hours} h",
        )  # fmt: skip
        best = math.sqrt(2 * costs.save * between)
        axes.plot(best / 60, kept(best), marker, color=colour)
    axes.set_xscale("log")
    axes.set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    axes.set_xlabel("minutes between two checkpoints (marks: the formula's)")
    axes.set_ylim(0, 1.05)
    axes.set_title(
        "Checkpoints: share of the work that is kept", fontsize=10, loc="left"
    )


def _draw_elastic(axes: Axes, measured: Mapping[str, Any]) -> None:
    minutes = np.arange(0, 31, 3)

    def kept(workers: int, elastic: bool) -> list[float]:
        return [
            kept_share(
                scaling_report.costs(measured, replace=60.0 * each),
                workers=workers,
                between_failures=scaling_report.HOUR_SECS,
                interval=120.0,
                elastic=elastic,
                rng=np.random.default_rng(0),
                failures=_FAILURES,
            )
            for each in minutes
        ]

    again = kept(scaling_report.SIMULATED[0], elastic=False)
    axes.plot(minutes, again, "k--", label="starts again, any number")
    for workers, (colour, marker) in zip(
        scaling_report.SIMULATED, _STYLES, strict=True
    ):
        axes.plot(
            minutes, kept(workers, elastic=True), color=colour, marker=marker,
            markersize=4, label=f"{workers} workers, elastic",
        )  # fmt: skip
    axes.set_ylim(0, 1.05)
    axes.set_xlabel("minutes until a lost worker is replaced")
    axes.set_title(
        "A failure an hour: share of the work that is kept", fontsize=10,
        loc="left",
    )  # fmt: skip
