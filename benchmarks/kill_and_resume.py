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
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]

_EPOCHS = 4
_KILLS_A_RUN = 3
# How long to wait for a save to begin, seconds.
_SAVE_WAIT = 20.0


def main() -> int:
    """Runs the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    equal = kills = saves = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_records(folder)
        seconds = _train(folder, "undisturbed", [])[1]
        expected = _weights(folder / "undisturbed")
        print(f"undisturbed: {seconds:.1f} s", flush=True)
        for number in range(arguments.runs):
            moments = rng.uniform(0.2, 1.0, _KILLS_A_RUN) * seconds
            counts, _ = _train(folder, f"run-{number}", list(moments))
            weights = _weights(folder / f"run-{number}")
            same = _are_equal(weights, expected)
            equal += same
            kills += counts[0]
            saves += counts[1]
            print(
                f"run {number + 1}: killed {counts[0]} times, {counts[1]} of "
                f"them during a save, {'equal' if same else 'DIFFERENT'}",
                flush=True,
            )
    print(
        f"{equal} of {arguments.runs} runs equal; {kills} kills, {saves} of "
        "them during a save"
    )
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


def _train(
    folder: Path, name: str, moments: list[float]
) -> tuple[tuple[int, int], float]:
    """Trains to the end, killed after each of `moments` seconds.

    The last kill waits for the next save to begin.

    Returns:
      How often it was killed, and how often during a save; and the seconds of
      the last start.
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
        "--width_multiplier=0.5",
        "--dropout=0.2",
        "--ema_decay=0.9",
        "--gradient_clip_norm=1",
        "--lr_schedule=cosine",
        "--checkpoint_every_steps=1",
        "--keep_checkpoints=2",
    ]
    killed = during_save = 0
    while True:
        start = time.perf_counter()
        left = _half_saved(folder / name)
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            moment = moments.pop(0) if moments else None
            _, errors = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            if not moments:
                _wait_for_save(folder / name, process)
            process.kill()
            process.communicate()
            killed += 1
            during_save += bool(_half_saved(folder / name) - left)
            continue
        if process.returncode:
            sys.exit(f"{name}: exit {process.returncode}: {errors.decode()}")
        return (killed, during_save), time.perf_counter() - start


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
    end = time.perf_counter() + _SAVE_WAIT
    while time.perf_counter() < end and process.poll() is None:
        if _half_saved(workdir) - before:
            return


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
