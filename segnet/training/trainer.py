"""The loop over steps: stages, logging, evaluation, checkpoints, stopping."""

from __future__ import annotations

import time
from collections.abc import Callable

import tensorflow as tf

from segnet import signals
from segnet.config import Config, schedule
from segnet.data import datasets, sources
from segnet.progress import say
from segnet.runtime import distributed
from segnet.runtime.device import Runtime
from segnet.training import build, checkpoint, health, reporting, scoring, steps

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
    """The objects of a run and the loop over them."""

    def __init__(
        self, config: Config, device: Runtime, splits: sources.Splits
    ) -> None:
        """Builds everything, with random weights.

        Args:
          config: Of the run, as `build.resolve` gives it.
          device: Where and how to compute.
          splits: Manifests of the data.
        """
        self._config = config
        self._device = device
        self._splits = splits
        self._loss = build.build_loss(config, splits.train)
        self.model = build.build_model(config, splits.train.num_classes)
        self._optimizer = build.build_optimizer(
            config, self.model, loss_scaling=device.precision == "float16"
        )
        self._averages = build.build_averages(config, self.model)
        self._totals = steps.Totals()
        self.state = checkpoint.RunState()
        self._source = sources.RecordSource(
            splits.train,
            config.data_dir,
            cache=config.cache == "memory",
            smallest=schedule.largest_input(config),
        )
        self._scorer = scoring.Scorer(
            config,
            device,
            self.model,
            self._averages,
            self._source,
            splits.evaluation,
        )
        self.stopped_early = False

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.state.step.numpy())

    @property
    def variables(self) -> list[tf.Variable]:
        """All that the future of the run depends on."""
        return [
            *self.model.variables,
            *self._optimizer.variables,
            *self.state.variables,
            *(self._averages.variables if self._averages else ()),
        ]

    def initialise(self) -> None:
        """Restores the run or gives it its start; on rank 0."""
        how = build.initialise(
            self._config, self.model, self._open_checkpoints(), self._say
        )
        self._say(
            f"{self._config.architecture}, "
            f"{self.model.count_params() / 1e6:.2f} M weights, {how}"
        )

    def run(self, stop: signals.StopVotes, commit: Callable[[], None]) -> None:
        """Trains from where `state` stands to the end of the run.

        All workers enter with equal variables; again when their number changed.

        Args:
          stop: Signals that came.
          commit: Called when the state is worth going back to.

        Raises:
          Stopped: After a signal, when everything is saved.
          RunError: Loss not finite, or a checkpoint cannot be written.
          DataError: If a record is damaged.
        """
        self._commit = commit
        self._checkpoints = self._open_checkpoints()
        self._plan()
        if distributed.is_chief():
            checkpoint.save_config(self._config.workdir, self._config)
        self._totals.take()
        self._reporter = reporting.Reporter(
            self._config,
            self._schedule,
            enabled=distributed.is_chief(),
            step=self.step,
        )
        try:
            self._reporter.introduce(
                self.step,
                self._learning_rate,
                f"{self._device.device} {self._device.precision}, "
                f"{distributed.size()} worker(s), "
                f"{self._splits.train.num_records} training and "
                f"{self._splits.evaluation.num_records} evaluation images",
            )
            self._train(stop)
        finally:
            self._reporter.close()

    def _open_checkpoints(self) -> checkpoint.Checkpoints:
        return checkpoint.Checkpoints(
            self._config.workdir,
            self.model,
            self._optimizer,
            self.state,
            self._config.keep_checkpoints,
            self._averages,
        )

    def _plan(self) -> None:
        """Lays out the rest of the run for the workers there are."""
        config, state = self._config, self.state
        num_records = self._splits.train.num_records
        workers, before = distributed.size(), int(state.workers.numpy())
        self._schedule = schedule.create_schedule(config, num_records, workers)
        if before:
            old = schedule.create_schedule(
                config, int(state.records.numpy()), before
            ).moved(int(state.offset.numpy()))
            self._schedule = self._schedule.taken_over(old, self.step)
        state.workers.assign(workers)
        state.records.assign(num_records)
        state.offset.assign(self._schedule.offset)
        self._learning_rate = build.build_learning_rate(
            config, self._schedule, workers
        )

    def _train(self, stop: signals.StopVotes) -> None:
        """All stages that are not done, then the last evaluation."""
        plan = self._schedule
        if int(self.state.evaluated_step.numpy()) == self.step > 0:
            self._stop_early(plan.epoch(self.step)[0])  # It had ended so.
        for stage in plan.stages:
            end = min(stage.end_step, plan.num_steps)
            if self.step - plan.offset < end and not self.stopped_early:
                with self._source.explain_damage():
                    self._train_stage(stage, end, stop)
        if int(self.state.evaluated_step.numpy()) != self.step:
            self._evaluate()
        self._save()

    def _train_stage(
        self, stage: schedule.Stage, end: int, stop: signals.StopVotes
    ) -> None:
        """The steps of one stage, up to a place; traced once."""
        train_step = build.build_train_step(
            self._config,
            self.model,
            self._loss,
            self._optimizer,
            self._averages,
            self._totals,
            device_name=self._device.device_name,
            freeze_encoder=stage.freeze_encoder,
        )
        offset = self._schedule.offset
        dataset = datasets.create_train_dataset(
            self._source,
            stage,
            start_step=self.step - offset,
            end_step=end,
            augment=self._config.augment,
            seed=self._config.seed,
            shard_index=distributed.rank(),
            shard_count=distributed.size(),
        )
        self._reporter.restart_clock(self.step, traces=True)
        for images, labels in dataset:
            votes = train_step(
                images,
                labels,
                tf.constant(self._learning_rate(self.step - offset)),
                tf.constant(stop.votes),
            )
            self.state.step.assign_add(1)
            self._reporter.step_done(self.step)
            self._after_step(stage)
            self._leave_if(stop.agreed(votes.numpy()))
            if self.stopped_early:
                return

    def _after_step(self, stage: schedule.Stage) -> None:
        """Logs, evaluates, saves and commits when it is time."""
        step = self.step
        epoch, into_epoch = self._schedule.epoch(step)
        log = step % self._config.log_every_steps == 0 or not into_epoch
        if log:
            self._reporter.log(
                step,
                health.take_loss(self._totals, step),
                self._learning_rate(step - 1 - self._schedule.offset),
                stage.batch_size * distributed.size(),
            )
        each = self._config.evaluate_every_epochs
        if not into_epoch and each and epoch % each == 0:
            health.check_finite(self._totals, self.model, step)
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
            self._say(f"stopped after step {self.step}, all is saved")
            raise Stopped(signal_number)

    def _evaluate(self) -> None:
        """Scores the evaluation split; keeps the weights if they are best."""
        start = time.perf_counter()
        scores = self._scorer()
        epoch = self._schedule.epoch(self.step)[0]
        score = scores[self._config.best_metric.removeprefix("val_")]
        best = self.state.record(score or 0.0, epoch)
        self._reporter.report(
            self.step, scores, best=best, seconds=time.perf_counter() - start
        )
        if best and distributed.is_chief():
            self._checkpoints.save_best()
        self._reporter.restart_clock(self.step, traces=False)

    def _stop_early(self, epoch: int) -> None:
        """Ends the run if the score no longer rises; all workers agree."""
        patience = self._config.early_stopping_epochs
        since = epoch - int(self.state.best_epoch.numpy())
        if patience and since >= patience:
            self.stopped_early = True
            self._say(f"stopped early: no better score for {since} epochs")

    def _save(self) -> None:
        """Rank 0 saves, if all is finite; the others go on."""
        health.check_finite(self._totals, self.model, self.step)
        self._scorer.share_averages()
        if distributed.is_chief():
            self._checkpoints.save()
        self._reporter.restart_clock(self.step, traces=False)

    def _say(self, message: str) -> None:
        """One line for people, from rank 0."""
        if distributed.is_chief():
            say(message)
