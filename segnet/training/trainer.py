"""The loop over steps: stages, logging, evaluation, checkpoints, stopping."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator

import tensorflow as tf

from segnet import models, signals
from segnet.config import config_file
from segnet.config.schedule import (
    Schedule,
    Stage,
    create_pass,
    create_schedule,
)
from segnet.data import datasets
from segnet.progress import say
from segnet.runtime import distributed
from segnet.training import ending, health, optim, steps
from segnet.training.reporting import Reporter
from segnet.training.run import Run

__all__ = ["Stopped", "Trainer"]


class Stopped(Exception):
    """A run that was asked to stop has saved itself.

    Attributes:
      signal_number: The signal that asked.
    """

    def __init__(self, signal_number: int) -> None:
        """Keeps the signal's number."""
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number


class Trainer:
    """Takes a run from where it stands to its end.

    Made anew when the workers have changed: all enter with equal variables.
    """

    def __init__(
        self,
        run: Run,
        stop: signals.StopVotes,
        *,
        commit: Callable[[], None],
        after_step: Callable[[int], None],
    ) -> None:
        """Lays out the rest of the run for the workers there are.

        Args:
          run: With the variables to go on from.
          stop: Signals that came.
          commit: Called when the variables are worth going back to.
          after_step: See `start.train_and_evaluate`.

        Raises:
          ConfigError: A global batch is more than the training split, or the
            run has passed the end that is asked for.
          RunError: The workdir cannot be written.
        """
        self._run = run
        self._config = run.config
        self._stop = stop
        self._commit = commit
        self._after_step = after_step
        self._is_chief = distributed.is_chief()
        self._stopped_early = False
        self._checkpoints = run.open_checkpoints()
        self._schedule = _plan(run, distributed.size())
        self._learning_rate = optim.create_learning_rate(
            run.config, self._schedule, distributed.size()
        )
        self._ended = self._why_ended()
        if self._is_chief and not self._ended:
            config_file.save_config(run.config.workdir, run.config)
        self._reporter = Reporter(
            run.config, self._schedule, enabled=self._is_chief, step=run.step
        )

    def train(self) -> bool:
        """Trains to the end of the run.

        Returns:
          Whether `--early_stopping_epochs` ended it.

        Raises:
          Stopped: After a signal, when everything is saved.
          RunError: Loss not finite, or a checkpoint cannot be written.
          DataError: If a record is damaged.
        """
        run, splits = self._run, self._run.splits
        with self._reporter:
            run.totals.take()
            self._reporter.introduce(
                run.step,
                self._learning_rate,
                f"{run.runtime.device} {run.runtime.precision}, "
                f"{distributed.size()} worker(s), "
                f"{splits.train.num_records} training and "
                f"{splits.evaluation.num_records} evaluation images",
            )
            if self._ended:
                self._say(f"nothing left to do: {self._ended}")
            else:
                self._train_stages()
        return self._stopped_early

    def _why_ended(self) -> str | None:
        """Why there is nothing to do, and how to go on; None if there is."""
        run, schedule = self._run, self._schedule
        if int(run.state.evaluated_step.numpy()) != run.step or not run.step:
            return None
        best_epoch = int(run.state.best_epoch.numpy())
        epoch, _ = schedule.epoch(run.step)
        self._stopped_early = bool(
            ending.epochs_without_rise(run.config, epoch, best_epoch)
        )
        return ending.why_ended(run.config, schedule, run.step, best_epoch)

    def _train_stages(self) -> None:
        """All stages that are not done, then the last evaluation."""
        run, schedule = self._run, self._schedule
        if run.step:
            end_flag = ending.end_flag(run.config, schedule)
            self._say(f"goes on to step {schedule.total_steps}: {end_flag}")
        for stage in schedule.stages:
            end = min(stage.end_step, schedule.num_steps)
            if run.step - schedule.offset < end and not self._stopped_early:
                self._train_stage(stage, end)
        if int(run.state.evaluated_step.numpy()) != run.step:
            self._save()  # The evaluation can fail.
            self._evaluate()
        self._save()

    def _train_stage(self, stage: Stage, end: int) -> None:
        """The steps of one stage, up to a position; traced once."""
        run, offset = self._run, self._schedule.offset
        train_step = _create_train_step(
            run, freeze_encoder=stage.freeze_encoder
        )
        batches = self._training_batches(
            stage,
            start_step=run.step - offset,
            end_step=end,
            augment=self._config.augment,
        )
        self._reporter.restart_clock(run.step, traces=True)
        for images, labels in batches:
            # Dropout's masks and the warm-up of batch norm depend on the step
            # alone, so that a run that is resumed has those of an undisturbed
            # one.
            run.position.assign(run.step * self._config.accumulate_steps)
            votes = train_step(
                images,
                labels,
                tf.constant(self._learning_rate(run.step - offset)),
                tf.constant(self._stop.votes),
            )
            run.state.step.assign_add(1)
            self._reporter.step_done(run.step)
            self._log_evaluate_save(stage)
            self._after_step(run.step)
            self._leave_if(self._stop.agreed(votes.numpy()))
            if self._stopped_early:
                return

    def _training_batches(
        self, stage: Stage, *, start_step: int, end_step: int, augment: str
    ) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """This worker's batches of a stage."""
        dataset = datasets.create_train_dataset(
            self._run.source,
            stage,
            start_step=start_step,
            end_step=end_step,
            augment=augment,
            seed=self._config.seed,
            shard_index=distributed.rank(),
            shard_count=distributed.size(),
        )
        return self._run.source.read(dataset)

    def _log_evaluate_save(self, stage: Stage) -> None:
        """Logs, evaluates, saves and commits when it is time."""
        step = self._run.step
        epoch, into_epoch = self._schedule.epoch(step)
        log = step % self._config.log_every_steps == 0 or not into_epoch
        if log:
            self._reporter.log(
                step,
                health.take_loss(self._run.totals, step),
                self._learning_rate(step - 1 - self._schedule.offset),
                stage.batch_size * distributed.size(),
            )
        each = self._config.evaluate_every_epochs
        if not into_epoch and each and epoch % each == 0:
            health.check_finite(self._run.totals, self._run.model, step)
            self._evaluate()
            self._stop_early(epoch)
        every = self._config.checkpoint_every_steps
        if step % every == 0 if every else not into_epoch:
            self._save()
        if log:
            self._commit()

    def _leave_if(self, signal_number: int | None) -> None:
        """Saves and leaves when the workers agreed to stop."""
        if signal_number:
            self._save()
            self._say(f"stopped after step {self._run.step}, all is saved")
            raise Stopped(signal_number)

    def _evaluate(self) -> None:
        """Scores the evaluation split; keeps the weights if they are best."""
        run, start = self._run, time.perf_counter()
        health.share_averages(run)
        averages = run.averages
        with averages.applied() if averages else contextlib.nullcontext():
            self._recalibrate()
            run.predictor.load(run.model)
            scores = run.evaluation()
        epoch = self._schedule.epoch(run.step)[0]
        score = scores[self._config.best_metric.removeprefix("val_")]
        best = run.state.record(score or 0.0, epoch)
        # Before the score is told, which says that it is there.
        if best and self._is_chief:
            self._checkpoints.save_best()
        self._reporter.report(
            run.step, scores, best=best, seconds=time.perf_counter() - start
        )
        self._reporter.restart_clock(run.step, traces=False)

    def _recalibrate(self) -> None:
        """Computes batch norm's averages anew, if the config asks for it."""
        if not self._config.recalibrate_batch_norm:
            return
        run = self._run
        run.position.assign(run.step * self._config.accumulate_steps)
        stage = create_pass(
            self._config, run.source.num_records, distributed.size()
        )
        run.recalibration(
            self._training_batches(
                stage, start_step=0, end_step=stage.end_step, augment="none"
            )
        )

    def _stop_early(self, epoch: int) -> None:
        """Ends the run if the score no longer rises; all workers agree."""
        best_epoch = int(self._run.state.best_epoch.numpy())
        since = ending.epochs_without_rise(self._config, epoch, best_epoch)
        if since:
            self._stopped_early = True
            self._say(f"stopped early: no better score for {since} epochs")

    def _save(self) -> None:
        """Rank 0 saves, if all is finite; the others go on."""
        run = self._run
        health.check_finite(run.totals, run.model, run.step)
        health.share_averages(run)
        if self._is_chief:
            self._checkpoints.save()
        self._reporter.restart_clock(run.step, traces=False)

    def _say(self, message: str) -> None:
        """One line for people, from rank 0."""
        if self._is_chief:
            say(message)


