#!/usr/bin/env python
"""Kills training runs with SIGKILL, resumes them, compares the weights.

python benchmarks/kill_and_resume.py [--runs=20] [--seed=0]

One run is left alone. Each of the others is killed at random moments, also
while it saves, and started again by the same command until it is done. With
--deterministic all of them must end with the same weights, bit for bit. Prints
a line a run and the count; exits with 1 if any differs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_EPOCHS = 4
_KILLS_A_RUN = 3


def main() -> int:
    """Runs the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    equal = kills = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_records(folder)
        seconds = _train(folder, "undisturbed", [])[1]
        expected = _weights(folder / "undisturbed")
        print(f"undisturbed: {seconds:.1f} s", flush=True)
        for number in range(arguments.runs):
            moments = rng.uniform(0.2, 1.0, _KILLS_A_RUN) * seconds
            killed, _ = _train(folder, f"run-{number}", list(moments))
            weights = _weights(folder / f"run-{number}")
            same = _are_equal(weights, expected)
            equal += same
            kills += killed
            print(
                f"run {number + 1}: killed {killed} times, "
                f"{'equal' if same else 'DIFFERENT'}",
                flush=True,
            )
    print(f"{equal} of {arguments.runs} runs equal, {kills} kills")
    return 0 if equal == arguments.runs else 1


def _make_records(folder: Path) -> None:
    """Draws and converts a few scenes."""
    tools = ROOT / "tools"
    _call(
        tools / "make_sample_dataset.py",
        f"--output_dir={folder / 'data'}",
        "--num_train=8",
        "--num_val=2",
        "--height=32",
        "--width=64",
    )
    for split in ("train", "val"):
        data = folder / "data" / split
        _call(
            tools / "convert_to_tfrecord.py",
            f"--images_dir={data / 'images'}",
            f"--annotations_dir={data / 'annotations'}",
            f"--output_dir={folder / 'records'}",
            f"--split={split}",
            "--num_classes=9",
            "--void_labels=9",
        )


def _call(program: Path, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, str(program), *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _train(folder: Path, name: str, moments: list[float]) -> tuple[int, float]:
    """Trains to the end, killed after each of `moments` seconds.

    Returns:
      How often it was killed, and the seconds of the last start.
    """
    command = [
        sys.executable,
        str(ROOT / "main.py"),
        f"--data_dir={folder / 'records'}",
        f"--workdir={folder / name}",
        "--input_height=32",
        "--input_width=64",
        "--batch_size=2",
        f"--epochs={_EPOCHS}",
        "--device=cpu",
        "--precision=float32",
        "--deterministic",
        "--augment=basic",
        "--dropout=0.2",
        "--lr_schedule=cosine",
        "--checkpoint_every_steps=1",
        "--keep_checkpoints=2",
    ]
    killed = 0
    while True:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            moment = moments.pop(0) if moments else None
            _, errors = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed += 1
            continue
        if process.returncode:
            sys.exit(f"{name}: exit {process.returncode}: {errors.decode()}")
        return killed, time.perf_counter() - start


def _weights(workdir: Path) -> dict[str, np.ndarray]:
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
    sys.exit(main())
