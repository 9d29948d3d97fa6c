"""Where a run ends: which flag says so, and what to do to go on."""

from __future__ import annotations

from segnet.config import Config
from segnet.config.schedule import Schedule
from segnet.errors import ConfigError

__all__ = ["check_end", "end_flag", "epochs_without_rise", "why_ended"]


def check_end(config: Config, schedule: Schedule, step: int) -> None:
    """Refuses an end that a run has passed.

    Args:
      config: Of the run, with the flags given now.
      schedule: Of that config.
      step: Steps done.

    Raises:
      ConfigError: `--epochs` or `--max_steps` would have ended it before.
    """
    if step > schedule.total_steps:
        raise ConfigError(
            f"{end_flag(config, schedule)} ends at step "
            f"{schedule.total_steps}, but {config.workdir} is at step {step} "
            "already; give more, or use another --workdir for a shorter run"
        )


def end_flag(config: Config, schedule: Schedule) -> str:
    """The flag that decides where a run ends, with its value."""
    if schedule.num_steps < schedule.stages[-1].end_step:
        return f"--max_steps={config.max_steps}"
    return f"--epochs={config.epochs}"


def epochs_without_rise(config: Config, epoch: int, best_epoch: int) -> int:
    """Epochs since the best score if those are too many, else 0.

    Args:
      config: Of the run.
      epoch: Epochs done.
      best_epoch: Epochs done at the best score.
    """
    patience = config.early_stopping_epochs
    since = epoch - best_epoch
    return since if patience and since >= patience else 0


def why_ended(
    config: Config, schedule: Schedule, step: int, best_epoch: int
) -> str | None:
    """Why a run has nothing left to do, and how it would go on.

    Args:
      config: Of the run, with the flags given now.
      schedule: Of that config.
      step: Steps done, the last of them evaluated.
      best_epoch: Epochs done at the best score.

    Returns:
      None if there is something to do.
    """
    epoch, _ = schedule.epoch(step)
    if epochs_without_rise(config, epoch, best_epoch):
        flag = f"--early_stopping_epochs={config.early_stopping_epochs}"
        remedy = "raise it to go on"
    elif step < schedule.total_steps:
        return None
    else:
        flag = end_flag(config, schedule)
        remedy = "raise --epochs to go on"
        if flag.startswith("--max_steps"):
            remedy = "raise it, or take it back with --max_steps=0"
    return f"{flag} ended it at step {step}; {remedy}"
