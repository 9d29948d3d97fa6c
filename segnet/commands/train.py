"""--mode=train."""

from __future__ import annotations

from collections.abc import Callable

from segnet.config.flags import Command
from segnet.locks import Lock
from segnet.progress import command_line, say
from segnet.runtime import distributed
from segnet.training import start
from segnet.training.trainer import Stopped

__all__ = ["run"]


def run(command: Command, after_step: Callable[[int], None], lock: Lock) -> int:
    """Trains; returns the exit status.

    Args:
      command: What the user asked for.
      after_step: See `training.start.train_and_evaluate`.
      lock: Of the workdir, held by rank 0.
    """
    first = distributed.launched().rank == 0
    config = start.merge_config(
        command.config, command.given, say if first else lambda line: None
    )
    runtime = start.set_up(config)
    try:
        result = start.train_and_evaluate(
            config,
            runtime,
            after_step=after_step,
            lock=lock,
            typed=command.typed,
        )
    except Stopped as stopped:
        return 128 + stopped.signal_number
    if distributed.is_chief():
        following = command_line(
            "main.py", "--mode=evaluate", f"--workdir={config.workdir}"
        )
        best = f"{result.best_score:.4f} at step {result.best_step}"
        if result.best_score < 0:
            best = "-"
        say(
            f"done: {result.step} step{'s' * (result.step != 1)}, best "
            f"{config.best_metric} {best}; "
            f"next: {following}"
        )
    return 0
