"""How cost grows with image size, batch, data and workers, and a picture of it.

python -m benchmarks.growth --camvid=FOLDER [--rounds=5]
    [--output=benchmarks/growth.json] [--picture=docs/images/growth.png]

Contenders of a part run in turn; the machine should have nothing else to do.
Without CamVid, scenes of its size are drawn.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import contender, datasets, machine, scaling, timing
from benchmarks.network import Network
from benchmarks.timing import Contender, Series

__all__ = ["draw", "main"]

_SIZES = ((80, 160), (160, 320), (240, 480), (320, 640))
_BATCHES = (1, 2, 4, 8)
_REPEATS = (1, 2, 4, 8)
_NETWORK = Network("vgg_segnet", "bfloat16", 160, 320, 4, 11)


def main(argv: Sequence[str]) -> None:
    """Measures, writes JSON, prints a table and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--camvid", help="folder with train/ and val/")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", default="benchmarks/growth.json")
    parser.add_argument("--picture", default="docs/images/growth.png")
    arguments = parser.parse_args(argv)
    results: dict[str, Any] = {"machine": machine.describe()}
    results |= _measure_steps(arguments.rounds)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        if arguments.camvid:
            data = datasets.open_camvid(Path(arguments.camvid), Path(name))
        else:
            data = datasets.draw_scenes(
                Path(name), num_train=367, num_val=1, height=360, width=480
            )
        results["images"] = _measure_data(data, arguments.rounds)
    results["workers"] = _measure_workers(arguments.rounds)
    Path(arguments.output).write_text(json.dumps(results, indent=1) + "\n")
    print(format_tables(results))
    draw(results, arguments.picture)


def _run(contenders: list[Contender], rounds: int) -> list[Series]:
    contender.progress(f"{len(contenders)} of {contenders[0].kind}")
    return timing.measure_in_turn(contenders, rounds=rounds, warmups=1)


def _measure_steps(rounds: int) -> dict[str, Any]:
    """Steps of other image sizes, and of other batches."""
    sizes = [
        dataclasses.replace(_NETWORK, height=height, width=width)
        for height, width in _SIZES
    ]
    batches = [
        dataclasses.replace(_NETWORK, batch_size=batch) for batch in _BATCHES
    ]
    return {"sizes": _steps(sizes, rounds), "batches": _steps(batches, rounds)}


def _steps(networks: list[Network], rounds: int) -> list[dict[str, Any]]:
    """Seconds of a step for each image, and memory."""
    settings = [dataclasses.asdict(network) for network in networks]
    measured = _run(
        [Contender("step", {"network": each, "steps": 2}) for each in settings],
        rounds,
    )
    return [
        each
        | {
            "seconds_an_image": 1 / statistics.median(series.rates()),
            "peak_bytes": series.peak_bytes,
        }
        for each, series in zip(settings, measured, strict=True)
    ]


def _measure_data(data: datasets.Dataset, rounds: int) -> list[dict[str, Any]]:
    """Conversion of the same pairs several times over."""
    chosen = [
        Contender(
            "convert",
            data.train_folders
            | {
                "num_classes": data.num_classes,
                "void_labels": data.void_labels,
                "repeats": repeats,
            },
        )
        for repeats in _REPEATS
    ]
    return [
        {
            "images": series.items[0],
            "seconds": statistics.median(series.seconds),
            "peak_bytes": series.peak_bytes,
        }
        for series in _run(chosen, rounds)
    ]


def _measure_workers(rounds: int) -> dict[str, float]:
    """Images a second of one process with all threads and of two workers."""
    contender.progress("one and two workers")
    found = scaling.measure(["--batch=2", f"--rounds={rounds}", "--steps=5"])
    return {"1": 4 / found["one"], "2": 4 / found["two"]}


def format_tables(results: dict[str, Any]) -> str:
    """What was measured, as Markdown."""
    lines = ["| image | ms an image | ns a pixel | peak memory, GB |",
             "|---|---|---|---|"]  # fmt: skip
    for row in results["sizes"]:
        pixels = row["height"] * row["width"]
        lines.append(
            f"| {row['height']}x{row['width']} "
            f"| {1e3 * row['seconds_an_image']:.1f} "
            f"| {1e9 * row['seconds_an_image'] / pixels:.0f} "
            f"| {row['peak_bytes'] / 1e9:.2f} |"
        )
    lines += ["", "| batch | ms an image | peak memory, GB |", "|---|---|---|"]
    lines += [
        f"| {row['batch_size']} | {1e3 * row['seconds_an_image']:.1f} "
        f"| {row['peak_bytes'] / 1e9:.2f} |"
        for row in results["batches"]
    ]
    lines += ["", "| images | conversion, s | images/s | peak memory, MB |",
              "|---|---|---|---|"]  # fmt: skip
    lines += [
        f"| {row['images']} | {row['seconds']:.2f} "
        f"| {row['images'] / row['seconds']:.0f} "
        f"| {row['peak_bytes'] / 1e6:.0f} |"
        for row in results["images"]
    ]
    lines += ["", "| workers | images/s |", "|---|---|"]
    lines += [
        f"| {workers} | {rate:.2f} |"
        for workers, rate in results["workers"].items()
    ]
    about = results["machine"]
    lines += ["", f"{about['processor']}, {about['cores']} cores, "
              f"{about['date']}"]  # fmt: skip
    return "\n".join(lines)


def draw(results: dict[str, Any], path: str) -> None:
    """Draws four panels.

    Args:
      results: As `main` writes them.
      path: PNG file to write.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    sizes, batches, images, workers = (
        results[name] for name in ("sizes", "batches", "images", "workers")
    )
    panels = (
        ("pixels of an image, thousands", "step, ms an image",
         [row["height"] * row["width"] / 1e3 for row in sizes],
         [1e3 * row["seconds_an_image"] for row in sizes]),
        ("batch at 160x320", "step, ms an image",
         [row["batch_size"] for row in batches],
         [1e3 * row["seconds_an_image"] for row in batches]),
        ("images converted", "seconds",
         [row["images"] for row in images],
         [row["seconds"] for row in images]),
        ("workers on two cores", "images/s",
         [int(count) for count in workers], list(workers.values())),
    )  # fmt: skip
    figure, axes = pyplot.subplots(1, 4, figsize=(15, 3.6))
    for axis, (x_label, y_label, x, y) in zip(axes, panels, strict=True):
        axis.plot(x, y, marker="o")
        axis.set(xlabel=x_label, ylabel=y_label, xlim=(0, None))
        axis.set_ylim(0, 1.15 * max(y))
        axis.xaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main(sys.argv[1:])
