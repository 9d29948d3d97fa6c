"""Batches and the size of the training split.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Container

from segnet.config.config import Config
from segnet.config.validate import parse_resolutions
from segnet.errors import ConfigError

__all__ = ["check_batches", "largest_batch"]


def check_batches(
    config: Config,
    num_records: int,
    num_workers: int,
    asked_for: Container[str] = (),
) -> str | None:
    """Compares the batches of a run with the size of its training split.

    Args:
      config: The run.
      num_records: Records of the training split.
      num_workers: Workers that take part.
      asked_for: Flags that the user gave for this run; a batch size of theirs
        is not to be changed.

    Returns:
      What becomes of batches that are larger than the split, for people to
      read; None if there are none.

    Raises:
      ConfigError: Such a batch was asked for, or there is not one record for
        each part of a step.
    """
    largest = largest_batch(config, num_records, num_workers)
    scheduled = parse_resolutions(config.resolution_schedule)
    sizes = {
        "batch_size": config.batch_size,
        "resolution_schedule": max(
            [batch or 0 for *_, batch, _ in scheduled] or [0]
        ),
    }
    too_large = {name: size for name, size in sizes.items() if size > largest}
    for name, size in too_large.items():
        if name in asked_for:
            raise ConfigError(
                f"--{name}={getattr(config, name)}: a batch of {size}"
                f"{_times(config, num_workers)} is more than the "
                f"{num_records} training images; use at most {largest}, or "
                "leave the flag out"
            )
    if not too_large:
        return None
    return (
        f"note: batches have {largest} images, not "
        f"{max(too_large.values())}{_times(config, num_workers)}, for there "
        f"are only {num_records} to train on"
    )


def largest_batch(config: Config, num_records: int, num_workers: int) -> int:
    """Images of a batch, if a step takes as many as the split has.

    Args:
      config: The run.
      num_records: Records of the training split.
      num_workers: Workers that take part.

    Raises:
      ConfigError: There is not one for each part of a step.
    """
    parts = num_workers * config.accumulate_steps
    if num_records < parts:
        raise ConfigError(
            f"a step has {parts} parts ({num_workers} worker(s) times "
            f"--accumulate_steps={config.accumulate_steps}), but there are "
            f"only {num_records} training images; use fewer of them, or "
            "another --data_dir"
        )
    return num_records // parts


def _times(config: Config, num_workers: int) -> str:
    """What a batch is multiplied by to make a step, for messages."""
    text = f" times {num_workers} workers" if num_workers > 1 else ""
    if config.accumulate_steps > 1:
        text += f" times --accumulate_steps={config.accumulate_steps}"
    return text
