"""From epochs to steps: the one place where they are converted.

Standard library only.
"""

from __future__ import annotations

import bisect
import dataclasses

from segnet.config import Config, parse_resolutions
from segnet.errors import ConfigError

__all__ = ["Schedule", "Stage", "create_schedule"]


@dataclasses.dataclass(frozen=True)
class Stage:
    """Consecutive epochs with one input size, batch size and set of weights.

    Attributes:
      height: Input height, pixels.
      width: Input width, pixels.
      batch_size: Images a step, per worker.
      freeze_encoder: Whether the encoder keeps its weights.
      first_epoch: First epoch of the stage, from 0.
      num_epochs: Epochs in the stage.
      steps_per_epoch: Steps of each of its epochs.
      first_step: Steps done before the stage.
    """

    height: int
    width: int
    batch_size: int
    freeze_encoder: bool
    first_epoch: int
    num_epochs: int
    steps_per_epoch: int
    first_step: int

    @property
    def end_step(self) -> int:
        """Steps done when the stage is."""
        return self.first_step + self.num_epochs * self.steps_per_epoch


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The stages of a run and its length in steps.

    Attributes:
      stages: In order, without gaps.
      total_steps: Where the run ends (`max_steps` may cut a stage short).
    """

    stages: tuple[Stage, ...]
    total_steps: int

    def stage_at(self, step: int) -> Stage:
        """The stage that step number `step` (from 0) belongs to."""
        starts = [stage.first_step for stage in self.stages]
        return self.stages[max(0, bisect.bisect_right(starts, step) - 1)]

    def place(self, step: int) -> tuple[int, int]:
        """(epoch, steps done in that epoch) after `step` steps."""
        stage = self.stage_at(step)
        epochs, steps = divmod(step - stage.first_step, stage.steps_per_epoch)
        return stage.first_epoch + epochs, steps

    def step_of_epoch(self, epoch: float) -> int:
        """Steps done when `epoch` epochs are, a fraction included."""
        for stage in self.stages:
            if epoch <= stage.first_epoch + stage.num_epochs:
                into = (epoch - stage.first_epoch) * stage.steps_per_epoch
                return stage.first_step + round(into)
        return self.stages[-1].end_step


def create_schedule(
    config: Config, num_records: int, num_workers: int
) -> Schedule:
    """Lays out a run.

    A step takes `batch_size` images on each worker. The records that do not
    fill a last step are left out of that epoch; as each epoch has another
    order, they are others each time.

    Args:
      config: The run.
      num_records: Records of the training split.
      num_workers: Workers that take part.

    Returns:
      Its schedule.

    Raises:
      ConfigError: If one global batch is more than the whole split.
    """
    borders = _stage_borders(config)
    stages: list[Stage] = []
    for (first, height, width, batch), following in zip(
        borders, [*borders[1:], None], strict=True
    ):
        end = following[0] if following else config.epochs
        steps = num_records // (batch * num_workers)
        if steps == 0:
            raise ConfigError(
                f"--batch_size={batch} times {num_workers} worker(s) is more "
                f"than the {num_records} training images; use at most "
                f"--batch_size={max(1, num_records // num_workers)}"
            )
        stages.append(
            Stage(
                height=height,
                width=width,
                batch_size=batch,
                freeze_encoder=first < config.freeze_encoder_epochs,
                first_epoch=first,
                num_epochs=end - first,
                steps_per_epoch=steps,
                first_step=stages[-1].end_step if stages else 0,
            )
        )
    total = stages[-1].end_step
    if config.max_steps is not None:
        total = min(total, config.max_steps)
    return Schedule(tuple(stages), total)


def _stage_borders(config: Config) -> list[tuple[int, int, int, int]]:
    """(first epoch, height, width, batch size) of each stage."""
    sizes = []
    epoch = 0
    for height, width, batch, epochs in parse_resolutions(
        config.resolution_schedule
    ):
        sizes.append((epoch, height, width, batch or config.batch_size))
        epoch += epochs
    sizes.append(
        (epoch, config.input_height, config.input_width, config.batch_size)
    )
    thaw = config.freeze_encoder_epochs
    if 0 < thaw < config.epochs and thaw not in [start for start, *_ in sizes]:
        during = max(size for size in sizes if size[0] < thaw)
        sizes = sorted([*sizes, (thaw, *during[1:])])
    return sizes
