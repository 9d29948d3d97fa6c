"""Fuzzes one target in this process: `python -m fuzz.one TARGET FOLDER ...`.

Started by `fuzz.__main__`, since libFuzzer ends its process.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import sys
import traceback
from pathlib import Path

import atheris

from segnet.environment import prepare_tensorflow

__all__ = ["main"]

_CHANGED = 0.7  # Of the inputs: changed inside their format.


def main(argv: list[str]) -> None:
    """Fuzzes until libFuzzer's own arguments end it.

    Args:
      argv: Program, name of the target, folder for findings, arguments of
        libFuzzer.
    """
    _, name, folder, *arguments = argv
    prepare_tensorflow()
    with atheris.instrument_imports(include=["segnet"]):
        from fuzz.targets import TARGETS
        from segnet.models import hdf5_trial
    # It would take a hundred times as long as all the rest.
    hdf5_trial.ends = lambda path: True  # type: ignore[assignment]
    # What libraries tell of damage, a million times.
    logging.disable(logging.CRITICAL)
    target = TARGETS[name]
    seeds = Path(folder, "seeds")
    seeds.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (seeds / f"seed-{number}").write_bytes(seed)
    seen: set[str] = set()

    def run(data: bytes) -> None:
        try:
            target.run(data)
        except Exception as error:
            place = _place(error)
            if place not in seen:
                seen.add(place)
                _save(Path(folder), data, error)

    def mutate_part(part: bytes) -> bytes:
        return atheris.Mutate(part, 2 * len(part) + 9)

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        chance = random.Random(seed)
        inside = target.change is not None and chance.random() < _CHANGED
        if inside:
            data = target.change(
                data,
                chance,
                lambda part: atheris.Mutate(part, 2 * len(part) + 9),
            )[:longest]
        if not inside or chance.random() > _CHANGED:
            data = atheris.Mutate(data, longest)
        return data

    atheris.Setup(
        [argv[0], f"-max_len={target.longest}", *arguments, str(seeds)],
        run,
        custom_mutator=mutate,
    )
    atheris.Fuzz()


def _place(error: Exception) -> str:
    """What tells findings apart: kind of error, and the line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} {frame.filename}:{frame.lineno}"


def _save(folder: Path, data: bytes, error: Exception) -> None:
    """Saves an input under a name of its own, with its traceback."""
    name = f"finding-{hashlib.sha256(data).hexdigest()[:12]}"
    (folder / name).write_bytes(data)
    text = "".join(traceback.format_exception(error))
    (folder / f"{name}.txt").write_text(text)
    os.write(2, f"FINDING {folder / name}: {_place(error)}\n".encode())


if __name__ == "__main__":
    main(sys.argv)
