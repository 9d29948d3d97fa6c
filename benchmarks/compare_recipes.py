"""Trains variants of a recipe for the same time and writes a table of scores.

python -m benchmarks.compare_recipes camvid --data_dir=DATA --output_dir=OUT
python -m benchmarks.compare_recipes demo --data_dir=DATA --output_dir=OUT

Each variant is the recipe (configs/camvid.flags or configs/demo.flags) with a
few other flags. For `camvid` a few steps of each stage tell how many epochs fit
into --minutes; a third of the time goes to the smaller inputs of the recipe, if
it has any. For `demo` all variants take the recipe's own number of steps.
Results are added to OUT/results.json, and a variant that is there is not run
again: the comparison can be stopped and goes on. The machine should have
nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import machine, recipe_variants
from segnet.config import flags, values
from segnet.records.splits import read_manifest

ROOT = Path(__file__).resolve().parents[1]
# Steps by which the pace of a stage is measured, the traced one left out.
_PACE_STEPS = 13
_LOW_RESOLUTION_SHARE = 1 / 3


def main() -> int:
    """Runs what is missing, then prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("recipe", choices=sorted(recipe_variants.VARIANTS))
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--output_dir", required=True, type=Path)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--only", help="names of variants, with commas")
    arguments = parser.parse_args()
    variants = recipe_variants.VARIANTS[arguments.recipe]
    names = arguments.only.split(",") if arguments.only else list(variants)
    unknown = sorted(set(names) - set(variants))
    if unknown:
        parser.error(
            f"no variant {', '.join(unknown)}; there are {', '.join(variants)}"
        )
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    store = arguments.output_dir / "results.json"
    results = json.loads(store.read_text()) if store.exists() else []
    for name in names:
        minutes = arguments.minutes if arguments.recipe == "camvid" else 0.0
        if any((r["name"], r["budget"]) == (name, minutes) for r in results):
            continue
        results.append(_run(arguments, name, variants[name], minutes))
        store.write_text(json.dumps(results, indent=2) + "\n")
        print(_row(results[-1]), flush=True)
    print("\n" + format_table(results))
    return 0


def _run(
    arguments: argparse.Namespace, name: str, changes: list[str], minutes: float
) -> dict[str, Any]:
    """Trains and scores one variant."""
    workdir = arguments.output_dir / f"{name}-{minutes:g}min"
    command = [
        f"--flagfile={ROOT / 'configs' / arguments.recipe}.flags",
        f"--data_dir={arguments.data_dir}",
        "--evaluate_every_epochs=0",
        *changes,
    ]
    if minutes:
        command += _fit(command, arguments, name, 60 * minutes)
    start = time.perf_counter()
    _main(command, workdir)
    seconds = time.perf_counter() - start
    lines = _lines(workdir)
    seconds -= sum(line.get("val_seconds", 0.0) for line in lines)
    _main(["--mode=evaluate"], workdir)
    scores = json.loads((workdir / "evaluation-val.json").read_text())
    rarest = rarest_classes(arguments.data_dir)
    return {
        "name": name,
        "budget": minutes,
        "changes": changes,
        "flags": command[2:],
        "steps": max(line["step"] for line in lines),
        "seconds": seconds,
        "mean_iou": scores["mean_iou"],
        "mean_class_accuracy": scores["mean_class_accuracy"],
        "pixel_accuracy": scores["pixel_accuracy"],
        "boundary_f1": scores["boundary_f1"],
        "iou": {n: row["iou"] for n, row in scores["per_class"].items()},
        "rarest": rarest,
        "machine": machine.describe(),
    }


def _main(arguments: list[str], workdir: Path) -> None:
    """Runs main.py; its output goes to a file beside the workdir."""
    with open(f"{workdir}.log", "a") as log:
        subprocess.run(
            [sys.executable, str(ROOT / "main.py"), *arguments,
             f"--workdir={workdir}"],
            check=True, stdout=log, stderr=log,
        )  # fmt: skip


