"""Measures all rows, prints one table and writes JSON.

python -m benchmarks.run [--camvid=FOLDER] [--only=GROUP,...] [--smoke]

Without CamVid, scenes of its size are drawn. Contenders of a group run in
turn; give the machine nothing else to do. With --smoke everything is tiny, in
one process and only shown to work: its times mean nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import contender, datasets, machine, timing
from benchmarks.rows import Group, Row, create_groups
from benchmarks.scale import FULL, SMOKE, Scale

__all__ = ["main"]

_DEFAULT_OUTPUT = "benchmarks/results.json"


def main(argv: Sequence[str]) -> int:
    """Runs the benchmarks; returns the exit status."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    arguments = _parse(argv)
    scale = SMOKE if arguments.smoke else FULL
    if arguments.rounds:
        scale = dataclasses.replace(scale, rounds=arguments.rounds)
    results: dict[str, Any] = {
        "machine": machine.describe(),
        "smoke": arguments.smoke,
        "rows": [],
        "series": {},
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        data = _open_data(arguments, Path(name))
        results["data"] = data.name
        groups = create_groups(scale, data)
        wanted = arguments.only.split(",") if arguments.only else None
        for group in groups:
            if wanted is None or group.name in wanted:
                _run_group(group, scale, arguments.smoke, results)
                Path(arguments.output).write_text(json.dumps(results, indent=1))
    print(format_table(results))
    print(f"written to {arguments.output}")
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--camvid", help="folder with train/ and val/")
    parser.add_argument("--only", help="names of groups, with commas")
    parser.add_argument("--rounds", type=int, help="rounds that count")
    parser.add_argument("--output", default=_DEFAULT_OUTPUT)
    parser.add_argument("--smoke", action="store_true")
    return parser.parse_args(argv)


def _open_data(arguments: argparse.Namespace, folder: Path) -> datasets.Dataset:
    """Makes the shards."""
    if arguments.smoke:
        return datasets.draw_scenes(
            folder, num_train=4, num_val=2, height=32, width=64
        )
    if arguments.camvid:
        return datasets.open_camvid(Path(arguments.camvid), folder)
    return datasets.draw_scenes(
        folder, num_train=367, num_val=101, height=360, width=480
    )


def _run_group(
    group: Group, scale: Scale, in_process: bool, results: dict[str, Any]
) -> None:
    """Measures a group and adds its rows."""
    chosen, missing = {}, {}
    for name, each in group.contenders.items():
        if packages := contender.missing_packages(each.kind):
            missing[name] = packages
        else:
            chosen[name] = each
    contender.progress(f"{group.name}: {', '.join(chosen)}")
    measured = timing.measure_in_turn(
        list(chosen.values()),
        rounds=scale.rounds,
        warmups=scale.warmups,
        in_process=in_process,
    )
    series = dict(zip(chosen, measured, strict=True))
    results["series"][group.name] = {
        name: {
            "contender": dataclasses.asdict(chosen[name]),
            **dataclasses.asdict(values),
        }
        for name, values in series.items()
    }
    for row in group.rows:
        absent = missing.get(row.over) or missing.get(row.under)
        result = {"group": group.name, **dataclasses.asdict(row)}
        if absent:
            result["left_out"] = f"needs {', '.join(absent)}"
        else:
            result |= _evaluate(row, series)
        results["rows"].append(result)


def _evaluate(row: Row, series: dict[str, timing.Series]) -> dict[str, Any]:
    """Value, spread, and whether the target is reached."""
    over = series[row.over]
    result: dict[str, Any]
    if row.measure == "ratio":
        under = series[row.under]
        found = timing.ratio(over, under)
        processor = timing.ratio(over, under, "processor_seconds")
        result = {
            "value": found.median,
            "low": found.low,
            "high": found.high,
            "processor_value": processor.median,
        }
    elif row.measure in ("peak", "memory"):
        unit = series[row.under].peak_bytes if row.under else 1e9
        result = {"value": over.peak_bytes / unit}
    else:
        values = over.rates()
        if row.measure == "seconds":
            values = [1.0 / rate for rate in values]
        result = {
            "value": statistics.median(values),
            "low": min(values),
            "high": max(values),
        }
    if row.target is not None:
        better = result["value"] >= row.target
        result["holds"] = better if row.at_least else not better
    return result


def format_table(results: dict[str, Any]) -> str:
    """The rows for people."""
    about = results["machine"]
    lines = [
        f"{about['processor']}, {about['cores']} cores; {about['date']}; "
        f"revision {about['revision']}; {results['data']}",
        ", ".join(
            f"{name} {version}"
            for name, version in about["packages"].items()
            if version
        ),
        f"{'group':11} {'row':48} {'value':>8} {'spread':>15} {'target':>8}",
    ]
    for row in results["rows"]:
        start = f"{row['group']:11} {row['text']:48}"
        if "left_out" in row:
            lines.append(f"{start} left out: {row['left_out']}")
            continue
        spread = f"{row['low']:.3f}-{row['high']:.3f}" if "low" in row else ""
        target = ""
        if row["target"] is not None:
            sign = ">=" if row["measure"] in ("ratio", "rate") else "<="
            target = f"{sign}{row['target']:g}"
            target += "" if row["holds"] else "  short"
        lines.append(f"{start} {row['value']:8.3f} {spread:>15} {target:>8}")
    if results["smoke"]:
        lines.append("smoke run: all contenders work; the times mean nothing")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
