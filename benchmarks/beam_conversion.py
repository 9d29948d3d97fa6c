"""What a conversion on Apache Beam costs, beside the local one.

python -m benchmarks.beam_conversion --camvid=FOLDER \
  [--beam_python=.venv-beam/bin/python] [--copies=10] [--rounds=3]

Converts CamVid's training pairs, once and so many times over, in one process by
both in turn; then all of them with three workers by both. Prints the time that
a pair takes beyond the start (what the copies take more, divided by their
number), its ratio, and whether shards and manifest are the same bytes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.programs import ROOT
from benchmarks.harness.report import describe_machine

__all__ = ["main"]

_LOCAL, _BEAM = "local", "Beam"


def main(argv: Sequence[str]) -> int:
    """Runs the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--camvid", required=True)
    parser.add_argument("--beam_python", default=".venv-beam/bin/python")
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(argv)
    source = Path(given.camvid, "train")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        once, often = (
            _copy(source, folder / str(copies), copies)
            for copies in (1, given.copies)
        )
        converters = {_LOCAL: sys.executable, _BEAM: given.beam_python}
        more = (given.copies - 1) * sum(1 for _ in (once / "images").iterdir())
        seconds: dict[str, list[float]] = {_LOCAL: [], _BEAM: []}
        for _ in range(given.rounds):
            for way, python in converters.items():
                short = _convert(python, once, folder / "out", way, 1)
                shutil.rmtree(folder / "out")
                output = folder / f"{way}-1"
                shutil.rmtree(output, ignore_errors=True)
                long = _convert(python, often, output, way, 1)
                seconds[way].append((long - short) / more)
        for way, python in converters.items():
            _convert(python, often, folder / f"{way}-3", way, 3)
        outputs = [folder / f"{x}-{y}" for x in converters for y in (1, 3)]
        same = len({_contents(output) for output in outputs}) == 1
    _report(more, seconds, same)
    return 0 if same else 1


def _report(pairs: int, seconds: dict[str, list[float]], same: bool) -> None:
    ratios = [
        beam / local
        for local, beam in zip(seconds[_LOCAL], seconds[_BEAM], strict=True)
    ]
    print(f"{describe_machine()}: {pairs} pairs beyond the start")
    for way, values in seconds.items():
        print(f"{way}: {1e3 * statistics.median(values):.2f} ms a pair")
    print(
        f"Beam, local = 1: {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )
    answer = "the same bytes" if same else "DIFFERENT bytes"
    print(f"local and Beam, with 1 worker and with 3: {answer}")


def _copy(source: Path, folder: Path, copies: int) -> Path:
    """Links the pairs of a split into a folder, so many times over."""
    for kind in ("images", "annotations"):
        (folder / kind).mkdir(parents=True)
        for path in (source / kind).iterdir():
            for number in range(copies):
                link = folder / kind / f"{path.stem}-{number:02d}{path.suffix}"
                link.symlink_to(path.resolve())
    return folder


def _convert(
    python: str, pairs: Path, output: Path, way: str, workers: int
) -> float:
    """Converts; gives the seconds."""
    command = [
        python, str(ROOT / "tools/convert_to_tfrecord.py"),
        f"--images_dir={pairs / 'images'}",
        f"--annotations_dir={pairs / 'annotations'}",
        f"--output_dir={output}", "--split=train", "--num_classes=11",
        "--void_labels=11", f"--num_workers={workers}",
    ]  # fmt: skip
    if way == _BEAM:
        command.append("--runner=DirectRunner")
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{way}: {done.stderr}")
    return time.perf_counter() - begin


def _contents(folder: Path) -> tuple[tuple[str, bytes], ...]:
    names = sorted(os.listdir(folder))
    return tuple((name, (folder / name).read_bytes()) for name in names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
