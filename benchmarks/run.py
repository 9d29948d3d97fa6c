"""Measures all rows of `comparisons`, prints one table and writes JSON.

python -m benchmarks.run [--camvid=FOLDER] [--only=GROUP,...] [--smoke]

Contenders of a group run in turn; give the machine nothing else to do. With
--smoke everything is tiny, in one process and only shown to work: its times
mean nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparisons import FULL, SMOKE, Group, create_groups
from benchmarks.harness import datasets, report, timing

__all__ = ["main"]

_TITLES = ("group", "row", "measured", "quartiles")


def main(argv: Sequence[str]) -> int:
    """Runs the benchmarks; returns the exit status."""
    arguments = _parse(argv)
    scale = SMOKE if arguments.smoke else FULL
    rows: list[dict[str, Any]] = []
    results = {
        "machine": report.describe_machine(),
        "packages": report.describe_packages(),
        "smoke": arguments.smoke,
        "rows": rows,
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        data = _open_data(arguments, Path(name))
        results["data"] = data.name
        for group in create_groups(scale, data):
            if arguments.only and group.name not in arguments.only.split(","):
                continue
            series = timing.measure_in_turn(
                group.contenders,
                rounds=arguments.rounds or scale.rounds,
                warmups=scale.warmups,
                in_process=arguments.smoke,
            )
            rows += _evaluate(group, series)
            Path(arguments.output).write_text(json.dumps(results, indent=1))
    print(format_results(results))
    print(f"written to {arguments.output}")
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--camvid", help="folder with train/ and val/")
    parser.add_argument("--only", help="names of groups, with commas")
    parser.add_argument("--rounds", type=int, help="rounds that count")
    parser.add_argument("--output", default="benchmarks/results.json")
    parser.add_argument("--smoke", action="store_true")
    return parser.parse_args(argv)


def _open_data(arguments: argparse.Namespace, folder: Path) -> datasets.Dataset:
    """Makes the shards."""
    if arguments.smoke:
        return datasets.draw_scenes(
            folder, num_train=4, num_val=2, height=32, width=64
        )
    return datasets.open_dataset(arguments.camvid, folder)


def _evaluate(
    group: Group, series: Mapping[str, timing.Series]
) -> list[dict[str, Any]]:
    """The rows of a group with what was measured, for JSON."""
    rows = []
    for row in group.rows:
        names = filter(None, (row.over, row.under))
        missing = [m for m in (series[name].missing for name in names) if m]
        rows.append({
            "group": group.name,
            "text": row.text,
            "missing": missing,
            "values": [] if missing else row.value(series),
        })  # fmt: skip
    return rows


def format_results(results: Mapping[str, Any]) -> str:
    """The table as docs/performance.md has it, and where it comes from."""
    table = report.format_table(_TITLES, list(map(_cells, results["rows"])))
    source = ("machine", "packages", "data")
    lines = [table, "", "; ".join(results[name] for name in source)]
    if results["smoke"]:
        lines.append("smoke run: all contenders work; the times mean nothing")
    return "\n".join(lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    """Group, text, median and quartiles of one row."""
    values, spread = row["values"], ""
    if row["missing"]:
        measured = f"left out: needs {', '.join(row['missing'])}"
    else:
        measured = f"{statistics.median(values):.3f}"
    if len(values) > 1:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        spread = f"{low:.4g} to {high:.4g}"
    return [row["group"], row["text"], measured, spread]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
