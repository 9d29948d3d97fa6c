"""Builds network and optimizer of a config, and starts or restores them."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable

import tensorflow as tf

from segnet import models
from segnet.config import Config
from segnet.config.schedule import Schedule
from segnet.errors import ConfigError
from segnet.evaluation import inference
from segnet.models.sync_batch_norm import SyncBatchNormalization
from segnet.records.manifest import Manifest
from segnet.runtime import distributed
from segnet.runtime.device import Runtime
from segnet.training import checkpoint, class_weights, losses, optim, steps
from segnet.training.weight_averages import WeightAverages

__all__ = [
    "build_averages",
    "build_eval_step",
    "build_inference_model",
    "build_learning_rate",
    "build_loss",
    "build_model",
    "build_optimizer",
    "build_train_step",
    "encoder_layers",
    "initialise",
    "needs_static_shapes",
    "resolve",
    "warmup_steps",
]

_LONGEST_DEFAULT_WARMUP_EPOCHS = 5


def resolve(config: Config, class_names: tuple[str, ...]) -> Config:
    """The config with what it leaves open decided, as config.json keeps it.

    Args:
      config: Of the run.
      class_names: Of the training split.

    Returns:
      The config with class names, with the weight decay, and with batch norm
      in the encoder as in the run that `--init_from` names, where nothing else
      is said.
    """
    batch_norm = config.uses_encoder_batch_norm
    if config.batch_norm_in_encoder is None and config.init_from:
        source = checkpoint.load_config(config.init_from)
        if source is not None:
            batch_norm = source.uses_encoder_batch_norm
    return dataclasses.replace(
        config,
        class_names=class_names,
        batch_norm_in_encoder=batch_norm,
        weight_decay=config.effective_weight_decay,
    )


def build_model(config: Config, num_classes: int) -> tf.keras.Model:
    """The network of a config, with random weights, for any input size."""
    batch_norm = tf.keras.layers.BatchNormalization
    # Also for one worker: an elastic run may get others, and what is computed
    # does not depend on how many there are.
    if config.sync_batch_norm:
        batch_norm = functools.partial(
            SyncBatchNormalization, distributed.allreduce_sum
        )
    return models.create_model(
        config.architecture,
        num_classes,
        batch_norm_in_encoder=config.uses_encoder_batch_norm,
        batch_norm_momentum=config.batch_norm_momentum,
        dropout=config.dropout,
        width_multiplier=config.width_multiplier,
        batch_norm=batch_norm,
    )


def build_inference_model(config: Config, num_classes: int) -> tf.keras.Model:
    """The same for `models.fold_batch_norm`: convolutions alone."""
    return models.create_model(
        config.architecture,
        num_classes,
        width_multiplier=config.width_multiplier,
        batch_norm=None,
    )


def build_eval_step(
    config: Config,
    model: tf.keras.Model,
    device: Runtime,
    *,
    tta: bool = False,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The traced forward pass of a network, see `inference`."""
    size = (config.input_height, config.input_width)
    return inference.create_eval_step(
        model,
        device_name=device.device_name,
        input_size=None if needs_static_shapes(device) else size,
        tta=tta,
        size_multiple=models.size_multiple(config.architecture),
        run_eagerly=config.run_eagerly,
    )


def needs_static_shapes(device: Runtime) -> bool:
    """Whether each new shape is compiled, which takes a Gaudi minutes."""
    return device.device == "hpu"


def encoder_layers(model: tf.keras.Model) -> list[tf.keras.layers.Layer]:
    """The layers that `--freeze_encoder_epochs` freezes."""
    return [layer for layer in model.layers if layer.name.startswith("block")]


def build_loss(config: Config, manifest: Manifest) -> losses.Loss:
    """The loss of a config, with class weights from the training split."""
    return losses.create_loss_fn(
        config.loss,
        manifest.num_classes,
        class_weights.resolve_class_weights(
            config.class_weights,
            manifest.pixel_counts,
            manifest.present_pixels,
        ),
        config.label_smoothing,
    )


