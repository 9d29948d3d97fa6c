"""The files of checkpoints in a folder, found by their names alone.

`tf.train.latest_checkpoint` and `CheckpointManager` take names for patterns,
so that folders with `[`, `?` or `*` seem empty, and follow the paths that the
state file has, which are wrong once the folder has moved. Here a checkpoint is
what is called `ckpt-STEP.index`. The state file is written for others to read.
"""

from __future__ import annotations

import contextlib
import os
import re

from segnet.files import file_errors, gfile, read_errors, write_text

__all__ = [
    "find_steps",
    "path_of",
    "remove_folder",
    "remove_others",
    "write_state_file",
]

_INDEX = re.compile(r"ckpt-(0|[1-9][0-9]*)\.index", re.ASCII)
_FILE = re.compile(
    r"ckpt-(0|[1-9][0-9]*)\.(index|data-[0-9]{5}-of-[0-9]{5})", re.ASCII
)
# What a process that was killed while it wrote leaves behind.
_UNFINISHED = re.compile(r"ckpt-[0-9]+_temp", re.ASCII)


def path_of(folder: str, step: int) -> str:
    """Path of a checkpoint, without the ends of its files' names."""
    return os.path.join(folder, f"ckpt-{step}")


def find_steps(folder: str) -> list[int]:
    """Steps of the checkpoints in a folder, the newest first.

    Args:
      folder: It need not exist.

    Raises:
      DataError: It cannot be read.
    """
    matches = map(_INDEX.fullmatch, _names(folder))
    return sorted((int(match[1]) for match in matches if match), reverse=True)


def remove_others(folder: str, steps: set[int]) -> None:
    """Removes all checkpoints but those of `steps`, and unfinished ones.

    Only plain names in this folder are removed; what cannot be stays.
    """
    functions = gfile(folder)
    # The index first: without it the rest is no checkpoint.
    for name in sorted(_names(folder), key=lambda n: not n.endswith(".index")):
        path = os.path.join(folder, name)
        match = _FILE.fullmatch(name)
        with contextlib.suppress(*file_errors()):
            if match and int(match[1]) not in steps:
                functions.remove(path)
            elif _UNFINISHED.fullmatch(name):
                functions.rmtree(path)


def remove_folder(folder: str) -> None:
    """Removes the checkpoints in a folder and, if it is empty then, itself."""
    remove_others(folder, set())
    functions = gfile(folder)
    state_file = os.path.join(folder, "checkpoint")
    with contextlib.suppress(*file_errors()):
        if functions.exists(state_file):
            functions.remove(state_file)
        if functions.isdir(folder) and not functions.listdir(folder):
            functions.rmtree(folder)


def write_state_file(folder: str) -> None:
    """Writes the file `checkpoint`, by which TensorFlow's tools find the rest.

    Raises:
      RunError: It cannot be written.
    """
    names = [f"ckpt-{step}" for step in reversed(find_steps(folder))]
    lines = [f'model_checkpoint_path: "{names[-1]}"'] if names else []
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    write_text(os.path.join(folder, "checkpoint"), "\n".join([*lines, ""]))


def _names(folder: str) -> list[str]:
    """Names of what is in a folder; none if it is not there."""
    functions = gfile(folder)
    with read_errors(folder):
        if not functions.isdir(folder):
            # Not nothing: its disk may not be there.
            if os.path.lexists(folder):
                raise NotADirectoryError("no folder, nor a link to one")
            return []
        # Remote ones may end in a slash.
        return [name.rstrip("/") for name in functions.listdir(folder)]
