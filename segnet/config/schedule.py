"""From epochs to steps: the one place where they are converted.

Standard library only.
"""

from __future__ import annotations

import bisect
import dataclasses

from segnet.config.batches import largest_batch
from segnet.config.config import Config
from segnet.config.validate import parse_crop, parse_resolutions

__all__ = [
    "Schedule",
    "Stage",
    "create_pass",
    "create_schedule",
    "eval_batch_size",
    "largest_input",
]


@dataclasses.dataclass(frozen=True)
class Stage:
    """Consecutive epochs with one input size, batch size and set of weights.

    Attributes:
      height: Input height, pixels.
      width: Input width, pixels.
      window: Part of each image's height and width that is seen; below 1
        with `--train_crop`.
      batch_size: Images a step, per worker, all accumulated ones.
      freeze_encoder: Whether the encoder keeps its weights.
      first_epoch: First epoch of the stage, from 0.
      num_epochs: Epochs in the stage.
      steps_per_epoch: Steps of each of its epochs.
      first_step: Steps done before the stage.
    """

    height: int
    width: int
    window: tuple[float, float]
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

    @property
    def pixels(self) -> int:
        """Input pixels of a step, per worker."""
        return self.batch_size * self.height * self.width


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The stages of a run and its length in steps.

    A position in the schedule is a number of steps from its beginning. It is
    the number of steps done, except where the number of workers has changed
    and with it the steps of an epoch; `offset` is the difference.

    Attributes:
      stages: In order, without gaps.
      max_steps: Steps after which the run ends in any case; None: no limit.
      offset: Steps done minus position.
    """

    stages: tuple[Stage, ...]
    max_steps: int | None = None
    offset: int = 0

    @property
    def num_steps(self) -> int:
        """Positions in the schedule."""
        limit = self.stages[-1].end_step
        if self.max_steps is None:
            return limit
        return min(limit, self.max_steps - self.offset)

    @property
    def total_steps(self) -> int:
        """Steps done when the run ends."""
        return self.num_steps + self.offset

    def stage_at(self, position: int) -> Stage:
        """The stage that the step at a position belongs to."""
        starts = [stage.first_step for stage in self.stages]
        return self.stages[max(0, bisect.bisect_right(starts, position) - 1)]

    def epoch(self, step: int) -> tuple[int, int]:
        """(epochs done, steps into the next) after `step` steps."""
        position = step - self.offset
        stage = self.stage_at(position)
        epochs, steps = divmod(
            position - stage.first_step, stage.steps_per_epoch
        )
        return stage.first_epoch + epochs, steps

    def steps_of_epochs(self, epochs: float) -> int:
        """Positions in so many epochs, a fraction rounded to whole steps."""
        for stage in self.stages:
            if epochs <= stage.first_epoch + stage.num_epochs:
                into = (epochs - stage.first_epoch) * stage.steps_per_epoch
                return stage.first_step + round(into)
        return self.stages[-1].end_step

    def pixels_after(self, position: int) -> int:
        """Input pixels of a worker in all steps from a position on."""
        return sum(
            stage.pixels
            * max(
                0,
                min(stage.end_step, self.num_steps)
                - max(stage.first_step, position),
            )
            for stage in self.stages
        )

    def moved(self, offset: int) -> Schedule:
        """This schedule with another offset."""
        return dataclasses.replace(self, offset=offset)

    def taken_over(self, other: Schedule, step: int) -> Schedule:
        """This schedule, going on where another stood.

        Args:
          other: Of the same run with another number of workers.
          step: Steps done.

        Returns:
          This schedule with the offset at which `step` is the same epoch and,
          to the nearest step, the same part of it.
        """
        epoch, into = other.epoch(step)
        whole = self.steps_of_epochs(epoch)
        part = 0
        if into:
            theirs = other.stage_at(step - other.offset).steps_per_epoch
            ours = self.stage_at(whole).steps_per_epoch
            # Not rounded up to the next epoch: that one is still evaluated.
            part = min(round(into / theirs * ours), ours - 1)
        return self.moved(step - whole - part)


def create_schedule(
    config: Config, num_records: int, num_workers: int
) -> Schedule:
    """Lays out a run.

    A step takes `batch_size` images on each worker, or as many as the split has
    if that is less. The records that do not
    fill a last step are left out of that epoch; as each epoch has another
    order, they are others each time.

    Args:
      config: The run.
      num_records: Records of the training split.
      num_workers: Workers that take part.

    Returns:
      Its schedule.

    Raises:
      ConfigError: If there is not one record for each part of a step.
    """
    largest = largest_batch(config, num_records, num_workers)
    borders = _stage_borders(config)
    stages: list[Stage] = []
    for (first, height, width, window, batch), following in zip(
        borders, [*borders[1:], None], strict=True
    ):
        end = following[0] if following else config.epochs
        step_batch = min(batch, largest) * config.accumulate_steps
        steps = num_records // (step_batch * num_workers)
        stages.append(
            Stage(
                height=height,
                width=width,
                window=window,
                batch_size=step_batch,
                freeze_encoder=first < config.freeze_encoder_epochs,
                first_epoch=first,
                num_epochs=end - first,
                steps_per_epoch=steps,
                first_step=stages[-1].end_step if stages else 0,
            )
        )
    return Schedule(tuple(stages), config.max_steps or None)


def largest_input(config: Config) -> tuple[int, int]:
    """Height and width, pixels, at which whole images are seen at most."""
    stages = parse_resolutions(config.resolution_schedule)
    return (
        max([config.input_height, *(height for height, *_ in stages)]),
        max([config.input_width, *(width for _, width, *_ in stages)]),
    )


def eval_batch_size(config: Config) -> int:
    """Images a forward pass outside training, per worker.

    By default as many whole images as have no more pixels than a batch of
    training: windows and smaller inputs take less memory an image.
    """
    if config.eval_batch_size is not None:
        return config.eval_batch_size
    pixels = max(
        height * width * batch
        for _, height, width, _, batch in _stage_borders(config)
    )
    return max(1, pixels // (config.input_height * config.input_width))


def create_pass(config: Config, num_records: int, num_workers: int) -> Stage:
    """One epoch of whole images at the input size, beside the run."""
    # Whatever `--eval_batch_size` is: batch norm depends on it, and that flag
    # may change when a run is resumed.
    config = dataclasses.replace(config, eval_batch_size=None)
    batch_size = min(
        eval_batch_size(config), max(1, num_records // num_workers)
    )
    return Stage(
        height=config.input_height,
        width=config.input_width,
        window=(1.0, 1.0),
        batch_size=batch_size,
        freeze_encoder=False,
        first_epoch=0,
        num_epochs=1,
        steps_per_epoch=num_records // (batch_size * num_workers),
        first_step=0,
    )


_Border = tuple[int, int, int, tuple[float, float], int]


def _stage_borders(config: Config) -> list[_Border]:
    """(first epoch, height, width, window, batch size) of each stage."""
    sizes = []
    epoch = 0
    for height, width, batch, epochs in parse_resolutions(
        config.resolution_schedule
    ):
        batch = batch or config.batch_size
        sizes.append((epoch, height, width, (1.0, 1.0), batch))
        epoch += epochs
    whole = (config.input_height, config.input_width)
    seen = parse_crop(config.train_crop) or whole
    window = (seen[0] / whole[0], seen[1] / whole[1])
    sizes.append((epoch, *seen, window, config.batch_size))
    thaw = config.freeze_encoder_epochs
    if 0 < thaw < config.epochs and thaw not in [start for start, *_ in sizes]:
        during = max(size for size in sizes if size[0] < thaw)
        sizes = sorted([*sizes, (thaw, *during[1:])])
    return sizes
