"""What a training run tells people and writes down, on rank 0."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.config import Config
from segnet.config.schedule import Schedule, Stage
from segnet.config.validate import parse_profile_steps
from segnet.config.workdir import tensorboard_dir
from segnet.progress import Progress, say
from segnet.training import board
from segnet.training.loggers import create_logger
from segnet.training.metric_writer import MetricWriter
from segnet.training.optim import LearningRate

__all__ = ["Reporter"]


class Reporter:
    """Progress, log lines, metrics.jsonl, TensorBoard and the profiler."""

    def __init__(
        self,
        config: Config,
        schedule: Schedule,
        *,
        num_workers: int,
        enabled: bool,
        step: int,
    ) -> None:
        """Opens everything.

        Args:
          config: Of the run.
          schedule: Of the run.
          num_workers: That take part in each step.
          enabled: Whether this process reports (rank 0 does).
          step: Steps done before.
        """
        self._schedule = schedule
        self._num_workers = num_workers
        self._enabled = enabled
        self._workdir = config.workdir
        self._settings = board.settings(config)
        self._profile = parse_profile_steps(config.profile_steps)
        self._profiling = False
        self._clock = _Clock(step)
        # What evaluations and checkpoints took since this step.
        self._paused_seconds = 0.0
        self._first_step = step
        self._writer = MetricWriter(
            config.workdir,
            enabled=enabled,
            step=step,
            logger=create_logger(config) if enabled else None,
        )
        self._progress = Progress(
            schedule.total_steps,
            done=step,
            enabled=enabled,
            unit="step",
            label="train",
            lines=False,
        )

    def __enter__(self) -> Reporter:
        """Gives the reporter."""
        return self

    def __exit__(self, *unused: object) -> None:
        """Ends the bar and closes the files."""
        if self._profiling:
            tf.profiler.experimental.stop()
        self._progress.close()
        self._writer.close()

    def introduce(
        self, step: int, learning_rate: LearningRate, where: str
    ) -> None:
        """Says what is about to happen.

        Args:
          step: Steps done.
          learning_rate: Of the run.
          where: Device, workers and data, for people to read.
        """
        epoch, _ = self._schedule.epoch(step)
        self._writer.describe(self._settings)
        self.say(where)
        self.say(
            f"step {step} of {self._schedule.total_steps}, epoch {epoch}; peak "
            f"learning rate {learning_rate.peak:g}, warm-up "
            f"{learning_rate.warmup_steps} steps"
        )

    def begin_stage(self, step: int) -> None:
        """Leaves what comes before the stage's second step out of images/s.

        The first one traces and compiles.

        Args:
          step: Steps done.
        """
        self._clock = _Clock(step, skip=1)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """A context in which no steps are made: evaluations, checkpoints."""
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self._paused_seconds += seconds
        self._clock.leave_out(seconds)

    def step_done(self, step: int) -> None:
        """Counts a step, and starts or stops the profiler."""
        self._progress.advance()
        self._clock.step_done(step)
        if self._profile is None or not self._enabled:
            return
        first, last = self._profile
        if step == first - 1 and not self._profiling:
            tf.profiler.experimental.start(tensorboard_dir(self._workdir))
            self._profiling = True
        elif step == last and self._profiling:
            tf.profiler.experimental.stop()
            self._profiling = False

    def log(
        self, step: int, loss: float | None, learning_rate: float, stage: Stage
    ) -> None:
        """One line of scalars.

        Args:
          step: Steps done.
          loss: Mean since the last line; None without a labelled pixel.
          learning_rate: Of the last step.
          stage: Of the last step.
        """
        seconds = self._clock.seconds_a_step(step)
        rate = None
        if seconds:
            rate = stage.batch_size * self._num_workers / seconds
        epoch, _ = self._schedule.epoch(step)
        scalars = {
            "loss": loss,
            "learning_rate": learning_rate,
            "images_per_second": rate,
        }
        self._writer.write(step, epoch, scalars)
        speed = "-" if rate is None else f"{rate:.2f} images/s"
        shown = f"loss {_number(loss)}"
        left = _minutes(self._seconds_left(step, seconds, stage))
        self._progress.log(
            f"step {step}/{self._schedule.total_steps} epoch {epoch} {shown} "
            f"{speed} left {left}",
            f"{shown}, {speed}",
        )

    def _seconds_left(
        self, step: int, seconds: float | None, stage: Stage
    ) -> float | None:
        """Time to the end of the run, as far as is known.

        A step costs what its pixels cost; evaluations and checkpoints go on
        to take what they have taken a step so far.
        """
        if not seconds:
            return None
        pixels = self._schedule.pixels_after(step - self._schedule.offset)
        pauses = self._paused_seconds / max(step - self._first_step, 1)
        remaining = self._schedule.total_steps - step
        return pixels / stage.pixels * seconds + remaining * pauses

    def report(
        self, step: int, scores: dict[str, Any], *, best: bool, seconds: float
    ) -> None:
        """Writes one evaluation to metrics.jsonl and TensorBoard and shows it.

        Args:
          step: Steps done.
          scores: As `evaluate.evaluate` gives them.
          best: Whether it is the best so far.
          seconds: What it took.
        """
        epoch, _ = self._schedule.epoch(step)
        iou = {name: row["iou"] for name, row in scores["per_class"].items()}
        scalars = {
            "val_mean_iou": scores["mean_iou"],
            "val_pixel_accuracy": scores["pixel_accuracy"],
            "val_mean_class_accuracy": scores["mean_class_accuracy"],
            "val_frequency_weighted_iou": scores["frequency_weighted_iou"],
            "val_iou": iou,
            "val_seconds": seconds,
        }
        self._writer.write(step, epoch, scalars)
        self.say(
            f"step {step} epoch {epoch} val_mean_iou "
            f"{_number(scores['mean_iou'])} pixel accuracy "
            f"{_number(scores['pixel_accuracy'])}"
            f"{' (best so far)' if best else ''} in {seconds:.1f} s"
        )

    def show(
        self,
        step: int,
        scores: dict[str, Any],
        pictures: dict[str, np.ndarray],
        variables: Sequence[tf.Variable] = (),
    ) -> None:
        """Shows an evaluation in TensorBoard.

        Args:
          step: Steps done.
          scores: As for `report`.
          pictures: uint8 `[height, width, 3]`, by name.
          variables: Of which histograms are shown.
        """
        matrix = board.draw_confusion(scores["confusion_matrix"])
        self._writer.show(step, {"confusion": matrix, **pictures}, variables)

    def say(self, message: str) -> None:
        """One line for people."""
        if self._enabled:
            say(message)


class _Clock:
    """Seconds a step since the last log line."""

    def __init__(self, step: int, *, skip: int = 0) -> None:
        self._skip_until = step + skip
        self._step = step
        self._start = time.perf_counter()

    def step_done(self, step: int) -> None:
        """Starts again after a step that is to be left out."""
        if step <= self._skip_until:
            self._step = step
            self._start = time.perf_counter()

    def leave_out(self, seconds: float) -> None:
        """Does not count the last seconds."""
        self._start += seconds

    def seconds_a_step(self, step: int) -> float | None:
        """Mean since the last call; None when it is too early to say."""
        now = time.perf_counter()
        done, seconds = step - self._step, now - self._start
        self._step, self._start = step, now
        return seconds / done if done > 0 and seconds > 0 else None


def _number(value: float | None) -> str:
    """A loss or score; '-' when it cannot be computed."""
    return "-" if value is None else f"{value:.4f}"


def _minutes(seconds: float | None) -> str:
    """Seconds as minutes:seconds; '-' when not known."""
    if seconds is None:
        return "-"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
