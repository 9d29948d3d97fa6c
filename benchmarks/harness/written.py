"""What programs have written to a folder, to be compared."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "are_equal",
    "entries",
    "files",
    "half_saved",
    "hidden",
    "read_weights",
    "scores",
]


def half_saved(workdir: Path) -> set[tuple[Path, int]]:
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


def entries(output: Path) -> set[str]:
    """Names of all that is in a folder, if it is there."""
    return set(os.listdir(output)) if output.is_dir() else set()


def hidden(output: Path) -> set[str]:
    """Names of what is not finished."""
    return {name for name in entries(output) if name.startswith(".")}


def files(output: Path) -> dict[str, bytes]:
    """The files in a folder, without those that are not finished."""
    names = entries(output) - hidden(output)
    return {name: (output / name).read_bytes() for name in names}


def scores(output: Path) -> dict[str, Any]:
    """The scores in a folder, but for the time they took."""
    found = {}
    for name, contents in files(output).items():
        if not name.endswith(".json"):
            found[name] = contents
            continue
        found[name] = json.loads(contents)
        del found[name]["boundary_f1_seconds"]
    return found


def read_weights(workdir: Path) -> dict[str, np.ndarray]:
    """All variables of the newest checkpoint: weights, optimizer, state."""
    import tensorflow as tf

    from segnet.training.checkpoint import saved_checkpoint

    reader = tf.train.load_checkpoint(saved_checkpoint(str(workdir), "latest"))
    return {
        key: reader.get_tensor(key)
        for key in reader.get_variable_to_shape_map()
        if not key.startswith("_CHECKPOINTABLE") and "save_counter" not in key
    }


def are_equal(
    ours: dict[str, Any], theirs: dict[str, Any], *, partly: bool = False
) -> bool:
    """Whether both have the same, or ours a part of theirs."""
    missing = theirs.keys() - ours.keys()
    if ours.keys() - theirs.keys() or (missing and not partly):
        return False
    return all(_is_same(value, theirs[key]) for key, value in ours.items())


def _is_same(ours: Any, theirs: Any) -> bool:
    # NumPy takes zeros at the end of bytes for nothing.
    if isinstance(ours, np.ndarray):
        return np.array_equal(ours, theirs)
    return ours == theirs
