"""How cost grows with image size, batch and data: three tables.

python -m benchmarks.growth [--camvid=FOLDER] [--rounds=5]

The rows of a table are measured in turn; the machine should have nothing else
to do.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import datasets, report
from benchmarks.harness.timing import Contender, measure_in_turn
from segnet.config import Config

__all__ = ["main"]

_SIZES = ((80, 160), (160, 320), (240, 480), (320, 640))
_BATCHES = (1, 2, 4, 8)
_REPEATS = (1, 2, 4, 8)
_CONFIG = Config(
    input_height=160,
    input_width=320,
    batch_size=4,
    batch_norm_in_encoder=False,
    device="cpu",
    precision="bfloat16",
    class_names=tuple(map(str, range(11))),
)


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--camvid", help="folder with train/ and val/")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args(argv)
    sizes = {
        f"{height}x{width}": {"input_height": height, "input_width": width}
        for height, width in _SIZES
    }
    batches = {str(batch): {"batch_size": batch} for batch in _BATCHES}
    print(report.describe_machine())
    print(_measure_steps("image", sizes, arguments.rounds))
    print(_measure_steps("batch", batches, arguments.rounds), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        data = datasets.open_dataset(arguments.camvid, Path(name))
        print(_measure_conversions(data, arguments.rounds))


def _measure_steps(
    title: str, changes: Mapping[str, Mapping[str, Any]], rounds: int
) -> str:
    """The table of training steps of runs with other settings."""
    contenders = {}
    for name, change in changes.items():
        config = dataclasses.replace(_CONFIG, **change)
        settings = {"config": config, "steps": 2}
        contenders[name] = Contender("own:training", settings)
    measured = measure_in_turn(contenders, rounds=rounds, warmups=1)
    rows = [
        [name, f"{1e3 / series.rate:.1f}", f"{series.peak_bytes / 1e9:.2f}"]
        for name, series in measured.items()
    ]
    titles = (title, "ms an image", "peak memory, GB")
    return f"\n{report.format_table(titles, rows)}"


def _measure_conversions(data: datasets.Dataset, rounds: int) -> str:
    """The table of conversions of the same pairs several times over."""
    contenders = {}
    for repeats in _REPEATS:
        settings = data.pairs("train") | {
            "num_classes": data.num_classes,
            "repeats": repeats,
        }
        contenders[f"{repeats} times"] = Contender(
            "conversion:conversion", settings
        )
    measured = measure_in_turn(contenders, rounds=rounds, warmups=1)
    rows = []
    for series in measured.values():
        images = series.rounds[0].items
        rows.append([
            str(images),
            f"{images / series.rate:.2f}",
            f"{series.rate:.0f}",
            f"{series.peak_bytes / 1e6:.0f}",
        ])  # fmt: skip
    titles = ("images", "conversion, s", "images/s", "peak memory, MB")
    return f"\n{report.format_table(titles, rows)}"


if __name__ == "__main__":
    main(sys.argv[1:])
