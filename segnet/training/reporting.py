"""What a training run tells people and writes down, on rank 0."""

from __future__ import annotations

import math
import time
from typing import Any

import tensorflow as tf

from segnet.config import Config
from segnet.config.schedule import Schedule
from segnet.config.validate import parse_profile_steps
from segnet.config.workdir import tensorboard_dir
from segnet.progress import Progress, say
from segnet.training.metric_writer import MetricWriter
from segnet.training.optim import LearningRate

__all__ = ["Reporter"]


class Reporter:
    """Progress, log lines, metrics.jsonl, TensorBoard and the profiler."""

    def __init__(
        self, config: Config, schedule: Schedule, *, enabled: bool, step: int
    ) -> None:
        """Opens everything.

        Args:
          config: Of the run.
          schedule: Of the run.
          enabled: Whether this process reports (rank 0 does).
          step: Steps done before.
        """
        self._schedule = schedule
        self._enabled = enabled
        self._workdir = config.workdir
        self._profile = parse_profile_steps(config.profile_steps)
        self._profiling = False
        self._clock = _Clock(step)
        self._writer = MetricWriter(config.workdir, enabled=enabled, step=step)
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
        self.say(where)
        self.say(
            f"step {step} of {self._schedule.total_steps}, epoch {epoch}; peak "
            f"learning rate {learning_rate.peak:g}, warm-up "
            f"{learning_rate.warmup_steps} steps"
        )

    def restart_clock(self, step: int, *, traces: bool) -> None:
        """Leaves what happened until now out of images/s.

        Args:
          step: Steps done.
          traces: Whether the next step traces and compiles; then it is left
            out as well.
        """
        self._clock = _Clock(step, skip=1 if traces else 0)

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
        self, step: int, loss: float, learning_rate: float, global_batch: int
    ) -> None:
        """One line of scalars.

        Args:
          step: Steps done.
          loss: Mean since the last line.
          learning_rate: Of the last step.
          global_batch: Images a step, over all workers.
        """
        rate, seconds = self._clock.rate(step, global_batch)
        epoch, _ = self._schedule.epoch(step)
        total = self._schedule.total_steps
        scalars = {
            "loss": loss,
            "learning_rate": learning_rate,
            "images_per_second": rate,
        }
        self._writer.write(step, epoch, scalars)
        speed = "-" if rate is None else f"{rate:.2f} images/s"
        self._progress.log(
            f"step {step}/{total} epoch {epoch} loss {loss:.4f} {speed} "
            f"left {_minutes((total - step) * seconds)}",
            f"loss {loss:.4f}, {speed}",
        )

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
            f"{scores['mean_iou'] or 0.0:.4f} pixel accuracy "
            f"{scores['pixel_accuracy'] or 0.0:.4f}"
            f"{' (best so far)' if best else ''} in {seconds:.1f} s"
        )

    def say(self, message: str) -> None:
        """One line for people."""
        if self._enabled:
            say(message)


class _Clock:
    """Images a second since the last log line."""

    def __init__(self, step: int, *, skip: int = 0) -> None:
        self._skip_until = step + skip
        self._step = step
        self._start = time.perf_counter()

    def step_done(self, step: int) -> None:
        """Starts again after a step that is to be left out."""
        if step <= self._skip_until:
            self._step = step
            self._start = time.perf_counter()

    def rate(self, step: int, global_batch: int) -> tuple[float | None, float]:
        """(images/s or None when too early, seconds a step) since last."""
        now = time.perf_counter()
        done, seconds = step - self._step, now - self._start
        self._step, self._start = step, now
        if done <= 0 or seconds <= 0:
            return None, math.nan
        return done * global_batch / seconds, seconds / done


def _minutes(seconds: float) -> str:
    """Seconds as minutes:seconds; '-' when not known."""
    if not math.isfinite(seconds):
        return "-"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