def warmup_steps(config: Config, schedule: Schedule, num_workers: int) -> int:
    """Steps of warm-up; by default some when the learning rate is scaled."""
    epochs = config.warmup_epochs
    if epochs is None:
        epochs = 0.0
        if num_workers > 1 and config.scale_learning_rate:
            epochs = min(_LONGEST_DEFAULT_WARMUP_EPOCHS, config.epochs / 10)
    return schedule.steps_of_epochs(epochs)


def build_learning_rate(
    config: Config, schedule: Schedule, num_workers: int
) -> optim.LearningRate:
    """The learning rate of a config for a number of workers."""
    scale = num_workers if config.scale_learning_rate else 1
    return optim.LearningRate(
        config.learning_rate * scale,
        config.lr_schedule,
        warmup_steps(config, schedule, num_workers),
        schedule.num_steps,
    )


def build_optimizer(
    config: Config, model: tf.keras.Model, *, loss_scaling: bool
) -> tf.keras.optimizers.Optimizer:
    """The optimizer of a config, built for all weights of the model."""
    optimizer = optim.create_optimizer(
        config.optimizer,
        momentum=config.momentum,
        weight_decay=config.effective_weight_decay,
        loss_scaling=loss_scaling,
    )
    # Built here, not in the first step: slots exist before a checkpoint is
    # restored or weights are broadcast.
    optimizer.build(model.trainable_variables)
    return optimizer


def build_train_step(
    config: Config,
    model: tf.keras.Model,
    loss: losses.Loss,
    optimizer: tf.keras.optimizers.Optimizer,
    averages: WeightAverages | None,
    totals: steps.Totals,
    *,
    device_name: str,
    freeze_encoder: bool,
) -> steps.TrainStep:
    """A step for one set of weights that learn; traced for each input size."""
    encoder = encoder_layers(model)
    for layer in encoder:
        layer.trainable = not freeze_encoder
    updater = optim.Updater(
        optimizer,
        model.trainable_variables,
        clip_norm=config.gradient_clip_norm,
        encoder_variables=[
            weight for layer in encoder for weight in layer.trainable_variables
        ],
        encoder_scale=config.encoder_learning_rate_scale,
        averages=averages,
    )
    return steps.create_train_step(
        model,
        loss,
        updater,
        totals,
        device_name=device_name,
        reduce_sum=distributed.allreduce_sum,
        reduce_gradients=functools.partial(
            distributed.allreduce_gradients,
            compression=config.allreduce_compression,
        ),
        accumulate_steps=config.accumulate_steps,
        run_eagerly=config.run_eagerly,
    )


def build_averages(
    config: Config, model: tf.keras.Model
) -> WeightAverages | None:
    """The moving averages of a config, if it has any."""
    if not config.ema_decay:
        return None
    return WeightAverages(model, config.ema_decay)


def initialise(
    config: Config,
    model: tf.keras.Model,
    checkpoints: checkpoint.Checkpoints,
    warn: Callable[[str], None],
) -> str:
    """Gives the weights their start, by the first of these that applies.

    1. the newest checkpoint of the workdir (weights, optimizer, place);
    2. `--init_from`: all weights of a workdir, checkpoint or Keras file;
    3. `--encoder_weights`: the encoder from VGG16, the rest at random;
    4. random weights.

    Returns:
      What was done, for people to read.
    """
    restored = checkpoints.restore_newest(warn)
    if restored:
        return f"resumed from {restored}"
    if config.init_from:
        return _init_from(config.init_from, model)
    if config.encoder_weights:
        models.load_vgg16_weights(model, config.encoder_weights)
        return f"encoder weights from {config.encoder_weights}"
    return "random weights"


def _init_from(source: str, model: tf.keras.Model) -> str:
    """Loads all weights from a workdir, a checkpoint or a Keras file."""
    if source.endswith((".h5", ".hdf5")):
        models.load_keras_weights(model, source)
        return f"weights from {source}"
    if tf.io.gfile.isdir(source):
        path = checkpoint.saved_checkpoint(source, "best")
    elif tf.io.gfile.exists(source.removesuffix(".index") + ".index"):
        path = source.removesuffix(".index")
    else:
        raise ConfigError(
            f"--init_from={source} is neither a workdir, nor a checkpoint, "
            "nor a Keras .h5 file; give the path of one that exists"
        )
    checkpoint.restore_weights(model, path)
    return f"weights from {os.path.relpath(path)}"