def _plan(run: Run, num_workers: int) -> Schedule:
    """The schedule of a run, going on where the one of its workers stood.

    Raises:
      ConfigError: The run has passed the end that is asked for.
    """
    config, state = run.config, run.state
    num_records = run.source.num_records
    schedule = create_schedule(config, num_records, num_workers)
    num_before = int(state.workers.numpy())
    if num_before:
        before = create_schedule(
            config, int(state.records.numpy()), num_before
        ).moved(int(state.offset.numpy()))
        ending.check_end(config, before, run.step)
        schedule = schedule.taken_over(before, run.step)
    state.workers.assign(num_workers)
    state.records.assign(num_records)
    state.offset.assign(schedule.offset)
    return schedule


def _create_train_step(run: Run, *, freeze_encoder: bool) -> steps.TrainStep:
    """A step for one set of weights that learn; traced for each input size."""
    config, model = run.config, run.model
    encoder = models.encoder_layers(model)
    for layer in encoder:
        layer.trainable = not freeze_encoder
    updater = optim.Updater(
        run.optimizer,
        model.trainable_variables,
        clip_norm=config.gradient_clip_norm,
        encoder_variables=[
            weight for layer in encoder for weight in layer.trainable_variables
        ],
        encoder_scale=config.encoder_learning_rate_scale,
        averages=run.averages,
    )
    return steps.create_train_step(
        model,
        run.loss,
        updater,
        run.totals,
        device_name=run.runtime.device_name,
        reduce_sum=distributed.allreduce_sum,
        reduce_gradients=functools.partial(
            distributed.allreduce_gradients,
            compression=config.allreduce_compression,
            grouped=config.deterministic,
        ),
        accumulate_steps=config.accumulate_steps,
        position=run.position,
        run_eagerly=config.run_eagerly,
    )
