"""--mode=train."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from segnet.commands import report
from segnet.config.flags import Command
from segnet.config.validate import CHANGEABLE_AFTER_TRAINING
from segnet.errors import UserError
from segnet.locks import Lock
from segnet.progress import command_line, say
from segnet.runtime import distributed
from segnet.training import start
from segnet.training.trainer import Stopped

__all__ = ["run", "train"]


def train(
    command: Command, after_step: Callable[[int], None], lock: Lock
) -> start.TrainResult:
    """Trains.

    Args:
      command: What the user asked for.
      after_step: See `training.start.train_and_evaluate`.
      lock: Of the workdir, held by rank 0.

    Raises:
      trainer.Stopped: After a signal, when everything is saved.
    """
    first = distributed.launched().rank == 0
    config = start.merge_config(
        command.config, command.given, say if first else lambda line: None
    )
    runtime = start.set_up(config)
    return start.train_and_evaluate(
        config,
        runtime,
        after_step=after_step,
        lock=lock,
        typed=command.typed,
    )


def run(command: Command, after_step: Callable[[int], None], lock: Lock) -> int:
    """Trains, and says what came of it; returns the exit status.

    The arguments are those of `train`.
    """
    try:
        result = train(command, after_step, lock)
    except Stopped as stopped:
        return 128 + stopped.signal_number
    if distributed.is_chief():
        following = command_line(
            "main.py", "--mode=evaluate", f"--workdir={command.config.workdir}"
        )
        best = f"{result.best_score:.4f} at step {result.best_step}"
        if result.best_score < 0:
            best = "-"
        say(
            f"done: {result.step} step{'s' * (result.step != 1)}, best "
            f"{result.best_metric} {best}; "
            f"next: {following}"
        )
        _report(command)
    return 0


def _report(command: Command) -> None:
    """Makes the report, unless it is not wanted or there are more workers.

    What hinders it is said; the training is done all the same.
    """
    launch = distributed.launched()
    if not command.report or launch.size > 1 or launch.elastic:
        return

    # Its weights are the best ones, whatever the training started from.
    given = {
        name: value
        for name, value in command.given.items()
        if name in CHANGEABLE_AFTER_TRAINING
    }
    try:
        path = report.report(
            dataclasses.replace(command, given=given, image_path="")
        ).path
    except UserError as error:
        say(f"no report: {error}")
        return
    say(f"report: {path}")