def _lines(workdir: Path) -> list[dict[str, Any]]:
    text = (workdir / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def _fit(
    command: list[str], arguments: argparse.Namespace, name: str, seconds: float
) -> list[str]:
    """Flags with as many epochs of each stage as fit into the time."""
    config = flags.parse_command(["main.py", *command]).config
    records_ = read_manifest(arguments.data_dir, "train").num_records
    stages = values.parse_resolutions(config.resolution_schedule)
    shares = [_LOW_RESOLUTION_SHARE / len(stages)] * len(stages)
    epochs = []
    for index, (height, width, batch, _) in enumerate(stages):
        stage = [
            f"--input_height={height}",
            f"--input_width={width}",
            f"--batch_size={batch or config.batch_size}",
            "--train_crop=",
        ]
        rate = _pace([*command, *stage], arguments, f"{name}-pace{index}")
        epochs.append(max(1, round(shares[index] * seconds * rate / records_)))
    rate = _pace(command, arguments, f"{name}-pace")
    rest = 1 - sum(shares)
    last = max(1, round(rest * seconds * rate / records_))
    schedule = ",".join(
        f"{height}x{width}x{batch or config.batch_size}:{count}"
        for (height, width, batch, _), count in zip(stages, epochs, strict=True)
    )
    return [
        f"--resolution_schedule={schedule}",
        f"--epochs={sum(epochs) + last}",
    ]


def _pace(
    command: list[str], arguments: argparse.Namespace, name: str
) -> float:
    """Images a second of a stage."""
    workdir = arguments.output_dir / name
    _main(
        [
            *command,
            "--resolution_schedule=",
            f"--max_steps={_PACE_STEPS}",
            f"--log_every_steps={_PACE_STEPS}",
        ],
        workdir,
    )
    rates = [line.get("images_per_second") for line in _lines(workdir)]
    return next(rate for rate in rates if rate)


def rarest_classes(data_dir: str, count: int = 3) -> list[str]:
    """Names of the classes with the fewest training pixels."""
    manifest = read_manifest(data_dir, "train")
    pairs = zip(manifest.pixel_counts, manifest.class_names, strict=True)
    return [name for _, name in sorted(pairs)[:count]]


def _row(result: dict[str, Any]) -> str:
    """One line of the table, Markdown."""
    rare = [result["iou"][name] for name in result["rarest"]]
    cells = [
        result["name"],
        " ".join(f"`{change}`" for change in result["changes"]) or "the recipe",
        f"{result['budget']:g}" if result["budget"] else "-",
        f"{result['steps']}",
        f"{result['seconds'] / 60:.1f}",
        f"{result['mean_iou']:.3f}",
        f"{result['mean_class_accuracy']:.3f}",
        f"{min(v or 0.0 for v in result['iou'].values()):.2f}",
        " ".join(f"{value or 0.0:.2f}" for value in rare),
        f"{result['boundary_f1']:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


def _place(described: dict[str, Any]) -> str:
    """Machine and day, for people to read."""
    day = described["date"].split("T")[0]
    return f"{described['cores']} cores, {described['processor']}, {day}"


def format_table(results: list[dict[str, Any]]) -> str:
    """All results as Markdown, the best first in each budget."""
    rarest = " ".join(results[0]["rarest"])
    titles = (
        "variant", "flags besides the recipe's", "budget, min", "steps",
        "training, min", "mean IoU", "class accuracy", "lowest IoU",
        f"IoU of {rarest}", "boundary F1",
    )  # fmt: skip
    ordered = sorted(results, key=lambda r: (r["budget"], -r["mean_iou"]))
    places = sorted({_place(result["machine"]) for result in results})
    return "\n".join(
        [
            f"| {' | '.join(titles)} |",
            f"|{'---|' * len(titles)}",
            *map(_row, ordered),
            "",
            f"Measured on {'; '.join(places)}.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
