"""Trains variants of a recipe for the same time and writes a table of scores.

python -m benchmarks.compare_recipes camvid --data_dir=DATA --output_dir=OUT
python -m benchmarks.compare_recipes demo --data_dir=DATA --output_dir=OUT

Each variant is the recipe (configs/camvid.flags or configs/demo.flags) with a
few other flags. For `camvid` a few steps of each stage tell how many epochs fit
into --minutes; a third of the time goes to the smaller inputs of the recipe.
For `demo` all variants take the recipe's own number of steps.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from benchmarks.harness import report
from benchmarks.harness.programs import ROOT
from segnet.config import flags
from segnet.config.validate import parse_resolutions
from segnet.records.splits import read_manifest

__all__ = ["VARIANTS", "format_results", "main", "rarest_classes"]

# The flags that each variant changes.
VARIANTS = {
    "camvid": {
        "recipe": "",
        # The loss and its weights.
        "no_dice": "--loss=cross_entropy",
        "focal": "--loss=focal",
        "lovasz": "--loss=lovasz_softmax --class_weights=none",
        "median_frequency": "--class_weights=median_frequency",
        "sqrt_median_frequency": "--class_weights=sqrt_median_frequency",
        "log_frequency": "--class_weights=log_frequency",
        # The network, and twice the steps of half the images.
        "segnet": "--architecture=segnet",
        "batch_2": "--batch_size=2 --resolution_schedule=96x128x4:45",
        # What it sees.
        "whole_images": "--input_height=192 --input_width=256 --train_crop=",
        "augment_none": "--augment=none",
        "augment_strong": "--augment=strong",
        # Averages.
        "no_ema": "--ema_decay=0",
        "bn_momentum_09": "--batch_norm_momentum=0.9",
    },
    "demo": {
        "recipe": "",
        "cross_entropy": "--loss=cross_entropy --class_weights=none",
        # The defaults of main.py, for as many steps.
        "plain": "--loss=cross_entropy --class_weights=none --optimizer=adam "
        "--weight_decay=0 --learning_rate=1e-3 --lr_schedule=constant "
        "--warmup_epochs=0 --gradient_clip_norm=0 --ema_decay=0 "
        "--augment=none --resolution_schedule= --epochs=10 --max_steps=744",
        # The paper's network learns more slowly: 2.5 times the epochs.
        "segnet": "--architecture=segnet "
        "--resolution_schedule=64x128x8:30 --epochs=40",
    },
}
# Steps by which the pace of a stage is measured, the traced one left out.
_PACE_STEPS = 13
_LOW_RESOLUTION_SHARE = 1 / 3


def main(argv: Sequence[str]) -> int:
    """Runs what is missing, then prints the table."""
    arguments = _parse(argv)
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    store = arguments.output_dir / "results.json"
    results = json.loads(store.read_text()) if store.exists() else []
    minutes = arguments.minutes if arguments.recipe == "camvid" else 0.0
    for name in arguments.only:
        if any((r["name"], r["budget"]) == (name, minutes) for r in results):
            continue
        results.append(_run(arguments, name, minutes))
        store.write_text(json.dumps(results, indent=2) + "\n")
        print(format_results(results[-1:]), flush=True)
    print("\n" + format_results(results))
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line, its variants checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("recipe", choices=sorted(VARIANTS))
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--output_dir", required=True, type=Path)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--only", help="names of variants, with commas")
    arguments = parser.parse_args(argv)
    variants = list(VARIANTS[arguments.recipe])
    arguments.only = arguments.only.split(",") if arguments.only else variants
    for name in arguments.only:
        if name not in variants:
            parser.error(f"no variant {name}; there are {', '.join(variants)}")
    return arguments


def _run(
    arguments: argparse.Namespace, name: str, minutes: float
) -> dict[str, Any]:
    """Trains and scores one variant, in so many minutes if it is not 0."""
    workdir = arguments.output_dir / f"{name}-{minutes:g}min"
    changes = VARIANTS[arguments.recipe][name]
    command = [
        f"--flagfile={ROOT / 'configs' / arguments.recipe}.flags",
        f"--data_dir={arguments.data_dir}",
        "--evaluate_every_epochs=0",
        *changes.split(),
    ]
    if minutes:
        command += _fit(command, arguments, workdir)
    start = time.perf_counter()
    _call_main(command, workdir)
    seconds = time.perf_counter() - start
    lines = _read_metrics(workdir)
    _call_main(["--mode=evaluate"], workdir)
    scores = json.loads((workdir / "evaluation-val.json").read_text())
    return {
        "name": name,
        "budget": minutes,
        "changes": changes,
        "steps": max(line["step"] for line in lines),
        "seconds": seconds - sum(line.get("val_seconds", 0) for line in lines),
        "mean_iou": scores["mean_iou"],
        "mean_class_accuracy": scores["mean_class_accuracy"],
        "boundary_f1": scores["boundary_f1"],
        "iou": {n: row["iou"] for n, row in scores["per_class"].items()},
        "rarest": rarest_classes(arguments.data_dir),
        "machine": report.describe_machine(),
    }


def _call_main(arguments: Sequence[str], workdir: Path) -> None:
    """Runs main.py; its output goes to a file beside the workdir."""
    command = [sys.executable, str(ROOT / "main.py"), *arguments]
    with open(f"{workdir}.log", "a") as log:
        command += [f"--workdir={workdir}", "--noreport"]
        subprocess.run(command, check=True, stdout=log, stderr=log)


def _read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """The lines that the run wrote."""
    text = (workdir / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def _fit(
    command: Sequence[str], arguments: argparse.Namespace, workdir: Path
) -> list[str]:
    """Flags with as many epochs of both stages as fit into the time."""
    config = cast(flags.Command, flags.parse_command(["", *command])).config
    [(height, width, batch, _)] = parse_resolutions(config.resolution_schedule)
    batch = batch or config.batch_size
    inputs = (
        f"--input_height={height}", f"--input_width={width}",
        f"--batch_size={batch}", "--train_crop=",
    )  # fmt: skip
    num_records = read_manifest(arguments.data_dir, "train").num_records
    budget = 60 * arguments.minutes / num_records
    paces = (
        _LOW_RESOLUTION_SHARE * _pace([*command, *inputs], f"{workdir}-small"),
        (1 - _LOW_RESOLUTION_SHARE) * _pace(command, f"{workdir}-large"),
    )
    small, large = (max(1, round(budget * pace)) for pace in paces)
    return [
        f"--resolution_schedule={height}x{width}x{batch}:{small}",
        f"--epochs={small + large}",
    ]


def _pace(command: Sequence[str], workdir: str) -> float:
    """Images a second of a stage."""
    stop = f"--max_steps={_PACE_STEPS}", f"--log_every_steps={_PACE_STEPS}"
    _call_main([*command, "--resolution_schedule=", *stop], Path(workdir))
    lines = _read_metrics(Path(workdir))
    return next(filter(None, (line.get("images_per_second") for line in lines)))


def rarest_classes(data_dir: str, count: int = 3) -> list[str]:
    """Names of the classes with the fewest training pixels."""
    manifest = read_manifest(data_dir, "train")
    pairs = zip(manifest.pixel_counts, manifest.class_names, strict=True)
    return [name for _, name in sorted(pairs)[:count]]


def format_results(results: Sequence[dict[str, Any]]) -> str:
    """All results as Markdown, the best first in each budget."""
    rarest = " ".join(results[0]["rarest"])
    titles = (
        "variant", "flags besides the recipe's", "budget, min", "steps",
        "training, min", "mean IoU", "class accuracy", "lowest IoU",
        f"IoU of {rarest}", "boundary F1",
    )  # fmt: skip
    ordered = sorted(results, key=lambda r: (r["budget"], -r["mean_iou"]))
    machines = sorted({result["machine"] for result in results})
    table = report.format_table(titles, list(map(_cells, ordered)))
    return f"{table}\n\nMeasured on {'; '.join(machines)}."


def _cells(result: dict[str, Any]) -> list[str]:
    """The cells of one row."""
    rare = [result["iou"][name] for name in result["rarest"]]
    return [
        result["name"],
        f"`{result['changes']}`" if result["changes"] else "",
        f"{result['budget']:g}" if result["budget"] else "-",
        f"{result['steps']}",
        f"{result['seconds'] / 60:.1f}",
        f"{result['mean_iou']:.3f}",
        f"{result['mean_class_accuracy']:.3f}",
        f"{min(value or 0.0 for value in result['iou'].values()):.2f}",
        " ".join(f"{value or 0.0:.2f}" for value in rare),
        f"{result['boundary_f1']:.3f}",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
