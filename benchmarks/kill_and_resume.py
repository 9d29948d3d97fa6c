"""Kills programs with SIGKILL, runs them again, compares what they wrote.

python -m benchmarks.kill_and_resume [--runs=20] [--seed=0] [--programs=...]

Of each program (train, convert, evaluate, predict) one run is left alone. Each
of the others is killed at random moments, the last of them while it writes, and
started again by the same command until it is done. It must end with the same as
the undisturbed one: training with the same variables, bit for bit, the others
with the same files. What is there after a kill must be right, too: nothing
half-written may pass for a result. Prints a line a run and a count for each
program; exits with 1 if any differs.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import written
from benchmarks.harness.datasets import Dataset, draw_scenes
from benchmarks.harness.programs import ROOT

__all__ = ["main"]

_KILLS_A_RUN = 3
_WRITE_WAIT_SECS = 20.0  # For writing to begin.
_WRITE_SECS = 0.05  # Of writing, at most, before the kill.
_FLAGS = (
    "--input_height=32", "--input_width=64", "--batch_size=2", "--epochs=4",
    "--device=cpu", "--precision=float32", "--deterministic",
    "--width_multiplier=0.5", "--dropout=0.2", "--augment=basic",
    "--ema_decay=0.9", "--gradient_clip_norm=1", "--lr_schedule=cosine",
    "--checkpoint_every_steps=1", "--keep_checkpoints=2",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Program:
    """A program that is killed.

    Attributes:
      arguments: Its path and flags, for a folder to write to.
      results: What it has written to the folder, by name.
      parts: What shows that it is writing; empty before and after.
      resumes: Whether it goes on where it was: what is there before the end is
        then not that of the end.
    """

    arguments: Callable[[Path], list[str]]
    results: Callable[[Path], dict[str, Any]]
    parts: Callable[[Path], set[Any]]
    resumes: bool = False


@dataclasses.dataclass
class _Count:
    """How the runs of a program ended."""

    runs: int = 0
    equal: int = 0
    kills: int = 0
    kills_in_write: int = 0


def main(argv: Sequence[str]) -> int:
    """Runs the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--programs", default="train,convert,evaluate,predict")
    arguments = parser.parse_args(argv)
    rng = np.random.default_rng(arguments.seed)
    counts = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        programs = _programs(draw_scenes(folder, 8, 8, 32, 64), folder)
        for program in programs:
            # Training comes first: the others use what it leaves.
            runs = arguments.runs * (program in arguments.programs.split(","))
            counts[program] = _compare(
                program, programs[program], folder, runs, rng
            )
    for program, count in counts.items():
        if count.runs:
            print(
                f"{program}: {count.equal} of {count.runs} runs equal; "
                f"{count.kills} kills, {count.kills_in_write} of them during "
                "a write"
            )
    return int(any(count.equal < count.runs for count in counts.values()))


def _programs(data: Dataset, folder: Path) -> dict[str, _Program]:
    """All programs, by name; `folder` has the undisturbed training run."""
    trained = f"--workdir={folder / 'train-undisturbed'}"

    def convert(output: Path) -> list[str]:
        pairs = (f"--{k}={path}" for k, path in data.pairs("train").items())
        return [
            "tools/convert_to_tfrecord.py", *pairs, f"--output_dir={output}",
            "--split=train", f"--num_classes={data.num_classes}",
            f"--void_labels={data.num_classes}", "--overwrite",
        ]  # fmt: skip

    return {
        "train": _Program(
            lambda workdir: [
                "main.py", f"--data_dir={data.records}",
                f"--workdir={workdir}", "--noreport", *_FLAGS,
            ],
            written.read_weights,
            written.half_saved,
            resumes=True,
        ),
        "convert": _Program(convert, written.files, written.hidden),
        "evaluate": _Program(
            lambda output: [
                "main.py", "--mode=evaluate", trained, f"--output_dir={output}",
            ],
            written.scores,
            written.entries,
        ),
        "predict": _Program(
            lambda output: [
                "main.py", "--mode=predict", trained, f"--output_dir={output}",
                f"--image_path={data.pairs('val')['images_dir']}",
            ],
            written.files,
            written.entries,
        ),
    }  # fmt: skip


def _compare(
    name: str,
    program: _Program,
    folder: Path,
    runs: int,
    rng: np.random.Generator,
) -> _Count:
    """Kills runs of a program and compares them with an undisturbed one."""
    count = _Count()
    undisturbed = folder / f"{name}-undisturbed"
    if not runs and name != "train":
        return count
    start = time.perf_counter()
    _finish(program, undisturbed, [], 0.0, {}, _Count())
    seconds = time.perf_counter() - start
    print(f"{name}, undisturbed: {seconds:.1f} s", flush=True)
    expected = program.results(undisturbed)
    for number in range(1, runs + 1):
        output = folder / f"{name}-{number}"
        before = dataclasses.replace(count)
        moments = [*(rng.uniform(0.2, 1.0, _KILLS_A_RUN) * seconds)]
        pause = 0.0 if program.resumes else rng.uniform(0.0, _WRITE_SECS)
        right = _finish(program, output, moments, pause, expected, count)
        same = right and written.are_equal(program.results(output), expected)
        count.runs += 1
        count.equal += same
        print(
            f"{name} {number}: killed {count.kills - before.kills} times, "
            f"{count.kills_in_write - before.kills_in_write} of them during a "
            f"write, {'equal' if same else 'DIFFERENT'}",
            flush=True,
        )
    return count


def _finish(
    program: _Program,
    output: Path,
    moments: list[float],
    pause: float,
    expected: dict[str, Any],
    count: _Count,
) -> bool:
    """Runs a program to its end, killed after each of `moments` seconds.

    The last kill waits for the next write to begin, and `pause` seconds.

    Returns:
      Whether what it had written was right after each kill.
    """
    path, *flags = program.arguments(output)
    command = [sys.executable, str(ROOT / path), *flags]
    right = True
    while True:
        left = program.parts(output)
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            moment = moments.pop(0) if moments else None
            _, errors = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            if not moments:
                _wait_for_write(program, output, process, pause)
            process.kill()
            process.communicate()
            count.kills += 1
            count.kills_in_write += bool(program.parts(output) - left)
            if not program.resumes:
                found = program.results(output)
                right &= written.are_equal(found, expected, partly=True)
            continue
        if process.returncode:
            sys.exit(f"{path}: exit {process.returncode}: {errors.decode()}")
        if not moments or program.resumes:
            return right


def _wait_for_write(
    program: _Program, output: Path, process: subprocess.Popen, pause: float
) -> None:
    """Returns `pause` seconds after a write has begun, or after a while."""
    before = program.parts(output)
    end = time.perf_counter() + _WRITE_WAIT_SECS
    while time.perf_counter() < end and process.poll() is None:
        if program.parts(output) - before:
            time.sleep(pause)
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
