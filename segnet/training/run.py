"""All objects of a training run, born in one place."""

from __future__ import annotations

import dataclasses
import functools

import tensorflow as tf

from segnet import models
from segnet.config import Config
from segnet.config.schedule import largest_input
from segnet.data import placement, sources
from segnet.evaluation.evaluate import Evaluation
from segnet.evaluation.inference import Predictor
from segnet.models.batch_norm import BatchNormalization
from segnet.models.sync_batch_norm import SyncBatchNormalization
from segnet.records.manifest import Manifest
from segnet.runtime import distributed, hardware
from segnet.runtime.device import Runtime
from segnet.training import checkpoint, class_weights, losses, optim, steps
from segnet.training.recalibration import Recalibration
from segnet.training.run_state import RunState
from segnet.training.weight_averages import WeightAverages

__all__ = ["Run", "create_network", "create_run"]


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run consists of; see `create_run`.

    Attributes:
      config: All options, none left open.
      runtime: Where and how to compute.
      splits: Manifests of the data.
      records: Of the training split; all, or this worker's part.
      model: The network.
      position: int32 scalar, passes through the network in training so far:
        decides the masks of its dropout and the warm-up of its batch norm.
      loss: Of logits and labels.
      optimizer: Built for all weights of the network.
      averages: Moving averages of the weights, if the run keeps any; then it
        is they that are scored and used.
      totals: Loss since the last log line.
      state: Where the run stands.
      recalibration: Of batch norm, for `--recalibrate_batch_norm`.
      predictor: The network as it is scored.
      evaluation: Of the predictor on the evaluation split.
    """

    config: Config
    runtime: Runtime
    splits: sources.Splits
    records: sources.RecordSource | placement.PlacedSplit
    model: tf.keras.Model
    position: tf.Variable
    loss: losses.Loss
    optimizer: tf.keras.optimizers.Optimizer
    averages: WeightAverages | None
    totals: steps.Totals
    state: RunState
    recalibration: Recalibration
    predictor: Predictor
    evaluation: Evaluation

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.state.step.numpy())

    @property
    def variables(self) -> list[tf.Variable]:
        """All that the future of the run depends on."""
        return [
            *self.model.variables,
            *self.optimizer.variables,
            *self.state.variables,
            *(self.averages.variables if self.averages else ()),
        ]

    def open_checkpoints(self) -> checkpoint.Checkpoints:
        """The run's checkpoints, as they are on disk now."""
        return checkpoint.Checkpoints(
            self.config.workdir,
            self.model,
            self.optimizer,
            self.state,
            self.config.keep_checkpoints,
            self.averages,
        )


def create_run(config: Config, runtime: Runtime, splits: sources.Splits) -> Run:
    """Creates all objects of a run, its network with random weights.

    Args:
      config: As `start.resolve` gives it.
      runtime: As `device.setup_runtime` gives it.
      splits: Manifests of the data.

    Raises:
      ConfigError: The config does not suit the data.
      DataError: A record is damaged (with `--cache=memory`).
    """
    with tf.device(runtime.device_name):
        position = tf.Variable(0, trainable=False, name="position")
        model = create_network(config, position=position)
        averages = None
        if config.ema_decay:
            averages = WeightAverages(model, config.ema_decay)
        optimizer = _create_optimizer(config, runtime, model)
        totals, state = steps.Totals(), RunState()
    predictor = Predictor(config, runtime)
    return Run(
        config=config,
        runtime=runtime,
        splits=splits,
        records=_open_records(config, splits.train),
        model=model,
        position=position,
        loss=_create_loss(config, splits),
        optimizer=optimizer,
        averages=averages,
        totals=totals,
        state=state,
        recalibration=Recalibration(
            model,
            device_name=runtime.device_name,
            reduce_sum=distributed.allreduce_array,
            run_eagerly=config.run_eagerly,
        ),
        predictor=predictor,
        evaluation=Evaluation(
            predictor,
            splits.evaluation,
            config,
            pad=runtime.needs_static_shapes,
        ),
    )


def _open_records(
    config: Config, manifest: Manifest
) -> sources.RecordSource | placement.PlacedSplit:
    """The records of the training split that this worker reads.

    Raises:
      ConfigError: It would have none.
      DataError: A record is damaged.
    """
    cached, smallest = config.cache == "memory", largest_input(config)
    if config.shard_placement == "all":
        return sources.RecordSource(
            manifest, config.data_dir, cache=cached, smallest=smallest
        )
    missing = not placement.has_all_shards(manifest, config.data_dir)
    placed = placement.PlacedSplit(
        manifest,
        config.data_dir,
        rank=distributed.rank(),
        size=distributed.size(),
        # What is in memory stays there. Agreed on, or a part would have two
        # readers.
        rotates=not (distributed.any_rank(missing, "shards") or cached),
        cache=cached,
        smallest=smallest,
    )
    placed.check_enough()
    return placed


def create_network(
    config: Config, *, position: tf.Variable | None = None
) -> tf.keras.Model:
    """The network that a config trains, with random weights.

    Args:
      config: Of the run, class names included.
      position: See `Run`; without it the network has no dropout, and the same
        weights.
    """
    batch_norm = functools.partial(BatchNormalization, position)
    # Also for one worker: an elastic run may get others, and what is computed
    # does not depend on how many there are.
    if config.sync_batch_norm:
        batch_norm = functools.partial(
            SyncBatchNormalization, distributed.allreduce_sum, position=position
        )
    return models.create_model(
        config.architecture,
        len(config.class_names),
        batch_norm_in_encoder=config.uses_encoder_batch_norm,
        batch_norm_momentum=config.batch_norm_momentum,
        dropout=0.0 if position is None else config.dropout,
        position=position,
        width_multiplier=config.width_multiplier,
        batch_norm=batch_norm,
        filtered_gradient=hardware.cpu_gains_from_filtering(),
    )


def _create_optimizer(
    config: Config, runtime: Runtime, model: tf.keras.Model
) -> tf.keras.optimizers.Optimizer:
    """The optimizer of a config, built for all weights of the network."""
    optimizer = optim.create_optimizer(
        config.optimizer,
        momentum=config.momentum,
        weight_decay=config.effective_weight_decay,
        loss_scaling=runtime.precision == "float16",
    )
    # Built here, not in the first step: slots exist before a checkpoint is
    # restored or weights are broadcast.
    optimizer.build(model.trainable_variables)
    return optimizer


def _create_loss(config: Config, splits: sources.Splits) -> losses.Loss:
    """The loss of a config, with class weights from the training split."""
    manifest = splits.train
    weights = class_weights.resolve_class_weights(
        config.class_weights, manifest.pixel_counts, manifest.present_pixels
    )
    return losses.create_loss_fn(
        config.loss, manifest.num_classes, weights, config.label_smoothing
    )
