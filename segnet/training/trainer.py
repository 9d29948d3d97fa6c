"""The loop over steps: stages, logging, evaluation, checkpoints, stopping."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from segnet import signals
from segnet.config import config_file
from segnet.config.schedule import Stage
from segnet.errors import RunError
from segnet.evaluation import metrics
from segnet.progress import say, warn
from segnet.runtime import distributed
from segnet.training import board, ending, health, optim, scoring, stages
from segnet.training.epoch_losses import EpochLosses
from segnet.training.metric_writer import first_loss
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
          ConfigError: There is not one image for each part of a step, or the
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
        self._schedule = stages.plan(run, distributed.size())
        self._learning_rate = optim.create_learning_rate(
            run.config, self._schedule, distributed.size()
        )
        self._ended = self._why_ended()
        kept = self._ended and config_file.has_config(run.config.workdir)
        if self._is_chief and not kept:
            config_file.save_config(run.config.workdir, run.config)
        self._reporter = Reporter(
            run.config,
            self._schedule,
            num_workers=distributed.size(),
            enabled=self._is_chief,
            step=run.step,
        )
        self._examples = board.Examples(
            run.predictor,
            run.evaluation.source,
            run.config,
            pad=run.runtime.needs_static_shapes,
        )
        self._losses = EpochLosses(first_loss(run.config.workdir))
        self._only_prediction: str | None = None

    def train(self) -> bool:
        """Trains to the end of the run.

        Returns:
          Whether `--early_stopping_epochs` ended it.

        Raises:
          Stopped: After a signal, when everything is saved.
          RunError: Loss not finite, a checkpoint cannot be written, or, when
            everything is saved, the data service does not answer.
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
            try:
                if self._ended:
                    self._say(f"nothing left to do: {self._ended}")
                else:
                    self._train_stages()
            except scoring.Abandoned:
                votes = distributed.allreduce_array(self._stop.votes, "votes")
                self._leave_if(self._stop.agreed(votes))
        return self._stopped_early

    def _why_ended(self) -> str | None:
        """Why there is nothing to do, and how to go on; None if there is."""
        run, schedule = self._run, self._schedule
        if not run.step or not self._is_evaluated:
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
            # A signal came between the step and its evaluation.
            if self._is_evaluated_at(run.step) and not self._is_evaluated:
                self._evaluate()
                self._stop_early(schedule.epoch(run.step)[0])
                self._save()
        for stage in schedule.stages:
            end = min(stage.end_step, schedule.num_steps)
            if run.step - schedule.offset < end and not self._stopped_early:
                self._train_stage(stage, end)
        if not self._is_evaluated:
            self._save()  # The evaluation can fail.
            self._evaluate()
        self._save()

    def _train_stage(self, stage: Stage, end: int) -> None:
        """The steps of one stage, up to a position; traced once."""
        run, offset = self._run, self._schedule.offset
        train_step = stages.create_train_step(
            run, freeze_encoder=stage.freeze_encoder
        )
        batches = stages.training_batches(
            run,
            stage,
            start_step=run.step - offset,
            end_step=end,
            augment=self._config.augment,
            lost=self._stop.resign,
        )
        self._losses.begin_stage()
        self._reporter.begin_stage(run.step)
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
            signal_number = self._stop.agreed(votes.numpy())
            self._step_done(stage, evaluate=signal_number is None)
            self._after_step(run.step)
            self._leave_if(signal_number)
            if self._stopped_early:
                return

    def _step_done(self, stage: Stage, *, evaluate: bool) -> None:
        """Logs, evaluates, saves and commits when it is time."""
        step = self._run.step
        epoch, into_epoch = self._schedule.epoch(step)
        self._reporter.step_done(step)
        log = step % self._config.log_every_steps == 0
        log = log or step == self._schedule.total_steps
        if log or not into_epoch:
            self._losses.add(health.take_loss(self._run.totals, step))
        if not into_epoch:
            self._warn_of_rise(epoch, stage)
        if log:
            rate = self._learning_rate(step - 1 - self._schedule.offset)
            self._reporter.log(step, self._losses.take_line(), rate, stage)
        if evaluate and self._is_evaluated_at(step):
            health.check_finite(self._run.totals, self._run.model, step)
            self._evaluate()
            self._stop_early(epoch)
        every = self._config.checkpoint_every_steps
        if evaluate and (step % every == 0 if every else not into_epoch):
            self._save()
        if log or not into_epoch:
            self._commit()

    def _is_evaluated_at(self, step: int) -> bool:
        """Whether a step is one after which the run is evaluated."""
        epoch, into_epoch = self._schedule.epoch(step)
        each = self._config.evaluate_every_epochs
        return bool(not into_epoch and each and epoch % each == 0)

    @property
    def _is_evaluated(self) -> bool:
        """Whether the weights as they are now have been scored."""
        return int(self._run.state.evaluated_step.numpy()) == self._run.step

    def _warn_of_rise(self, epoch: int, stage: Stage) -> None:
        """Warns if the loss of the epoch that has ended is far above others."""
        risen = self._losses.end_epoch(stage.steps_per_epoch * stage.batch_size)
        if risen:
            self._warn(
                "rising_loss",
                f"the mean loss rose from {risen[0]:.4g} in epoch {epoch - 1} "
                f"to {risen[1]:.4g} in epoch {epoch}; if it does not fall "
                "again, start anew with a lower --learning_rate (now "
                f"{self._config.learning_rate:g})",
            )

    def _leave_if(self, signal_number: int | None) -> None:
        """Saves and leaves when the workers agreed to stop."""
        if signal_number is None:
            return
        self._save()
        self._say(f"stopped after step {self._run.step}, all is saved")
        if signal_number == signals.UNABLE:
            raise self._stop.error or RunError(
                "another worker could not go on; its own message says why"
            )
        raise Stopped(signal_number)

    def _evaluate(self) -> None:
        """Scores the evaluation split; keeps the weights if they are best."""
        run, start = self._run, time.perf_counter()
        with self._reporter.paused():
            scores = scoring.score(run, self._stop)
            epoch = self._schedule.epoch(run.step)[0]
            score = scores[self._config.best_metric.removeprefix("val_")]
            best = run.state.record(score, epoch)
            # Before the score is told, which says that it is there.
            if best and self._is_chief:
                self._checkpoints.save_best()
            if self._is_chief:
                self._show(scores)
        # Graphs of pipelines refer to themselves; of its own accord Python
        # leaves those of dozens of epochs in memory.
        gc.collect()
        seconds = time.perf_counter() - start
        self._reporter.report(run.step, scores, best=best, seconds=seconds)
        only = metrics.only_prediction(scores)
        if only is not None and only != self._only_prediction:
            self._only_prediction = only
            self._warn(
                "one_prediction",
                f"after epoch {epoch} the network predicts '{only}' for every "
                f"pixel of '{self._config.eval_split}'; if that stays so, "
                "check the annotations, --class_weights and --learning_rate",
            )

    def _show(self, scores: dict[str, Any]) -> None:
        """Shows pictures of the evaluation, and weights, in TensorBoard."""
        run = self._run
        epoch = self._schedule.epoch(run.step)[0]
        if not board.is_shown(self._config, epoch):
            return
        variables = run.model.variables if self._config.log_histograms else []
        self._reporter.show(
            run.step, scores, self._examples.pictures(), variables
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
        with self._reporter.paused():
            health.check_finite(run.totals, run.model, run.step)
            health.share_averages(run)
            if self._is_chief:
                self._checkpoints.save()

    def _say(self, message: str) -> None:
        """One line for people, from rank 0."""
        if self._is_chief:
            say(message)

    def _warn(self, name: str, message: str) -> None:
        """One line on a likely mistake, from rank 0."""
        if self._is_chief:
            warn(name, message, self._config.silenced)
