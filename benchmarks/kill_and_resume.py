"""Kills training runs with SIGKILL, resumes them, compares the weights.

python -m benchmarks.kill_and_resume [--runs=20] [--seed=0]

One run is left alone. Each of the others is killed at random moments, the last
of them in the middle of a save, and started again by the same command until it
is done. With --deterministic all of them must end with the same variables, bit
for bit. Prints a line a run and the count; exits with 1 if any differs.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness.datasets import draw_scenes
from benchmarks.harness.programs import ROOT

__all__ = ["main"]

_KILLS_A_RUN = 3
_SAVE_WAIT_SECS = 20.0  # For a save to begin.
_FLAGS = (
    "--input_height=32", "--input_width=64", "--batch_size=2", "--epochs=4",
    "--device=cpu", "--precision=float32", "--deterministic",
    "--width_multiplier=0.5", "--dropout=0.2", "--augment=basic",
    "--ema_decay=0.9", "--gradient_clip_norm=1", "--lr_schedule=cosine",
    "--checkpoint_every_steps=1", "--keep_checkpoints=2",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Run:
    """A run that has ended.

    Attributes:
      kills: How often it was killed.
      kills_in_save: How many of them left a half-written checkpoint.
      seconds: How long the last start took.
      weights: Its last checkpoint.
    """

    kills: int
    kills_in_save: int
    seconds: float
    weights: dict[str, np.ndarray]


def main(argv: Sequence[str]) -> int:
    """Runs the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    rng = np.random.default_rng(arguments.seed)
    equal = kills = saves = 0
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        draw_scenes(folder, 8, 2, 32, 64)
        expected = _train(folder, "undisturbed", [])
        print(f"undisturbed: {expected.seconds:.1f} s", flush=True)
        for number in range(1, arguments.runs + 1):
            moments = rng.uniform(0.2, 1.0, _KILLS_A_RUN) * expected.seconds
            run = _train(folder, f"run-{number}", list(moments))
            same = _are_equal(run.weights, expected.weights)
            equal += same
            kills += run.kills
            saves += run.kills_in_save
            print(
                f"run {number}: killed {run.kills} times, {run.kills_in_save} "
                f"of them during a save, {'equal' if same else 'DIFFERENT'}",
                flush=True,
            )
    print(
        f"{equal} of {arguments.runs} runs equal; {kills} kills, {saves} of "
        "them during a save"
    )
    return 0 if equal == arguments.runs else 1


def _train(folder: Path, name: str, moments: list[float]) -> _Run:
    """Trains to the end, killed after each of `moments` seconds.

    The last kill waits for the next save to begin.
    """
    workdir = folder / name
    command = [
        sys.executable,
        str(ROOT / "main.py"),
        f"--data_dir={folder / 'records'}",
        f"--workdir={workdir}",
        *_FLAGS,
    ]
    kills = kills_in_save = 0
    while True:
        start = time.perf_counter()
        left = _half_saved(workdir)
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            moment = moments.pop(0) if moments else None
            _, errors = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            if not moments:
                _wait_for_save(workdir, process)
            process.kill()
            process.communicate()
            kills += 1
            kills_in_save += bool(_half_saved(workdir) - left)
            continue
        if process.returncode:
            sys.exit(f"{name}: exit {process.returncode}: {errors.decode()}")
        seconds = time.perf_counter() - start
        return _Run(kills, kills_in_save, seconds, _read_weights(workdir))


def _half_saved(workdir: Path) -> set[tuple[Path, int]]:
    """What a save that has not ended leaves: parts, and when they were made."""
    found = set()
    for folder, folders, files in os.walk(workdir / "checkpoints"):
        for name in [*folders, *files]:
            if "_temp" in name or ".tempstate" in name:
                path = Path(folder, name)
                # The save may have ended meanwhile.
                with contextlib.suppress(OSError):
                    found.add((path, path.stat().st_mtime_ns))
    return found


def _wait_for_save(workdir: Path, process: subprocess.Popen) -> None:
    """Returns when a save has begun that has not ended, or after a while."""
    before = _half_saved(workdir)
    end = time.perf_counter() + _SAVE_WAIT_SECS
    while time.perf_counter() < end and process.poll() is None:
        if _half_saved(workdir) - before:
            return


def _read_weights(workdir: Path) -> dict[str, np.ndarray]:
    """All variables of the newest checkpoint: weights, optimizer, state."""
    import tensorflow as tf

    path = tf.train.latest_checkpoint(str(workdir / "checkpoints"))
    reader = tf.train.load_checkpoint(path)
    return {
        key: reader.get_tensor(key)
        for key in reader.get_variable_to_shape_map()
        if not key.startswith("_CHECKPOINTABLE") and "save_counter" not in key
    }


def _are_equal(
    ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]
) -> bool:
    """Whether both have the same variables with the same bits."""
    return ours.keys() == theirs.keys() and all(
        np.array_equal(value, theirs[key]) for key, value in ours.items()
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
