"""--mode=train."""

from __future__ import annotations

from collections.abc import Callable

from segnet.config.flags import Command
from segnet.progress import say
from segnet.runtime import distributed
from segnet.training import start
from segnet.training.trainer import Stopped

__all__ = ["run"]


def run(command: Command, after_step: Callable[[int], None]) -> int:
    """Trains; returns the exit status."""
    config = start.merge_config(command.config, command.given)
    runtime = start.set_up(config)
    try:
        result = start.train_and_evaluate(
            config, runtime, after_step=after_step
        )
    except Stopped as stopped:
        return 128 + stopped.signal_number
    if distributed.is_chief():
        say(
            f"done: {result.step} steps, best {config.best_metric} "
            f"{result.best_score:.4f} at step {result.best_step}; next: "
            f"python main.py --mode=evaluate --workdir={config.workdir}"
        )
    return 0
