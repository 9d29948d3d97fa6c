"""One training run, from its config to its result."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from segnet import signals
from segnet.config import Config
from segnet.data import sources
from segnet.runtime import distributed, elastic
from segnet.runtime.device import Runtime
from segnet.training import build
from segnet.training.trainer import Trainer

__all__ = ["TrainResult", "train_and_evaluate"]


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """How a run ended.

    Attributes:
      model: The network with its last weights.
      step: Steps done.
      best_score: Best `--best_metric` on the evaluation split; -1 if never
        scored.
      best_step: Step of that score.
      stopped_early: Whether `--early_stopping_epochs` ended it.
    """

    model: tf.keras.Model
    step: int
    best_score: float
    best_step: int
    stopped_early: bool


def train_and_evaluate(config: Config, device: Runtime) -> TrainResult:
    """Trains until the end of the run, from where its workdir stands.

    Args:
      config: Checked by `config.validate`; class names may be empty.
      device: As `runtime.setup_runtime` gives it.

    Returns:
      How the run ended.

    Raises:
      ConfigError: If the config does not suit the data.
      DataError: If records or weights cannot be read.
      RunError: If the loss is not finite or a checkpoint cannot be written.
      trainer.Stopped: After a signal, when everything is saved.
    """
    splits = sources.read_splits(
        config.data_dir, config.train_split, config.eval_split
    )
    if config.class_names:  # Those of the run that is resumed.
        sources.check_classes(splits.train, config.class_names, config.data_dir)
    config = build.resolve(config, splits.train.class_names)
    with tf.device(device.device_name):
        trainer = Trainer(config, device, splits)
    if distributed.is_chief():
        trainer.initialise()
    with signals.StopVotes() as stop:
        if config.elastic:
            elastic.run_elastic(
                lambda commit: trainer.run(stop, commit), trainer.variables
            )
        else:
            distributed.broadcast_variables(trainer.variables)
            trainer.run(stop, commit=lambda: None)
    return TrainResult(
        model=trainer.model,
        step=trainer.step,
        best_score=float(trainer.state.best_score.numpy()),
        best_step=int(trainer.state.best_step.numpy()),
        stopped_early=trainer.stopped_early,
    )
