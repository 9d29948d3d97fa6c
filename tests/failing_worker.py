"""main.py in which rank 1 fails in a given way; run by test_failing_rank.py.

horovodrun -np 2 python tests/failing_worker.py WAY NOTE [flags of main.py];
the failing rank writes the time at which it failed into the file NOTE.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import main

_FAILING_STEP = 3


def install(way: str, note: Path, argv: list[str]) -> None:
    """Prepares this process to fail."""
    from segnet.records import verify
    from segnet.training import losses

    def noting(function: Callable, when: Callable[..., bool]) -> Callable:
        def noted(*arguments: Any) -> Any:
            if when(*arguments):
                note.write_text(str(time.time()))
            return function(*arguments)

        return noted

    if way == "shard":
        # As on a host whose own copy of the records is damaged.
        argv.append(f"--data_dir={note.parent / 'damaged'}")
        verify.verify_split = noting(verify.verify_split, lambda *split: True)
    elif way == "nan":
        loss = losses.Loss.__call__
        losses.Loss.__call__ = noting(
            lambda *arguments: [
                value * float("nan") for value in loss(*arguments)
            ],
            lambda *arguments: True,
        )


def fail(step: int) -> None:
    """Fails in the middle of the run."""
    if step == _FAILING_STEP:
        Path(sys.argv[2]).write_text(str(time.time()))
        raise RuntimeError("the cable of rank 1 was pulled out")


if __name__ == "__main__":
    way, note, *flags = sys.argv[1:]
    hooks = {}
    if os.environ["HOROVOD_RANK"] == "1":
        install(way, Path(note), flags)
        hooks = {"after_step": fail} if way == "exception" else {}
    sys.exit(main.main(["main.py", *flags], **hooks))
