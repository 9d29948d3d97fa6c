"""Measures all rows of `comparisons` and prints one table.

python -m benchmarks.run [--camvid=FOLDER] [--only=GROUP,...] [--smoke]

Contenders of a group run in turn; give the machine nothing else to do. With
--smoke everything is tiny, in one process and only shown to work: its times
mean nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.comparisons import FULL, SMOKE, Row, create_groups
from benchmarks.harness import datasets, report, timing

__all__ = ["cells", "main"]

_TITLES = ("group", "row", "measured", "quartiles")


def main(argv: Sequence[str]) -> int:
    """Runs the benchmarks; returns the exit status."""
    arguments = _parse(argv)
    scale = SMOKE if arguments.smoke else FULL
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        if arguments.camvid:
            data = datasets.pack_camvid(arguments.camvid, Path(name))
        else:
            data = datasets.draw_scenes(Path(name), *scale.scenes)
        for group in create_groups(scale, data):
            if arguments.only and group.name not in arguments.only.split(","):
                continue
            rates = timing.measure_in_turn(
                group.contenders,
                rounds=arguments.rounds or scale.rounds,
                warmups=scale.warmups,
                in_process=arguments.smoke,
                clock="process_time" if arguments.cpu_time else "perf_counter",
            )
            rows += [[group.name, *cells(row, rates)] for row in group.rows]
            # After each group, since a later one may fail.
            Path(arguments.output).write_text(_format(rows, data.name))
    print(_format(rows, data.name))
    if arguments.smoke:
        print("smoke run: all contenders work; the times mean nothing")
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--camvid", help="folder with train/ and val/")
    parser.add_argument("--only", help="names of groups, with commas")
    parser.add_argument("--rounds", type=int, help="rounds that count")
    parser.add_argument("--output", default="benchmarks/results.md")
    parser.add_argument(
        "--cpu_time",
        action="store_true",
        help="compare processor time: for engines, on a machine that is busy",
    )
    parser.add_argument("--smoke", action="store_true")
    return parser.parse_args(argv)


def _format(rows: Sequence[Sequence[str]], data: str) -> str:
    """The table, and where its figures come from."""
    table = report.format_table(_TITLES, rows)
    source = (report.describe_machine(), report.describe_packages(), data)
    return f"{table}\n\n{'; '.join(source)}\n"


def cells(row: Row, rates: Mapping[str, Sequence[float]]) -> list[str]:
    """Text, median and quartiles of a row, as docs/performance.md has them.

    Args:
      row: A line of the table.
      rates: Images/s of each contender of its group, round by round.
    """
    if not {row.over, row.under} <= {"", *rates}:
        return [row.text, "left out", ""]
    values, spread = row.values(rates), ""
    if len(values) > 1:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        spread = f"{low:.4g} to {high:.4g}"
    return [row.text, f"{statistics.median(values):.3f}", spread]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
